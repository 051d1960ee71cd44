// Which answers are shown: what the filters in the address leave of all.

const PAGE = 20; // answers that are shown at once

// Indices of what is filtered by, made once.
class AnswerTable {
  constructor(found, facts) {
    Object.assign(this, found);
    this.facts = facts;
    this.count = found.columns.subject.length;
    this.texts = new Texts(found.block);
    this.byProblem = new Map();
    const { subject, problem, sample, benchmark } = found.columns;
    for (let i = 0; i < this.count; i++) {
      const key = `${benchmark[i]} ${problem[i]} ${sample[i]}`;
      if (!this.byProblem.has(key)) this.byProblem.set(key, []);
      this.byProblem.get(key).push(i);
    }
    this.models = found.subjects.map(([, model]) => model);
    this.rewards = found.subjects.map(([, , cell]) => (cell === null ? "untrained" : facts.cells[cell].reward));
  }

  value(i, name) {
    return this.columns[name][i];
  }

  text(i) {
    return this.texts.get(this.columns.text[i]);
  }

  // Wait until the texts of these answers are there.
  loaded(answers) {
    return this.texts.loaded(answers.map((i) => this.columns.text[i]));
  }

  // The answer to the same problem of the same model before training, or of the cell's earliest step; null if there is none.
  before(i) {
    const { subject, step, problem, sample, benchmark } = this.columns;
    if (this.benchmarks[benchmark[i]] === "training") return null;
    const model = this.models[subject[i]];
    const others = this.byProblem.get(`${benchmark[i]} ${problem[i]} ${sample[i]}`);
    const untrained = others.find((j) => this.subjects[subject[j]][2] === null && this.models[subject[j]] === model);
    if (untrained !== undefined) return untrained === i ? null : untrained;
    const earlier = others.filter((j) => subject[j] === subject[i] && step[j] < step[i]);
    return earlier.length ? earlier.reduce((a, b) => (step[b] < step[a] ? b : a)) : null;
  }
}

function filtered(table, wanted) {
  const { columns } = table;
  const tests = [];
  const number = (list, value) => list.indexOf(value);
  if (wanted.model) tests.push((i) => table.models[columns.subject[i]] === wanted.model);
  if (wanted.reward) tests.push((i) => table.rewards[columns.subject[i]] === wanted.reward || (wanted.before && table.rewards[columns.subject[i]] === "untrained"));
  if (wanted.cell) tests.push((i) => table.subjects[columns.subject[i]][0] === wanted.cell);
  if (wanted.step) tests.push((i) => String(columns.step[i]) === wanted.step);
  if (wanted.on) { const place = number(table.benchmarks, wanted.on); tests.push((i) => columns.benchmark[i] === place); }
  if (wanted.verdict) tests.push((i) => (wanted.verdict === "right") === columns.correct[i]);
  if (wanted.outcome) tests.push((i) => columns.outcome[i] === wanted.outcome);
  if (wanted.behaviour) {
    const without = wanted.behaviour.startsWith("-");
    const name = wanted.behaviour.replace(/^-/, "");
    const having = table.behaviours.map((found) => found.includes(name));
    tests.push((i) => having[columns.behaviours[i]] !== without);
  }
  if (wanted.rewarded) tests.push((i) => columns.reward[i] !== null && (columns.reward[i] > 0) === (wanted.rewarded === "yes"));
  if (wanted.problem) { const places = new Set(table.problems.flatMap(([, id], i) => (id === wanted.problem ? [i] : []))); tests.push((i) => places.has(columns.problem[i])); }
  if (wanted.chosen) tests.push((i) => table.problems[columns.problem[i]][4] === (wanted.chosen === "drawn"));
  if (wanted.text) {
    const holds = table.texts.holding(wanted.text.toLowerCase());
    tests.push((i) => holds[columns.text[i]]);
  }
  const found = [];
  for (let i = 0; i < table.count; i++) if (tests.every((test) => test(i))) found.push(i);
  return found;
}

const FILTERS = ["model", "reward", "cell", "step", "on", "verdict", "outcome", "behaviour", "rewarded", "chosen", "problem", "text"];

// In words what is asked for, for print.
function inWords(wanted) {
  const told = FILTERS.filter((name) => wanted[name]).map((name) => `${name} = ${wanted[name]}`);
  return told.length ? `; filters: ${told.join(", ")}` : "";
}

function wantedAnswers() {
  return Object.fromEntries(FILTERS.map((name) => [name, address.get(name)]));
}

function filterForm(table, wanted) {
  const { columns } = table;
  const any = [["", "any"]];
  const pairs = (values) => [...any, ...distinct(values).map((value) => [String(value), String(value)])];
  const names = distinct(table.behaviours.flat()).sort();
  const set = (key) => (value) => address.set({ [key]: value, page: "" });
  const ofModel = table.subjects.filter(([, model]) => !wanted.model || model === wanted.model).map(([label]) => label);
  const steps = distinct(columns.step).sort((a, b) => a - b);
  let waiting = 0;
  const search = (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => address.set({ text: event.target.value, page: "" }), 150);
  };
  const text = el("label", { class: "choice" }, el("span", {}, "Text of the answer"), el("input", { type: "search", id: "search", value: wanted.text, oninput: search }));
  // The problems that changed are many, so they are listed when only they are wanted.
  const listed = table.problems.filter(([, id, , , drawn]) => drawn === (wanted.chosen !== "changed") || id === wanted.problem);
  const problems = [...any, ...listed.map(([place, id, question]) => [id, `${table.benchmarks[place]} ${id}: ${question.slice(0, 40)}`])];
  return el("form", { class: "filters", "aria-label": "Filters", onsubmit: (event) => event.preventDefault() },
    choice("Model", pairs(table.models), wanted.model, set("model")),
    choice("Reward", pairs(table.rewards), wanted.reward, set("reward")),
    choice("Cell", pairs(ofModel), wanted.cell, set("cell")),
    choice("Step", pairs(steps), wanted.step, set("step")),
    choice("Benchmark", pairs(table.benchmarks), wanted.on, set("on")),
    choice("Verdict", [...any, ["right", "right"], ["wrong", "wrong"]], wanted.verdict, set("verdict")),
    choice("Outcome", pairs(columns.outcome), wanted.outcome, set("outcome")),
    choice("Behaviour", [...any, ...names.flatMap((name) => [[name, name], [`-${name}`, `without ${name}`]])], wanted.behaviour, set("behaviour")),
    choice("Rewarded in training", [...any, ["yes", "yes"], ["no", "no"]], wanted.rewarded, set("rewarded")),
    choice("Problem chosen", [...any, ["drawn", "by a hash of its id"], ["changed", "because it changed"]], wanted.chosen, set("chosen")),
    choice("Problem", problems, wanted.problem, set("problem")), text,
    el("a", { class: "clear", href: withoutFilters() }, "Remove all filters"));
}

function withoutFilters() {
  return address.with({ ...Object.fromEntries(FILTERS.map((name) => [name, ""])), page: "" });
}
