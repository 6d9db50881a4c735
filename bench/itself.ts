// How far octavo benchmark is from the truth where the truth is known: a model against itself is once as fast.
import { benchmark } from "../src/node.js";
import { shapeText } from "../src/report/benchmark-text.js";
import { shared } from "../test/shared.js";
import { columns, figure, type Bench } from "./bench.js";

/** Percent that a model may seem faster or slower than itself. */
const MOST = 3;

export const itself: Bench = {
  name: "itself",
  about: "octavo benchmark of a model against itself: how far the ratio is from 1",
  options: "[MODEL] [SECONDS 60]",
  async run([model = shared("models", "bert-sst2"), seconds = "60"]) {
    const { timings } = await benchmark([model, model], {
      shapes: ["1x32", "1x128", "8x128"],
      threads: [1, 2],
      rounds: 2000,
      seconds: Number(seconds),
      memory: false,
    });
    const others = timings.filter((timing) => timing.model === 1);
    const off = (value: number) => Math.abs(value - 1) * 100;
    return {
      tables: [
        {
          title: "A model against itself, ratio with its interval",
          columns: columns("shape", "threads", "rounds", "ratio", "low", "high"),
          rows: others.map((timing) => {
            const { threads, rounds, ratio } = timing;
            const figures = [threads, rounds, ratio.value, ratio.low, ratio.high];
            return [shapeText(timing), ...figures.map(figure)];
          }),
        },
      ],
      bars: others.map((timing) => ({
        what: `${shapeText(timing)}, threads ${timing.threads}: off by`,
        value: off(timing.ratio.value),
        bar: MOST,
        kind: "at most" as const,
        unit: "%",
      })),
      notes: [],
      data: others,
    };
  },
};
