// Dummy inputs that any graph runs with: to measure speed, to compare two forms of a model, to calibrate nothing but to try everything.
import { UnsupportedError } from "../errors.js";
import type { Dim } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { DTYPES, elementCount } from "../onnx/dtypes.js";
import { float32ToFloat16 } from "../onnx/float.js";
import { namesIn, sizeOfDim } from "../ops/symbols.js";
import { gridOf } from "./places.js";
import { inputProfile, type InputProfile, type InputUse, type Use } from "./input-use.js";
import { randomFor, type Random } from "../math/random.js";
import {
  ELEMENTS,
  isRunnable,
  type Elements,
  type Feeds,
  type RunnableDType,
  type RuntimeTensor,
} from "../runtime/runtime.js";

export interface FeedOptions {
  /** Rows; default 1. Fixed dims win. */
  readonly batch?: number;
  /** Tokens of a row; default 16. Less where a table of positions ends before. Fixed dims win. */
  readonly length?: number;
  /** Tokens of earlier runs, for graphs that continue them; default: `length`. */
  readonly past?: number;
  /** Sizes of symbolic dims by name. */
  readonly binding?: Readonly<Record<string, number>>;
  /** The same seed gives the same feeds; default 1. */
  readonly seed?: number;
}

/** Patches per side of an image whose size the graph leaves open. */
const PATCHES = 14;

interface Sizes {
  readonly bySymbol: ReadonlyMap<string, number>;
  readonly batch: number;
  readonly length: number;
  /** Tokens of this and of earlier runs. */
  readonly total: number;
}

/**
 * Feeds for every input of a model that has no default, by its use: ids at random within their table, masks of ones, positions in order,
 * reals drawn from a normal distribution. A symbolic dim becomes `batch` where it stands first in some input and `length` elsewhere; equal
 * names get equal sizes, expressions ("past_sequence_length + 1") their value. Deterministic.
 *
 * Throws UnsupportedError for an input of a type that cannot be fed (strings, sequences).
 */
export function syntheticFeeds(model: Model, options: FeedOptions = {}): Feeds {
  const profile = inputProfile(model);
  const sizes = chooseSizes(profile, options);
  return Object.fromEntries(
    profile.inputs.map((input, i) => [
      input.name,
      feedOf(input, sizes, randomFor("dummy inputs", options.seed ?? 1, i)),
    ]),
  );
}

/** The dims that `syntheticFeeds` gives each input. */
export function syntheticDims(
  model: Model,
  options: FeedOptions = {},
): Record<string, readonly number[]> {
  const profile = inputProfile(model);
  const sizes = chooseSizes(profile, options);
  return Object.fromEntries(profile.inputs.map((input) => [input.name, dimsOf(input, sizes)]));
}

/** The same for inputs whose rank is known, as a function of the batch and the length: what a profile of shapes may ask for. */
export function dimsBySize(
  model: Model,
): (size: Pick<FeedOptions, "batch" | "length">) => Record<string, readonly number[]> {
  const unknown = new Set(
    model.graph.inputs.filter(({ shape }) => shape === undefined).map(({ name }) => name),
  );
  return (size) =>
    Object.fromEntries(
      Object.entries(syntheticDims(model, size)).filter(([name]) => !unknown.has(name)),
    );
}

function chooseSizes(profile: InputProfile, options: FeedOptions): Sizes {
  const { inputs, maxLength = Infinity } = profile;
  const batch = options.batch ?? 1;
  const continues = inputs.some((input) => input.use.kind === "state");
  const room = continues && options.past === undefined ? Math.floor(maxLength / 2) : maxLength;
  const length = Math.max(1, Math.min(options.length ?? 16, room));
  const past = continues ? Math.min(options.past ?? length, Math.max(0, maxLength - length)) : 0;

  const bySymbol = new Map<string, number>(Object.entries(options.binding ?? {}));
  const set = (symbol: string, size: number) => {
    if (!bySymbol.has(symbol)) bySymbol.set(symbol, size);
  };
  for (const { shape } of inputs) {
    const [first] = shape ?? [];
    if (isSymbol(first)) set(first, batch);
  }
  for (const { shape, use } of inputs) {
    if (use.kind !== "features" || use.convolution === undefined) continue;
    for (const [axis, dim] of (shape ?? []).entries())
      if (isSymbol(dim)) set(dim, imageSize(use.convolution, axis, length, shape?.length));
  }
  // What is first named by a state is the number of earlier tokens, unless tokens have it too.
  const own = new Set(inputs.filter(isOwnLength).flatMap((input) => symbolsOf(input)));
  for (const input of inputs.filter((i) => i.use.kind === "state"))
    for (const symbol of symbolsOf(input)) if (!own.has(symbol)) set(symbol, past);
  for (const symbol of own) set(symbol, length);
  const now = lengthNow(inputs, bySymbol, length);
  for (const input of inputs)
    for (const symbol of symbolsOf(input))
      set(symbol, continues && input.use.kind === "mask" ? past + now : length);
  return { bySymbol, batch, length: now, total: past + now };
}

/** Inputs whose dims beside the batch are tokens of this run: not those of masks, which may cover earlier ones. */
function isOwnLength({ use }: InputUse): boolean {
  return use.kind === "tokens" || use.kind === "segments" || use.kind === "positions";
}

/** Tokens of this run as the ids have them: their dim may be fixed. */
function lengthNow(
  inputs: readonly InputUse[],
  bySymbol: ReadonlyMap<string, number>,
  length: number,
): number {
  const ids = inputs.find((input) => input.use.kind === "tokens");
  return sizeOfDim(ids?.shape?.[1] ?? null, bySymbol) ?? length;
}

/** Names that stand alone as a dim behind the first, or that no expression explains. */
function symbolsOf({ shape }: InputUse): string[] {
  return (shape ?? []).slice(1).filter(isSymbol);
}

/** A dim that is one name. What looks like an expression is one name where its parts are no dims ("batch-size"), which is seen when it is asked for. */
function isSymbol(dim: Dim | undefined): dim is string {
  return typeof dim === "string" && dim !== "" && (namesIn(dim)?.has(dim) ?? true);
}

function imageSize(
  {
    channels,
    stride,
    totalStride,
    rank,
    places,
  }: NonNullable<Extract<Use, { kind: "features" }>["convolution"]>,
  axis: number,
  length: number,
  inputRank = rank + 2,
): number {
  // Sound may come without the dim of its only channel.
  if (inputRank === rank + 2 && axis === 1) return channels ?? 3;
  if (rank >= 2) return ((places === undefined ? undefined : gridOf(places)) ?? PATCHES) * stride;
  return (places ?? length + 1) * totalStride;
}

function dimsOf({ shape, use }: InputUse, sizes: Sizes): readonly number[] {
  return (shape ?? [null, null]).map((dim, axis) => {
    const known = sizeOfDim(dim, sizes.bySymbol);
    if (known !== undefined) return known;
    if (use.kind === "features" && use.convolution !== undefined && axis > 0)
      return imageSize(use.convolution, axis, sizes.length, shape?.length);
    return axis === 0 ? sizes.batch : sizes.length;
  });
}

function feedOf(input: InputUse, sizes: Sizes, draw: Random): RuntimeTensor {
  const { name, dtype } = input;
  if (!isRunnable(dtype))
    throw new UnsupportedError(
      `a dummy input "${name}" of type ${dtype ?? "unknown"}`,
      "only tensors of numbers and truth values can be made up",
      "Give the inputs as data.",
    );
  const dims = dimsOf(input, sizes);
  return {
    dtype,
    dims,
    data: filled(dtype, elementCount(dims), valuesOf(input, dims, sizes, draw)),
  };
}

/** The value of element i. */
function valuesOf(
  { dtype, use }: InputUse,
  dims: readonly number[],
  sizes: Sizes,
  draw: Random,
): (i: number) => number {
  const width = Math.max(1, dims.at(-1) ?? 1);
  switch (use.kind) {
    case "tokens": {
      const token = () => draw.whole(Math.max(1, use.rows));
      const { sought } = use;
      if (sought === undefined) return token;
      // In each row as often as in any other: once, at its end.
      const other = () => {
        const id = token();
        return id === sought ? (id + 1) % Math.max(1, use.rows) : id;
      };
      return (i) => (i % width === width - 1 ? sought : other());
    }
    case "segments":
      return () => draw.whole(Math.max(1, use.rows));
    case "positions":
      return (i) => (i % width) % (use.rows ?? Infinity);
    case "indices": {
      const limit = sizeOfDim(use.limit, sizes.bySymbol) ?? 1;
      return () => draw.whole(Math.max(1, limit));
    }
    case "lengths":
      return () => (use.total ? sizes.total : sizes.length) - use.less;
    case "quantized": {
      const { bits, kind } = DTYPES[dtype ?? "uint8"];
      const low = kind === "int" ? -(2 ** (bits - 1)) : 0;
      return () => low + draw.whole(2 ** bits);
    }
    case "mask":
      return () => 1;
    case "state":
    case "features":
      return () => draw.normal();
  }
}

function filled(dtype: RunnableDType, count: number, value: (i: number) => number): Elements {
  if (dtype === "float16")
    return float32ToFloat16(Float32Array.from({ length: count }, (_, i) => value(i)));
  const data = new ELEMENTS[dtype](count);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array)
    for (let i = 0; i < count; i++) data[i] = BigInt(Math.trunc(value(i)));
  else for (let i = 0; i < count; i++) data[i] = value(i);
  return data;
}
