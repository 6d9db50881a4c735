import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  benchmarkReport,
  compareReport,
  evaluateReport,
  quantizeReport,
} from "../../test/reports.js";
import { reportJson } from "./json.js";
import { parseReport } from "./schema.js";

const REPORTS = [quantizeReport(), evaluateReport(), compareReport(), benchmarkReport()];

describe.each(REPORTS.map((report) => ({ report, command: report.command })))(
  "$command",
  ({ report }) => {
    test("is read back as it was written", () => {
      expect(parseReport(reportJson(report))).toEqual({ ok: true, report });
    });

    test("of another version is told, and not read", () => {
      const parsed = parseReport(reportJson({ ...report, version: 2 }));
      expect(parsed).toMatchObject({ ok: false, got: '"version" is 2', expected: "1 there" });
    });

    test("without one of its fields, or with one of another kind, never passes nor throws", () => {
      const required = Object.keys(report).filter((key) => key !== "command");
      fc.assert(
        fc.property(
          fc.constantFrom(...required),
          fc.constantFrom<unknown>(Symbol("gone"), null, {}, "x", -1, [1]),
          (key, value) => {
            const changed = { ...report, [key]: value };
            const parsed = parseReport(reportJson(changed));
            // What a field may be as well (a text for a text, nothing for what may be absent) is read as it is.
            if (parsed.ok) expect(parseReport(reportJson(parsed.report))).toEqual(parsed);
            else expect(parsed.got).not.toBe("");
          },
        ),
      );
    });

    test("cut anywhere, it is no report", () => {
      const text = reportJson(report);
      fc.assert(
        fc.property(fc.integer({ min: 0, max: text.length - 1 }), (end) => {
          expect(parseReport(text.slice(0, end))).toMatchObject({
            ok: false,
            got: "it is not JSON",
          });
        }),
      );
    });
  },
);

test("ratios keep their meaning: nothing differs, no signal at all, a number", () => {
  const outputs = [Infinity, -Infinity, NaN, 31.5].map((snrDb) => ({ name: "y", snrDb }));
  const check = { inputs: "synthetic" as const, shapes: [], outputs };
  const text = reportJson(quantizeReport({ check }));
  expect(text).toContain('"snrDb": null');
  const parsed = parseReport(text);
  if (!parsed.ok || parsed.report.command !== "quantize") throw new Error("not read");
  expect(parsed.report.check?.outputs.map(({ snrDb }) => snrDb)).toEqual([
    Infinity,
    -Infinity,
    -Infinity,
    31.5,
  ]);
});

test("fields of later versions are passed over; what is no report says what is expected", () => {
  expect(parseReport(reportJson({ ...benchmarkReport(), later: 1 })).ok).toBe(true);
  for (const text of ["{}", "[]", "null", '{"version":1,"command":"inspect"}'])
    expect(parseReport(text)).toMatchObject({ ok: false });
});
