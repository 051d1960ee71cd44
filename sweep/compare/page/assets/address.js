// The view and its filters live in the address behind #, so that a view is a link.

const address = {
  get(key, otherwise = "") {
    return this.parts().get(key) ?? otherwise;
  },

  list(key) {
    return this.parts().getAll(key);
  },

  parts() {
    return new URLSearchParams(location.hash.slice(1));
  },

  // The address with some parts changed; "" and null remove a part.
  with(changes) {
    const parts = this.parts();
    for (const [key, value] of Object.entries(changes)) {
      parts.delete(key);
      for (const one of Array.isArray(value) ? value : [value]) if (one !== "" && one !== null) parts.append(key, one);
    }
    return `#${parts}`;
  },

  // Change filters without a new entry in the browser's history, and draw again.
  set(changes) {
    history.replaceState(null, "", this.with(changes));
    dispatchEvent(new Event("addresschange"));
  },
};
