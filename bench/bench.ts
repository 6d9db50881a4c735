// What a bench is, what it gives back, and how that is printed: tables, then each bar with the figure that must clear it.
import type { Style } from "../src/report/style.js";
import { table, type Column } from "../src/report/table.js";

export interface Bench {
  readonly name: string;
  /** One line for people. */
  readonly about: string;
  /** Options as the list of benches shows them, empty where there are none. */
  readonly options: string;
  run(args: readonly string[]): Promise<BenchResult>;
}

export interface BenchResult {
  readonly tables: readonly BenchTable[];
  readonly bars: readonly Bar[];
  /** What a reader must know to judge the figures. */
  readonly notes: readonly string[];
  /** All raw figures, for the JSON file. */
  readonly data: unknown;
}

export interface BenchTable {
  readonly title: string;
  readonly columns: readonly Column[];
  readonly rows: readonly (readonly string[])[];
}

/** A promise and the figure that keeps it or not. */
export interface Bar {
  readonly what: string;
  readonly value: number;
  readonly bar: number;
  readonly kind: "at most" | "at least";
  readonly unit: string;
}

/** A figure that is not there (NaN) clears nothing. */
export function isMet({ value, bar, kind }: Bar): boolean {
  return kind === "at most" ? value <= bar : value >= bar;
}

/** Columns of figures are right-aligned, the first is text. */
export function columns(...titles: readonly string[]): Column[] {
  return titles.map((title, i) =>
    i === 0 ? { title, fit: "shorten" } : { title, align: "right" },
  );
}

export function resultText({ tables, bars, notes }: BenchResult, style: Style): string {
  const { bold, green, red } = style.colors;
  const parts = tables.map((t) => `${bold(t.title)}\n\n${table(t.columns, t.rows, style, "  ")}`);
  if (bars.length > 0) {
    const rows = bars.map((bar) => {
      const met = isMet(bar);
      const verdict = { text: met ? "met" : "MISSED", style: met ? green : red };
      const limit = `${bar.kind} ${figure(bar.bar)} ${bar.unit}`.trim();
      return [bar.what, `${figure(bar.value)} ${bar.unit}`.trim(), limit, verdict];
    });
    const heads = [...columns("bar", "got", "wanted"), { title: "" }];
    parts.push(`${bold("Bars")}\n\n${table(heads, rows, style, "  ")}`);
  }
  if (notes.length > 0) parts.push(notes.map((note) => `Note: ${note}\n`).join(""));
  return parts.join("\n");
}

/** The same as a page: what was measured, where and when, then the tables. */
export function resultMarkdown(
  name: string,
  { tables, bars, notes }: BenchResult,
  conditions: readonly (readonly [name: string, value: string])[],
): string {
  const cells = (row: readonly string[]) =>
    `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`;
  const page = tables.map((one) => {
    const rule = one.columns.map(({ align }) => (align === "right" ? "--:" : "---"));
    const heads = one.columns.map(({ title }) => title);
    return `## ${one.title}\n\n${cells(heads)}${cells(rule)}${one.rows.map((row) => cells(heads.map((_, i) => row[i] ?? ""))).join("")}`;
  });
  if (bars.length > 0)
    page.push(
      `## Bars\n\n${bars.map((bar) => `- ${bar.what}: ${figure(bar.value)} ${bar.unit}, ${bar.kind} ${figure(bar.bar)} wanted: ${isMet(bar) ? "met" : "MISSED"}\n`).join("")}`,
    );
  const list = (lines: readonly string[]) => lines.map((text) => `- ${text}\n`).join("");
  const head = `# ${name}\n\n${list(conditions.map(([what, value]) => `${what}: ${value}`))}`;
  return [head, ...page, ...(notes.length > 0 ? [list(notes)] : [])].join("\n");
}

/** Three digits or more. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  return value.toFixed(
    Number.isInteger(value) || size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3,
  );
}
