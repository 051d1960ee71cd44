// pass@k before and after training, and the tests problem by problem, as compare has them from kept answers.

const UNTRAINED = { label: "untrained", colour: "#767676", dashes: [2, 2] };

function passesView(data) {
  const { passes, rows } = data.facts;
  const section = titled("passes", "pass@k and problem by problem");
  if (!passes.length) {
    return [put(section, el("p", {}, "No answers of both the untrained and the trained model are kept of any row. The command evaluate keeps them."))];
  }
  const names = passes.map((one) => one.benchmark);
  const found = passes[Math.max(0, names.indexOf(address.get("on")))];
  put(section, el("div", { class: "filters" }, choice("Benchmark", names.map((name) => [name, name]), found.benchmark, (value) => address.set({ on: value }))));
  if (found.curves.length) put(section, passCurves(found, rows));
  else put(section, el("p", {}, "Each problem has one answer, so that there is no pass@k beyond k = 1."));
  return [put(section, gridTable(found.table))];
}

function passCurves(found, rows) {
  const lines = found.curves.flatMap(([place, base, final]) => [passLine(UNTRAINED, rows[place], base), passLine(rows[place], rows[place], final)]);
  const known = new Map(lines.map((line) => [JSON.stringify([line.label, line.family, line.points]), line])); // a base once
  const different = [...known.values()];
  const hidden = address.list("hide");
  const toggle = (label) => address.set({ hide: hidden.includes(label) ? hidden.filter((one) => one !== label) : [...hidden, label] });
  const shownLines = different.filter((line) => !hidden.includes(line.label));
  const ranges = { y: rangeOf(shownLines.flatMap((line) => line.points.flatMap((point) => [point.low, point.high]))) };
  const columns = ["family", "row", "k", "pass@k", "95 % interval over problems", "n problems"];
  return [
    el("p", { class: "note" }, "The chance that at least one of k answers is right, a mean over seeds. Bands: 95 % intervals over problems, for these weights and other problems."),
    legend([...new Map(different.map((line) => [line.label, line])).values()], hidden, toggle),
    el("div", { class: "grid" }, distinct(different.map((line) => line.family)).map((family) => passPanel(family, shownLines.filter((line) => line.family === family), ranges))),
    details("The numbers", () => plainTable(`pass@k on ${found.benchmark} in %`, columns,
      different.flatMap((line) => line.points.map((p) => [line.family, line.label, String(p.x), written(p.mean, { share: true }), interval(p.low, p.high, { share: true }), String(p.n)])))),
  ];
}

function passLine(look, row, points) {
  return { label: look.label, colour: look.colour, dashes: look.dashes, family: row.family, whole: true, points: points.map(([x, mean, low, high, n]) => ({ x, mean, low, high, n })) };
}

function passPanel(family, lines, ranges) {
  const told = lines.map((line) => `${line.label} ${line.points.map((p) => `${written(p.mean, { share: true })} % at k = ${p.x}`).join(", ")}`);
  const readout = el("p", { class: "readout" }, "\u00a0");
  const hover = (k) => readout.replaceChildren(...shownNodes(k === null ? "\u00a0" : `k = ${k}: ${lines.map((line) => [line, line.points.find((p) => p.x === k)]).filter(([, p]) => p)
    .map(([line, p]) => `${line.label} ${written(p.mean, { share: true })} (${interval(p.low, p.high, { share: true })}, n = ${p.n} problems)`).join("; ")}`));
  const box = chartBox(`pass@k, ${family}: ${told.join("; ")}`, (place) => lineChart(place, lines, { x: "k", y: "pass@k, %", ranges, log: true, hover }));
  return el("figure", {}, el("figcaption", {}, ...shownNodes(family)), box, readout);
}
