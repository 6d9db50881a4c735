// Options of calibrate.
import * as v from "valibot";
import type { TargetName } from "../targets/all.js";
import { checkOptions } from "./check.js";
import { CALIBRATE_DEFAULTS as DEFAULTS } from "./defaults.js";
import {
  calls,
  columns,
  counts,
  fromZero,
  operands,
  path,
  paths,
  samples,
  schemaOf,
  target,
  whole,
} from "./fields.js";
import type { CallOptions, DataOptions, OperandOptions } from "./groups.js";
import { requireTaken } from "./taken.js";

/** A part of a run: every `count`-th batch from the `index`-th on. */
export interface ShardOptions {
  /** From 0 to count − 1. (The command line counts from 1.) */
  readonly index: number;
  /** Parts of the whole run. */
  readonly count: number;
}

export interface CalibrateOptions extends DataOptions, OperandOptions, CallOptions {
  /** Where the statistics go. */
  readonly output: string;
  /**
   * Overwrite an existing output.
   * @default false
   */
  readonly force?: boolean | undefined;
  /**
   * The mode that statistics are for; there is one.
   * @default "static"
   */
  readonly mode?: "static" | undefined;
  /**
   * Where the model will run: it decides which values are observed.
   * @default "cpu"
   */
  readonly target?: TargetName | undefined;
  /**
   * Outlier channels are split off, as in quantize: statistics with them do not fit a model without.
   * @default true
   */
  readonly outliers?: boolean | undefined;
  /**
   * Seed of the sample.
   * @default 0
   */
  readonly seed?: number | undefined;
  /** The part of the batches that this process runs. Left out: all. */
  readonly shard?: ShardOptions | undefined;
  /** Files of all shards, put together instead of calibrating: the result equals that of one run, to the byte. */
  readonly merge?: readonly string[] | undefined;
  /**
   * Seconds between two checkpoints, from which the same call goes on where it was cut off; 0: after each batch.
   * @default 10
   */
  readonly checkpointEvery?: number | undefined;
}

const schema = schemaOf<CalibrateOptions>()({
  ...operands,
  ...columns,
  ...calls,
  mode: v.optional(v.literal(DEFAULTS.mode), DEFAULTS.mode),
  target: v.optional(target, DEFAULTS.target),
  outliers: v.optional(v.boolean(), DEFAULTS.outliers),
  data: v.optional(paths),
  samples: v.optional(samples, DEFAULTS.samples),
  maxLength: v.optional(counts),
  seed: v.optional(whole, DEFAULTS.seed),
  output: path,
  force: v.optional(v.boolean(), DEFAULTS.force),
  checkpointEvery: v.optional(fromZero, DEFAULTS.checkpointEvery),
  shard: v.optional(schemaOf<ShardOptions>()({ index: whole, count: counts })),
  merge: v.optional(v.array(path)),
});

export type CalibrateSettings = v.InferOutput<typeof schema>;

/** Options with their defaults. Throws OptionError. */
export function calibrateSettings(options: CalibrateOptions): CalibrateSettings {
  const settings = checkOptions(schema, options);
  requireTaken(options, settings, { modes: {}, defaults: DEFAULTS });
  return settings;
}
