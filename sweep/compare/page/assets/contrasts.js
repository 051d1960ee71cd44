// Contrasts: the table of `compare`, with each difference and its interval drawn beside it.

// The width of a drawn interval in pixels; paper has less room.
function wide() {
  return printing() ? 150 : 260;
}

function contrastsView(data) {
  const metric = chosenMetric(data);
  const section = put(titled("contrasts", "Contrasts"),
    el("div", { class: "filters" }, metricChoice(data, metric.name)),
    // On paper they stand on the first sheet.
    printing() ? null : el("ul", { class: "sentences" }, metric.sentences.map((sentence) => shown("li", {}, sentence))));
  if (!metric.contrasts) {
    put(section, el("p", {}, "No row and its control both have a value of this metric yet, so there is nothing to subtract."));
    return [section];
  }
  const range = rangeOf([0, ...metric.tested.flatMap(([value, low, high]) => [value, low, high].filter((number) => number !== null))]);
  put(section, gridTable(metric.contrasts, { head: [`difference in ${metric.unit}`, intervalAxis(range)], more: (place) => intervalDrawing(metric.tested[place], range, { sign: true, share: metric.scale === 100 }) }),
    el("p", { class: "note" }, "A filled dot: told apart after the adjustment. An open one: not told apart, or not tested. A line: the 95 % interval."));
  if (metric.across) put(section, gridTable(metric.across));
  return [section];
}

// The scale over the drawn intervals.
function intervalAxis([from, to]) {
  const at = (number) => 6 + ((number - from) / (to - from)) * (wide() - 12);
  return svg("svg", { class: "block", width: wide(), height: 20, viewBox: `0 0 ${wide()} 20`, "aria-hidden": "true" }, ticks(from, to, printing() ? 3 : 4).flatMap((t) => [
    svg("line", { x1: at(t), x2: at(t), y1: 15, y2: 20, class: "zero" }), svg("text", { x: Math.min(wide() - 14, Math.max(14, at(t))), y: 12, class: "tick middle" }, written(t, { sign: true }))]));
}

function intervalDrawing([value, low, high, toldApart], [from, to], how) {
  const at = (number) => 6 + ((number - from) / (to - from)) * (wide() - 12);
  const parts = [svg("line", { x1: at(0), x2: at(0), y1: 0, y2: 22, class: "zero" })];
  if (low !== null) parts.push(svg("line", { x1: at(low), x2: at(high), y1: 11, y2: 11, class: "interval" }));
  parts.push(svg("circle", { cx: at(value), cy: 11, r: 5, class: toldApart ? "apart" : "open" }));
  const label = `${written(value, how)}, ${interval(low, high, how)}, ${toldApart ? "told apart" : "not told apart"}`;
  return svg("svg", { width: wide(), height: 22, viewBox: `0 0 ${wide()} 22`, role: "img", "aria-label": label }, parts);
}
