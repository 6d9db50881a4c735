// Tables for a terminal: columns as wide as they need, fitted into the width there is.
import type { Style } from "./style.js";

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
  /** What happens when there is no room: the middle of a cell gives way, or the cell goes on in the next line. Others keep their width. */
  readonly fit?: "shorten" | "wrap";
}

export interface Cell {
  readonly text: string;
  readonly style?: (text: string) => string;
}

const GAP = "  ";
const SMALLEST = 12;

/** The table's lines, each ended by a line feed. `rows` have a cell for each column. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly (string | Cell)[])[],
  style: Style,
  indent = "",
): string {
  const cells = rows.map((row) =>
    row.map((cell) => (typeof cell === "string" ? { text: cell } : cell)),
  );
  const widths = fitted(columns, cells, style.width - indent.length);
  const titled = columns.some(({ title }) => title !== "");
  const head: Cell[] = columns.map(({ title }) => ({ text: title, style: style.colors.dim }));
  const lines = [...(titled ? [head] : []), ...cells].flatMap((row) =>
    lineUp(columns, row, widths),
  );
  return lines.map((line) => `${(indent + line).trimEnd()}\n`).join("");
}

function fitted(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  width: number,
): number[] {
  const widths = columns.map(({ title }, i) =>
    Math.max(length(title), ...rows.map((row) => length(row[i]?.text ?? ""))),
  );
  const total = () => widths.reduce((a, b) => a + b, 0) + GAP.length * (columns.length - 1);
  // Cells that wrap lose nothing, so their columns give way first; of several, the widest.
  for (const fit of ["wrap", "shorten"] as const)
    while (total() > width) {
      const flexible = columns
        .map((column, i) => ({ i, fits: column.fit === fit, width: widths[i] ?? 0 }))
        .filter((column) => column.fits && column.width > SMALLEST)
        .toSorted((a, b) => b.width - a.width);
      const widest = flexible[0];
      if (widest === undefined) break;
      const next = Math.max(SMALLEST, flexible[1]?.width ?? 0);
      const over = total() - width;
      widths[widest.i] = Math.max(widest.width - over, Math.min(next, widest.width - 1));
    }
  return widths;
}

/** A row as one line or several. */
function lineUp(
  columns: readonly Column[],
  row: readonly Cell[],
  widths: readonly number[],
): string[] {
  const parts = columns.map(({ fit }, i) => {
    const text = row[i]?.text ?? "";
    const width = widths[i] ?? 0;
    return fit === "wrap" ? wrap(text, width) : [fit === "shorten" ? shorten(text, width) : text];
  });
  const height = Math.max(...parts.map((part) => part.length));
  return Array.from({ length: height }, (_, line) =>
    columns
      .map(({ align }, i) => {
        const text = parts[i]?.[line] ?? "";
        const space = " ".repeat(Math.max(0, (widths[i] ?? 0) - length(text)));
        const styled = text === "" ? "" : (row[i]?.style?.(text) ?? text);
        return align === "right" ? space + styled : styled + space;
      })
      .join(GAP),
  );
}

function length(text: string): number {
  return [...text].length;
}

/** The beginning and the end of a text that is too long: names tell most there. */
export function shorten(text: string, width: number): string {
  const letters = [...text];
  if (letters.length <= width) return text;
  if (width <= 1) return "…".slice(0, width);
  const end = Math.ceil((width - 1) / 2);
  return `${letters.slice(0, width - 1 - end).join("")}…${letters.slice(letters.length - end).join("")}`;
}

/** Lines of at most `width` letters, broken between words; a word that is longer is broken where it must be. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (let word of text.split(" ")) {
    if (line !== "" && length(line) + 1 + length(word) > width) {
      lines.push(line);
      line = "";
    }
    while (length(word) > width) {
      const letters = [...word];
      lines.push(letters.slice(0, width).join(""));
      word = letters.slice(width).join("");
    }
    line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
