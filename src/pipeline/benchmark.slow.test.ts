import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { benchmark } from "../node.js";

const demo = fileURLToPath(new URL("../../examples/demo-reviews", import.meta.url));

// Its threads are set once in a process.
test("onnxruntime-web runs with several numbers of threads, each in a process", async () => {
  const { timings, environment } = await benchmark([demo], {
    runtime: "onnxruntime-web",
    shapes: ["1x8"],
    threads: [1, 2],
    rounds: 3,
    seconds: 0,
    memory: false,
  });
  expect(timings.map(({ threads }) => threads)).toEqual([1, 2]);
  expect(environment.runtime).toMatch(/^onnxruntime-web \d/);
});
