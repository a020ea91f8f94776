// What is shown of one text: the decision, a bar per label, and the words that moved it.

import { counted, make, makeTable, places, quoted } from "./elements.js";

// More labels than these are sorted, and those after them folded away.
const LABELS_IN_ORDER = 12;
const STRONGEST = 8;
// Words that move less than this share of what the strongest does have no colour.
const FAINT = 0.05;
const METHODS = {
  "integrated-gradients": ["integrated gradients", "with padding for every word"],
  "leave-out": ["leaving words out", "without any word"],
};

/** The decision in a few words. */
export function decisionText({ labels, score }, task) {
  if (task === "regression") return String(Number(score.toFixed(4)));
  if (labels.length) return labels.join(", ");
  return task === "multilabel" ? "None of the labels" : "Don't know";
}

/** Why it was decided so, as a sentence or none. */
export function reasonText(
  { labels, probabilities },
  { task, thresholds, unsure_below, labels: names },
) {
  if (task === "regression") return `The score that the model gives for ${quoted(names[0])}.`;
  if (task === "binary" && thresholds) {
    const threshold = places(thresholds[names[1]]);
    return `${quoted(names[1])} is decided for from a probability of ${threshold}.`;
  }
  if (task === "multilabel") return labels.length ? "" : "Each is below its threshold.";
  if (!labels.length) {
    const most = sortedNames(names, labels, probabilities)[0];
    return (
      `The most probable label, ${quoted(most)}, has ${places(probabilities[most])}; ` +
      `below ${places(unsure_below)} the answer is “don't know”.`
    );
  }
  return thresholds ? "Decided for: the label that is the largest multiple of its threshold." : "";
}

/** A table with a bar per label; of many labels the most probable, with the others folded away. */
export function bars({ labels, probabilities }, { task, thresholds, labels: names }) {
  if (!probabilities) return [];
  const isLong = names.length > LABELS_IN_ORDER;
  const shown = isLong ? sortedNames(names, labels, probabilities) : names;
  const rows = shown.map((name) => {
    // Of two labels the second decides, by its threshold alone.
    const isCompared = thresholds && (task !== "binary" || name === names[1]);
    const found = { probability: probabilities[name], isDecided: labels.includes(name) };
    if (isCompared) found.threshold = thresholds[name];
    return barRow(name, found, task, Boolean(thresholds));
  });
  const heads = thresholds ? ["label", "probability", "threshold"] : ["label", "probability"];
  const table = (caption, some) => makeTable(caption, heads, some, "bars");
  if (!isLong) return [table("Probability of each label", rows)];
  const rest = rows.slice(LABELS_IN_ORDER);
  return [
    table(
      `The ${LABELS_IN_ORDER} most probable of ${names.length} labels`,
      rows.slice(0, LABELS_IN_ORDER),
    ),
    make(
      "details",
      {},
      make("summary", {}, `The other ${counted(rest.length, "label", "labels")}`),
      table("The other labels", rest),
    ),
  ];
}

/** The texts with their words coloured by what each contributes, and a table of the strongest. */
export function wordsShown({ label, method, probability, baseline_probability, words }, texts) {
  const [methodName, baseline] = METHODS[method] ?? [method, "without its words"];
  const most = Math.max(...words.map((word) => Math.abs(word.contribution)), 0);
  const read = words.filter((word) => word.is_read);
  const strongest = read
    .filter((word) => word.contribution)
    .sort((one, other) => Math.abs(other.contribution) - Math.abs(one.contribution))
    .slice(0, STRONGEST);
  const unread = words.length - read.length;
  const all = make(
    "details",
    {},
    make("summary", {}, `All ${counted(words.length, "word", "words")}`),
  );
  // A long text has thousands, and most readers want none of them.
  const open = () => all.append(wordsTable("In the order of the text", words));
  all.addEventListener("toggle", open, { once: true });
  return [
    make("h3", {}, "The words that moved it"),
    make(
      "p",
      {},
      `This is about ${quoted(label)}: ${places(probability)}, which ${baseline} would be ` +
        `${places(baseline_probability)}. Found by ${methodName}.`,
    ),
    ...texts.map((text, part) => {
      const own = words.filter((word) => word.part === part);
      return colouredText(text, own, most);
    }),
    make(
      "p",
      { className: "note" },
      make("span", { className: "up sample" }, "Underlined"),
      " words move it up, ",
      make("span", { className: "down sample" }, "dashed"),
      " ones down; the stronger the colour, the more.",
      unread
        ? ` ${counted(unread, "word was", "words were")} not read: ` +
            "cut off at the maximum length, or dropped by the tokenizer."
        : "",
    ),
    ...(strongest.length ? [wordsTable("Strongest words", strongest)] : []),
    ...(words.length > strongest.length ? [all] : []),
  ];
}

function sortedNames(names, decided, probabilities) {
  const rank = (name) => (decided.includes(name) ? 2 : 0) + probabilities[name];
  return [...names].sort((one, other) => rank(other) - rank(one));
}

function barRow(name, { probability, threshold, isDecided }, task, hasThresholds) {
  const fill = make("div", { className: "fill" });
  fill.style.width = `${100 * probability}%`;
  const bar = make("div", { className: "bar", "aria-hidden": "true" }, fill);
  const heading = make("th", { scope: "row" }, make("bdi", {}, name));
  if (isDecided) heading.append(make("span", { className: "unseen" }, " (decided for)"));
  const measure = make("div", { className: "measure" }, bar, make("span", {}, places(probability)));
  const row = make(
    "tr",
    { className: isDecided ? "decided" : "" },
    heading,
    make("td", {}, measure),
  );
  if (hasThresholds) row.append(make("td"));
  if (threshold === undefined) return row;
  if (task === "multiclass") {
    row.lastChild.append(`${(probability / threshold).toFixed(2)} × ${places(threshold)}`);
    return row;
  }
  const mark = make("div", { className: "mark" });
  mark.style.left = `${100 * threshold}%`;
  bar.append(mark);
  row.lastChild.append(`${isDecided ? "≥" : "<"} ${places(threshold)}`);
  return row;
}

function colouredText(text, words, most) {
  // Places count characters, and JavaScript's own count halves of some.
  const characters = Array.from(text);
  const paragraph = make("p", { className: "text", dir: "auto" });
  let place = 0;
  for (const word of words) {
    paragraph.append(characters.slice(place, word.start).join(""), colouredWord(word, most));
    place = word.end;
  }
  paragraph.append(characters.slice(place).join(""));
  return paragraph;
}

function colouredWord(word, most) {
  const element = make("bdi", { title: contributionText(word) }, word.text);
  const share = most ? word.contribution / most : 0;
  if (!word.is_read) {
    element.className = "unread";
  } else if (Math.abs(share) >= FAINT) {
    element.className = share > 0 ? "up" : "down";
    element.style.setProperty("--share", Math.abs(share).toFixed(3));
  }
  return element;
}

function wordsTable(caption, words) {
  const rows = words.map((word) =>
    make(
      "tr",
      {},
      make("th", { scope: "row", dir: "auto" }, word.text),
      make("td", {}, contributionText(word)),
    ),
  );
  return makeTable(caption, ["word", "contribution"], rows, "words");
}

function contributionText({ contribution, is_read }) {
  if (!is_read) return "not read";
  if (!contribution) return "0.0000";
  const size = Math.abs(contribution);
  return `${contribution > 0 ? "+" : "−"}${size < 1e-3 ? size.toExponential(1) : size.toFixed(4)}`;
}
