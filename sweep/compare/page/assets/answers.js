// The browser of answers: filters, a list, and beside an answer the one before training with what differs marked.

// Which answers are shown now.
function answersHere(table, wanted) {
  const matching = filtered(table, wanted);
  const side = address.get("side") === "yes";
  const size = side ? PAGE / 2 : PAGE;
  const pages = Math.max(1, Math.ceil(matching.length / size));
  const page = Math.min(pages, Math.max(1, Math.floor(Number(address.get("page", 1))) || 1));
  return { matching, side, pages, page, here: matching.slice((page - 1) * size, page * size) };
}

async function answersView(data) {
  const table = await data.answers();
  const wanted = wantedAnswers();
  if (wanted.text) await table.texts.searchable();
  const found = answersHere(table, wanted);
  const others = found.side ? found.here.map((i) => table.before(i)).filter((i) => i !== null) : [];
  await table.loaded([...found.here, ...others]);
  return [answersSection(data, table, wanted, found)];
}

// For paper, which cannot wait: the answers of the page that is open.
function printedAnswers(data) {
  const { table } = data;
  const wanted = wantedAnswers();
  const found = table && answersHere(table, { ...wanted, text: "" });
  const sides = found ? found.here.flatMap((i) => [i, table.before(i)]).filter((i) => i !== null) : [];
  if (!table || sides.some((i) => table.text(i) === undefined)) {
    return [put(titled("answers-title", "Answers"), el("p", {}, "The answers were still being unpacked. Wait a few seconds after opening the page, and print again."))];
  }
  return [answersSection(data, table, wanted, wanted.text ? answersHere(table, wanted) : found)];
}

function answersSection(data, table, wanted, { matching, side, pages, page, here }) {
  const section = titled("answers-title", "Answers");
  if (!table.count) {
    return put(section, damagedFiles(data.facts), el("p", {}, "No answers are kept of any cell: its evaluations were made by an older version, none has ended yet, or this page was made of a file. The command evaluate keeps them."));
  }
  const right = matching.filter((i) => table.value(i, "correct")).length;
  const count = (number) => number.toLocaleString("en");
  const told = `${count(matching.length)} of ${count(table.count)} answers, ${count(right)} of them right${printing() ? `${inWords(wanted)}; page ${page} of ${pages} is printed` : ""}`;
  const beside = el("label", { class: "choice tick-box" }, el("input", { type: "checkbox", checked: side, onchange: (event) => address.set({ side: event.target.checked ? "yes" : "", page: "" }) }), " beside the answer before training");
  return put(section, damagedFiles(data.facts),
    el("p", { class: "note" }, "Of each evaluation the first answer to the same ten problems of its benchmark, drawn by a hash of their ids; of training itself, four answers to one prompt at four steps. "
      + "Beside them, before and after training, the first answers to the problems of each row that changed the most, which were chosen by their results. "
      + "They are examples: no share of them estimates anything. Texts of more than 8,000 characters are cut in the middle."),
    table.left_out.map((line) => shown("p", { class: "note" }, line)),
    filterForm(table, wanted), beside,
    el("p", { role: "status", id: "count" }, told),
    matching.length ? null : el("p", {}, "No answer passes all filters. ", el("a", { href: withoutFilters() }, "Remove all filters"), " or change one of them."),
    el("div", { class: "answers" }, here.map((i) => answerCard(table, i, side))),
    pager(page, pages));
}

function pager(page, pages) {
  if (pages === 1) return null;
  const link = (to, text) => (to < 1 || to > pages ? el("span", {}, text) : el("a", { href: address.with({ page: String(to) }) }, text));
  return el("nav", { class: "pager", "aria-label": "Pages of answers" }, link(page - 1, "← earlier"), ` page ${page} of ${pages} `, link(page + 1, "later →"));
}

function answerCard(table, i, side) {
  const [benchmark, id, question, golds] = table.problems[table.value(i, "problem")];
  const other = side ? table.before(i) : null;
  const drawn = table.problems[table.value(i, "problem")][4];
  const name = `${subjectName(table, i)}, ${table.benchmarks[benchmark]} ${id}`;
  const card = el("article", { "aria-label": name },
    el("header", {}, shown("h3", {}, subjectName(table, i)), el("p", {}, `${table.benchmarks[benchmark]}, problem `, el("a", { href: address.with({ view: "answers", problem: id, model: "", reward: "", cell: "", step: "", verdict: "", outcome: "", behaviour: "", rewarded: "", text: "", page: "" }), title: "this problem across cells" }, ...shownNodes(id)),
      golds.length ? el("span", {}, "; gold: ", ...golds.map((gold) => shown("code", {}, gold))) : null, drawn ? null : "; chosen because it changed")),
    question ? shown("p", { class: "question" }, question) : null);
  if (other === null) {
    put(card, facts(table, i), answerText(name, shownNodes(table.text(i))), side ? el("p", { class: "note" }, "No answer before training is here to put beside it.") : "");
  } else {
    const [before, after] = differences(table.text(other), table.text(i));
    put(card, el("div", { class: "sides" },
      el("div", {}, shown("h4", {}, subjectName(table, other)), facts(table, other), answerText(`before: ${name}`, markedNodes(before))),
      el("div", {}, shown("h4", {}, subjectName(table, i)), facts(table, i), answerText(`after: ${name}`, markedNodes(after)))));
  }
  return card;
}

function subjectName(table, i) {
  const [label, , cell] = table.subjects[table.value(i, "subject")];
  return cell === null ? label : `${label}, step ${table.value(i, "step")}`;
}

function answerText(name, nodes) {
  return el("pre", { class: "answer", tabindex: "0", role: "region", "aria-label": `text: ${name}`, dir: "auto" }, nodes);
}

function facts(table, i) {
  const value = (name) => table.value(i, name);
  const told = [
    el("span", { class: value("correct") ? "right" : "wrong" }, value("correct") ? "✓ right" : "✗ wrong"),
    value("answer") === null ? "no answer found" : el("span", {}, "answer ", shown("code", {}, value("answer"))),
    `outcome ${value("outcome")}`,
    value("strategy") ? `found by ${value("strategy")}` : null,
    value("reward") === null ? null : `training reward ${written(value("reward"))}`,
    `${value("tokens")} tokens, ended by ${value("finish")}`,
    value("cut") ? `${value("cut").toLocaleString("en")} characters cut` : null,
  ].filter(Boolean);
  const shows = table.behaviours[value("behaviours")];
  return el("div", { class: "facts" }, told.map((one) => el("span", { class: "fact" }, one)), shows.map((name) => el("span", { class: "fact behaviour" }, ...shownNodes(name))));
}
