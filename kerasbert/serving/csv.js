// CSV as RFC 4180 has it, read and refused as `python -m kerasbert.predict` does.

/**
 * The columns and rows of a file; an Error says what is wrong with it.
 *
 * A row's `number` is what a spreadsheet shows: the header is row 1.
 */
export async function readTable(file) {
  let text;
  try {
    // Passes over a byte order mark.
    text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch (error) {
    if (!(error instanceof TypeError)) {
      throw new Error(`${file.name} cannot be read any more. Choose it again.`);
    }
    throw new Error(`${file.name} is not in UTF-8. Save it as “CSV UTF-8” and choose it again.`);
  }
  try {
    return toTable(text);
  } catch (error) {
    throw new Error(`${file.name}${error.message}`);
  }
}

/** One line of a file, cells quoted where they must be. */
export function csvLine(cells) {
  const quoted = cells.map((cell) =>
    /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell,
  );
  return `${quoted.join()}\r\n`;
}

function toTable(text) {
  let columns = null;
  const rows = [];
  for (const { number, cells } of records(text)) {
    const isBlank = cells.every((cell) => !cell.trim());
    if (!cells.length || (columns && cells.length < columns.length && isBlank)) continue;
    if (!columns) {
      columns = cells;
    } else if (cells.length !== columns.length) {
      throw new Error(
        `, row ${number}: ${cells.length} cells where the header has ${columns.length}. ` +
          "A text that holds a comma must stand in quotes.",
      );
    } else {
      rows.push({ number, cells });
    }
  }
  if (!rows.length) throw new Error(" has no rows. Expected a header and at least one row.");
  const twice = columns.find((name, place) => name && columns.indexOf(name) !== place);
  if (twice) throw new Error(`: the column “${twice}” is there twice. Rename one of them.`);
  return { columns, rows };
}

function* records(text) {
  let place = 0;
  for (let number = 1; place < text.length; number++) {
    const cells = [];
    if (!/[\r\n]/.test(text[place])) {
      for (;;) {
        const cell = cellAt(text, place, number);
        cells.push(cell.text);
        place = cell.end;
        if (text[place] !== ",") break;
        place++;
      }
    }
    yield { number, cells };
    place += text.startsWith("\r\n", place) ? 2 : 1;
  }
}

function cellAt(text, start, number) {
  if (text[start] !== '"') {
    const plain = /[^,\r\n]*/y;
    plain.lastIndex = start;
    return { text: plain.exec(text)[0], end: plain.lastIndex };
  }
  let end = text.indexOf('"', start + 1);
  while (end >= 0 && text[end + 1] === '"') end = text.indexOf('"', end + 2);
  if (end < 0 || !/[,\r\n]/.test(text[end + 1] ?? ",")) {
    throw new Error(
      `, row ${number}: the quoting is broken. Expected a cell that holds quotes or commas to ` +
        'stand in "...", with each quote in it doubled.',
    );
  }
  return { text: text.slice(start + 1, end).replaceAll('""', '"'), end: end + 1 };
}
