// Draw the view that the address names, and draw again when it changes.

const VIEWS = {
  summary: ["Verdict", summaryView],
  curves: ["Curves", curvesView],
  contrasts: ["Contrasts", contrastsView],
  health: ["Entropy, clipping", healthView],
  code: ["Code", codeView],
  passes: ["pass@k", passesView],
  transitions: ["Transitions", transitionsView],
  answers: ["Answers", answersView],
  settings: ["Configurations", settingsView],
};
const dark = matchMedia("(prefers-color-scheme: dark)");
const printed = matchMedia("print");
const main = document.getElementById("content");
let drawing = 0;

function setTheme() {
  const asked = address.get("theme");
  const isDark = !printed.matches && (asked === "dark" || (asked !== "light" && dark.matches));
  document.documentElement.dataset.theme = isDark ? "dark" : "light";
}

function viewName() {
  return address.get("view") in VIEWS ? address.get("view") : "summary";
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
  const own = ++drawing;
  setTheme();
  drawNavigation();
  const nodes = (await VIEWS[viewName()][1](data)).flat().filter(Boolean);
  if (own !== drawing) return; // a later change is being drawn
  const before = focused();
  clearCharts();
  main.replaceChildren(...nodes);
  focusAgain(before);
  requestAnimationFrame(() => { document.documentElement.dataset.drawn = String(own); });
}

async function start() {
  setTheme();
  const data = await Data.read();
  let view = viewName();
  await draw(data);
  // Answers are unpacked while nobody waits for anything.
  setTimeout(() => requestIdleCallback(async () => tableOf(data, await data.answers()).searchable()), 1000);
  addEventListener("hashchange", async () => {
    const moved = view !== viewName();
    view = viewName();
    await draw(data);
    if (moved) scrollTo(0, 0);
  });
  addEventListener("addresschange", () => draw(data));
  for (const media of [dark, printed]) media.addEventListener("change", () => draw(data));
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
