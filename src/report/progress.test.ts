import { describe, expect, test } from "vitest";
import { progressLine, progressText } from "./progress.js";

describe("progressText", () => {
  test("tells share, rate and the time that is left", () => {
    const text = progressText(
      { step: "calibrating", done: 320, total: 1000, unit: "sentences" },
      7.1,
    );
    expect(text).toBe("calibrating  320 of 1,000 sentences (32 %), 45/s, 15.1 s left");
  });

  test("claims nothing that it does not know", () => {
    expect(progressText({ step: "reading", done: 0, total: 0 }, 0)).toBe("reading");
    expect(progressText({ step: "reading", done: 1234, unit: "lines" }, 0)).toBe(
      "reading  1,234 lines",
    );
    expect(progressText({ step: "reading", done: 30, unit: "lines" }, 10)).toBe(
      "reading  30 lines, 3.0/s",
    );
    expect(progressText({ step: "reading", done: 0, total: 8 }, 2)).toBe("reading  0 of 8 (0 %)");
  });

  test("says 100 % at the end only, and no time left there", () => {
    expect(progressText({ step: "s", done: 1999, total: 2000 }, 1)).toContain("(99 %)");
    expect(progressText({ step: "s", done: 2000, total: 2000 }, 1)).toBe(
      "s  2,000 of 2,000 (100 %), 2,000/s",
    );
  });
});

describe("progressLine", () => {
  function terminal(columns?: number) {
    const written: string[] = [];
    return { written, isTTY: true, columns, write: (text: string) => written.push(text) };
  }
  const CLEAR = "\r\u001b[K";

  test("is silent where nobody watches", () => {
    const written: string[] = [];
    const line = progressLine({ write: (text) => written.push(text) });
    line.report({ step: "reading", done: 1, total: 2 });
    line.end();
    expect(written).toEqual([]);
  });

  test("changes ten times a second at most, at once for a new step, and is wiped away at the end", () => {
    const output = terminal();
    let time = 0;
    const line = progressLine(output, () => time);
    line.report({ step: "reading", done: 0, total: 100 });
    time = 0.05;
    line.report({ step: "reading", done: 1, total: 100 });
    time = 0.5;
    line.report({ step: "reading", done: 50, total: 100 });
    line.report({ step: "writing", done: 0, total: 0 });
    line.end();
    expect(output.written).toEqual([
      `${CLEAR}reading  0 of 100 (0 %)`,
      `${CLEAR}reading  50 of 100 (50 %), 100/s, 0.50 s left`,
      `${CLEAR}writing`,
      CLEAR,
    ]);
  });

  test("stays on one line of a narrow terminal", () => {
    const output = terminal(20);
    const line = progressLine(output, () => 0);
    line.report({ step: "reading with the float model", done: 5, total: 10 });
    expect(output.written).toEqual([`${CLEAR}reading w…10 (50 %)`]);
    expect(output.written[0]).toHaveLength(CLEAR.length + 19);
  });

  test("wipes nothing where nothing was shown", () => {
    const output = terminal();
    progressLine(output, () => 0).end();
    expect(output.written).toEqual([]);
  });
});
