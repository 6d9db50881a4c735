// The section of the page about training: how the loss fell, and the metric along the way.
import { counted, grouped, seconds } from "./format.js";
import { html, NOTHING, type Html } from "./html.js";
import { lineChart } from "./line-chart.js";
import { section, type PageData } from "./page-parts.js";
import type { CurvePointReport, TrainReport } from "./train.js";

export function trainSection({ train }: PageData): Html {
  if (train === undefined) return NOTHING;
  const { losses, scores, metric } = train;
  return section(
    "Training",
    aboutTraining(train),
    html`<h3>Loss</h3>
      ${lineChart("Loss by step", [{ tone: "int8", points: numbers(losses) }], (value) =>
        value.toPrecision(3),
      )}${
        metric === undefined || scores.length < 2
          ? NOTHING
          : html`<h3>${metric}</h3>
              ${lineChart(`${metric} by step`, [{ tone: "b", points: numbers(scores) }], (value) =>
                value.toFixed(4),
              )}`
      }`,
  );
}

function aboutTraining(train: TrainReport): string {
  const { rows, data, steps, weights, parameters, best, scores } = train;
  const by = train.loss === "task" ? "on the labels of" : "by a teacher on";
  const kept =
    scores.length === 0
      ? ""
      : best === 0
        ? " No evaluation was better than before: the weights are those of before."
        : ` The weights are those of step ${grouped(best)}, which scored best.`;
  const early = train.stopped === "early" ? ", stopped early" : "";
  return `${counted(steps, "step")}${early} ${by} ${counted(rows, "row")} of ${data.join(", ")}; ${grouped(weights)} numbers in ${grouped(parameters)} tensors, ${seconds(train.seconds.train)}.${kept}`;
}

function numbers(points: readonly CurvePointReport[]): { step: number; value: number }[] {
  return points.flatMap(({ step, value }) => (value === null ? [] : [{ step, value }]));
}
