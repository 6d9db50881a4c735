// Sections of the page about what the model is asked for: its accuracy before and after, and how close its outputs are.
import { intervalChart, type Estimate, type Tone } from "./charts.js";
import { counted, decibels, grouped, percent } from "./format.js";
import { html, htmlTable, NOTHING, type Html, type HtmlColumn } from "./html.js";
import { card, section, type PageData } from "./page-frame.js";
import type {
  AgreementReport,
  ChangeReport,
  EvaluateReport,
  MetricChangeReport,
  MetricReport,
} from "./report.js";
import { shorten } from "./table.js";

function changeOf({ quantize, compare, train }: PageData): ChangeReport | undefined {
  return quantize?.evaluation ?? compare?.change ?? train?.evaluation;
}

type Names = readonly [reference: string, candidate: string];

/** What the two models are called: training leaves both in float. */
function namesOf({ quantize, compare, train }: PageData): Names {
  const trained = (quantize ?? compare) === undefined && train !== undefined;
  return trained ? ["before", "after"] : ["float", "quantized"];
}

/** The metric that matters, before and after or alone. */
export function metricCards(data: PageData): Html[] {
  const [first] = changeOf(data)?.metrics ?? [];
  if (first !== undefined) {
    const { name, reference, candidate } = first;
    const about = `${metricValue(reference)} before, ${signed(first)}`;
    return [card(capital(name), metricValue(candidate), about)];
  }
  const [alone] = data.evaluates;
  const [metric] = alone?.metrics ?? [];
  if (alone === undefined || metric === undefined) return [];
  return [card(capital(metric.name), metricValue(metric), intervalText(metric, alone.confidence))];
}

export function accuracySection(data: PageData): Html {
  const change = changeOf(data);
  const alone = data.evaluates;
  if (change === undefined && alone.length === 0) return NOTHING;
  return html`${change === undefined ? NOTHING : changeSection(change, namesOf(data))}${change === undefined ? alone.map(evaluateSection) : NOTHING}`;
}

function changeSection(change: ChangeReport, [before, after]: Names): Html {
  const { metrics, rows, confidence, agreement } = change;
  return section(
    "Accuracy before and after",
    `${capital(change.task)} on ${counted(rows, "row")} of ${change.data.join(", ")}; intervals of ${percent(confidence, 0)}. ${agreementText(agreement)}`,
    html`${metrics.map(
      (metric) =>
        html`<h3>${metric.name}</h3>
          ${intervalChart(
            `${metric.name} before and after`,
            [
              estimate(before, metric.reference, "float"),
              estimate(after, metric.candidate, "int8"),
            ],
            (value) => valueText(value, metric.reference),
          )}`,
    )}${
      metrics.length === 0
        ? NOTHING
        : htmlTable(
            "Metrics of both models on the same rows",
            [
              { title: "metric", short: true },
              { title: before, figures: true },
              { title: after, figures: true },
              { title: "difference", figures: true },
              { title: "by chance (p)", figures: true },
            ],
            metrics.map(changeRow),
          )
    }`,
  );
}

function changeRow(metric: MetricChangeReport): string[] {
  const { reference, candidate, low, high, test } = metric;
  const interval =
    low === null || high === null
      ? ""
      : ` (${difference(low, reference)} … ${difference(high, reference)})`;
  return [
    metric.name,
    withInterval(reference),
    withInterval(candidate),
    `${signed(metric)}${interval}`,
    test.p === null ? "–" : test.p.toPrecision(2),
  ];
}

function evaluateSection(report: EvaluateReport): Html {
  const { metrics, rows, task, confidence, model } = report;
  const columns: readonly HtmlColumn[] = [
    { title: "metric", short: true },
    { title: "value", figures: true },
    { title: "interval", figures: true },
  ];
  return section(
    `${capital(task)}: ${shorten(model, 60)}`,
    `On ${counted(rows, "row")} of ${report.data.join(", ")}; intervals of ${percent(confidence, 0)}.`,
    html`${metrics.map((metric) =>
      intervalChart(metric.name, [estimate(metric.name, metric, "int8")], (value) =>
        valueText(value, metric),
      ),
    )}${htmlTable(
      "Metrics",
      columns,
      metrics.map((metric) => [metric.name, metricValue(metric), ends(metric)]),
    )}`,
  );
}

export function checkSection({ quantize, compare }: PageData): Html {
  const check = quantize?.check;
  const outputs = check?.outputs ?? compare?.outputs ?? [];
  if (outputs.length === 0) return NOTHING;
  const inputs = check?.inputs ?? compare?.inputs;
  const which = check === undefined ? counted(compare?.rows ?? 0, "row") : check.shapes.join(", ");
  return section(
    "Outputs against the float model",
    `Both models ran on the same inputs: ${inputs === "data" ? "data" : "made up"}, ${which}.`,
    htmlTable(
      "Closeness of each output",
      [
        { title: "output", name: true },
        { title: "signal-to-noise", figures: true },
        { title: "equal", figures: true },
      ],
      outputs.map(({ name, snrDb, agreement }) => [
        name,
        snrDb === undefined ? "–" : decibels(snrDb),
        agreement === undefined ? "–" : percent(agreement),
      ]),
    ),
  );
}

function agreementText({
  share,
  equal,
  of,
  unit,
  correlation,
  largestDifference,
}: AgreementReport): string {
  if (share !== undefined) {
    const counts =
      equal === undefined || of === undefined
        ? ""
        : ` (${grouped(equal)} of ${grouped(of)} ${unit ?? "rows"})`;
    return `Predictions agree in ${percent(share, 2)}${counts}.`;
  }
  if (correlation === undefined || correlation === null) return "";
  const most =
    largestDifference === undefined ? "" : `, ${largestDifference.toPrecision(3)} apart at most`;
  return `Predictions correlate by ${correlation.toFixed(4)}${most}.`;
}

function estimate(label: string, metric: MetricReport, tone: Tone): Estimate {
  const { value, low, high } = metric;
  return { label, value, low, high, tone, text: metricValue(metric) };
}

/** Shares of rows are read in percent. */
function isShare({ interval }: MetricReport): boolean {
  return interval === "wilson";
}

function valueText(value: number, like: MetricReport): string {
  return isShare(like) ? percent(value, 2) : value.toFixed(4);
}

function metricValue(metric: MetricReport): string {
  return valueText(metric.value, metric);
}

function ends(metric: MetricReport): string {
  const { low, high } = metric;
  return low === null || high === null
    ? "–"
    : `${valueText(low, metric)} … ${valueText(high, metric)}`;
}

function withInterval(metric: MetricReport): string {
  const { low, high } = metric;
  if (low === null || high === null) return metricValue(metric);
  return `${metricValue(metric)} (${ends(metric)})`;
}

function intervalText(metric: MetricReport, confidence: number): string {
  return `${percent(confidence, 0)}: ${ends(metric)}`;
}

function difference(value: number, like: MetricReport): string {
  const sign = value > 0 ? "+" : value < 0 ? "−" : "±";
  const size = Math.abs(value);
  return `${sign}${isShare(like) ? (size * 100).toFixed(2) : size.toFixed(4)}`;
}

function signed({ difference: value, reference }: MetricChangeReport): string {
  return `${difference(value, reference)}${isShare(reference) ? " points" : ""}`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1).replaceAll("-", " ");
}
