// Reports of evaluate and compare as text for a terminal.
import type {
  AgreementReport,
  ChangeReport,
  CompareReport,
  EvaluateReport,
  MetricChangeReport,
  MetricReport,
  TensorErrorReport,
} from "./evaluation.js";
import { bytes, counted, decibels, grouped, percent, printable, seconds, shape } from "./format.js";
import type { Style } from "./style.js";
import { table, type Column } from "./table.js";

const FACTS: readonly Column[] = [{ title: "" }, { title: "", fit: "wrap" }];
/** Sites in a table; JSON has them all. */
const WORST = 12;

export function evaluateText(report: EvaluateReport, style: Style): string {
  const { rows, inputs, seconds: time, rate } = report;
  const reads = inputs === rows ? "" : `, ${grouped(inputs)} inputs`;
  const head = facts(
    [
      ["task", report.task],
      ["data", `${report.data.map(printable).join(", ")}: ${counted(rows, "row")}${reads}`],
      [
        "time",
        `${seconds(time.run)} (${rate >= 10 ? grouped(Math.round(rate)) : rate.toFixed(1)}/s), loading ${seconds(time.load)}`,
      ],
    ],
    style,
  );
  const metrics = table(
    [
      { title: "metric" },
      { title: "value", align: "right" },
      { title: `${confidence(report)} interval`, align: "right" },
    ],
    report.metrics.map((metric) => [metric.name, number(metric.value), interval(metric)]),
    style,
    "  ",
  );
  return `${style.colors.bold(printable(report.model))}\n${head}\n${metrics}`;
}

export function compareText(report: CompareReport, style: Style): string {
  const { bold } = style.colors;
  const { bytes: size, change, sensitivity, unmatched } = report;
  const on = report.inputs === "data" ? counted(report.rows, "row") : "dummy inputs";
  const parts = [
    `${bold(printable(report.candidate))} against ${printable(report.reference)}\n`,
    facts(
      [
        [
          "size",
          `${bytes(size.reference)} → ${bytes(size.candidate)} (${percent(size.candidate / size.reference)})`,
        ],
        ["outputs", report.outputs.map(tensorError).join("\n")],
        ["measured on", on],
        ...(change === undefined ? [] : [["predictions", agreement(change.agreement)] as const]),
      ],
      style,
    ),
  ];
  if (change !== undefined && change.metrics.length > 0)
    parts.push(`\n${changeText(change, style)}`);
  if (report.sites.length > 0)
    parts.push(
      `\n${bold("Sites, the furthest fall first")}  both models from their inputs, ${counted(report.siteRows, "row")}\n`,
      siteTable(report.sites, style),
    );
  if (unmatched.length > 0)
    parts.push(
      `  ${counted(unmatched.length, "site")} of the reference without a counterpart: ${unmatched.slice(0, 3).map(printable).join(", ")}${unmatched.length > 3 ? ", …" : ""}\n`,
    );
  if (sensitivity !== undefined)
    parts.push(
      `\n${bold("What each site alone does to the outputs")}\n`,
      siteTable(sensitivity, style),
    );
  return parts.join("");
}

/** Metrics before and after, for compare and for quantize --eval. */
export function changeText(change: ChangeReport, style: Style): string {
  const columns: Column[] = [
    { title: "metric" },
    { title: "before", align: "right" },
    { title: "after", align: "right" },
    { title: "difference", align: "right" },
    { title: `${confidence(change)} interval`, align: "right" },
    { title: "p", align: "right" },
  ];
  const rows = change.metrics.map((metric) => [
    metric.name,
    number(metric.reference.value),
    number(metric.candidate.value),
    signed(metric.difference),
    interval(metric, signed),
    probability(metric),
  ]);
  const { bold } = style.colors;
  const title = `${bold("Accuracy")}  ${change.task}, ${counted(change.rows, "row")} of ${change.data.map(printable).join(", ")}\n`;
  return title + table(columns, rows, style, "  ") + tests(change.metrics);
}

const TESTS: Readonly<Record<MetricChangeReport["test"]["name"], string>> = {
  "mcnemar-exact": "McNemar's exact test",
  "mcnemar-continuity": "McNemar's test with continuity correction",
  "paired-bootstrap": "paired bootstrap",
};

function tests(metrics: readonly MetricChangeReport[]): string {
  const names = [...new Set(metrics.map(({ test }) => TESTS[test.name]))];
  return `  p: how likely chance alone makes such a difference (${names.join("; ")})\n`;
}

export function agreement(report: AgreementReport): string {
  const { share, equal = 0, of = 0, unit = "rows", correlation, largestDifference = 0 } = report;
  if (share !== undefined)
    return `${percent(share, 2)} the same (${grouped(equal)} of ${grouped(of)} ${unit})`;
  const r = correlation === null || correlation === undefined ? "none" : correlation.toFixed(5);
  return `correlation ${r}, ${number(largestDifference)} apart at most`;
}

function tensorError({ name, snrDb, cosine, agreement: same }: TensorErrorReport): string {
  if (snrDb === undefined)
    return `${printable(name)}: ${same === undefined ? "nothing to compare" : `${percent(same)} the same`}`;
  return `${printable(name)}: ${decibels(snrDb)}, cosine ${(cosine ?? NaN).toFixed(6)}`;
}

function siteTable(
  sites: readonly {
    readonly site: string;
    readonly kind: string;
    readonly shape: readonly number[];
    readonly snrDb: number;
    readonly fallDb?: number;
    readonly cosine: number;
  }[],
  style: Style,
): string {
  const shown = sites.slice(0, WORST);
  const falls = shown.some(({ fallDb }) => fallDb !== undefined);
  const rows = shown.map((site) => [
    printable(site.site),
    site.shape.length === 0 ? site.kind : shape(site.shape),
    decibels(site.snrDb),
    ...(falls ? [decibels(site.fallDb ?? 0)] : []),
    site.cosine.toFixed(6),
  ]);
  const columns: Column[] = [
    { title: "site", fit: "shorten" },
    { title: "shape", align: "right" },
    { title: "SNR", align: "right" },
    ...(falls ? [{ title: "fall", align: "right" } as const] : []),
    { title: "cosine", align: "right" },
  ];
  const more = sites.length - shown.length;
  return table(columns, rows, style, "  ") + (more > 0 ? `  ${grouped(more)} more (--json)\n` : "");
}

function confidence(report: { readonly confidence: number }): string {
  return percent(report.confidence, 0);
}

function interval(
  { low, high }: Pick<MetricReport, "low" | "high">,
  text: (value: number) => string = number,
): string {
  return low === null || high === null ? "none" : `${text(low)} … ${text(high)}`;
}

function probability({ test: { p } }: MetricChangeReport): string {
  if (p === null) return "none";
  return p < 0.001 ? "< 0.001" : p.toFixed(3);
}

/** `0.8739`, `12.35`. */
function number(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "none" : String(value);
  return Math.abs(value) >= 10 ? value.toFixed(2) : value.toFixed(4);
}

function signed(value: number): string {
  return value > 0 ? `+${number(value)}` : number(value).replace("-", "−");
}

function facts(rows: readonly (readonly [string, string])[], style: Style): string {
  const lines = rows.flatMap(([name, text]) =>
    text.split("\n").map((line, i) => [i === 0 ? name : "", line]),
  );
  return table(
    FACTS,
    lines.map(([name = "", line = ""]) => [{ text: name, style: style.colors.dim }, line]),
    style,
    "  ",
  );
}
