// The report of octavo benchmark as text for a terminal: a table for each number of threads.
import type { BenchmarkReport, TimingReport } from "./benchmark.js";
import { bytes, counted, grouped, printable, seconds } from "./format.js";
import type { Style } from "./style.js";
import { table, type Column } from "./table.js";

const MODELS: readonly Column[] = [
  { title: "model", fit: "shorten" },
  { title: "size", align: "right" },
  { title: "memory", align: "right" },
];

const TIMES: readonly Column[] = [
  { title: "shape" },
  { title: "model", fit: "shorten" },
  { title: "median", align: "right" },
  { title: "spread", align: "right" },
  { title: "tokens/s", align: "right" },
  { title: "times as fast", align: "right" },
];

export function benchmarkText(report: BenchmarkReport, style: Style): string {
  const { bold, dim } = style.colors;
  const names = modelNames(report.models.map(({ model }) => model));
  const threads = [...new Set(report.timings.map((timing) => timing.threads))];
  const models = report.models.map(({ model, bytes: size, peakMemoryBytes }) => [
    printable(model),
    bytes(size),
    peakMemoryBytes === undefined ? "" : bytes(peakMemoryBytes),
  ]);
  const rounds = report.timings.map((timing) => timing.rounds);
  const [fewest, most] = [Math.min(...rounds), Math.max(...rounds)];
  return [
    table(MODELS, models, style),
    ...threads.map((count) => {
      const timings = report.timings.filter((timing) => timing.threads === count);
      return `\n${bold(counted(count, "thread"))}\n${timesTable(timings, names, style)}`;
    }),
    dim(
      `\nbatch × length; ${fewest === most ? most : `${fewest} to ${most}`} rounds, all models in turn; spread: quartile to quartile.\n` +
        `Against ${names[0] ?? ""}: median over rounds, and where 95 % of resamples lie.\n`,
    ),
  ].join("");
}

function timesTable(
  timings: readonly TimingReport[],
  names: readonly string[],
  style: Style,
): string {
  let before = "";
  const rows = timings.map((timing) => {
    const shape = shapeText(timing);
    const cells = [
      shape === before ? "" : shape,
      names[timing.model] ?? "",
      seconds(timing.median),
      seconds(timing.upper - timing.lower),
      grouped(Math.round(timing.tokensPerSecond)),
      timing.model === 0 ? "1" : ratioText(timing),
    ];
    before = shape;
    return cells;
  });
  return table(TIMES, rows, style, "  ");
}

export function shapeText({ batch, length }: Pick<TimingReport, "batch" | "length">): string {
  return `${batch} × ${length}`;
}

/** `1.52 (1.49–1.55)`. */
export function ratioText({ ratio }: Pick<TimingReport, "ratio">): string {
  const { value, low, high } = ratio;
  return `${value.toFixed(2)} (${low.toFixed(2)}–${high.toFixed(2)})`;
}

/** Names of files as short as they tell models apart: the ends of their paths; a model that is there twice is numbered. */
export function modelNames(paths: readonly string[]): string[] {
  const parts = paths.map((path) => path.split(/[/\\]/).filter((part) => part !== ""));
  const deepest = Math.max(...parts.map((part) => part.length), 1);
  const different = new Set(paths).size;
  let names = paths.map(printable);
  for (let depth = 1; depth <= deepest; depth++) {
    names = parts.map((part) => printable(part.slice(-depth).join("/")));
    if (new Set(names).size === different) break;
  }
  const seen = new Map<string, number>();
  return names.map((name) => {
    const times = (seen.get(name) ?? 0) + 1;
    seen.set(name, times);
    return times === 1 ? name : `${name} #${times}`;
  });
}
