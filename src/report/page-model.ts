// Sections of the page about the model as it was written: where its bytes went, what was done, what runs where and why.
import { barChart, stackChart, type Tone } from "./charts.js";
import { bytes, counted, decibels, grouped, percent, seconds, shape } from "./format.js";
import { folded, html, htmlTable, NOTHING, type Html } from "./html.js";
import { legend, section, type PageData } from "./page-frame.js";
import type { CalibrationReport, PartReport, QuantizeReport, SiteReport } from "./report.js";
import { groupSites, totals } from "./sites.js";
import { rewrites, RUNS } from "./words.js";

const PART_TONES: Readonly<Record<PartReport["part"], Tone>> = {
  "linear layers": "a",
  embeddings: "b",
  convolutions: "c",
  rest: "e",
};

export function sizeSection({ quantize }: PageData): Html {
  const parts = quantize?.parts;
  if (quantize === undefined || parts === undefined || parts.length === 0) return NOTHING;
  const stack = (label: string, of: (part: PartReport) => number, all: number) => ({
    label,
    text: bytes(all),
    segments: parts.map((part) => ({
      label: `${part.part}: ${bytes(of(part))}`,
      value: of(part),
      tone: PART_TONES[part.part],
    })),
  });
  const { bytesBefore, bytesAfter } = quantize;
  const rows = parts.map((part) => partRow(part.part, part.bytesBefore, part.bytesAfter));
  return section(
    "Size by part",
    "Bytes of the model before and after. Scales and whatever else the file holds count as the rest.",
    html`${stackChart("Size by part, before and after", [
      stack("float", (part) => part.bytesBefore, bytesBefore),
      stack("quantized", (part) => part.bytesAfter, bytesAfter),
    ])}${legend(parts.map(({ part }) => [PART_TONES[part], part]))}${htmlTable(
      "Bytes by part",
      [
        { title: "part", short: true },
        { title: "before", figures: true },
        { title: "after", figures: true },
        { title: "share left", figures: true },
      ],
      [...rows, partRow("all", bytesBefore, bytesAfter)],
    )}`,
  );
}

function partRow(name: string, before: number, after: number): string[] {
  return [name, bytes(before), bytes(after), before === 0 ? "–" : percent(after / before)];
}

export function stepsSection({ quantize }: PageData): Html {
  if (quantize === undefined) return NOTHING;
  const rows = stepRows(quantize).filter(([, what]) => what !== "");
  return section(
    "What was done",
    "Each step of the quantization, and how far it reached.",
    html`${gains(quantize)}${htmlTable(
      "Steps and what they did",
      [{ title: "step", short: true }, { title: "what it did" }],
      rows,
    )}`,
  );
}

/** What each step gave, where it was measured. */
function gains({ ablation = [], check }: QuantizeReport): Html {
  const whole = check?.snrDb;
  if (ablation.length === 0 || whole === undefined) return NOTHING;
  const bars = ablation.map(({ step, withoutSnrDb }) => ({
    label: `without ${step}`,
    value: withoutSnrDb,
    text: decibels(withoutSnrDb),
    tone: "float" as const,
  }));
  const all = { label: "all steps", value: whole, text: decibels(whole), tone: "int8" as const };
  return html`<h3>What each step gave</h3>
    ${barChart("Signal-to-noise without each step", [{ bars: [all, ...bars] }])}${htmlTable(
      "The quantized model made without each step, on the inputs of the check",
      [
        { title: "step", short: true },
        { title: "without it", figures: true },
        { title: "it gave", figures: true },
      ],
      ablation.map(({ step, withoutSnrDb }) => [
        step,
        decibels(withoutSnrDb),
        Number.isFinite(whole - withoutSnrDb)
          ? `${whole >= withoutSnrDb ? "+" : "−"}${Math.abs(whole - withoutSnrDb).toFixed(1)} dB`
          : "–",
      ]),
    )}`;
}

function stepRows(report: QuantizeReport): [string, string][] {
  const { rewrites: counts, calibration, seconds: time, peakMemoryBytes } = report;
  const total = time.read + time.plan + time.write + (time.check ?? 0);
  return [
    ["exact rewrites", rewrites(counts)],
    ...(calibration === undefined ? [] : calibrationRows(calibration)),
    [
      "time",
      `${seconds(total)}, of which reading ${seconds(time.read)}, planning ${seconds(time.plan)}, writing ${seconds(time.write)}`,
    ],
    ["memory", `${bytes(peakMemoryBytes)} at most, before the check`],
  ];
}

function calibrationRows(calibration: CalibrationReport): [string, string][] {
  const { rows, truncated = 0, empty = 0, smoothed, activations, rounded, corrected } = calibration;
  const cut = truncated === 0 ? "" : `, ${grouped(truncated)} of them cut to the model's length`;
  const left = empty === 0 ? "" : `, ${counted(empty, "empty text")} left out`;
  return [
    [
      "calibration",
      `${rows === undefined ? "statistics of an earlier run" : `${counted(rows, "row")}${cut}${left}`}, in ${seconds(calibration.seconds)}`,
    ],
    [
      "smoothing",
      `${grouped(smoothed)} of ${counted(activations, "activation")}: size moved into the weights that read them`,
    ],
    ["rounding", `${counted(rounded, "weight")} rounded against the covariance of their inputs`],
    ["bias correction", counted(corrected, "bias", "biases")],
    [
      "a second term",
      calibration.secondTerms === 0
        ? ""
        : `${counted(calibration.secondTerms, "activation")} in nearly 16 bits, as two INT8 tensors`,
    ],
  ];
}

export function layersSection({ quantize }: PageData): Html {
  if (quantize === undefined || quantize.sites.length === 0) return NOTHING;
  const { sites } = quantize;
  const groups = groupSites(sites);
  const { int8, packed, stored, float } = totals(sites);
  const counts: [string, number][] = [
    [RUNS.int8, int8],
    [RUNS.packed, packed],
    [RUNS.stored, stored],
    [RUNS.float, float],
  ];
  const summary = counts
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${count} ${name}`);
  const columns = [
    { title: "site", name: true },
    { title: "kind", short: true },
    { title: "shape", figures: true },
    { title: "runs in", short: true },
    { title: "why not in INT8" },
  ];
  const rowOf = (name: string, site: SiteReport) => [
    name,
    site.kind,
    shape(site.shape),
    RUNS[site.runs],
    site.reason ?? "",
  ];
  const all = htmlTable(
    "Every site",
    columns,
    sites.map((site) => rowOf(site.name, site)),
  );
  return section(
    "Layers",
    `Where each site runs on target ${quantize.target}: ${summary.join(", ")}.`,
    html`${htmlTable(
      "Sites alike in one line",
      [{ title: "count", figures: true }, ...columns],
      groups.map(({ count, pattern, site }) => [`${count} ×`, ...rowOf(pattern, site)]),
    )}${groups.length === sites.length ? NOTHING : folded(`All ${sites.length} sites`, all)}`,
  );
}
