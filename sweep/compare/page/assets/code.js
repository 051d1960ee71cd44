// Accuracy against the share of answers with code, before and after training.

function codeView(data) {
  const { facts } = data;
  const section = titled("code", "Accuracy and code");
  const moves = facts.rows.map((row, place) => ({ row, ...facts.code[place] })).filter((move) => move.n);
  if (!moves.length) {
    put(section, el("p", {}, "No row has both accuracy and share of code before and after training yet."));
    return [section];
  }
  const points = moves.flatMap((move) => move.seeds.flatMap(([x, y, ex, ey]) => [[x, y], [ex, ey]]));
  const range = { x: rangeOf(points.map((p) => p[0])), y: rangeOf(points.map((p) => p[1])) };
  const labels = [...new Map(moves.map(({ row }) => [row.label, row])).values()];
  const hidden = address.list("hide");
  const toggle = (label) => address.set({ hide: hidden.includes(label) ? hidden.filter((one) => one !== label) : [...hidden, label] });
  const families = distinct(moves.map((move) => move.row.family));
  put(section, el("p", { class: "note" }, "An arrow goes from the untrained model (open circle) to the mean of the n trained ones; dots are seeds."), legend(labels, hidden, toggle),
    el("div", { class: "grid" }, families.map((family) => codePanel(family, moves.filter((move) => move.row.family === family && !hidden.includes(move.row.label)), range))),
    details("The numbers", () => plainTable("Accuracy and share of code in %, means over n seeds with 95 % intervals", ["family", "row", "code before", "accuracy before", "code after", "accuracy after", "n"],
      moves.map((move) => [move.row.family, move.row.label, ...move.means.map(withInterval), String(move.n)]))));
  return [section];
}

// An untrained model has no interval, as all seeds begin from it.
function withInterval([mean, low, high]) {
  return `${written(mean, { share: true })}${low === null ? "" : ` (${interval(low, high, { share: true })})`}`;
}

function meanOf(move) {
  return move.means.map(([mean]) => mean);
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
    const [code, right, codeAfter, rightAfter] = move.means.map(withInterval);
    return `${move.row.label}: accuracy ${right} to ${rightAfter} %, code ${code} to ${codeAfter} %, n = ${move.n}`;
  });
  return el("figure", {}, el("figcaption", {}, ...shownNodes(family)),
    svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "drawing", role: "img", "aria-label": `${family}: ${told.join("; ")}` }, parts));
}

function moveDrawing(move, x, y) {
  const { row, seeds } = move;
  const [code, right, codeAfter, rightAfter] = meanOf(move);
  const [from, to] = [[x(code), y(right)], [x(codeAfter), y(rightAfter)]];
  const colour = lineColour(row.colour);
  const dash = row.dashes ? row.dashes.map((d) => 2 * d).join(" ") : null;
  const parts = [svg("line", { x1: from[0], y1: from[1], x2: to[0], y2: to[1], stroke: colour, "stroke-width": 2, "stroke-dasharray": dash })];
  const length = Math.hypot(to[0] - from[0], to[1] - from[1]);
  if (length > 8) {
    const angle = (Math.atan2(to[1] - from[1], to[0] - from[0]) * 180) / Math.PI;
    parts.push(svg("path", { d: "M0,0 L-9,-4.5 L-9,4.5 z", fill: colour, transform: `translate(${to[0]} ${to[1]}) rotate(${angle})` }));
  }
  if (seeds.length > 1) parts.push(...seeds.map((cell) => svg("circle", { cx: x(cell[2]), cy: y(cell[3]), r: 3, fill: colour })));
  parts.push(svg("circle", { cx: from[0], cy: from[1], r: 4.5, class: "start" }));
  return parts;
}
