// Shapes that broadcast, with sizes that are not known.
import { expect, test } from "vitest";
import { broadcastShapes } from "./broadcast.js";

test("an unknown size is not taken for 1", () => {
  expect(
    broadcastShapes([
      [1, 3, 1],
      [null, null, null],
    ]),
  ).toEqual([null, 3, null]);
  expect(
    broadcastShapes([
      [null, null],
      [4, 1, 1],
    ]),
  ).toEqual([4, null, null]);
});
