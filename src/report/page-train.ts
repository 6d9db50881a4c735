// The section of the page about training: how the loss fell, and the metric along the way.
import { counted, grouped, seconds } from "./format.js";
import { html, NOTHING, type Html } from "./html.js";
import { lineChart } from "./line-chart.js";
import { section, type PageData } from "./page-frame.js";
import type { CurvePointReport, QatReport, TrainReport } from "./train.js";

export function trainSection({ train, quantize }: PageData): Html {
  if (train !== undefined) return curves(aboutTraining(train), train);
  const training = quantize?.training;
  return training === undefined ? NOTHING : curves(aboutQat(training), training);
}

interface Curves {
  readonly losses: readonly CurvePointReport[];
  readonly scores: readonly CurvePointReport[];
  readonly metric?: string | undefined;
}

function curves(about: string, { losses, scores, metric }: Curves): Html {
  return section(
    "Training",
    about,
    html`<h3>Loss</h3>
      ${lineChart("Loss by step", [{ tone: "int8", points: numbers(losses) }], (value) =>
        value.toPrecision(3),
      )}${
        metric === undefined || scores.length < 2
          ? NOTHING
          : html`<h3>${metric}</h3>
              ${lineChart(`${metric} by step`, [{ tone: "b", points: numbers(scores) }], (value) =>
                value.toPrecision(4),
              )}`
      }`,
  );
}

const LEARNED: Readonly<Record<QatReport["loss"], string>> = {
  task: "the labels",
  distill: "what the float model says",
  both: "the labels and what the float model says",
};

function aboutQat(training: QatReport): string {
  const { steps, stopped, rows, loss, metric, scores, best, heldOut, scored } = training;
  const early = stopped === "early" ? ", stopped early" : "";
  const [first] = scores;
  const after = scores.find(({ step }) => step === best);
  const score = (point: CurvePointReport | undefined): string =>
    point?.value?.toPrecision(4) ?? "NaN";
  const by = heldOut
    ? `${counted(scored, "record")} held out`
    : `${counted(scored, "record")} of --eval`;
  const isEven = first?.value === after?.value;
  const kept =
    best === 0
      ? `No evaluation on ${by} was so much better than before (${metric} ${score(first)}) that it counts: the quantized model is that of static mode.`
      : `By ${by}, ${metric} ${isEven ? `stayed at ${score(first)}, closest to the float model` : `went from ${score(first)} to ${score(after)}`} at step ${grouped(best)}, which was kept.`;
  return `With quantizers in place, ${counted(steps, "step")}${early} on ${LEARNED[loss]} of ${counted(rows, "row")}; learning rate ${training.rate.toExponential(1)}, ${seconds(training.seconds)}. ${kept}`;
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
