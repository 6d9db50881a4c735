// Pieces of the schemas, and what holds a schema to its documented interface: a field that differs does not compile.
import * as v from "valibot";
import { BLOCK_SIZES, WEIGHT_FORMS, WEIGHT_RANGES } from "../quant/plan.js";
import type { OnProgress } from "../report/progress.js";
import { TARGET_NAMES } from "../targets/all.js";
import { ATTENTION, RESIDUAL } from "../targets/target.js";
import { TASKS } from "../tasks/read.js";
import { POOLINGS } from "../tasks/sentence-embedding.js";

/** Options of all members of a union as one interface: every option, with every type that it has somewhere. */
export type Every<Options> = {
  readonly [K in KeyOf<Options>]?: TypeAt<Options, K> | undefined;
};
type KeyOf<Options> = Options extends unknown ? keyof Options : never;
type TypeAt<Options, K extends PropertyKey> = Options extends unknown
  ? K extends keyof Options
    ? Options[K]
    : never
  : never;

type Mutable<T> = T extends readonly (infer Each)[] ? Each[] : T;
type Same<A, B> = [Mutable<A>] extends [Mutable<B>]
  ? [Mutable<B>] extends [Mutable<A>]
    ? true
    : false
  : false;
type Field<T, K> = K extends keyof T ? T[K] : "no such field";
/** Names of fields that an interface and a schema do not have alike. */
type Different<Options, Input> = {
  [K in keyof Options | keyof Input]-?: Same<Field<Options, K>, Field<Input, K>> extends true
    ? never
    : K;
}[keyof Options | keyof Input];
type Held<Options, Entries extends v.ObjectEntries> = [
  Different<Options, v.InferInput<v.StrictObjectSchema<Entries, undefined>>>,
] extends [never]
  ? unknown
  : {
      readonly differs: Different<Options, v.InferInput<v.StrictObjectSchema<Entries, undefined>>>;
    };

/** A strict schema of exactly the options of an interface. */
export function schemaOf<Options>() {
  return <Entries extends v.ObjectEntries>(entries: Entries & Held<Options, Entries>) =>
    v.strictObject<Entries>(entries);
}

export const path = v.pipe(v.string(), v.minLength(1));
export const paths = v.union([path, v.array(path)]);
export const patterns = v.array(v.pipe(v.string(), v.minLength(1)));
export const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
export const counts = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
export const positive = v.pipe(v.number(), v.finite(), v.gtValue(0));
export const fromZero = v.pipe(v.number(), v.finite(), v.minValue(0));
export const share = v.pipe(v.number(), v.minValue(0), v.maxValue(1));
export const samples = v.union([counts, v.literal("all")]);
export const target = v.picklist(TARGET_NAMES);

const isFunction = (f: unknown) => typeof f === "function";
const NO_FUNCTION = "a function";

/** A function that the caller gives; what it takes cannot be checked. */
export function callback<F>() {
  return v.optional(v.custom<F>(isFunction, NO_FUNCTION));
}

export const calls = {
  onProgress: callback<OnProgress>(),
  signal: v.optional(v.custom<AbortSignal>((s) => s instanceof AbortSignal, "an AbortSignal")),
};

export const columns = {
  textColumn: v.optional(path),
  pairColumn: v.optional(path),
  tokensColumn: v.optional(path),
};

export const labels = {
  task: v.optional(v.picklist(TASKS)),
  labelColumn: v.optional(path),
  answersColumn: v.optional(path),
};

export const operands = {
  attention: v.optional(v.picklist(ATTENTION)),
  residual: v.optional(v.picklist(RESIDUAL)),
};

export const weights = {
  weights: v.optional(v.picklist(WEIGHT_FORMS)),
  weightRange: v.optional(v.picklist(WEIGHT_RANGES)),
  blockSize: v.optional(v.picklist(BLOCK_SIZES)),
  weightBits: v.optional(v.pipe(v.number(), v.integer(), v.minValue(4), v.maxValue(8))),
};

export const evaluation = {
  ...columns,
  ...labels,
  pooling: v.optional(v.picklist(POOLINGS)),
  maxLength: v.optional(counts),
  folder: v.optional(path),
};
