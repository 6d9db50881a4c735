// octavo benchmark: latency, throughput and memory of models, in turn.
import { Command, InvalidArgumentError } from "commander";
import type { BenchmarkOptions } from "../node.js";
import { BENCHMARK_DEFAULTS as DEFAULTS } from "../options/defaults.js";
import type { CommonOptions, Io } from "./io.js";
import {
  given,
  MODEL,
  named,
  wholeNumber,
  withCommon,
  withOptions,
  type OptionRow,
} from "./options.js";

const ROWS: readonly OptionRow[] = [
  {
    flags: "--shapes <list>",
    about: "batch × length of the inputs (default: 1x32,1x128,8x128, as far as they fit)",
    parse: (value: string) => named(value).split(","),
  },
  {
    flags: "--threads <list>",
    about: "numbers of threads",
    parse: threadList,
    default: DEFAULTS.threads,
  },
  {
    flags: "--runtime <name>",
    about: "what runs the models",
    choices: ["onnxruntime-node", "onnxruntime-web"],
    default: DEFAULTS.runtime,
  },
  {
    flags: "--rounds <number>",
    about: "rounds of a shape at most",
    parse: wholeNumber,
    default: DEFAULTS.rounds,
  },
  {
    flags: "--seconds <number>",
    about: "… and seconds, after three rounds",
    parse: wholeNumber,
    default: DEFAULTS.seconds,
  },
  {
    flags: "--seed <number>",
    about: "seed of the inputs and of the intervals",
    parse: wholeNumber,
    default: DEFAULTS.seed,
  },
  {
    flags: "--no-memory",
    about: "do not measure memory (in a process of its own for each model)",
  },
];

export function benchmarkCommand(io: Io): Command {
  const command = new Command("benchmark")
    .description(
      "Time models against the first of them, round by round in turn, on dummy inputs; and the memory of each.",
    )
    .argument("<models...>", MODEL)
    .addHelpText("after", EXAMPLES)
    .action(async (models: string[], options: CommonOptions & BenchmarkOptions) => {
      const [{ benchmark }, { benchmarkText }, { present }] = await Promise.all([
        import("../node.js"),
        import("../report/benchmark-text.js"),
        import("./present.js"),
      ]);
      const settings = given(command, options);
      await present(io, options, benchmarkText, (onProgress) =>
        benchmark(models, { ...settings, onProgress }),
      );
    });
  return withCommon(withOptions(command, ROWS));
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
