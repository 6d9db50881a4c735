import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bytes, counted, decibels, grouped, percent, printable, seconds, shape } from "./format.js";

test("bytes: decimal units, three digits", () => {
  expect([0, 1, 999, 1000, 999_499, 999_500, 28_269_204, 4.35e8, 2e9, 7e15].map(bytes)).toEqual([
    "0 B",
    "1 B",
    "999 B",
    "1.00 kB",
    "999 kB",
    "1.00 MB",
    "28.3 MB",
    "435 MB",
    "2.00 GB",
    "7000 TB",
  ]);
});

test("seconds: from milliseconds to hours, never 60 of a smaller unit", () => {
  expect([0, 0.00222, 0.0256, 0.0994, 0.0995, 0.42, 9.99, 10.1, 99.4].map(seconds)).toEqual([
    "0.00 ms",
    "2.22 ms",
    "25.6 ms",
    "99.4 ms",
    "0.10 s",
    "0.42 s",
    "9.99 s",
    "10.1 s",
    "99.4 s",
  ]);
  expect([99.6, 200, 3599.4, 3599.6, 7384].map(seconds)).toEqual([
    "1 min 40 s",
    "3 min 20 s",
    "59 min 59 s",
    "1 h 0 min",
    "2 h 3 min",
  ]);
});

test("ratios: exact where there is no noise, no signal where there is only noise", () => {
  expect([24.61, -3, Infinity, -Infinity, NaN].map(decibels)).toEqual([
    "24.6 dB",
    "-3.0 dB",
    "exact",
    "no signal",
    "no signal",
  ]);
  expect(percent(0.2549)).toBe("25.5 %");
  expect(percent(0.2549, 2)).toBe("25.49 %");
});

test("counts: grouped by thousands, one thing in the singular", () => {
  expect([0, 12, 999, 1000, 13_297_538].map(grouped)).toEqual([
    "0",
    "12",
    "999",
    "1,000",
    "13,297,538",
  ]);
  expect([0, 1, 1000].map((n) => counted(n, "site"))).toEqual(["0 sites", "1 site", "1,000 sites"]);
  expect(counted(2, "entry", "entries")).toBe("2 entries");
});

test("shapes: an unknown dim is a question mark", () => {
  expect(shape([384, "batch", null])).toBe("384 × batch × ?");
  expect(shape([])).toBe("");
});

describe("printable", () => {
  test("takes the power from escapes, line ends and text that turns its direction", () => {
    expect(printable("a\u001b[2Jb")).toBe("a\ufffd[2Jb");
    expect(printable("weight\r\nError: forged\tname")).toBe("weight Error: forged name");
    expect(printable("\u202egnp.exe\u2066\u009b31m\u0007")).toBe(
      "\ufffdgnp.exe\ufffd\ufffd31m\ufffd",
    );
  });

  test("lets no control character through, and leaves other text alone", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(printable(text)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        fc.pre(!/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u.test(text));
        expect(printable(text)).toBe(text);
      }),
    );
  });
});
