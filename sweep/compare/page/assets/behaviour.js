// Accuracy against the share of answers with code, before and after training, and where gains came from.

function codeView(data) {
  const { facts } = data;
  const section = el("section", { "aria-labelledby": "code" }, el("h2", { id: "code" }, "Accuracy and code"));
  const moves = facts.rows.map((row) => ({ row, cells: row.cells.map(([, cell]) => facts.code[cell]).filter(Boolean) })).filter((move) => move.cells.length);
  if (!moves.length) {
    put(section, el("p", {}, "No row has both accuracy and share of code before and after training yet."));
    return [section];
  }
  const points = moves.flatMap((move) => move.cells.flatMap(([x, y, ex, ey]) => [[x, y], [ex, ey]]));
  const range = { x: rangeOf(points.map((p) => p[0])), y: rangeOf(points.map((p) => p[1])) };
  const labels = [...new Map(moves.map(({ row }) => [row.label, row])).values()];
  const hidden = address.list("hide");
  const toggle = (label) => address.set({ hide: hidden.includes(label) ? hidden.filter((one) => one !== label) : [...hidden, label] });
  const families = distinct(moves.map((move) => move.row.family));
  put(section, el("p", { class: "note" }, "An arrow goes from the untrained model (open circle) to the mean of the n trained ones; dots are seeds."), legend(labels, hidden, toggle),
    el("div", { class: "grid" }, families.map((family) => codePanel(family, moves.filter((move) => move.row.family === family && !hidden.includes(move.row.label)), range))),
    details("The numbers", () => plainTable("Accuracy and share of code, means over seeds in %", ["family", "row", "code before", "accuracy before", "code after", "accuracy after", "n"],
      moves.map((move) => [move.row.family, move.row.label, ...meanOf(move.cells).map((number) => written(number, { share: true })), String(move.cells.length)]))));
  return [section];
}

function meanOf(cells) {
  return [0, 1, 2, 3].map((i) => cells.reduce((sum, cell) => sum + cell[i], 0) / cells.length);
}

function codePanel(family, moves, range) {
  const [width, height, left, bottom] = [340, 260, 46, 40];
  const x = (v) => left + ((v - range.x[0]) / (range.x[1] - range.x[0])) * (width - left - 10);
  const y = (v) => height - bottom - ((v - range.y[0]) / (range.y[1] - range.y[0])) * (height - bottom - 10);
  const parts = [
    ...ticks(...range.x).flatMap((t) => [svg("line", { x1: x(t), x2: x(t), y1: 10, y2: height - bottom, class: "rule" }), svg("text", { x: x(t), y: height - bottom + 15, class: "tick middle" }, String(t))]),
    ...ticks(...range.y).flatMap((t) => [svg("line", { x1: left, x2: width - 10, y1: y(t), y2: y(t), class: "rule" }), svg("text", { x: left - 5, y: y(t) + 4, class: "tick end" }, String(t))]),
    svg("text", { x: (left + width) / 2, y: height - 4, class: "tick middle" }, "answers with code, %"),
    svg("text", { x: 12, y: (height - bottom) / 2, class: "tick middle", transform: `rotate(-90 12 ${(height - bottom) / 2})` }, "accuracy, %"),
    ...moves.flatMap((move) => moveDrawing(move, x, y)),
  ];
  const told = moves.map((move) => {
    const [code, right, codeAfter, rightAfter] = meanOf(move.cells).map((number) => written(number, { share: true }));
    return `${move.row.label}: accuracy ${right} to ${rightAfter} %, code ${code} to ${codeAfter} %, n = ${move.cells.length}`;
  });
  return el("figure", {}, el("figcaption", {}, ...shownNodes(family)),
    svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "drawing", role: "img", "aria-label": `${family}: ${told.join("; ")}` }, parts));
}

function moveDrawing({ row, cells }, x, y) {
  const [code, right, codeAfter, rightAfter] = meanOf(cells);
  const [from, to] = [[x(code), y(right)], [x(codeAfter), y(rightAfter)]];
  const colour = lineColour(row.colour);
  const dash = row.dashes ? row.dashes.map((d) => 2 * d).join(" ") : null;
  const parts = [svg("line", { x1: from[0], y1: from[1], x2: to[0], y2: to[1], stroke: colour, "stroke-width": 2, "stroke-dasharray": dash })];
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
  if (length > 8) {
    const angle = (Math.atan2(to[1] - from[1], to[0] - from[0]) * 180) / Math.PI;
    parts.push(svg("path", { d: "M0,0 L-9,-4.5 L-9,4.5 z", fill: colour, transform: `translate(${to[0]} ${to[1]}) rotate(${angle})` }));
  }
  if (cells.length > 1) parts.push(...cells.map((cell) => svg("circle", { cx: x(cell[2]), cy: y(cell[3]), r: 3, fill: colour })));
  parts.push(svg("circle", { cx: from[0], cy: from[1], r: 4.5, class: "start" }));
  return parts;
}

function transitionsView(data) {
  const found = data.facts.transitions;
  const section = el("section", { "aria-labelledby": "transitions" }, el("h2", { id: "transitions" }, "Transitions"));
  if (found.missing) {
    put(section, shown("p", {}, found.missing));
    return [section];
  }
  const ends = found.parts.flatMap((row) => [1, -1].map((sign) => row.parts.map(([, part]) => part).filter((part) => part * sign > 0).reduce((a, b) => a + b, 0)));
  const range = rangeOf([0, ...ends]);
  const names = found.parts[0].parts.map(([name]) => name);
  put(section, el("p", {}, "What each class of pairs of answers, before and after training, accounts for of the gain, in points. Lang: without code."),
    el("ul", { class: "legend", "aria-label": "Classes" }, names.map((name, i) => el("li", {}, svg("svg", { width: 18, height: 14, "aria-hidden": "true" }, svg("rect", { width: 18, height: 14, class: `part${i}` })), ` ${name}`))),
    el("div", { class: "bars" }, found.parts.map((row) => el("div", { class: "bar" }, shown("span", {}, `${row.label}, n = ${row.n}`), partsDrawing(row, range)))),
    gridTable(found.table), found.warnings.map((line) => shown("p", { class: "note" }, line)));
  const linked = (place, i, text) => (i === 1 ? el("td", {}, el("a", { href: address.with({ view: "answers", problem: text, page: "" }) }, ...shownNodes(text))) : null);
  put(section, el("h3", {}, "Problems"), found.problems.map((grid) => details(grid.title, () => gridTable(grid, { cell: linked }))));
  return [section];
}

function partsDrawing(row, [from, to]) {
  const width = 420;
  const at = (number) => ((number - from) / (to - from)) * width;
  const ends = { up: 0, down: 0 };
  const parts = row.parts.map(([name, part], i) => {
    const side = part >= 0 ? "up" : "down";
    const start = ends[side];
    ends[side] += part;
    return svg("rect", { x: Math.min(at(start), at(ends[side])), y: 3, width: Math.abs(at(ends[side]) - at(start)), height: 16, class: `part${i}` }, svg("title", {}, `${name}: ${written(part, { sign: true, share: true })}`));
  });
  parts.push(svg("line", { x1: at(0), x2: at(0), y1: 0, y2: 22, class: "zero" }), svg("path", { d: `M${at(row.gain)},5 l6,6 l-6,6 l-6,-6 z`, class: "gain" }));
  const told = row.parts.map(([name, part]) => `${name} ${written(part, { sign: true, share: true })}`).join(", ");
  return svg("svg", { viewBox: `0 0 ${width} 22`, class: "drawing", role: "img", "aria-label": `${row.label}: ${told}; gain ${written(row.gain, { sign: true, share: true })} points, n = ${row.n}` }, parts);
}
