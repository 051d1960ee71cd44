// The first view: the verdict in sentences, the heat map of models and rewards, and what is missing.

const PARTS = { gain: 2, final: 1, base: 0 };

function summaryView(data) {
  const { facts } = data;
  const metric = chosenMetric(data);
  const parts = metric.evaluated ? ["gain", "final", "base"] : ["final"];
  const part = parts.includes(address.get("part")) ? address.get("part") : parts[0];
  const words = { gain: "difference: final − base", final: "final", base: "base (untrained)" };
  const later = facts.later.length ? `Asked after the launch, and here from kept answers: ${facts.later.join(", ")}; the metrics of each are among the choices.` : "";
  return [
    put(titled("verdict", "Verdict"), damagedFiles(facts),
      el("div", { class: "filters" }, metricChoice(data, metric.name),
        parts.length > 1 ? choice("Shown", parts.map((one) => [one, words[one]]), part, (value) => address.set({ part: value })) : null),
      metric.name === facts.metric ? null : shown("p", { class: "note" }, `By ${metric.title}, as compare --metric would judge it; the comparison itself is of ${data.byName.get(facts.metric).title}. Each metric's tests are adjusted among themselves: whoever looks at many and reports one has made more tests than m says.`),
      el("ul", { class: "sentences" }, metric.sentences.map((sentence) => shown("li", {}, sentence))),
      later ? shown("p", { class: "note" }, later) : null),
    put(titled("map", "Models and rewards"),
      heatMaps(facts, metric, PARTS[part], words[part]),
      details("The same as compare prints it", () => gridTable(metric.results))),
    missingCells(facts),
    remarks(facts),
  ];
}

// One map for each combination of the other axes.
function heatMaps(facts, metric, part, words) {
  const others = (row) => Object.entries(row.axes).filter(([axis, value]) => axis !== "model" && axis !== "reward" && value).map(([axis, value]) => `${axis}=${value}`).join(" ");
  const groups = distinct(facts.rows.map(others));
  const means = metric.values.map((of) => of[part]?.[0]).filter((value) => value !== undefined);
  const colours = colourScale(means, part === 2);
  return [
    ...groups.map((group) => heatMap(facts, metric, part, `${metric.title}, ${words}${group ? `, ${group}` : ""}`, (row) => others(row) === group, colours)),
    el("p", { class: "note" }, `Means over n seeds with 95 % intervals over seeds, in ${metric.unit === "points" ? "% or points" : metric.unit}. `
      + (part === 2 ? "Blue: above the untrained model; orange: below." : "The darker, the higher.")),
  ];
}

function heatMap(facts, metric, part, caption, belongs, colours) {
  const places = facts.rows.map((row, place) => ({ row, place })).filter(({ row }) => belongs(row));
  const models = distinct(places.map(({ row }) => row.axes.model));
  const rewards = distinct(places.map(({ row }) => row.axes.reward));
  const at = new Map();
  for (const one of places) {
    const key = JSON.stringify([one.row.axes.model, one.row.axes.reward]);
    at.set(key, [...(at.get(key) || []), one]);
  }
  const head = el("tr", {}, el("th", { scope: "col" }, "model"), rewards.map((reward) => shown("th", { scope: "col" }, reward)));
  const body = models.map((model) => el("tr", {}, shown("th", { scope: "row" }, model), rewards.map((reward) => heatCell(at.get(JSON.stringify([model, reward])), metric, part, colours))));
  const table = el("table", { class: "heat" }, el("caption", {}, el("strong", {}, ...shownNodes(caption))), el("thead", {}, head), el("tbody", {}, body));
  return scrolling(caption, table);
}

function heatCell(places, metric, part, colours) {
  if (!places) return el("td", { class: "none" }, "no cell");
  const cell = el("td", {});
  const share = metric.scale === 100;
  for (const { row, place } of places) {
    const value = metric.values[place][part];
    const of = row.cells.length;
    if (!value) {
      put(cell, el("span", { class: "small" }, `none of ${of} yet`));
      continue;
    }
    const [mean, low, high, n] = value;
    const colour = colours(mean);
    cell.style.backgroundColor = colour.fill;
    cell.style.color = colour.text;
    put(cell, el("a", { class: "big", href: address.with({ view: "answers", model: row.axes.model, reward: row.axes.reward }), title: "its answers" }, written(mean, { sign: part === 2, share })),
      el("span", { class: "small" }, interval(low, high, { sign: part === 2, share })), el("span", { class: "small" }, n === of ? `n = ${n}` : `n = ${n} of ${of}`));
  }
  return cell;
}

// From a value to a fill and a text that can be read on it. Blue and orange are told apart with any colour vision.
function colourScale(values, diverging) {
  const top = diverging ? Math.max(...values.map(Math.abs), 1e-12) : Math.max(...values);
  const bottom = diverging ? -top : Math.min(...values);
  return (value) => {
    const share = top > bottom ? (value - bottom) / (top - bottom) : 0.5;
    const [from, to, amount] = diverging && share < 0.5 ? [[255, 255, 255], [230, 120, 20], 1 - 2 * share] : [[255, 255, 255], [20, 100, 175], diverging ? 2 * share - 1 : share];
    const rgb = from.map((start, i) => Math.round(start + (to[i] - start) * 0.9 * amount));
    const linear = rgb.map((c) => ((c / 255 + 0.055) / 1.055) ** 2.4);
    const light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    return { fill: `rgb(${rgb.join(" ")})`, text: light > 0.179 ? "#000" : "#fff" };
  };
}

function missingCells(facts) {
  const states = distinct(facts.cells.map((cell) => cell.state));
  const counts = states.map((state) => `${facts.cells.filter((cell) => cell.state === state).length} ${state}`).join(", ");
  const open = facts.cells.filter((cell) => cell.state !== "done" || cell.note);
  const rows = open.map((cell) => [cell.label, cell.state, `${cell.step} of ${cell.asked}`, cell.note]);
  return put(titled("cells", "Cells"),
    el("p", {}, `${facts.cells.length} cells: ${counts}.` + (open.length ? " Cells that are not done have no final value yet; what they recorded so far is among the curves and answers." : "")),
    rows.length ? details(`Cells that are not done, or of which there is something to say (${rows.length})`, () => plainTable("Cells", ["cell", "state", "step", "note"], rows)) : null);
}

// What could not be read, with what to do; nothing where all files are whole.
function damagedFiles(facts) {
  if (!facts.damaged.length) return null;
  const many = facts.damaged.length === 1 ? "A file could not be read, so that this page lacks what it holds:" : `${facts.damaged.length} files could not be read, so that this page lacks what they hold:`;
  const lines = () => el("ul", { class: "sentences" }, facts.damaged.map((line) => shown("li", {}, line)));
  return el("div", { class: "damaged", role: "note", "aria-label": "Damaged files" }, el("p", {}, many), facts.damaged.length > 5 ? details("Which files, and what to do", lines) : lines());
}

function remarks(facts) {
  const sections = [
    ["What to run next", facts.suggestions.map(([why, command]) => el("div", {}, shown("p", {}, why), el("pre", { class: "command" }, ...shownNodes(command))))],
    ["What to know", [...facts.warnings, facts.caveat].filter(Boolean).map((line) => shown("p", {}, line))],
    ["Cost", facts.costs.map((line) => shown("p", {}, line))],
  ];
  return sections.filter(([, lines]) => lines.length).map(([title, lines]) => el("section", {}, el("h2", {}, title), lines));
}
