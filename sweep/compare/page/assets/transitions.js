// Transitions: what pairs of answers with and without a behaviour account for of the gain, and the problems that changed.

function transitionsView(data) {
  const found = data.facts.transitions;
  const section = put(titled("transitions", "Transitions"), damagedFiles(data.facts));
  if (found.missing) return [put(section, shown("p", {}, found.missing))];
  const names = Object.keys(found.behaviours);
  const behaviour = names.includes(address.get("shows")) ? address.get("shows") : names.includes("code") ? "code" : names[0];
  put(section, el("p", {}, "What each class of pairs of an answer before and one after training, to the same problem, accounts for of the gain, in points."));
  if (behaviour) put(section, byBehaviour(found, names, behaviour));
  if (found.never.length) put(section, shown("p", { class: "note" }, `Looked for, and shown by no answer: ${found.never.join(", ")}.`));
  put(section, found.warnings.map((line) => shown("p", { class: "note" }, line)));
  return [section, changedProblems(data, found)];
}

function byBehaviour(found, names, behaviour) {
  const { table, parts, left_out } = found.behaviours[behaviour];
  const ends = parts.flatMap((row) => [1, -1].map((sign) => row.parts.map(([, part]) => part).filter((part) => part * sign > 0).reduce((a, b) => a + b, 0)));
  const range = rangeOf([0, ...ends]);
  const classes = parts[0].parts.map(([name]) => name);
  const meaning = behaviour === "code" ? "Lang: without code. Code: with it." : `no ${behaviour}: without it.`;
  // Of each row four classes and their sum, in the order of the table.
  const intervals = parts.flatMap((row) => [...row.parts.map(([, , ...ends]) => ends), row.gain.slice(1)]);
  return [
    el("div", { class: "filters" }, choice("Told apart by", names.map((name) => [name, name]), behaviour, (value) => address.set({ shows: value }))),
    shown("p", { class: "note" }, `${meaning} Bars to the left of the dashed line lower the accuracy, bars to the right raise it; a diamond is the gain, their sum.`),
    el("ul", { class: "legend", "aria-label": "Classes" }, classes.map((name, i) => el("li", {}, svg("svg", { width: 18, height: 14, "aria-hidden": "true" }, svg("rect", { width: 18, height: 14, class: `part${i}` })), " ", ...shownNodes(name)))),
    el("div", { class: "bars" }, parts.map((row) => el("div", { class: "bar" }, el("span", {}, shown("span", { class: "block" }, row.label), el("span", { class: "small block" }, gainInWords(row))), partsDrawing(row, range))), el("div", { class: "bar" }, el("span", { class: "small end" }, "points"), pointsAxis(range))),
    details("The numbers", () => gridTable(table, { head: "95 % interval over seeds", more: (place) => interval(...intervals[place], { sign: true, share: true }) })),
    left_out.map((line) => shown("p", { class: "note" }, line)),
  ];
}

// The scale under the bars.
function pointsAxis([from, to]) {
  const width = 420;
  const at = (number) => ((number - from) / (to - from)) * width;
  return svg("svg", { viewBox: `0 0 ${width} 22`, class: "drawing", "aria-hidden": "true" }, ticks(from, to).flatMap((t) => [
    svg("line", { x1: at(t), x2: at(t), y1: 0, y2: 5, class: "zero" }), svg("text", { x: Math.min(width - 14, Math.max(14, at(t))), y: 18, class: "tick middle" }, written(t, { sign: true }))]));
}

function gainInWords({ gain: [mean, low, high], n }) {
  const how = { sign: true, share: true };
  return `gain ${written(mean, how)} (${interval(low, high, how)}), n = ${n}`;
}

function partsDrawing(row, [from, to]) {
  const width = 420;
  const how = { sign: true, share: true };
  const at = (number) => ((number - from) / (to - from)) * width;
  const ends = { up: 0, down: 0 };
  const parts = row.parts.map(([name, part], i) => {
    const side = part >= 0 ? "up" : "down";
    const start = ends[side];
    ends[side] += part;
    return svg("rect", { x: Math.min(at(start), at(ends[side])), y: 3, width: Math.abs(at(ends[side]) - at(start)), height: 16, class: `part${i}` }, svg("title", {}, `${name}: ${written(part, how)}`));
  });
  parts.push(svg("line", { x1: at(0), x2: at(0), y1: 0, y2: 22, class: "zero" }), svg("path", { d: `M${at(row.gain[0])},5 l6,6 l-6,6 l-6,-6 z`, class: "gain" }));
  const told = row.parts.map(([name, part]) => `${name} ${written(part, how)}`).join(", ");
  return svg("svg", { viewBox: `0 0 ${width} 22`, class: "drawing", role: "img", "aria-label": `${row.label}: ${told}; ${gainInWords(row)}` }, parts);
}

const PRINTED_ROWS = 12; // whose problems are printed; with more, their numbers alone

// The problems of each row that are answered rightly more often, or less often, than before.
function changedProblems(data, found) {
  const isLong = printing() && found.rows.length > PRINTED_ROWS;
  return put(titled("changed", "Problems that were fixed and broken"),
    el("p", { class: "note" }, "Fixed: answered rightly more often after training than before; broken: less often. Wholly: from never to always, or from always to never. "
      + "Shares and answers are over all samples and the n seeds of a row; the most frequent answers come first. A few problems would change by chance alone: the tests of pass@k say how sure the gain is."),
    isLong ? found.rows.map((row) => shown("p", { class: "small" }, `${changesInWords(row)}. Which ones is on the screen only.`)) : found.rows.map((row) => details(changesInWords(row), () => problemTable(row, found.questions))));
}

// Fewer on paper, where all rows are open.
function linesShown({ lines }) {
  return printing() ? lines.slice(0, 5) : lines;
}

function changesInWords({ label, problems, fixed, broken, n }) {
  return `${label}: ${fixed.count} fixed (${fixed.wholly} wholly) and ${broken.count} broken (${broken.wholly} wholly) of ${problems} problems, n = ${n}`;
}

function problemTable(row, questions) {
  const lines = ["fixed", "broken"].flatMap((word) => linesShown(row[word]).map((line, place) => problemLine(row, word, line, place, questions)));
  const most = ["fixed", "broken"].filter((word) => row[word].count > linesShown(row[word]).length).map((word) => `the ${linesShown(row[word]).length} largest changes of ${row[word].count} ${word} ones are shown`);
  const caption = `Problems of ${row.label}`;
  return el("div", {}, plainTable(caption, ["", "problem", "question and gold", "right before, %", "after, %", "difference", "answers before", "answers after"], lines),
    most.length ? el("p", { class: "note" }, `${most.join(", and ")}.`) : null);
}

function problemLine(row, word, [place, before, after, given, givenAfter], number, questions) {
  const [id, question, golds, texts] = questions[place];
  const there = { view: "answers", problem: id, on: row.benchmark, chosen: "", page: "" };
  const withTexts = texts === "drawn" || (texts === "changed" && number < WITH_TEXTS);
  const name = el("div", {}, el("span", {}, ...shownNodes(id)),
    withTexts ? el("a", { class: "small block screen", href: address.with({ ...there, model: row.axes.model, reward: row.axes.reward, side: "yes" }), "aria-label": `texts of ${id} side by side` }, "texts side by side") : null);
  const asked = el("div", { class: "asked" }, longText(question || "(not known)"), golds.length ? el("span", { class: "small block" }, "gold ", ...golds.map((gold) => shown("code", {}, gold))) : null);
  const how = { share: true };
  return [word, name, asked, written(before, how), written(after, how), written(after - before, { sign: true, share: true }), answersGiven(given), answersGiven(givenAfter)];
}

const WITH_TEXTS = 3; // fixed and broken problems of each row whose texts are kept, as the page's writer says

// The most frequent answers with their counts; none has a count where all are one.
function answersGiven([top, different, all]) {
  const more = different - top.length;
  return el("div", {}, top.map(([text, n]) => el("div", {}, text === null ? "none found" : shown("code", {}, text), all > 1 ? el("span", { class: "small" }, ` ${n} of ${all}`) : null)),
    more > 0 ? el("div", { class: "small" }, `and ${more} other${more > 1 ? "s" : ""}`) : null);
}
