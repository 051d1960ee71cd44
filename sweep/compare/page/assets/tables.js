// Tables as `compare` prints them, and how numbers are written.

// `share`: a share in per cent, which has one digit behind the point, as compare writes it.
function written(value, { sign = false, share = false } = {}) {
  if (value === null || value === undefined) return "";
  const size = Math.abs(value);
  const text = share ? value.toFixed(1) : size >= 1e5 || (size > 0 && size < 1e-3) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
  return (sign && value > 0 ? `+${text}` : text).replace("-", "−");
}

function interval(low, high, how = {}) {
  return low === null || high === null ? "no interval" : `${written(low, how)} … ${written(high, how)}`;
}

// A table of a Grid. `more`: a function from the number of a line to a further cell of it, under the head `head`, a text
// or nodes.
function gridTable(grid, { head = "", more = null, cell = null } = {}) {
  const heads = grid.columns.map((name, i) => el("th", { scope: "col", class: grid.numbers[i] ? "number" : "" }, name));
  if (more) heads.push(el("th", { scope: "col" }, head));
  const lines = grid.rows.map((row, place) => {
    const cells = row.map((text, i) => {
      const node = shown("td", { class: grid.numbers[i] ? "number" : "" }, text);
      return (cell && cell(place, i, text)) || node;
    });
    if (more) cells.push(el("td", {}, more(place)));
    return el("tr", { class: grid.breaks.includes(place) ? "break" : "" }, cells);
  });
  const title = grid.title.split("\n");
  const caption = el("caption", {}, shown("strong", {}, title[0]), title.slice(1).map((line) => shown("span", {}, line)));
  const table = el("table", { class: shortOrNot(lines) }, caption, el("thead", {}, el("tr", {}, heads)), el("tbody", {}, lines));
  return el("div", {}, scrolling(title[0], table), grid.foot.map((line) => shown("p", { class: "note" }, line)));
}

// A short table stays on one sheet of paper.
function shortOrNot(lines) {
  return lines.length <= 15 ? "short" : null;
}

// A plain table of texts or nodes.
function plainTable(caption, columns, rows) {
  const put = (value) => (value instanceof Node ? el("td", {}, value) : shown("td", {}, value));
  const head = el("tr", {}, columns.map((name) => el("th", { scope: "col" }, ...shownNodes(name))));
  const body = rows.map((row) => el("tr", {}, row.map(put)));
  const table = el("table", { class: shortOrNot(body) }, el("caption", {}, el("strong", {}, ...shownNodes(caption))), el("thead", {}, head), el("tbody", {}, body));
  return scrolling(caption, table);
}

// The choice of a metric, under the name of its benchmark.
function metricChoice(data, value) {
  const metrics = data.facts.metrics;
  const groups = distinct(metrics.map((metric) => metric.benchmark ?? "training"));
  const select = el("select", { class: "wide", onchange: (event) => address.set({ metric: event.target.value }) });
  for (const group of groups) {
    const own = metrics.filter((metric) => (metric.benchmark ?? "training") === group);
    const options = own.map((metric) => el("option", { value: metric.name, selected: metric.name === value }, metric.title));
    select.append(el("optgroup", { label: group === "training" ? "training" : `benchmark ${group}` }, options));
  }
  return el("label", { class: "choice" }, el("span", {}, "Metric"), select);
}

function chosenMetric(data) {
  return data.byName.get(address.get("metric")) || data.byName.get(data.facts.metric) || data.facts.metrics[0];
}
