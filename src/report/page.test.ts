import { describe, expect, test } from "vitest";
import {
  benchmarkReport,
  compareReport,
  evaluateReport,
  quantizeReport,
  sites,
} from "../../test/reports.js";
import { reportPage } from "./page.js";

const ALL = [quantizeReport(), evaluateReport(), compareReport(), benchmarkReport()];

/** Text between tags. */
function textOf(page: string): string {
  return page.replaceAll(/<style>[^]*?<\/style>/g, "").replaceAll(/<[^>]+>/g, " ");
}

function headingsOf(page: string): string[] {
  return [...page.matchAll(/<h2>(.*?)<\/h2>/g)].map(([, title = ""]) => title);
}

describe("reportPage", () => {
  test("shows what is in the reports, in this order", () => {
    expect(headingsOf(reportPage(ALL))).toEqual([
      "Warning",
      "Accuracy before and after",
      "Size by part",
      "Latency",
      "Memory",
      "Outputs against the float model",
      "What was done",
      "Error by site",
      "Activations and their ranges",
      "Layers",
      "Again",
    ]);
    const text = textOf(reportPage(ALL)).replaceAll(/\s+/g, " ");
    for (const fact of [
      "static INT8 for target cpu",
      "400 MB → 110 MB",
      "31.3 dB",
      "−0.30 points",
      "4 of 6",
      "A range is wide.",
      "GELU × 2",
      "smoothing 27.5 dB +3.8 dB",
      "rounding 32.0 dB −0.8 dB",
      "20 in a million",
      "gains no speed",
      "octavo quantize my-model --mode static --data train.jsonl",
      "Octavo 0.1.0, onnxruntime-node 1.30.0, Node 20.19.0, linux x64; A CPU, 2 cores.",
    ])
      expect(text).toContain(fact);
  });

  test.each([
    ["quantize", 0, "What was done"],
    ["evaluate", 1, "Text classification: my-model/onnx/model.onnx"],
    ["compare", 2, "Error by site"],
    ["benchmark", 3, "Latency"],
  ])("is made of %s alone, too", (_, index, heading) => {
    const page = reportPage(ALL.slice(index, index + 1));
    expect(headingsOf(page)).toContain(heading);
    expect(page).not.toMatch(/undefined|NaN|\[object/);
  });

  test("says little of little: dynamic, unchecked, no sites, no reports", () => {
    const { calibration: _1, check: _2, clipped: _3, evaluation: _4, ...rest } = quantizeReport();
    const { parts: _5, ablation: _9, ranges: _6, commandLine: _7, environment: _8, ...bare } = rest;
    const page = reportPage([{ ...bare, sites: [], warnings: [] }]);
    expect(headingsOf(page)).toEqual(["What was done"]);
    expect(page).not.toMatch(/undefined|NaN|\[object/);
    expect(headingsOf(reportPage([]))).toEqual([]);
  });

  test("every chart has its table", () => {
    const page = reportPage(ALL);
    for (const [, section = ""] of page.matchAll(/<section[^>]*>(.*?)<\/section>/gs))
      if (section.includes("<svg")) expect(section).toContain("<table");
    expect(page.match(/<svg/g)?.length).toBeGreaterThan(6);
  });

  test("names are text, wherever they come from", () => {
    const evil = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>`;
    const poison = (value: unknown): unknown => {
      if (typeof value === "string") return evil;
      if (Array.isArray(value)) return value.map(poison);
      if (typeof value !== "object" || value === null) return value;
      return Object.fromEntries(
        Object.entries(value).map(([key, inner]) => [
          key,
          // What decides how a report is read stays.
          ["command", "kind", "runs", "interval", "better", "inputs", "part", "operand"].includes(
            key,
          )
            ? inner
            : poison(inner),
        ]),
      );
    };
    const page = reportPage(ALL.map((report) => poison(report) as (typeof ALL)[number]));
    const clean = reportPage(ALL);
    const tags = (text: string) =>
      new Set([...text.matchAll(/<([a-z0-9]+)/g)].map(([, name = ""]) => name));
    expect(tags(page)).toEqual(tags(clean));
    expect(page).not.toMatch(/<script|<img/);
    expect(page.match(/\son[a-z]+\s*=\s*["'a-z](?![^<]*&gt;)/g)).toBeNull();
  });

  test("asks for nothing beyond itself", () => {
    const page = reportPage(ALL);
    expect(page).not.toMatch(/https?:|url\(|@import|<script|<link(?! rel="icon" href="data:,")/);
    expect(page).toContain("default-src &#39;none&#39;".replaceAll("&#39;", "'"));
  });

  test("stays under 1 MB for a model of thousands of sites", () => {
    const many = sites(5000);
    const [range] = quantizeReport().ranges ?? [];
    if (range === undefined) throw new Error("no range");
    const ranges = many.map(({ name }, i) => ({
      ...range,
      sites: [name],
      histogram: Array.from({ length: 40 }, (_, bin) => 1 + ((bin * 7919 + i) % 100_000)),
    }));
    const clipped = many.map(({ name: site }) => ({
      site,
      operand: "activation" as const,
      share: 0.1,
    }));
    const compared = compareReport({
      sites: many.map(({ name, kind }) => ({
        site: name,
        kind,
        shape: [],
        reference: "a",
        candidate: "b",
        matched: "name",
        snrDb: 30,
        fallDb: 0,
        cosine: 1,
      })),
    });
    const page = reportPage([quantizeReport({ sites: many, ranges, clipped }), compared]);
    expect(new TextEncoder().encode(page).length).toBeLessThan(1_000_000);
    expect(page).toContain("4800 more, which lose less, are in the table alone.");
  });
});
