// octavo calibrate: ranges of activations, found apart from quantizing; on one machine or in shards on many.
import { Command, InvalidArgumentError } from "commander";
import type { TargetName } from "../node.js";
import type { CommonOptions, Io } from "./io.js";
import {
  MODEL,
  named,
  targetOption,
  wholeNumber,
  withCommon,
  withData,
  withOperands,
  type DataOptions,
  type OperandOptions,
} from "./options.js";

interface Shard {
  readonly index: number;
  readonly count: number;
}

interface Options extends CommonOptions, DataOptions, OperandOptions {
  readonly output: string;
  readonly target: TargetName;
  readonly outliers: boolean;
  readonly shard?: Shard;
  readonly shards?: number;
  readonly merge?: string[];
  readonly force?: boolean;
}

export function calibrateCommand(io: Io): Command {
  const command = new Command("calibrate")
    .description("Find ranges of activations on data, whole or in shards, and keep them in a file.")
    .argument("[model]", MODEL)
    .requiredOption("-o, --output <path>", "where the statistics go", named)
    .addOption(targetOption())
    .option("--no-outliers", "as in quantize: outlier channels are not set apart")
    .option("--shard <i/n>", "run this part of n only, counted from 1", shardOf)
    .option("--shards <n>", "run the part that the environment names (see below)", wholeNumber)
    .option("--merge <files...>", "put the files of all shards together")
    .option("--force", "overwrite an existing output")
    .addHelpText("after", EXAMPLES)
    .action(async (model: string | undefined, options: Options) => {
      const [{ calibrate }, { calibrateText }, { present }] = await Promise.all([
        import("../node.js"),
        import("../report/text.js"),
        import("./present.js"),
      ]);
      const { json: _json, verbose: _verbose, shards, ...settings } = options;
      const shard =
        options.shard ?? (shards === undefined ? undefined : fromEnvironment(io, shards));
      await present(io, options, calibrateText, async (onProgress) => {
        const given = { ...settings, ...(shard && { shard }), onProgress };
        const { report } = await calibrate(model, given);
        return report;
      });
    });
  return withCommon(withData(withOperands(command)));
}

function shardOf(value: string): Shard {
  const [, index, count] = /^(\d+)\/(\d+)$/.exec(value)?.map(Number) ?? [];
  if (index === undefined || count === undefined || index < 1 || index > count)
    throw new InvalidArgumentError("It is no part such as 3/8, counted from 1.");
  return { index: index - 1, count };
}

/** The index of a Kubernetes Indexed Job counts from 0, that of a Slurm array from its own minimum. */
function fromEnvironment({ env }: Io, count: number): Shard {
  const job = env["JOB_COMPLETION_INDEX"];
  const task = env["SLURM_ARRAY_TASK_ID"];
  const first = job === undefined ? (env["SLURM_ARRAY_TASK_MIN"] ?? "0") : "0";
  const index = job ?? task;
  if (index === undefined || !/^\d+$/.test(index) || !/^\d+$/.test(first))
    throw new InvalidArgumentError(
      "--shards takes the part from JOB_COMPLETION_INDEX or SLURM_ARRAY_TASK_ID, and neither is set. Use --shard i/n.",
    );
  return { index: Number(index) - Number(first), count };
}

const EXAMPLES = `
--shards reads which part to run from JOB_COMPLETION_INDEX (a Kubernetes Indexed Job) or
SLURM_ARRAY_TASK_ID (a Slurm array). The files of all parts, merged in any order, equal the
file of one run to the byte.

Examples:
  octavo calibrate ./my-model --data train.jsonl -o stats.json
  octavo quantize ./my-model --mode static --stats stats.json        no data needed any more
  octavo calibrate ./my-model --data train.jsonl --shard 3/8 -o part3.json
  octavo calibrate --merge part*.json -o stats.json
`;
