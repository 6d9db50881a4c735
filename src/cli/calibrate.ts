// octavo calibrate: ranges of activations, found apart from quantizing; on one machine or in shards on many.
import { existsSync } from "node:fs";
import { Command, InvalidArgumentError } from "commander";
import type { CalibrateOptions, ManifestKind } from "../node.js";
import { CALIBRATE_DEFAULTS as DEFAULTS } from "../options/defaults.js";
import { Interrupted, interruption, type CommonOptions, type Io } from "./io.js";
import {
  dataRows,
  decimal,
  given,
  MODEL,
  named,
  OPERANDS,
  TARGET,
  wholeNumber,
  withCommon,
  withOptions,
  type OptionRow,
} from "./options.js";

interface Shard {
  readonly index: number;
  readonly count: number;
}

/** What is given; the output is asked for where it is needed. */
interface Given extends Omit<CalibrateOptions, "output"> {
  readonly output?: string | undefined;
  readonly shards?: number | undefined;
  readonly manifest?: ManifestKind | undefined;
  readonly statsOutput?: string | undefined;
}

const ROWS: readonly OptionRow[] = [
  {
    flags: "-o, --output <path>",
    about: "where the statistics go, or the manifest",
    parse: named,
  },
  TARGET,
  { flags: "--no-outliers", about: "as in quantize: outlier channels are not split off" },
  { flags: "--shard <i/n>", about: "run this part of n only, counted from 1", parse: shardOf },
  {
    flags: "--shards <n>",
    about: "run the part that the environment names (see below)",
    parse: wholeNumber,
  },
  { flags: "--merge <files...>", about: "put the files of all shards together" },
  {
    flags: "--manifest <system>",
    about: "run nothing: write what calibrates in --shards on a cluster, and merges",
    choices: ["kubernetes", "slurm"],
  },
  {
    flags: "--stats-output <path>",
    about: "with --manifest: where the merged statistics go (default: stats.json)",
    parse: named,
  },
  {
    flags: "--checkpoint-every <seconds>",
    about: "how often the state of the run is kept, to be resumed where it is cut off",
    parse: decimal,
    default: DEFAULTS.checkpointEvery,
  },
  { flags: "--force", about: "overwrite an existing output" },
  ...OPERANDS,
  ...dataRows(DEFAULTS),
];

export function calibrateCommand(io: Io): Command {
  const command = new Command("calibrate")
    .description("Find ranges of activations on data, whole or in shards, and keep them in a file.")
    .argument("[model]", MODEL)
    .addHelpText("after", EXAMPLES)
    .action(async (model: string | undefined, options: CommonOptions & Given) => {
      const { shards, manifest, output, statsOutput, ...settings } = given(command, options);
      if (manifest !== undefined)
        return writeManifest(io, manifest, model, {
          ...settings,
          ...options,
          output,
          shards,
          statsOutput,
        });
      if (statsOutput !== undefined)
        throw new InvalidArgumentError("--stats-output goes with --manifest.");
      if (output === undefined)
        throw new InvalidArgumentError("--output is missing: where the statistics go.");
      const [{ calibrate }, { calibrateText }, { present }] = await Promise.all([
        import("../node.js"),
        import("../report/text.js"),
        import("./present.js"),
      ]);
      const shard =
        settings.shard ?? (shards === undefined ? undefined : fromEnvironment(io, shards));
      const signal = interruption(io);
      await present(io, options, calibrateText, async (onProgress) => {
        const all = { ...settings, output, ...(shard && { shard }), signal, onProgress };
        const { report } = await calibrate(model, all).catch((error: unknown) =>
          Promise.reject(error instanceof Interrupted ? resumable(output) : error),
        );
        return report;
      });
    });
  return withCommon(withOptions(command, ROWS));
}

function resumable(output: string): Interrupted {
  const part = `${output}.part`;
  return new Interrupted(
    existsSync(part)
      ? `Interrupted. The same command goes on from ${part}.`
      : "Interrupted before the first batch was done: nothing is kept.",
  );
}

/** To the file that is named, else to the standard output. */
async function writeManifest(
  io: Io,
  kind: ManifestKind,
  model: string | undefined,
  options: CommonOptions & Given,
): Promise<void> {
  const { output, force = false, shards } = options;
  const forgotten = model === undefined ? "a model" : shards === undefined ? "--shards" : "";
  if (model === undefined || shards === undefined)
    throw new InvalidArgumentError(`--manifest needs ${forgotten}.`);
  if (options.shard !== undefined || options.merge !== undefined)
    throw new InvalidArgumentError("--manifest goes with neither --shard nor --merge.");
  const [{ calibrationManifest, saveText }, { print }] = await Promise.all([
    import("../node.js"),
    import("./present.js"),
  ]);
  const { target = DEFAULTS.target, samples = DEFAULTS.samples, seed = DEFAULTS.seed } = options;
  const { attention, residual, outliers, data, maxLength } = options;
  const { textColumn, pairColumn, tokensColumn } = options;
  const manifest = calibrationManifest(kind, model, {
    shards,
    target,
    attention,
    residual,
    outliers,
    data,
    samples,
    seed,
    maxLength,
    textColumn,
    pairColumn,
    tokensColumn,
    checkpointEvery: options.checkpointEvery ?? DEFAULTS.checkpointEvery,
    output: options.statsOutput,
  });
  if (output !== undefined) saveText(output, manifest, force);
  if (options.json === true)
    print(io, { version: 1, command: "calibrate", manifest: kind, shards, output, text: manifest });
  else io.stdout.write(output === undefined ? manifest : `${output}\n`);
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
file of one run to the byte. A run that was cut off goes on from OUTPUT.part when the same command
is given again.

Examples:
  octavo calibrate ./my-model --data train.jsonl -o stats.json
  octavo quantize ./my-model --mode static --stats stats.json        no data needed any more
  octavo calibrate ./my-model --data train.jsonl --shard 3/8 -o part3.json
  octavo calibrate --merge part*.json -o stats.json
  octavo calibrate ./my-model --data texts --samples all --shards 64 --manifest slurm -o job.sh
`;
