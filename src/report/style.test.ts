import { expect, test } from "vitest";
import { styleFor, wantsColor } from "./style.js";

const terminal = { isTTY: true, columns: 100 };

test("no colour off a terminal", () => {
  expect(styleFor({}, {}).colors.red("text")).toBe("text");
  expect(styleFor(terminal, {}).colors.red("text")).toBe("\u001b[31mtext\u001b[39m");
});

test("NO_COLOR and a dumb terminal forbid colours, FORCE_COLOR demands them", () => {
  expect(wantsColor(terminal, { NO_COLOR: "1" })).toBe(false);
  expect(wantsColor(terminal, { NO_COLOR: "" })).toBe(true);
  expect(wantsColor(terminal, { TERM: "dumb" })).toBe(false);
  expect(wantsColor({}, { FORCE_COLOR: "1" })).toBe(true);
  expect(wantsColor(terminal, { FORCE_COLOR: "0" })).toBe(false);
  expect(wantsColor({}, { FORCE_COLOR: "1", NO_COLOR: "1" })).toBe(false);
});

test("as wide as the terminal between 60 and 120 letters, 80 elsewhere", () => {
  const width = (columns?: number) => styleFor({ isTTY: true, columns }).width;
  expect([width(100), width(20), width(0), width(500), width()]).toEqual([100, 60, 60, 120, 80]);
  expect(styleFor({ columns: 200 }).width).toBe(80);
});
