// Reports as text for a terminal.
import { agreement, changeText } from "./evaluation-text.js";
import { bytes, counted, decibels, grouped, percent, printable, seconds, shape } from "./format.js";
import type {
  CalibrationReport,
  CalibrateReport,
  CheckReport,
  InspectReport,
  OptimizeReport,
  QuantizeReport,
  SiteReport,
  ValueReport,
} from "./report.js";
import { groupSites, totals, type SiteGroup } from "./sites.js";
import type { Style } from "./style.js";
import { table, type Cell, type Column } from "./table.js";
import { trainedText } from "./train-text.js";
import { formOf, rewrites, RUNS } from "./words.js";

/** Rows that were calibrated; absent where statistics were given. */
type RowsReport = Pick<CalibrateReport, "rows" | "truncated" | "empty">;

const FACTS: readonly Column[] = [{ title: "" }, { title: "", fit: "wrap" }];

export function quantizeText(report: QuantizeReport, style: Style): string {
  const { bold } = style.colors;
  const { seconds: time } = report;
  const total = time.read + time.plan + time.write + (time.check ?? 0);
  const left = report.sites.filter((site) => site.runs === "float");
  return [
    `${bold(printable(report.output))}\n`,
    facts(
      [
        ["form", formOf(report)],
        ["size", sizes(report.bytesBefore, report.bytesAfter)],
        ["sites", siteTotals(report.sites)],
        ["rewrites", rewrites(report.rewrites)],
        ["sample", sample(report.calibration ?? {})],
        ["improved", improvements(report.calibration)],
        ["trained", report.training === undefined ? "" : trainedText(report.training)],
        ["time", `${seconds(total)} (${parts(time)})`],
        ["memory", `${bytes(report.peakMemoryBytes)} at most, before the check`],
        ["check", check(report.check, style)],
      ],
      style,
    ),
    report.evaluation === undefined
      ? ""
      : `\n${changeText(report.evaluation, style)}  predictions: ${agreement(report.evaluation.agreement)}\n`,
    left.length === 0 ? "" : `\n${bold("Left in float")}\n${reasons(left, style)}`,
    report.nextCommand === undefined
      ? ""
      : `\n${bold("Next, where the GPU is")}\n  ${printable(report.nextCommand)}\n`,
  ].join("");
}

export function inspectText(
  report: InspectReport,
  style: Style,
  options: { readonly all?: boolean } = {},
): string {
  const { bold } = style.colors;
  const { sites } = report;
  const types = Object.entries(report.bytesByType).toSorted(([, a], [, b]) => b - a);
  const head = facts(
    [
      ["size", bytes(report.bytes)],
      ["weights", types.map(([type, size]) => `${type} ${bytes(size)}`).join(", ")],
      ["format", `IR ${report.irVersion}, ${opsets(report.opsets)}`],
      ["producer", printable(report.producer)],
      ["nodes", grouped(report.nodes)],
      ["inputs", report.inputs.map(value).join("\n")],
      ["outputs", report.outputs.map(value).join("\n")],
      ["rewrites", rewrites(report.rewrites)],
    ],
    style,
  );
  const found = (title: string) => [
    `\n${bold(title)}\n`,
    siteTable(sites, options.all === true, style),
    `\n${bold("Total")}  ${siteTotals(sites)}\n`,
  ];
  const body =
    report.quantized === undefined
      ? found(`Sites with --mode ${report.mode} --target ${report.target}`)
      : [
          `\n${bold("Quantized already")}\n`,
          table([{ title: "", fit: "wrap" }], [[printable(report.quantized)]], style, "  "),
          ...(sites.length === 0 ? [] : found(`Where it runs on target ${report.target}`)),
        ];
  return [`${bold(printable(report.model))}\n`, head, ...body].join("");
}

export function optimizeText(report: OptimizeReport, style: Style): string {
  const { seconds: time } = report;
  const total = time.read + time.write + (time.check ?? 0);
  return [
    `${style.colors.bold(printable(report.output))}\n`,
    facts(
      [
        ["form", `float, the same function, for target ${report.target}`],
        ["size", sizes(report.bytesBefore, report.bytesAfter)],
        ["nodes", `${grouped(report.nodesBefore)} → ${grouped(report.nodesAfter)}`],
        ["rewrites", rewrites(report.rewrites) || "none applied"],
        ["time", `${seconds(total)} (${parts(time)})`],
        ["check", check(report.check, style)],
      ],
      style,
    ),
  ].join("");
}

export function calibrateText(report: CalibrateReport, style: Style): string {
  const { resumed = 0 } = report;
  return [
    `${style.colors.bold(printable(report.output))}\n`,
    facts(
      [
        ["sample", sample(report)],
        ["units", `${grouped(report.covered)} of ${grouped(report.units)} in the file`],
        ["resumed", resumed === 0 ? "" : `${grouped(resumed)} were done by a run that was cut off`],
        ["activations", grouped(report.activations)],
        ["time", seconds(report.seconds)],
      ],
      style,
    ),
  ].join("");
}

function improvements(calibration: CalibrationReport | undefined): string {
  if (calibration === undefined) return "";
  const { smoothed, rounded, corrected, secondTerms } = calibration;
  const parts: readonly (readonly [count: number, one: string, done: string, many?: string])[] = [
    [smoothed, "activation", "smoothed"],
    [rounded, "weight", "rounded on data"],
    [corrected, "bias", "corrected", "biases"],
    [secondTerms, "activation", "with a second term"],
  ];
  return parts
    .filter(([count]) => count > 0)
    .map(([count, one, done, many]) => `${counted(count, one, many)} ${done}`)
    .join(", ");
}

function sample({ rows, truncated = 0, empty = 0 }: RowsReport): string {
  if (rows === undefined) return "";
  const cut = truncated === 0 ? "" : `, ${grouped(truncated)} of them cut to the model's length`;
  const left = empty === 0 ? "" : `, ${grouped(empty)} empty texts left out`;
  return `${counted(rows, "row")}${cut}${left}`;
}

/** Loud, for the standard error stream. */
export function warningText(warning: string, style: Style): string {
  const { bold, yellow } = style.colors;
  return `${bold(yellow("Warning:"))} ${printable(warning)}\n`;
}

/** Names and what they are; those without a text are left out. */
export function facts(
  rows: readonly (readonly [name: string, text: string | Cell])[],
  style: Style,
): string {
  const lines = rows.flatMap(([name, fact]) => {
    const cell = typeof fact === "string" ? { text: fact } : fact;
    return cell.text.split("\n").map((text, i) => {
      const title: Cell = { text: i === 0 ? name : "", style: style.colors.dim };
      return [title, { ...cell, text }];
    });
  });
  const told = lines.filter(([, cell]) => cell?.text !== "");
  return table(FACTS, told, style, "  ");
}

function sizes(before: number, after: number): string {
  return `${bytes(before)} → ${bytes(after)} (${percent(after / before)})`;
}

function parts(time: Readonly<Record<string, number | undefined>>): string {
  return Object.entries(time)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name} ${seconds(value ?? 0)}`)
    .join(", ");
}

function siteTotals(sites: readonly SiteReport[]): string {
  const { int8, packed, stored, float } = totals(sites);
  const all = counted(sites.length, "site");
  return (
    (packed > 0 && int8 === 0
      ? `${packed} of ${all} with packed weights`
      : `${int8} of ${all} in INT8${packed === 0 ? "" : `, ${packed} with packed weights`}`) +
    (stored === 0 ? "" : `, ${stored} stored in INT8`) +
    (float === 0 ? "" : `, ${float} left in float`)
  );
}

function check(report: CheckReport | undefined, style: Style): string | Cell {
  if (report === undefined) return { text: "not made", style: style.colors.dim };
  const outputs = report.outputs.map(({ name, snrDb, agreement }) =>
    snrDb !== undefined
      ? `${printable(name)} ${decibels(snrDb)} signal-to-noise`
      : agreement === undefined
        ? `${printable(name)} not compared`
        : `${printable(name)} ${percent(agreement)} equal`,
  );
  return (
    `${outputs.join(", ")}; against the float model ` +
    `${report.inputs === "synthetic" ? "on synthetic inputs" : "on data:"} ${report.shapes.join(", ")}`
  );
}

function opsets(versions: Readonly<Record<string, number>>): string {
  return Object.entries(versions)
    .map(([domain, version]) =>
      domain === "" || domain === "ai.onnx"
        ? `opset ${version}`
        : `${printable(domain)} ${version}`,
    )
    .join(", ");
}

function value({ name, dtype, shape: dims }: ValueReport): string {
  return printable(`${name} ${dtype} [${dims.map((dim) => dim ?? "?").join(", ")}]`);
}

/** One line per reason, with the sites it holds for. */
function reasons(sites: readonly SiteReport[], style: Style): string {
  const rows = groupSites(sites).map(({ pattern, count, site }) => [
    String(count),
    printable(pattern),
    printable(site.reason ?? ""),
  ]);
  return table(
    [
      { title: "", align: "right" },
      { title: "", fit: "shorten" },
      { title: "", fit: "wrap" },
    ],
    rows,
    style,
    "  ",
  );
}

function siteTable(sites: readonly SiteReport[], all: boolean, style: Style): string {
  const groups: readonly SiteGroup[] = all
    ? sites.map((site) => ({ pattern: site.name, count: 1, site }))
    : groupSites(sites);
  const { green, yellow } = style.colors;
  const colors = { int8: green, packed: green, stored: green, float: yellow };
  const notes = [...new Set(groups.map(({ site }) => site.reason ?? ""))].filter(Boolean);
  const rows = groups.map(({ pattern, count, site }) => {
    const note = site.reason === undefined ? 0 : notes.indexOf(site.reason) + 1;
    const runs = RUNS[site.runs] + (note === 0 ? "" : ` (${note})`);
    return [
      String(count),
      printable(pattern),
      site.kind,
      shape(site.shape),
      { text: runs, style: colors[site.runs] },
    ];
  });
  const columns: Column[] = [
    { title: "", align: "right" },
    { title: "site", fit: "shorten" },
    { title: "kind" },
    { title: "shape" },
    { title: "runs in" },
  ];
  const legend = notes.map((note, i) => [`(${i + 1})`, printable(note)]);
  return (
    table(columns, rows, style, "  ") +
    (legend.length === 0 ? "" : `\n${table(FACTS, legend, style, "  ")}`)
  );
}
