import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  barChart,
  dotChart,
  histogramChart,
  intervalChart,
  stackChart,
  type Bar,
  type Dot,
  type Estimate,
} from "./charts.js";
import { NOTHING } from "./html.js";

const bar = (value: number, more: Partial<Bar> = {}): Bar => ({
  label: "a",
  value,
  text: "1 ms",
  tone: "float",
  ...more,
});
const estimate = (value: number, low: number | null, high: number | null): Estimate => ({
  label: "float",
  text: "90 %",
  value,
  low,
  high,
  tone: "float",
});
const dot = (value: number): Dot => ({ label: "site", value, tone: "a" });
const anyNumber = fc.double();

/** All numbers of coordinates and sizes. */
function numbersIn(markup: string): number[] {
  return [...markup.matchAll(/ (?:x|y|x1|x2|y1|y2|cx|cy|r|rx|width|height)="(-?[^"%]*)%?"/g)].map(
    ([, text = ""]) => Number(text),
  );
}

/** One element, whose tags are closed in order. */
function expectWhole(markup: string): void {
  const open: string[] = [];
  for (const [, close, name = "", own] of markup.matchAll(/<(\/?)([a-z]+)[^>]*?(\/?)>/g)) {
    if (own === "/") continue;
    if (close === "/") expect(open.pop()).toBe(name);
    else open.push(name);
  }
  expect(open).toEqual([]);
  expect(markup).not.toMatch(/NaN|Infinity|undefined/);
}

describe("barChart", () => {
  test("bars are as long as their values, each group on a scale of its own", () => {
    const { markup } = barChart("Latency", [
      { title: "1 × 32", bars: [bar(2), bar(1, { tone: "int8", low: 0.5, high: 1.5 })] },
      { title: "8 × 128", bars: [bar(40)] },
    ]);
    expectWhole(markup);
    expect(markup).toContain('role="img" aria-label="Latency"');
    expect(
      [...markup.matchAll(/class="(?:float|int8)" width="([^"]+)"/g)].map((m) => m[1]),
    ).toEqual(["100%", "50%", "100%"]);
    expect(markup).toMatch(/<line class="span" x1="25%" x2="75%"/);
  });

  test("nothing to show is no chart; what is no number has no bar, but its line", () => {
    expect(barChart("", [])).toBe(NOTHING);
    expect(barChart("", [{ bars: [bar(NaN), bar(0), bar(-Infinity)] }])).toBe(NOTHING);
    const { markup } = barChart("", [{ bars: [bar(NaN, { text: "unknown" }), bar(1)] }]);
    expect(markup.match(/class="float"/g)).toHaveLength(1);
    expect(markup).toContain("unknown");
  });
});

describe("stackChart", () => {
  test("segments stand one after the other, on the scale of the longest bar", () => {
    const segments = [
      { label: "x", value: 30, tone: "a" as const },
      { label: "y", value: 10, tone: "b" as const },
    ];
    const { markup } = stackChart("Size", [
      { label: "before", text: "80", segments: [...segments, ...segments] },
      { label: "after", text: "40", segments },
    ]);
    expectWhole(markup);
    expect(
      [...markup.matchAll(/x="([^"]+)" width="([^"]+)"/g)].map(([, x, width]) => [x, width]),
    ).toEqual([
      ["0%", "37.5%"],
      ["37.5%", "12.5%"],
      ["50%", "37.5%"],
      ["87.5%", "12.5%"],
      ["0%", "37.5%"],
      ["37.5%", "12.5%"],
    ]);
    expect(stackChart("", [])).toBe(NOTHING);
    expect(stackChart("", [{ label: "", text: "", segments: [] }])).toBe(NOTHING);
  });
});

describe("intervalChart", () => {
  test("the intervals fill the scale, whose ends are written", () => {
    const { markup } = intervalChart("Accuracy", [estimate(0.9, 0.8, 1)], (v) => v.toFixed(3));
    expectWhole(markup);
    expect(markup).toMatch(/<circle class="float" cx="50%"/);
    expect(markup).toContain(">0.784<");
    expect(markup).toContain(">1.016<");
  });

  test("one value without an interval is a point in the middle; none are no chart", () => {
    expect(intervalChart("", [estimate(0.5, null, null)], String).markup).toContain('cx="50%"');
    expect(intervalChart("", [estimate(0, null, null)], String).markup).toContain('cx="50%"');
    expect(intervalChart("", [estimate(NaN, null, null)], String)).toBe(NOTHING);
    expect(intervalChart("", [], String)).toBe(NOTHING);
  });
});

describe("dotChart", () => {
  test("a dot for each, with its name; exact ones at the top, those without signal at the bottom", () => {
    const { markup } = dotChart("Error", [dot(10), dot(Infinity), dot(NaN), dot(20)], "dB");
    expectWhole(markup);
    const heights = [...markup.matchAll(/cy="([^"]+)"/g)].map(([, y]) => Number(y));
    expect(heights).toEqual([100, 10, 190, 10]);
    expect(markup).toContain("<title>site</title>");
    expect(markup).toContain("20 dB");
    expect(dotChart("", [], "dB")).toBe(NOTHING);
    expect(dotChart("", [dot(Infinity)], "dB")).toBe(NOTHING);
  });
});

test("of very many dots the lowest of neighbours are shown", () => {
  const dots = Array.from({ length: 2000 }, (_, i) => dot(i === 1001 ? 3 : 40));
  const { markup } = dotChart("", dots, "dB");
  expect(markup.match(/<circle/g)).toHaveLength(500);
  expect(new Set(markup.match(/cy="[^"]+"/g)).size).toBe(2);
});

describe("histogramChart", () => {
  const range = { lowest: -1, highest: 3, min: -2, max: 2 };

  test("bins stand where their values lie, the range is a band with two ends", () => {
    const { markup } = histogramChart("Values", [1, 0, 5, 1], range);
    expectWhole(markup);
    expect(markup).toContain('<rect class="band" x="0" width="800.0"');
    expect(markup).toContain('d="M0 0V100M800 0V100"');
    // From -1 on [-2, 3]: 200 of 1000; each bin is 200 wide, the second is empty, the third the highest.
    expect(markup).toMatch(/d="M200 100v-[\d.]+H400V100zM600 100v-92\.0H800V100zM800 100v/);
  });

  test("nothing seen, or no width, is no chart", () => {
    expect(histogramChart("", [], range)).toBe(NOTHING);
    expect(histogramChart("", [0, 0], range)).toBe(NOTHING);
    expect(histogramChart("", [NaN], range)).toBe(NOTHING);
    expect(histogramChart("", [1], { lowest: 0, highest: 0, min: 0, max: 0 })).toBe(NOTHING);
    expect(histogramChart("", [1], { ...range, max: Infinity })).toBe(NOTHING);
  });
});

test("whatever the numbers, every coordinate is one, and tags are closed", () => {
  fc.assert(
    fc.property(fc.array(anyNumber, { maxLength: 12 }), anyNumber, anyNumber, (values, a, b) => {
      const ends = { lowest: Math.min(a, b), highest: Math.max(a, b), min: a - 1, max: b + 1 };
      const charts = [
        barChart("c", [{ bars: values.map((v) => bar(v, { low: a, high: b })) }]),
        stackChart("c", [
          {
            label: "",
            text: "",
            segments: values.map((value) => ({ label: "", value, tone: "a" })),
          },
        ]),
        intervalChart(
          "c",
          values.map((v) => estimate(v, a, b)),
          () => "end",
        ),
        dotChart("c", values.map(dot), "dB"),
        histogramChart("c", values.map(Math.abs), ends),
      ];
      for (const { markup } of charts) {
        expectWhole(markup);
        for (const number of numbersIn(markup)) expect(Number.isFinite(number)).toBe(true);
      }
    }),
  );
});
