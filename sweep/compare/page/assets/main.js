// Draw the view that the address names, and draw again when it changes; for print, draw all views.

const VIEWS = {
  summary: ["Verdict", summaryView],
  curves: ["Curves", curvesView],
  contrasts: ["Contrasts", contrastsView],
  health: ["Entropy, clipping", healthView],
  code: ["Code", codeView],
  passes: ["pass@k", passesView],
  transitions: ["Transitions", transitionsView],
  answers: ["Answers", answersView, printedAnswers],
  settings: ["Configurations", settingsView],
};
const dark = matchMedia("(prefers-color-scheme: dark)");
const printed = matchMedia("print");
const main = document.getElementById("content");
let drawing = 0;

function setTheme() {
  const asked = address.get("theme");
  const isDark = !printing() && (asked === "dark" || (asked !== "light" && dark.matches));
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
  inks.clear();
}

function viewName() {
  return address.get("view") in VIEWS ? address.get("view") : "summary";
}

// What the address asks for and this page does not have, as after a typing error or on the page of another sweep.
function unknownParts(data) {
  const labels = data.facts.cells.map((cell) => cell.label);
  const known = {
    view: (value) => value in VIEWS,
    metric: (value) => data.byName.has(value),
    shows: (value) => value in (data.facts.transitions.behaviours ?? {}),
    a: (value) => labels.includes(value),
    b: (value) => labels.includes(value),
  };
  const unknown = Object.entries(known).filter(([key, has]) => address.get(key) && !has(address.get(key))).map(([key]) => key);
  if (!unknown.length) return null;
  const told = unknown.map((key) => `${key}=${address.get(key)}`).join(", ");
  return el("p", { class: "note", id: "unknown" }, ...shownNodes(`The address asks for ${told}, which this page does not have. `),
    el("a", { href: address.with(Object.fromEntries(unknown.map((key) => [key, ""]))) }, "Remove it from the address"));
}

function drawNavigation() {
  const links = Object.entries(VIEWS).map(([name, [title]]) => el("a", { href: address.with({ view: name, page: "" }), "aria-current": name === viewName() ? "page" : null }, title));
  document.getElementById("views").replaceChildren(...links);
  document.getElementById("theme").value = address.get("theme");
}

// What has the focus, so that it is still there after everything was drawn again.
function focused() {
  const controls = [...main.querySelectorAll("select, input, button")];
  const place = controls.indexOf(document.activeElement);
  return { place, count: controls.length, caret: place >= 0 && controls[place].type === "search" ? controls[place].selectionStart : null };
}

function focusAgain({ place, count, caret }) {
  const controls = [...main.querySelectorAll("select, input, button")];
  if (place < 0 || controls.length < Math.min(count, place + 1)) return;
  controls[place].focus({ preventScroll: true });
  if (caret !== null) controls[place].setSelectionRange(caret, caret);
}

async function draw(data) {
  if (printing()) return;
  const own = ++drawing;
  setTheme();
  drawNavigation();
  const nodes = (await VIEWS[viewName()][1](data)).flat().filter(Boolean);
  if (own !== drawing) return; // a later change is being drawn
  const before = focused();
  clearCharts();
  main.replaceChildren(...[unknownParts(data), ...nodes].filter(Boolean));
  focusAgain(before);
  requestAnimationFrame(() => { document.documentElement.dataset.drawn = String(own); });
}

// All views, one after the other, in light colours. Nothing is awaited, because a browser does not wait before it prints.
function drawForPaper(data) {
  if (printing()) return;
  drawing += 1;
  document.documentElement.dataset.printed = "yes";
  setTheme();
  clearCharts();
  const sections = Object.entries(VIEWS).map(([name, [, view, onPaper]]) => el("div", { class: "sheet", id: `sheet-${name}` }, (onPaper || view)(data).flat().filter(Boolean)));
  main.replaceChildren(...sections);
  for (const box of forPaper.splice(0)) box.drawChart();
  document.documentElement.dataset.drawn = String(drawing);
}

function drawAfterPrint(data) {
  if (!printing()) return;
  delete document.documentElement.dataset.printed;
  draw(data);
}

// Unpack the answers and pool the curves that are likely to be asked for while nobody waits for anything, a part at a time.
async function workAhead(data) {
  await idle();
  const table = await data.answers();
  for (const name of [data.facts.metric, ...HEALTH]) {
    await idle();
    data.curves(name);
  }
  await table.texts.searchable(idle);
  document.documentElement.dataset.unpacked = "yes"; // all can be printed and searched at once
}

async function start() {
  setTheme();
  // Without scripts neither would mean anything.
  document.querySelector(".theme").hidden = false;
  document.getElementById("loading").textContent = "Unpacking the data…";
  const data = await Data.read();
  let view = viewName();
  await draw(data);
  workAhead(data);
  addEventListener("hashchange", async () => {
    const moved = view !== viewName();
    view = viewName();
    await draw(data);
    if (moved) scrollTo(0, 0);
  });
  addEventListener("addresschange", () => draw(data));
  dark.addEventListener("change", () => draw(data));
  const toPaper = () => (printed.matches ? drawForPaper(data) : drawAfterPrint(data));
  printed.addEventListener("change", toPaper);
  addEventListener("beforeprint", () => drawForPaper(data));
  addEventListener("afterprint", () => drawAfterPrint(data));
  if (printed.matches) drawForPaper(data);
  document.getElementById("theme").addEventListener("change", (event) => address.set({ theme: event.target.value }));
  // A link to #content would lose the filters that live there.
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
}

start().catch((error) => {
  main.replaceChildren(el("p", { role: "alert" }, `This page could not be drawn: ${error.message}. It needs a browser of 2023 or later.`));
  throw error;
});
