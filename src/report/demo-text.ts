// The demo's report as text for a terminal.
import { bytes, counted, percent, printable, seconds } from "./format.js";
import type { DemoReport, OpinionReport } from "./report.js";
import type { Style } from "./style.js";
import { table, type Column } from "./table.js";

const COLUMNS: readonly Column[] = [
  { title: "" },
  { title: "float", align: "right" },
  { title: "INT8", align: "right" },
  { title: "", align: "right" },
];

export function demoText(report: DemoReport, style: Style): string {
  const { bold } = style.colors;
  const { float, quantized, sentence } = report;
  const rows = [
    ["size", bytes(float.bytes), bytes(quantized.bytes), percent(quantized.bytes / float.bytes)],
    [
      "accuracy",
      percent(float.accuracy),
      percent(quantized.accuracy),
      points(quantized.accuracy - float.accuracy),
    ],
    ...report.shapes.map((shape, i) => {
      const [before = NaN, after = NaN] = [float.latency[i], quantized.latency[i]];
      return [
        `latency ${shape}`,
        seconds(before),
        seconds(after),
        `${(before / after).toFixed(2)}× as fast`,
      ];
    }),
  ];
  return [
    `${bold("Sentiment of reviews, before and after")}\n`,
    table(COLUMNS, rows, style, "  "),
    "\n",
    `  ${counted(report.sentences, "sentence")}; both models agree on ${report.agreement}.\n`,
    `  Latency: sentences × tokens, median, ${counted(report.threads, "thread")}.\n`,
    `  Quantized in ${seconds(report.seconds.quantize)}; the whole demo took ${seconds(report.seconds.total)}.\n`,
    sentence === undefined
      ? `\nTry a sentence of your own: npm run demo -- "The soup was anything but cold."\n`
      : `\n${bold(printable(sentence.text))}\n` +
        table(
          [{ title: "" }, { title: "" }, { title: "", align: "right" }],
          [
            ["float", ...opinion(sentence.float)],
            ["INT8", ...opinion(sentence.quantized)],
          ],
          style,
          "  ",
        ),
  ].join("");
}

function opinion({ label, probability }: OpinionReport): string[] {
  return [printable(label), percent(probability)];
}

/** `−0.1 points`. */
function points(difference: number): string {
  const value = Math.round(difference * 1000) / 10;
  const sign = value > 0 ? "+" : value < 0 ? "−" : "±";
  return `${sign}${Math.abs(value).toFixed(1)} points`;
}
