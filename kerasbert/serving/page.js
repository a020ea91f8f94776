// The page to try a classifier: what is entered, and what becomes of it.

import { bars, decisionText, reasonText, wordsShown } from "./answer.js";
import { readTable } from "./csv.js";
import { counted, duration, make } from "./elements.js";
import { labels, patiently, predict, useToken } from "./service.js";
import { Table } from "./table.js";

const on = Object.fromEntries(
  Array.from(document.querySelectorAll("[id]"), (element) => [element.id, element]),
);
let facts = null; // what /labels says
let running = new AbortController(); // of what was asked for last
let chosen = null; // the file: {name, columns, rows}
let table = null; // the last Table
let afterToken = null; // what is done once there is a token

/** Does what is asked for, in the place of what was before, and shows what goes wrong. */
async function run(work) {
  cancel();
  const { signal } = (running = new AbortController());
  on.error.textContent = "";
  on.answer.ariaBusy = "false";
  try {
    if (!facts) await connect(signal);
    if (!on["token-form"].hidden) leaveTokenForm();
    await work(signal);
  } catch (error) {
    if (signal.aborted) return;
    facts = null; // which may be what has changed
    if (error.status === 401) askForToken(error, work);
    else showError(error);
  }
}

async function connect(signal) {
  facts = await patiently(() => labels(signal), signal, tellOfWait);
  on.status.textContent = "";
  const { model, task, limits, takes_pairs, max_length } = facts;
  document.title = on.name.textContent = model.name;
  const kinds = task === "regression" ? "" : `, ${counted(facts.labels.length, "label", "labels")}`;
  on.about.textContent =
    `Version ${model.version}. ${task[0].toUpperCase()}${task.slice(1)}${kinds}; ` +
    `reads the first ${counted(max_length, "word piece", "word pieces")} of a text.`;
  on["text-label"].textContent = takes_pairs ? "First text" : "Comment";
  on["pair-field"].hidden = !takes_pairs;
  on["explain-field"].hidden = !limits.explained_texts;
}

function askForToken(error, work) {
  afterToken = work;
  on.asking.hidden = on.answer.hidden = true;
  on.status.textContent = "";
  // The field itself says what is missing, unless what was entered is wrong.
  on.error.textContent = on["token-form"].hidden ? "" : error.message;
  on["token-form"].hidden = false;
  on.token.select();
  on.token.focus();
}

function leaveTokenForm() {
  on["token-form"].hidden = true;
  on.token.value = "";
  on.asking.hidden = false;
  on.text.focus();
}

function showError(error) {
  on.answer.hidden = true;
  on.status.textContent = "";
  on.error.textContent = error.message;
  on.error.scrollIntoView({ block: "nearest" });
}

function tellOfWait({ message, seconds }) {
  on.status.textContent = `${message} Asking again in ${counted(seconds, "second", "seconds")}.`;
}

async function classifyText(signal) {
  const texts = facts.takes_pairs ? [on.text.value, on.pair.value] : [on.text.value];
  const empty = [on.text, on.pair].find(
    (field, part) => part < texts.length && !field.value.trim(),
  );
  if (empty) {
    empty.focus();
    throw new Error("There is nothing to classify yet. Write a comment first.");
  }
  const [text, pair] = texts.map((part) => [part]);
  on.table.hidden = true;
  on.answer.ariaBusy = "true";
  on.status.textContent = "Classifying …";
  const started = performance.now();
  const answer = await predict(text, pair, { signal });
  const seconds = (performance.now() - started) / 1000;
  // The service may have been given another model meanwhile.
  if (answer.model.version !== facts.model.version) await connect(signal);
  showAnswer(answer, seconds);
  if (!on.explain.checked || on["explain-field"].hidden) return;
  on.words.replaceChildren(make("p", { className: "note" }, "Finding the words that moved it …"));
  try {
    const { predictions, seconds: taken } = await predict(text, pair, { explain: true, signal });
    on.words.replaceChildren(...wordsShown(predictions[0].explanation, texts));
    on.status.append(` The words took ${duration(taken)}.`);
  } catch (error) {
    if (signal.aborted || error.status === 401) throw error;
    on.words.replaceChildren();
    on.status.append(` The words that moved it cannot be shown: ${error.message}`);
  }
}

function showAnswer({ predictions: [prediction], seconds }, roundTrip) {
  const decision = decisionText(prediction, facts.task);
  on.status.replaceChildren(
    make("span", { className: "unseen" }, `Answer: ${decision}. `),
    `${duration(seconds)} in the service, ${duration(roundTrip)} there and back.`,
  );
  on.decision.textContent = decision;
  on.reason.textContent = reasonText(prediction, facts);
  on.bars.replaceChildren(...bars(prediction, facts));
  on.words.replaceChildren();
  on.answer.hidden = false;
  on.answer.ariaBusy = "false";
  on.decision.scrollIntoView({ block: "nearest" });
}

function classifyLines(signal) {
  const texts = lines(on.text);
  const pairs = facts.takes_pairs ? lines(on.pair) : texts;
  if (pairs.length !== texts.length) {
    throw new Error(
      `Expected as many lines in both fields. Received: ${texts.length} and ${pairs.length}.`,
    );
  }
  const rows = texts
    .map((text, place) => ({
      number: place + 1,
      cells: facts.takes_pairs ? [text, pairs[place]] : [text],
    }))
    .filter(({ cells }) => cells.some((cell) => cell.trim()));
  const columns = facts.takes_pairs ? ["text", "text_pair"] : ["text"];
  return classifyRows(signal, { name: "comments", rows, columns }, [0, 1]);
}

function lines(field) {
  return field.value.trimEnd().split("\n");
}

async function classifyRows(signal, { name, rows, columns }, [text, pair]) {
  table = new Table(rows, columns, { text, pair: facts.takes_pairs ? pair : null }, facts);
  on.answer.hidden = true;
  on["table-title"].textContent = name;
  on.progress.max = rows.length;
  showAsRunning(true);
  on["table-title"].scrollIntoView({ block: "nearest" });
  on.status.textContent = `Classifying ${counted(rows.length, "row", "rows")} …`;
  on.download.onclick = () => save(table.file(), `${name.replace(/\.[^.]*$/, "")}-predictions.csv`);
  const started = performance.now();
  try {
    await table.classify(signal, showProgress, tellOfWait);
  } catch (error) {
    if (!signal.aborted) showAsRunning(false);
    throw error;
  }
  showAsRunning(false);
  const seconds = (performance.now() - started) / 1000;
  const left = table.left ? ` ${counted(table.left, "row has", "rows have")} no prediction.` : "";
  on.status.textContent = `${counted(rows.length, "row", "rows")} in ${duration(seconds)}.${left}`;
}

function showAsRunning(isRunning) {
  const wasFocused = document.activeElement === on.cancel;
  on.table.hidden = false;
  on.progress.hidden = on.cancel.hidden = !isRunning;
  on.download.hidden = isRunning;
  on.count.hidden = !isRunning && table.done === table.rows.length;
  if (isRunning) on.rows.replaceChildren();
  else if (wasFocused) on.download.focus();
}

function showProgress() {
  on.progress.value = table.done;
  const all = counted(table.rows.length, "row", "rows");
  on.count.textContent = `${table.done.toLocaleString("en")} of ${all}`;
  if (!table.isShownWhole) on.rows.replaceChildren(table.shown());
}

function cancel() {
  running.abort();
  if (on.cancel.hidden) return;
  showAsRunning(false);
  on.status.textContent = "Cancelled. Rows that were not reached have no prediction.";
}

function save(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

async function openFile(file) {
  on.columns.hidden = true;
  chosen = { name: file.name, ...(await readTable(file)) };
  const { columns, rows } = chosen;
  if (facts.takes_pairs && columns.length < 2) {
    throw new Error(
      `${file.name} has one column. Expected two, as the model takes pairs of texts.`,
    );
  }
  const text = Math.max(columns.indexOf("text"), 0);
  const pair = columns.indexOf("text_pair");
  offerColumns(on["text-column"], columns, text);
  offerColumns(on["pair-column"], columns, pair < 0 ? Number(text === 0) : pair);
  on["pair-choice"].hidden = !facts.takes_pairs;
  on["classify-file"].textContent = `Classify ${counted(rows.length, "row", "rows")}`;
  on.columns.hidden = false;
  on.status.textContent = `${file.name} has ${counted(rows.length, "row", "rows")}.`;
}

function offerColumns(select, columns, place) {
  select.replaceChildren(...columns.map((name, value) => make("option", { value }, name)));
  select.value = place;
}

function offerLines() {
  const count = lines(on.text).filter((line) => line.trim()).length;
  on["lines-field"].hidden = count < 2;
  on["lines-count"].textContent = counted(count, "line", "lines");
}

function whenSubmitted(form, act) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    act();
  });
}

whenSubmitted(on.form, () => {
  const isLines = on.lines.checked && !on["lines-field"].hidden;
  run(isLines ? classifyLines : classifyText);
});
whenSubmitted(on["file-form"], () =>
  run((signal) =>
    classifyRows(signal, chosen, [
      Number(on["text-column"].value),
      Number(on["pair-column"].value),
    ]),
  ),
);
whenSubmitted(on["token-form"], () => {
  useToken(on.token.value);
  run(afterToken);
});
for (const field of [on.text, on.pair]) {
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) on.form.requestSubmit();
  });
}
on.text.addEventListener("input", offerLines);
on.cancel.addEventListener("click", cancel);
on.file.addEventListener("change", () => {
  const [file] = on.file.files;
  if (file) run(() => openFile(file));
});
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.toggle("dropping", kind === "dragover");
    if (kind !== "drop") return;
    on.file.files = event.dataTransfer.files;
    on.file.dispatchEvent(new Event("change"));
  });
}
offerLines();
run(() => {});
