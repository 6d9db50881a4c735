// HTML as a template that escapes: what is put into it is text, unless it was made by this template itself.
import { printable } from "./format.js";

/** Markup that is safe as it stands. */
export interface Html {
  readonly markup: string;
}

export const NOTHING: Html = { markup: "" };

type Part = string | number | Html | undefined | readonly Part[];

/**
 * html`<b>${name}</b>`: texts and numbers are escaped, markup is kept, lists are joined, undefined is nothing. Lines and their indentation are
 * for the source alone.
 */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  const markup = strings.map((text, i) => unbroken(text) + markupOf(parts[i])).join("");
  return { markup };
}

function unbroken(text: string): string {
  return text
    .replaceAll(/(^|>)\s*\n\s*/g, "$1")
    .replaceAll(/\s*\n\s*(?=<|$)/g, "")
    .replaceAll(/\s*\n\s*/g, " ");
}

function markupOf(part: Part): string {
  if (part === undefined) return "";
  if (typeof part === "object")
    return "markup" in part ? part.markup : part.map((one) => markupOf(one)).join("");
  return escapeHtml(String(part));
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** Text for any place in a page: between tags, or in a quoted attribute. Control characters, which could turn its direction, lose their power. */
export function escapeHtml(text: string): string {
  return printable(text).replaceAll(/[&<>"']/g, (letter) => ENTITIES[letter] ?? letter);
}

export interface HtmlColumn {
  readonly title: string;
  /** Figures stand on the right. */
  readonly figures?: boolean;
  /** Names of sites and files, which are long and break at their dots. */
  readonly name?: boolean;
  /** A word or two, which stay on one line. */
  readonly short?: boolean;
}

/** A name that may break after each of its parts. */
export function nameHtml(name: string): Html {
  return html`${name.split(/(?<=[./_\\])/).map((part, i) => html`${i === 0 ? NOTHING : { markup: "<wbr>" }}${part}`)}`;
}

const EMPTY: HtmlColumn = { title: "" };

/** Rows of a table at most: the page stays small, whatever the model. */
const MOST_ROWS = 300;
/** A phone has room for so many columns beside each other, a name taking that of two. */
const NARROW = 4;

/** A table; one of many columns becomes a list of its rows where a screen is narrow. */
export function htmlTable(
  caption: string,
  columns: readonly HtmlColumn[],
  rows: readonly (readonly (string | Html)[])[],
): Html {
  const kind = ({ figures, name, short }: HtmlColumn) =>
    figures ? "figure" : name ? "name" : short ? "short" : "text";
  const content = (cell: string | Html, column: HtmlColumn) =>
    typeof cell === "string" && column.name ? nameHtml(cell) : cell;
  const wide = columns.length + (columns.some(({ name }) => name) ? 1 : 0) > NARROW;
  const titled = ({ title }: HtmlColumn) => (wide ? html`data-title="${title}"` : NOTHING);
  return html`<div class="scroll">
    <table class="${wide ? "wide" : "small"}">
      <caption>
        ${caption}${rows.length > MOST_ROWS ? `; the first ${MOST_ROWS} of ${rows.length}, the others are in the report's data` : ""}
      </caption>
      <thead>
        <tr>
          ${columns.map(
            (column) => html`<th scope="col" class="${kind(column)}">${column.title}</th>`,
          )}
        </tr>
      </thead>
      <tbody>
        ${rows.slice(0, MOST_ROWS).map(
          (row) =>
            html`<tr>
              ${row.map((cell, i) => html`<td class="${kind(columns[i] ?? EMPTY)}" ${titled(columns[i] ?? EMPTY)}>${content(cell, columns[i] ?? EMPTY)}</td>`)}
            </tr> `,
        )}
      </tbody>
    </table>
  </div>`;
}

/** What is there for those who look for it. */
export function folded(summary: string, content: Html): Html {
  return html`<details>
    <summary>${summary}</summary>
    ${content}
  </details>`;
}
