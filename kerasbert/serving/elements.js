// How the page is put together: words go in as text, and never as HTML.

/** An element with properties of its own, attributes by their names, and children or words. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** A table; `heads` are the names of its columns, and `rows` elements. */
export function makeTable(caption, heads, rows, className = "") {
  const head = make(
    "tr",
    {},
    ...heads.map((name) => make("th", { scope: "col", dir: "auto" }, name)),
  );
  return make(
    "table",
    { className },
    make("caption", {}, caption),
    make("thead", {}, head),
    make("tbody", {}, ...rows),
  );
}

/** A name in quotes, which cannot turn the direction of the words around it. */
export function quoted(name) {
  return `“\u2068${name}\u2069”`;
}

/** A probability, to three places. */
export function places(number) {
  return number.toFixed(3);
}

/** A whole number with its thousands apart, and what there are so many of. */
export function counted(count, one, several) {
  return `${count.toLocaleString("en")} ${count === 1 ? one : several}`;
}

/** A time as it is read. */
export function duration(seconds) {
  if (seconds >= 0.9995) return `${seconds.toFixed(1)} s`;
  return `${(seconds * 1000).toFixed(seconds < 0.00995 ? 1 : 0)} ms`;
}
