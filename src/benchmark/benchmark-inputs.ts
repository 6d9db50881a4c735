// What a benchmark runs: the shapes as the user writes them, held against what each model admits, and feeds of dummy values.
import { OptionError } from "../errors.js";
import type { Model } from "../graph/model.js";
import { syntheticDims, syntheticFeeds } from "../inputs/dummy-inputs.js";
import { inputProfile } from "../inputs/input-use.js";
import { maxLengthOf } from "../inputs/length.js";
import type { Feeds } from "../runtime/runtime.js";
import type { Host } from "../host/host.js";
import { readGraph } from "../host/read-graph.js";

export interface Shape {
  readonly batch: number;
  /** Tokens of a row. */
  readonly length: number;
}

/** One short text, one long, several long. */
const USUAL: readonly Shape[] = [
  { batch: 1, length: 32 },
  { batch: 1, length: 128 },
  { batch: 8, length: 128 },
];

/** `8x128`. Throws OptionError. */
export function parseShape(text: string): Shape {
  const [, batch, length] = /^([1-9]\d{0,8})[x×]([1-9]\d{0,8})$/.exec(text) ?? [];
  if (batch === undefined || length === undefined)
    throw new OptionError("shapes", `"${text}"`, "batch × length, as 1x32 or 8x128");
  return { batch: Number(batch), length: Number(length) };
}

export function shapeName({ batch, length }: Shape): string {
  return `${batch}x${length}`;
}

/** A model as it is timed. */
export interface Subject {
  readonly path: string;
  readonly bytes: number;
  /** Tokens of a row at most; undefined where nothing bounds them. */
  readonly maxLength: number | undefined;
  /** Throws OptionError where the model fixes another shape. */
  feeds(shape: Shape, seed: number): Feeds;
}

/** Throws what opening and reading a model throws. */
export function subjectOf(host: Host, input: string): Subject {
  const file = host.open(input);
  try {
    const model = readGraph(file);
    return {
      path: file.path,
      bytes: file.bytes(),
      maxLength: maxLengthOf(model),
      feeds: (shape, seed) => feedsOf(model, file.path, shape, seed),
    };
  } finally {
    file.close();
  }
}

/** The shapes given, or of the usual ones those that every model admits. Throws OptionError for one that a model has too few positions for. */
export function shapesFor(
  subjects: readonly Subject[],
  given: readonly string[] | undefined,
): readonly Shape[] {
  const [tightest] = subjects.toSorted(
    (a, b) => (a.maxLength ?? Infinity) - (b.maxLength ?? Infinity),
  );
  const most = tightest?.maxLength ?? Infinity;
  if (given === undefined) {
    const fitting = USUAL.filter(({ length }) => length <= most);
    return fitting.length > 0 ? fitting : [{ batch: 1, length: most }];
  }
  const shapes = given.map(parseShape);
  const long = shapes.find(({ length }) => length > most);
  if (long !== undefined)
    throw new OptionError(
      "shapes",
      `${shapeName(long)}: ${tightest?.path} has positions for ${most} tokens`,
      `lengths up to ${most}, as ${long.batch}x${most}`,
    );
  return shapes;
}

function feedsOf(model: Model, path: string, shape: Shape, seed: number): Feeds {
  const wanted = { ...shape, seed: seed + 1 };
  const dims = syntheticDims(model, wanted);
  // The length is that of token ids; masks over earlier tokens, images, sounds and counts follow it, each in its way.
  const isOfTokens = new Set(
    inputProfile(model)
      .inputs.filter(({ use }) => use.kind === "tokens")
      .map(({ name }) => name),
  );
  for (const [name, [batch, ...rest]] of Object.entries(dims)) {
    const [length] = rest;
    const held = isOfTokens.has(name) && rest.length === 1;
    if (batch === shape.batch && (!held || length === shape.length)) continue;
    const fixed = shapeName({
      batch: batch ?? 1,
      length: (held ? length : undefined) ?? shape.length,
    });
    throw new OptionError(
      "shapes",
      `${shapeName(shape)}: the inputs of ${path} are fixed`,
      `--shapes ${fixed}`,
    );
  }
  return syntheticFeeds(model, wanted);
}
