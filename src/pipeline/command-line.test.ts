import { execFileSync } from "node:child_process";
import fc from "fast-check";
import { expect, test } from "vitest";
import { commandLine } from "./command-line.js";

test("what is as by default is left out; lists, flags and outputs are as on the command line", () => {
  const options = {
    mode: "static",
    target: "cpu",
    data: ["a.jsonl", "b.jsonl"],
    samples: 64,
    round: false,
    fp16: true,
    textColumn: "my text",
    output: "out.onnx",
    plan: undefined,
    onProgress: () => undefined,
  };
  expect(commandLine("quantize", ["./my model"], options, { target: "cpu", fp16: false })).toBe(
    "octavo quantize './my model' --mode static --data a.jsonl --data b.jsonl --samples 64 --no-round --fp16 " +
      "--text-column 'my text' -o out.onnx",
  );
  const shapes = { shapes: ["1x32", "8x128"], threads: [1, 2] };
  expect(commandLine("benchmark", ["a", "b"], shapes, {})).toBe(
    "octavo benchmark a b --shapes 1x32,8x128 --threads 1,2",
  );
});

test.skipIf(process.platform === "win32")("a shell reads each word as it was", () => {
  const word = fc.string({ minLength: 1 }).filter((text) => !/[\0\n]/.test(text));
  fc.assert(
    fc.property(fc.array(word, { minLength: 1, maxLength: 4 }), (words) => {
      const line = commandLine("quantize", words, {}, {}).replace(/^octavo quantize/, "");
      const read = execFileSync("sh", ["-c", `printf '%s\\n' ${line}`], { encoding: "utf8" });
      expect(read).toBe(words.map((text) => `${text}\n`).join(""));
    }),
    { numRuns: 20 },
  );
});
