// Options of benchmark.
import * as v from "valibot";
import { RUNTIME_NAMES, type RuntimeName } from "../runtime/runtime.js";
import { checkOptions } from "./check.js";
import { BENCHMARK_DEFAULTS as DEFAULTS } from "./defaults.js";
import { calls, counts, fromZero, path, schemaOf, whole } from "./fields.js";
import type { CallOptions } from "./groups.js";

export interface BenchmarkOptions extends CallOptions {
  /** Shapes of the inputs, batch × length, as `"8x128"`. Left out: 1x32, 1x128 and 8x128, as far as the models admit them. */
  readonly shapes?: readonly string[] | undefined;
  /**
   * Numbers of threads within an operator; each is measured.
   * @default [1]
   */
  readonly threads?: readonly number[] | undefined;
  /**
   * What runs the models.
   * @default "onnxruntime-node"
   */
  readonly runtime?: RuntimeName | undefined;
  /**
   * Rounds of a shape at most.
   * @default 200
   */
  readonly rounds?: number | undefined;
  /**
   * Seconds after which no further round of a shape begins; three are made in any case.
   * @default 10
   */
  readonly seconds?: number | undefined;
  /**
   * Run each model in a process of its own, too, for the memory that it takes.
   * @default true
   */
  readonly memory?: boolean | undefined;
  /**
   * Seed of the inputs and of the intervals.
   * @default 0
   */
  readonly seed?: number | undefined;
}

const schema = schemaOf<BenchmarkOptions>()({
  ...calls,
  shapes: v.optional(v.pipe(v.array(path), v.minLength(1))),
  threads: v.optional(v.pipe(v.array(counts), v.minLength(1)), [...DEFAULTS.threads]),
  runtime: v.optional(v.picklist(RUNTIME_NAMES), DEFAULTS.runtime),
  rounds: v.optional(counts, DEFAULTS.rounds),
  seconds: v.optional(fromZero, DEFAULTS.seconds),
  memory: v.optional(v.boolean(), DEFAULTS.memory),
  seed: v.optional(whole, DEFAULTS.seed),
});

export type BenchmarkSettings = v.InferOutput<typeof schema>;

/** Options with their defaults. Throws OptionError. */
export function benchmarkSettings(options: BenchmarkOptions): BenchmarkSettings {
  return checkOptions(schema, options);
}
