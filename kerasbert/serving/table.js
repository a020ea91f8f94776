// Many texts: sent a part at a time, shown as a table, and kept as a file.

import { csvLine } from "./csv.js";
import { counted, make, makeTable, places } from "./elements.js";
import { patiently, predict, Refusal, requestBytes, requests } from "./service.js";

const ROWS_SHOWN = 200;
// With more labels than these the table on the page has a column for the most probable alone.
const LABELS_SHOWN = 12;

/**
 * Rows of a file, or lines, with what the model says of them.
 *
 * @param {{number: number, cells: string[]}[]} rows
 * @param {string[]} columns
 * @param {{text: number, pair: number | null}} places which columns hold the texts
 */
export class Table {
  constructor(rows, columns, { text, pair }, facts) {
    this.columns = columns;
    this.facts = facts;
    this.rows = rows.map(({ number, cells }) => {
      const row = { number, cells, text: cells[text], pair: pair === null ? null : cells[pair] };
      return { ...row, prediction: null, why: whyNot(row, facts.limits) };
    });
    this.done = 0;
    this.isShownWhole = false; // whether the page shows all that it will
    const taken = columns.find((name) => predictionColumns(facts).includes(name));
    if (taken) {
      throw new Error(
        `There is a column “${taken}” already, which the download would have twice. ` +
          "Rename it first.",
      );
    }
  }

  /** How many rows have no prediction for a reason of their own. */
  get left() {
    return this.rows.filter((row) => row.why).length;
  }

  /** Asks for all predictions; `tell` hears of progress, and `tellOfWait` of a busy service. */
  async classify(signal, tell, tellOfWait) {
    this.done = this.left;
    tell();
    const sent = this.rows.filter((row) => !row.why);
    for (const group of requests(sent, this.facts.limits)) {
      await this.#classifyGroup(group, signal, tell, tellOfWait);
    }
  }

  /** The first rows as a table of the page. */
  shown() {
    const isWide = this.facts.labels.length > LABELS_SHOWN;
    const { task, labels } = this.facts;
    const measured = task === "regression" ? [] : isWide ? ["most probable"] : labels;
    const texts = this.facts.takes_pairs ? ["text", "second text"] : ["text"];
    const first = this.rows.slice(0, ROWS_SHOWN);
    this.isShownWhole = first.every((row) => row.prediction || row.why);
    const rows = first.map((row) => {
      const parts = this.facts.takes_pairs ? [row.text, row.pair] : [row.text];
      return make(
        "tr",
        {},
        make("th", { scope: "row" }, String(row.number)),
        ...parts.map((text) => make("td", { className: "long", dir: "auto" }, shortened(text))),
        ...(row.prediction
          ? this.#cells(row.prediction, isWide)
          : emptyCells(row, measured.length)),
      );
    });
    const all = counted(this.rows.length, "row", "rows");
    const isCut = this.rows.length > ROWS_SHOWN;
    const caption = isCut ? `The first ${ROWS_SHOWN} of ${all}; the download has them all` : all;
    const table = makeTable(caption, ["row", ...texts, "prediction", ...measured], rows, "rows");
    // Scrolls sideways by the keyboard, too.
    return make(
      "div",
      { className: "scroll", tabIndex: 0, role: "group", ariaLabel: caption },
      table,
    );
  }

  /** The whole as CSV, as `python -m kerasbert.predict` writes it; a Blob. */
  file() {
    const lines = [csvLine([...this.columns, ...predictionColumns(this.facts)])];
    const nothing = predictionColumns(this.facts).map(() => "");
    for (const { cells, prediction } of this.rows) {
      const found = prediction ? predictionCells(prediction, this.facts) : nothing;
      lines.push(csvLine([...cells, ...found]));
    }
    return new Blob(lines, { type: "text/csv;charset=utf-8" });
  }

  async #classifyGroup(group, signal, tell, tellOfWait) {
    const texts = group.map((row) => row.text);
    const pairs = this.facts.takes_pairs ? group.map((row) => row.pair) : null;
    let answer;
    try {
      answer = await patiently(() => predict(texts, pairs, { signal }), signal, tellOfWait);
    } catch (error) {
      if (error.status !== 504 || group.length === 1) throw error;
      // Too many for a slow model's time limit.
      const half = Math.ceil(group.length / 2);
      await this.#classifyGroup(group.slice(0, half), signal, tell, tellOfWait);
      return this.#classifyGroup(group.slice(half), signal, tell, tellOfWait);
    }
    if (answer.model.version !== this.facts.model.version) {
      throw new Refusal("The service has another model since this began. Classify all rows anew.");
    }
    group.forEach((row, place) => (row.prediction = answer.predictions[place]));
    this.done += group.length;
    tell();
  }

  #cells(prediction, isWide) {
    const { task, labels } = this.facts;
    if (task === "regression") return [make("td", {}, places(prediction.score))];
    const nothing = task === "multilabel" ? "none" : "don't know";
    const said = prediction.labels.join(", ");
    const decision = make(
      "td",
      { className: said ? "said" : "faint", dir: "auto" },
      said || nothing,
    );
    const probability = prediction.probabilities;
    if (isWide) {
      const most = labels.reduce((one, other) =>
        probability[other] > probability[one] ? other : one,
      );
      return [decision, make("td", {}, make("bdi", {}, most), ` ${places(probability[most])}`)];
    }
    return [decision, ...labels.map((name) => make("td", {}, places(probability[name])))];
  }
}

function whyNot({ text, pair }, limits) {
  if (!text.trim()) return "empty";
  const most = Math.max(characters(text), characters(pair ?? ""));
  if (most > limits.characters) {
    const allowed = limits.characters.toLocaleString("en");
    return `too long: ${counted(most, "character", "characters")}, ${allowed} at most`;
  }
  return requestBytes({ text, pair }) > limits.body_bytes ? "too long for one request" : "";
}

// As Python counts them.
function characters(text) {
  return Array.from(text).length;
}

function emptyCells(row, count) {
  return [make("td", { className: "faint", colSpan: count + 1 }, row.why || "not yet")];
}

function shortened(text) {
  const characters = Array.from(text);
  return characters.length > 200 ? `${characters.slice(0, 200).join("")}…` : text;
}

function predictionColumns({ task, labels }) {
  if (task === "regression") return ["prediction"];
  return ["prediction", ...labels.map((name) => `probability_${name}`)];
}

function predictionCells({ labels, probabilities, score }, { task, labels: names }) {
  if (task === "regression") return [pythonNumber(score)];
  return [labels.join("|"), ...names.map((name) => probabilities[name].toFixed(6))];
}

function pythonNumber(number) {
  const isSmall = number !== 0 && Math.abs(number) < 1e-4;
  if (isSmall) return number.toExponential().replace(/e-(\d)$/, "e-0$1");
  return Number.isInteger(number) ? number.toFixed(1) : String(number);
}
