// The page's data: compressed in elements. Answers are unpacked in idle time, or when somebody looks at them; their texts
// lie in blocks, of which only those are needed that are shown.

const MISSING = 65535;
const LEVELS = 65534;

async function unpacked(element) {
  const text = element.textContent;
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

async function unpackedJson(element) {
  return JSON.parse(new TextDecoder().decode(await unpacked(element)));
}

function idle() {
  return new Promise((done) => requestIdleCallback(done, { timeout: 1000 }));
}

// The texts of the answers by their place.
class Texts {
  constructor(size) {
    this.elements = [...document.querySelectorAll("script.texts")];
    this.size = size;
    this.blocks = [];
    this.small = []; // the same in small letters, for the search
    this.loading = [];
  }

  get(place) {
    return this.blocks[Math.floor(place / this.size)]?.[place % this.size];
  }

  load(block) {
    this.loading[block] ??= unpackedJson(this.elements[block]).then((texts) => { this.blocks[block] = texts; });
    return this.loading[block];
  }

  // Wait until the texts at these places are there.
  async loaded(places) {
    const needed = distinct(places.map((place) => Math.floor(place / this.size)));
    await Promise.all(needed.map((block) => this.load(block)));
  }

  // Wait until all texts can be searched. `pause` is awaited between two blocks.
  async searchable(pause = () => null) {
    for (let block = 0; block < this.elements.length; block++) {
      await pause();
      await this.load(block);
      this.small[block] ??= this.blocks[block].map((text) => text.toLowerCase());
    }
  }

  // Of each text whether it holds `sought`.
  holding(sought) {
    return this.small.flatMap((texts) => texts.map((text) => text.includes(sought)));
  }
}

// Where the numbers of each series begin, in the order of the index.
function placesOf(index) {
  const places = {};
  let at = 0;
  for (const [name, entries] of Object.entries(index.metrics)) {
    places[name] = entries.map(([cell, steps, low, high]) => {
      const place = { cell, steps: index.steps[steps], low, high, at };
      at += index.steps[steps].length;
      return place;
    });
  }
  return { places, count: at };
}

class Data {
  constructor(facts, series) {
    this.facts = facts;
    this.bytes = new Uint8Array(series);
    Object.assign(this, placesOf(facts.series));
    this.byName = new Map(facts.metrics.map((metric) => [metric.name, metric]));
    this.pooled = new Map();
  }

  static async read() {
    const [facts, series] = await Promise.all([unpackedJson(document.getElementById("facts")), unpacked(document.getElementById("series"))]);
    return new Data(facts, series);
  }

  // The table of all answers, made once; their texts are not in it yet.
  answers() {
    this.loading ??= unpackedJson(document.getElementById("answers")).then((found) => { this.table = new AnswerTable(found, this.facts); return this.table; });
    return this.loading;
  }

  // Add the values of one series, in the unit of its metric, to the points of a row by step.
  add(place, scale, points) {
    const [low, unit] = [scale * place.low, (scale * (place.high - place.low)) / LEVELS];
    for (let i = 0; i < place.steps.length; i++) {
      const number = (this.bytes[place.at + i] << 8) | this.bytes[this.count + place.at + i];
      if (number === MISSING) continue;
      const value = low + number * unit;
      const step = place.steps[i];
      let point = points.get(step);
      if (!point) points.set(step, (point = { step, sum: 0, low: Infinity, high: -Infinity, n: 0 }));
      point.sum += value;
      point.n += 1;
      if (value < point.low) point.low = value;
      if (value > point.high) point.high = value;
    }
  }

  // Of each row that has values of a metric: points with mean, lowest and highest seed, and the number of seeds.
  curves(name) {
    if (!this.pooled.has(name)) this.pooled.set(name, this.pool(name));
    return this.pooled.get(name);
  }

  pool(name) {
    const scale = this.byName.get(name)?.scale ?? 1;
    const byCell = new Map((this.places[name] || []).map((place) => [place.cell, place]));
    const curves = [];
    this.facts.rows.forEach((row, place) => {
      const at = new Map();
      for (const [, cell] of row.cells) if (byCell.has(cell)) this.add(byCell.get(cell), scale, at);
      const points = [...at.values()].sort((a, b) => a.step - b.step);
      for (const point of points) point.mean = point.sum / point.n;
      if (points.some((point) => point.step > 0)) curves.push({ row, place, points, ...seedsOf(points) });
    });
    return curves;
  }
}

// Means of different seeds must not be joined by a line, so a curve says whether all its points have as many seeds.
function seedsOf(points) {
  const seeds = Math.max(...points.map((point) => point.n));
  return { seeds, whole: points.every((point) => point.n === seeds) };
}
