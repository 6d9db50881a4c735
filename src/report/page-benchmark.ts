// Sections of the page about speed and memory.
import { modelNames, ratioText, shapeText } from "./benchmark-text.js";
import { barChart, type Tone } from "./charts.js";
import { bytes, counted, grouped, seconds } from "./format.js";
import { html, htmlTable, NOTHING, type Html } from "./html.js";
import { section, type PageData } from "./page-frame.js";
import type { BenchmarkReport, TimingReport } from "./report.js";
import { shorten } from "./table.js";

/** Letters of a name beside a bar: what a phone has room for. */
const LABEL = 26;

const TONES: readonly Tone[] = ["int8", "b", "c", "d"];

function toneOf(model: number): Tone {
  return model === 0 ? "float" : (TONES[(model - 1) % TONES.length] ?? "int8");
}

export function latencySection({ benchmark }: PageData): Html {
  if (benchmark === undefined || benchmark.timings.length === 0) return NOTHING;
  const names = modelNames(benchmark.models.map(({ model }) => model));
  const nameOf = ({ model }: TimingReport) => names[model] ?? "?";
  const threads = [...new Set(benchmark.timings.map((timing) => timing.threads))];
  return section(
    "Latency",
    `Seconds of a run, the models in turn; each shape has a scale of its own, the line spans the quartiles. How many times as fast is against ${names[0] ?? "the first"}, in each round, with the interval that holds 95 % of resamples.`,
    html`${threads.map((count) => {
      const timings = benchmark.timings.filter((timing) => timing.threads === count);
      return html`<h3>${counted(count, "thread")}</h3>
        ${latencyChart(benchmark, count, nameOf)}${htmlTable(
          `Batch × length, ${counted(count, "thread")}`,
          [
            { title: "shape", short: true },
            { title: "model", name: true },
            { title: "median", figures: true },
            { title: "spread", figures: true },
            { title: "tokens/s", figures: true },
            { title: "times as fast", figures: true },
            { title: "rounds", figures: true },
          ],
          timings.map((timing) => [
            shapeText(timing),
            nameOf(timing),
            seconds(timing.median),
            seconds(timing.upper - timing.lower),
            grouped(Math.round(timing.tokensPerSecond)),
            timing.model === 0 ? "1" : ratioText(timing),
            grouped(timing.rounds),
          ]),
        )}`;
    })}`,
  );
}

function latencyChart(
  { timings }: BenchmarkReport,
  threads: number,
  nameOf: (timing: TimingReport) => string,
): Html {
  const own = timings.filter((timing) => timing.threads === threads);
  const shapes = [...new Set(own.map(shapeText))];
  return barChart(
    `Latency with ${counted(threads, "thread")}`,
    shapes.map((shape) => ({
      title: shape,
      bars: own
        .filter((timing) => shapeText(timing) === shape)
        .map((timing) => ({
          label: shorten(nameOf(timing), LABEL),
          value: timing.median,
          low: timing.lower,
          high: timing.upper,
          tone: toneOf(timing.model),
          text: `${seconds(timing.median)}${timing.model === 0 ? "" : ` · ${timing.ratio.value.toFixed(2)}×`}`,
        })),
    })),
  );
}

export function memorySection({ benchmark }: PageData): Html {
  const models = benchmark?.models ?? [];
  if (!models.some(({ peakMemoryBytes }) => peakMemoryBytes !== undefined)) return NOTHING;
  const names = modelNames(models.map(({ model }) => model));
  return section(
    "Memory",
    "The most that a process takes which loads the model and runs it, Node and the runtime included.",
    html`${barChart("Memory of each model", [
      {
        bars: models.map(({ peakMemoryBytes: peak }, i) => ({
          label: shorten(names[i] ?? "", LABEL),
          value: peak ?? NaN,
          text: peak === undefined ? "unknown" : bytes(peak),
          tone: toneOf(i),
        })),
      },
    ])}${htmlTable(
      "Size and memory",
      [
        { title: "model", name: true },
        { title: "file", figures: true },
        { title: "memory", figures: true },
      ],
      models.map(({ model, bytes: size, peakMemoryBytes: peak }) => [
        model,
        bytes(size),
        peak === undefined ? "unknown" : bytes(peak),
      ]),
    )}`,
  );
}
