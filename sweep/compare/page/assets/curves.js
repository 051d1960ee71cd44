// Values over steps: a panel for each family, the rows in it as lines with bands over seeds.

const HEALTH = ["train/entropy", "train/clip_fraction_low", "train/clip_fraction_high", "train/clip_fraction_region", "train/policy_kl"];

function curvesView(data) {
  const metric = chosenMetric(data);
  const section = put(titled("curves", "Curves"),
    el("div", { class: "filters" }, metricChoice(data, metric.name), ...rangeFields()));
  return [section, ...curvePanels(data, [metric.name], section)];
}

function healthView(data) {
  const names = HEALTH.filter((name) => data.places[name]);
  const section = put(titled("health", "Entropy and clipping"),
    el("div", { class: "filters" }, ...rangeFields()));
  if (!names.length) put(section, el("p", {}, "No cell has recorded an entropy or a fraction of clipped tokens yet."));
  return [section, ...curvePanels(data, names, section)];
}

function rangeFields() {
  return [["from", "From step"], ["to", "To step"]].map(([key, label]) => el("label", { class: "choice" }, el("span", {}, label),
    el("input", { type: "number", min: "0", value: address.get(key), onchange: (event) => address.set({ [key]: event.target.value }) })));
}

function curvePanels(data, names, section) {
  const every = names.flatMap((name) => data.curves(name).map((curve) => ({ ...curve, name })));
  if (!every.length) {
    if (names.length) put(section, shown("p", {}, `No values over steps of ${names.join(", ")}: ${data.facts.no_series}`));
    return [];
  }
  const hidden = address.list("hide");
  const toggle = (label) => address.set({ hide: hidden.includes(label) ? hidden.filter((one) => one !== label) : [...hidden, label] });
  const labels = [...new Map(every.map((curve) => [curve.row.label, curve.row])).values()];
  const every_n = data.facts.series.every > 1 ? ` Every ${data.facts.series.every}th step is kept in this file.` : "";
  put(section, el("p", { class: "note" }, "Lines: means over seeds. Bands: from the lowest to the highest seed, which are no confidence intervals. "
    + `Points that rest on fewer seeds than others are not joined.${every_n} `, el("span", { class: "screen" }, "Drag across a panel to zoom, double-click to see all; press a name to hide its line.")),
  legend(labels, hidden, toggle));
  return names.map((name) => metricPanels(data, name, every.filter((curve) => curve.name === name), hidden)).filter(Boolean);
}

function metricPanels(data, name, curves, hidden) {
  if (!curves.length) return null;
  const title = data.byName.get(name)?.title ?? name;
  // Fractions of training may be far below one per cent, and have as many digits as other numbers.
  const how = { share: data.byName.get(name)?.scale === 100 && data.byName.get(name).evaluated };
  const drawn = curves.filter((curve) => !hidden.includes(curve.row.label));
  const last = Math.max(...curves.flatMap((curve) => curve.points.map((point) => point.step)));
  const [from, to] = [Number(address.get("from", 0)), Number(address.get("to", last)) || last];
  const x = from < to ? [from, to] : [0, last];
  const inside = drawn.flatMap((curve) => curve.points.filter((p) => p.step >= x[0] && p.step <= x[1]).flatMap((p) => [p.low, p.high]));
  const ranges = { x, y: rangeOf(inside) };
  const families = distinct(curves.map((curve) => curve.row.family));
  const panels = families.map((family) => panel(family, title, drawn.filter((curve) => curve.row.family === family), ranges, how));
  return el("section", { class: "panels", "aria-label": title }, el("h3", {}, ...shownNodes(title)), el("div", { class: "grid" }, panels),
    details("The numbers", () => plainTable(`${title} over steps`, ["family", "row", "step", "mean", "lowest to highest", "n"], numbersOf(curves, how))));
}

function numbersOf(curves, how) {
  const rows = [];
  for (const { row, points } of curves) {
    const every = Math.ceil(points.length / (printing() ? 3 : 12));
    points.filter((_, i) => i % every === 0 || i === points.length - 1)
      .forEach((p) => rows.push([row.family, row.label, String(p.step), written(p.mean, how), `${written(p.low, how)} to ${written(p.high, how)}`, String(p.n)]));
  }
  return rows;
}

function panel(family, title, curves, ranges, how) {
  const readout = el("p", { class: "readout" }, "\u00a0");
  const lines = curves.map((curve) => ({ label: curve.row.label, colour: curve.row.colour, dashes: curve.row.dashes, whole: curve.whole,
    points: curve.points.map((point) => ({ ...point, x: point.step })) }));
  const hover = (step) => readout.replaceChildren(...(step === null ? ["\u00a0"] : shownNodes(told(step, curves, how))));
  const zoom = (from, to) => address.set({ from: from ?? "", to: to ?? "" });
  const box = chartBox(spoken(family, title, curves, how), (place) => lineChart(place, lines, { x: "step", y: title, ranges, zoom, hover }));
  return el("figure", {}, el("figcaption", {}, ...shownNodes(family)), box, readout);
}

function told(step, curves, how) {
  const parts = curves.map((curve) => [curve, curve.points.find((point) => point.step === step)]).filter(([, point]) => point)
    .map(([curve, p]) => `${curve.row.label} ${written(p.mean, how)} (${written(p.low, how)} to ${written(p.high, how)}, n = ${p.n})`);
  return parts.length ? `Step ${step}: ${parts.join("; ")}` : "\u00a0";
}

function spoken(family, title, curves, how) {
  const parts = curves.map((curve) => {
    const [first, last] = [curve.points[0], curve.points[curve.points.length - 1]];
    return `${curve.row.label} from ${written(first.mean, how)} at step ${first.step} to ${written(last.mean, how)} at step ${last.step}, n = ${last.n}`;
  });
  return `${title}, ${family}: ${parts.join("; ") || "no line shown"}`;
}
