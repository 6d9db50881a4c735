import { expect, test } from "vitest";
import { targetFor } from "./all.js";
import { choose } from "./choices.js";

const of = (name: "cpu" | "openvino" | "tensorrt", mode: "dynamic" | "static" = "static") =>
  targetFor(name, mode);

test("each target has its defaults", () => {
  expect(choose(of("cpu"), "static", {})).toEqual({
    attention: "none",
    residual: "none",
    fp16: false,
  });
  expect(choose(of("tensorrt"), "static", {})).toEqual({
    attention: "none",
    residual: "skip",
    fp16: false,
  });
  expect(choose(of("cpu", "dynamic"), "dynamic", {}).attention).toBe("none");
});

test("a choice that a target does not have is an error that says what there is", () => {
  expect(() => choose(of("cpu"), "static", { residual: "skip" })).toThrow(
    "--residual skip with --mode static --target cpu is not possible: there is nothing to choose there. Leave --residual out.",
  );
  expect(() => choose(of("tensorrt"), "static", { attention: "values" })).toThrow(
    "--attention values with --mode static --target tensorrt is not possible: the target has no such form. Use one of none, all.",
  );
  expect(() => choose(of("openvino"), "static", { fp16: true })).toThrow(/--fp16 .* openvino/);
  expect(() => choose(of("cpu", "dynamic"), "dynamic", { attention: "all" })).toThrow(
    /--attention all with --mode dynamic/,
  );
});
