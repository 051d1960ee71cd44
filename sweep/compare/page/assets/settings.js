// What tells cells apart beside their results: configurations, environments, the commands that were typed.

function settingsView(data) {
  const { facts } = data;
  const labels = facts.cells.map((cell) => cell.label);
  const number = (key, otherwise) => { const place = labels.indexOf(address.get(key)); return place < 0 ? otherwise : place; };
  const [a, b] = [number("a", 0), number("b", labels.length - 1)];
  const pairs = labels.map((label) => [label, label]);
  return [
    put(titled("settings", "Configurations"),
      el("p", { class: "note" }, "The identity of each training and of its evaluations: everything that its results follow from, the versions of rules included."),
      el("div", { class: "filters" }, choice("Cell", pairs, labels[a], (value) => address.set({ a: value })), choice("and cell", pairs, labels[b], (value) => address.set({ b: value }))),
      betweenTwo(facts.settings, labels, a, b, "Configurations of the two"),
      details("Keys that differ between any cells", () => ownTable(facts.settings, labels, "Keys that differ")),
      details("Keys that all cells share", () => sharedTable(facts.settings, "Shared by all cells"))),
    put(titled("environments", "Environment, versions, code"),
      el("p", { class: "note" }, "Of the latest attempt of each training."),
      Object.keys(facts.environments.own).length ? ownTable(facts.environments, labels, "What differs") : el("p", {}, "All cells were made alike."),
      sharedTable(facts.environments, "Shared by all cells")),
    put(titled("typed", "Launches and the question"),
      facts.launches.map(([sweep, overrides]) => el("pre", { class: "command" }, ...shownNodes(`${sweep}: ${overrides.join(" ")}`))),
      shown("p", {}, `Control: ${Object.entries(facts.asked.control).map((pair) => pair.join("=")).join(", ")}. Family: ${facts.asked.by.join(", ")}.${Object.keys(facts.asked.where).length ? ` Only cells with ${Object.entries(facts.asked.where).map((pair) => pair.join("=")).join(", ")}.` : ""}`)),
  ];
}

function valueOf(found, key, cell) {
  const place = found.own[key][cell];
  return place === null ? "(not set)" : found.values[place];
}

function betweenTwo(found, labels, a, b, caption) {
  const keys = Object.keys(found.own).filter((key) => found.own[key][a] !== found.own[key][b]);
  if (!keys.length) return el("p", {}, "Nothing differs between these two.");
  return plainTable(caption, ["key", labels[a], labels[b]], keys.map((key) => [key, ...[a, b].map((cell) => longText(valueOf(found, key, cell)))]));
}

function ownTable(found, labels, caption) {
  const rows = Object.keys(found.own).map((key) => {
    const cells = new Map();
    found.own[key].forEach((place, cell) => cells.set(place, [...(cells.get(place) || []), cell]));
    const lines = [...cells].slice(0, 30).map(([place, those]) => el("div", {}, longText(place === null ? "(not set)" : found.values[place]), el("span", { class: "small" }, ` in ${those.length} of ${labels.length} cells`)));
    if (cells.size > 30) lines.push(el("div", { class: "small" }, `and ${cells.size - 30} more values`));
    return [key, el("div", {}, lines)];
  });
  return rows.length ? plainTable(caption, ["key", "values"], rows) : el("p", {}, "Nothing differs.");
}

function sharedTable(found, caption) {
  return plainTable(caption, ["key", "value"], Object.entries(found.shared).map(([key, value]) => [key, longText(value)]));
}

function longText(text) {
  return text.length > 120 && !printing() ? details(`${text.slice(0, 100)}…`, () => el("pre", { tabindex: "0" }, ...shownNodes(text))) : shown("span", {}, text);
}
