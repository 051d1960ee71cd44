// Elements are made here, and text reaches the page here alone: as text nodes, never as HTML.

const SVG = "http://www.w3.org/2000/svg";
// Control characters, marks of direction and joining, separators of lines and paragraphs: they would be unseen, or would
// reorder a line. A new line and a tab stay as they are.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

function make(create, name, props, children) {
  const node = create(name);
  for (const [key, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key in node && ["value", "checked", "selected", "htmlFor"].includes(key)) node[key] = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  return put(node, ...children);
}

// Add children to an element; lists in lists are taken apart, and null is nothing.
function put(node, ...children) {
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

// el("p", {class: "note"}, "text", child): a string becomes a text node.
function el(name, props, ...children) {
  return make((n) => document.createElement(n), name, props, children);
}

function svg(name, props, ...children) {
  return make((n) => document.createElementNS(SVG, n), name, props, children);
}

// A text from a model or a configuration: what cannot be seen is shown as its code.
function shownNodes(text) {
  const nodes = [];
  let from = 0;
  for (const found of text.matchAll(UNSEEN)) {
    if (found.index > from) nodes.push(text.slice(from, found.index));
    const code = found[0].charCodeAt(0).toString(16).padStart(4, "0");
    nodes.push(el("span", { class: "unseen" }, `\\u${code}`));
    from = found.index + found[0].length;
  }
  if (from < text.length) nodes.push(text.slice(from));
  return nodes;
}

function shown(name, props, text) {
  return el(name, { dir: "auto", ...props }, ...shownNodes(String(text)));
}

const PRINTED_LINES = 120; // of a part that is closed on the screen; a longer one is not printed

// What is shown when somebody opens it; `make` returns it, and is called then. In print it is open unless it is long.
function details(summary, make) {
  if (printing()) {
    const heading = el("p", { class: "opened" }, ...shownNodes(summary));
    const made = make();
    const lines = made.querySelectorAll("tbody tr, li").length;
    return lines > PRINTED_LINES ? put(heading, `: ${lines.toLocaleString("en")} lines, which are on the screen only`) : el("div", {}, heading, made);
  }
  const node = el("details", {}, el("summary", {}, ...shownNodes(summary)));
  node.addEventListener("toggle", () => put(node, make()), { once: true });
  return node;
}

// True while the page is drawn for paper, where everything is shown and nothing can be pressed.
function printing() {
  return document.documentElement.dataset.printed === "yes";
}

// The section of a view with its heading.
function titled(id, title) {
  return el("section", { "aria-labelledby": id }, el("h2", { id }, title));
}

// A choice among [value, text] pairs, with its label.
function choice(label, pairs, value, change) {
  const known = pairs.some(([own]) => own === value);
  const options = pairs.map(([own, text]) => el("option", { value: own, selected: own === value }, ...shownNodes(text)));
  if (!known && value) options.unshift(el("option", { value, selected: true }, `${value} (not here)`));
  const isLong = pairs.some(([, text]) => text.length > 26);
  const select = el("select", { class: isLong ? "wide" : null, onchange: (event) => change(event.target.value) }, options);
  return el("label", { class: "choice" }, el("span", {}, label), select);
}

function distinct(values) {
  return [...new Set(values)];
}

// What a table may be wider than: it scrolls by itself, with the keyboard too.
function scrolling(label, child) {
  return el("div", { class: "scrolling", tabindex: "0", role: "region", "aria-label": label }, child);
}
