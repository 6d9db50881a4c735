// The report of train as text for a terminal.
import { agreement, changeText } from "./evaluation-text.js";
import { bytes, counted, grouped, printable, seconds } from "./format.js";
import type { Style } from "./style.js";
import { table, type Column } from "./table.js";
import type { CurvePointReport, QatReport, TrainReport } from "./train.js";

const FACTS: readonly Column[] = [{ title: "" }, { title: "", fit: "wrap" }];

export function trainText(report: TrainReport, style: Style): string {
  const { seconds: time, evaluation } = report;
  const rows: [string, string][] = [
    ["task", `${report.task}, ${report.loss === "task" ? "on labels" : "by a teacher"}`],
    ["data", `${report.data.map(printable).join(", ")}: ${counted(report.rows, "row")}`],
    ["trained", `${grouped(report.weights)} numbers in ${counted(report.parameters, "tensor")}`],
    ["steps", stepsText(report)],
    ["loss", between(report.losses, (loss) => loss.toPrecision(3))],
    [report.metric ?? "", between(report.scores, (score) => score.toFixed(4))],
    ["time", seconds(time.train + time.write)],
    ["memory", `${bytes(report.peakMemoryBytes)} at most`],
  ];
  return [
    `${style.colors.bold(printable(report.output))}\n`,
    table(
      FACTS,
      rows.filter(([, text]) => text !== ""),
      style,
      "  ",
    ),
    evaluation === undefined
      ? ""
      : `\n${changeText(evaluation, style)}  predictions: ${agreement(evaluation.agreement)}\n`,
  ].join("");
}

/** What quantization-aware training did, in a line or two. */
export function trainedText(report: QatReport): string {
  const { loss, rows, metric, scores, best, steps, heldOut, rate } = report;
  const early = report.stopped === "early" ? ", stopped early" : "";
  const learned = {
    task: "labels",
    distill: "the float model",
    both: "labels and the float model",
  };
  const of = (step: number) =>
    scores.find((point) => point.step === step)?.value?.toPrecision(4) ?? "NaN";
  const on = heldOut ? "rows held out" : "--eval";
  const kept =
    best === 0
      ? `no better than ${of(0)}: as before training`
      : `${of(0)} → ${of(best)}, step ${grouped(best)} kept`;
  return `${counted(steps, "step")}${early} by ${learned[loss]} on ${counted(rows, "row")}, rate ${rate.toExponential(1)}\n${metric} on ${on}: ${kept}`;
}

function stepsText({ steps, stopped, best, resumed, scores }: TrainReport): string {
  const parts = [
    grouped(steps),
    stopped === "early" ? "stopped early" : "",
    resumed === 0 ? "" : `${grouped(resumed)} of them by a run that was cut off`,
    scores.length === 0 ? "" : `weights of step ${grouped(best)}, the best`,
  ];
  return parts.filter((part) => part !== "").join(", ");
}

/** The first and the last of a curve. */
function between(points: readonly CurvePointReport[], write: (value: number) => string): string {
  const known = points.flatMap(({ value }) => (value === null ? [] : [value]));
  const [first] = known;
  const last = known.at(-1);
  if (first === undefined || last === undefined) return "";
  return known.length === 1 ? write(first) : `${write(first)} → ${write(last)}`;
}
