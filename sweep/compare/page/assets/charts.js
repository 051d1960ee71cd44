// Charts: lines with bands by uPlot, and the frame of small drawings that it has no kind for.

const charts = [];
const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const width = Math.floor(target.clientWidth);
    if (target.chart && width !== target.chart.width) target.chart.setSize({ width, height: target.chart.height });
  }
});
// A chart is drawn when its place comes near the window; in print, where nobody scrolls, as soon as it has a place.
const forPaper = [];
const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    target.drawChart();
  }
}, { rootMargin: "300px" });

function chartBox(label, drawChart) {
  const box = el("div", { class: "chart", role: "img", "aria-label": label });
  box.drawChart = () => drawChart(box);
  if (printing()) forPaper.push(box);
  else requestAnimationFrame(() => box.isConnected && seen.observe(box));
  return box;
}

function clearCharts() {
  seen.disconnect();
  for (const chart of charts.splice(0)) {
    sizes.unobserve(chart.root.parentNode);
    chart.destroy();
  }
}

// A colour of the style by its name. Known ones are kept until the theme changes, because asking lays the page out anew.
const inks = new Map();

function ink(name) {
  if (!inks.has(name)) inks.set(name, getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim());
  return inks.get(name);
}

// Black is drawn in the colour of text, which is light on a dark page.
function lineColour(colour) {
  if (colour === "#000000") return ink("text");
  return document.documentElement.dataset.theme === "dark" && colour === "#0072B2" ? "#4FA8E0" : colour;
}

function faint(colour) {
  return /^#[0-9a-f]{6}$/i.test(colour) ? `${colour}33` : "transparent";
}

// The lines of one panel as uPlot wants them: common places on the axis, and for each line its mean, high and low.
function aligned(lines) {
  const xs = distinct(lines.flatMap((line) => line.points.map((point) => point.x))).sort((a, b) => a - b);
  const at = new Map(xs.map((x, i) => [x, i]));
  const table = [xs];
  for (const line of lines) {
    const columns = [0, 1, 2].map(() => new Array(xs.length).fill(null));
    for (const point of line.points) {
      [point.mean, point.high, point.low].forEach((value, i) => { columns[i][at.get(point.x)] = value; });
    }
    table.push(...columns);
  }
  return table;
}

function seriesOf(lines) {
  const few = lines.every((line) => line.points.length <= 40);
  return lines.flatMap((line) => {
    const stroke = lineColour(line.colour);
    const k = fineness();
    const dash = line.dashes ? line.dashes.map((length) => 2.5 * k * length) : undefined;
    const joined = line.whole ? {} : { paths: () => null };
    const mean = { label: line.label, stroke, dash, width: 2 * k, spanGaps: true, points: { show: few || !line.whole, size: 5 * k }, ...joined };
    const edge = { stroke: "transparent", width: 0, spanGaps: true, points: { show: false } };
    return [mean, edge, edge];
  });
}

function bandsOf(lines) {
  return lines.flatMap((line, i) => (line.whole ? [{ series: [3 * i + 2, 3 * i + 3], fill: faint(lineColour(line.colour)) }] : []));
}

function axis(label) {
  const line = { stroke: ink("line"), width: 1 };
  const k = fineness();
  return { stroke: ink("text"), grid: line, ticks: { ...line, size: 10 * k }, gap: 5 * k, label, labelSize: 22 * k, font: `${12 * k}px sans-serif`, labelFont: `${12 * k}px sans-serif`, size: 38 * k };
}

// Paper is finer than a screen: a chart is drawn larger there, and its style makes it as wide as its column.
function fineness() {
  return printing() ? 2 : 1;
}

// Draw lines into `box`. options: x, y: names of the axes; range: [low, high] of each axis; log: powers of two on x;
// zoom(from, to): called when a range was dragged, and without one to show all again; hover(x): the place of the pointer.
function lineChart(box, lines, { x, y, ranges, log = false, zoom = null, hover = null }) {
  const options = {
    width: printing() ? 270 * fineness() : Math.max(240, Math.floor(box.clientWidth)),
    height: (printing() ? 190 : 240) * fineness(),
    legend: { show: false },
    cursor: { sync: { key: "steps" }, drag: { x: Boolean(zoom), y: false, setScale: false } },
    scales: { x: { time: false, ...(log ? { distr: 3, log: 2 } : { range: () => ranges.x }) }, y: { range: () => ranges.y } },
    series: [{ label: x }, ...seriesOf(lines)],
    bands: bandsOf(lines),
    axes: [{ ...axis(x), values: tickTexts }, { ...axis(y), values: tickTexts, size: 66 * fineness() }],
    hooks: {
      setSelect: [(chart) => dragged(chart, zoom)],
      setCursor: [(chart) => hover && hover(chart.cursor.idx === null || chart.cursor.idx === undefined ? null : chart.data[0][chart.cursor.idx])],
    },
  };
  const chart = new uPlot(options, aligned(lines), box);
  if (zoom) chart.over.addEventListener("dblclick", () => zoom(null, null));
  box.chart = chart;
  charts.push(chart);
  if (!printing()) sizes.observe(box);
}

// Short, and with enough digits that very small numbers can be told apart.
function tickTexts(chart, ticks) {
  return ticks.map((tick) => (tick === null ? "" : String(Number(tick.toPrecision(4))).replace("-", "−")));
}

function dragged(chart, zoom) {
  const { left, width } = chart.select;
  if (!zoom || width < 8) return;
  zoom(Math.round(chart.posToVal(left, "x")), Math.round(chart.posToVal(left + width, "x")));
}

// The range of values that lines need, a little wider.
function rangeOf(values) {
  const known = values.filter((value) => Number.isFinite(value));
  if (!known.length) return [0, 1];
  const low = known.reduce((a, b) => Math.min(a, b));
  const high = known.reduce((a, b) => Math.max(a, b));
  const room = (high - low) * 0.05 || Math.abs(high) * 0.05 || 0.5;
  return [low - room, high + room];
}

// Names of lines with a sample each; pressing one hides its line.
function legend(entries, hidden, toggle) {
  return el("ul", { class: "legend", "aria-label": "Lines" }, entries.map((entry) => {
    const sample = svg("svg", { width: 34, height: 12, "aria-hidden": "true" },
      svg("line", { x1: 1, x2: 33, y1: 6, y2: 6, stroke: lineColour(entry.colour), "stroke-width": 2.5, "stroke-dasharray": entry.dashes ? entry.dashes.map((d) => 2.5 * d).join(" ") : null }));
    const isShown = !hidden.includes(entry.label);
    const button = el("button", { type: "button", "aria-pressed": String(isShown), onclick: () => toggle(entry.label) }, sample, ...shownNodes(entry.text ?? entry.label));
    return el("li", {}, button);
  }));
}

// Round numbers from low to high for an axis that is drawn by hand.
function ticks(low, high, most = 6) {
  const raw = (high - low) / most || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= raw);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high + 1e-9; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}
