// octavo benchmark: latency, throughput and memory of models, in turn.
import { Command, InvalidArgumentError, Option } from "commander";
import type { CommonOptions, Io } from "./io.js";
import { MODEL, named, wholeNumber, withCommon } from "./options.js";

interface Options extends CommonOptions {
  readonly shapes?: string[];
  readonly threads: number[];
  readonly runtime: "onnxruntime-node" | "onnxruntime-web";
  readonly rounds: number;
  readonly seconds: number;
  readonly seed: number;
  readonly memory: boolean;
}

export function benchmarkCommand(io: Io): Command {
  const command = new Command("benchmark")
    .description(
      "Time models against the first of them, round by round in turn, on made-up inputs; and the memory of each.",
    )
    .argument("<models...>", MODEL)
    .option(
      "--shapes <list>",
      "batch × length of the inputs (default: 1x32,1x128,8x128, as far as they fit)",
      (value: string) => named(value).split(","),
    )
    .option("--threads <list>", "numbers of threads", threadList, [1])
    .addOption(
      new Option("--runtime <name>", "what runs the models")
        .choices(["onnxruntime-node", "onnxruntime-web"])
        .default("onnxruntime-node"),
    )
    .option("--rounds <number>", "rounds of a shape at most", wholeNumber, 200)
    .option("--seconds <number>", "… and seconds, after three rounds", wholeNumber, 10)
    .option("--seed <number>", "seed of the inputs and of the intervals", wholeNumber, 0)
    .option("--no-memory", "do not measure memory (in a process of its own for each model)")
    .addHelpText("after", EXAMPLES)
    .action(async (models: string[], options: Options) => {
      const [{ benchmark }, { benchmarkText }, { present }] = await Promise.all([
        import("../node.js"),
        import("../report/benchmark-text.js"),
        import("./present.js"),
      ]);
      const { json: _json, verbose: _verbose, ...settings } = options;
      await present(io, options, benchmarkText, (onProgress) =>
        benchmark(models, { ...settings, onProgress }),
      );
    });
  return withCommon(command);
}

function threadList(value: string): number[] {
  const numbers = value.split(",").map(wholeNumber);
  if (numbers.includes(0)) throw new InvalidArgumentError("A number of threads is 1 or more.");
  return numbers;
}

const EXAMPLES = `
Examples:
  octavo benchmark ./my-model ./my-model/onnx/model_quantized.onnx
  octavo benchmark a.onnx b.onnx --shapes 1x32,8x128 --threads 1,2
  octavo benchmark a.onnx b.onnx --runtime onnxruntime-web --threads 4
  octavo benchmark a.onnx b.onnx --json > run/benchmark.json      for octavo report run
`;
