// The state of a run as tensors and texts, and back: what was interrupted goes on as if it never had been.
import { CheckpointError } from "../errors.js";
import type { RuntimeTensor } from "../runtime/runtime.js";
import { KINDS, type Kind, type StoredParameter } from "./store.js";
import type { CurvePoint, TrainingState } from "./training.js";

/** Of the checkpoint's form: another one is refused. */
const VERSION = "1";

/** What changes while a run goes on, beside the parameters and their moments. */
export interface Progressing {
  /** Updates done. */
  steps: number;
  /** Loss of each update, as many as the run will have. */
  readonly losses: Float32Array;
  scores: CurvePoint[];
  /** The parameters of the best score, in their order; undefined before the first. */
  best: Float32Array[] | undefined;
}

/** Kinds of arrays that last from one update to the next. */
const LASTING: readonly Kind[] = KINDS.filter((kind) => kind !== "gradient" && kind !== "rest");

const vector = (data: Float32Array, dims: readonly number[] = [data.length]): RuntimeTensor => ({
  dtype: "float32",
  dims,
  data,
});

export function stateOf(
  parameters: readonly StoredParameter[],
  { steps, losses, scores, best }: Progressing,
  identity: Readonly<Record<string, string>>,
): TrainingState {
  const tensors: Record<string, RuntimeTensor> = { losses: vector(losses) };
  for (const [i, { name, dims, arrays }] of parameters.entries()) {
    for (const kind of LASTING) {
      const array = arrays[kind];
      if (array !== undefined) tensors[`${kind}/${name}`] = vector(array, dims);
    }
    const own = best?.[i];
    if (own !== undefined) tensors[`best/${name}`] = vector(own, dims);
  }
  const texts = {
    version: VERSION,
    ...Object.fromEntries(Object.entries(identity).map(([key, text]) => [`run.${key}`, text])),
    steps: String(steps),
    scores: JSON.stringify(scores),
  };
  return { tensors, texts };
}

/** Puts a state back into the parameters and `progress`. Throws CheckpointError, before anything is changed, for one of another run. */
export function restore(
  state: TrainingState,
  path: string,
  parameters: readonly StoredParameter[],
  progress: Progressing,
  identity: Readonly<Record<string, string>>,
): void {
  const { texts, tensors } = state;
  const fail = (detail: string): never => {
    throw new CheckpointError(path, detail);
  };
  if (texts["version"] !== VERSION)
    fail(
      texts["version"] === undefined
        ? "it is no checkpoint of training"
        : `it has version ${texts["version"]}, this Octavo reads ${VERSION}`,
    );
  for (const [key, expected] of Object.entries(identity)) {
    const got = texts[`run.${key}`];
    if (got !== expected) fail(`its ${key} is ${got ?? "unknown"}, this run's is ${expected}`);
  }
  const steps = Number(texts["steps"]);
  const { losses } = progress;
  if (!(Number.isSafeInteger(steps) && steps >= 0 && steps <= losses.length))
    fail(`it claims ${texts["steps"] ?? "no number of"} steps, this run has ${losses.length}`);
  const scores = scoresIn(texts["scores"]) ?? fail("its scores cannot be read");

  const read = (name: string, length: number): Float32Array => {
    const data = tensors[name]?.data;
    if (data instanceof Float32Array && data.length === length) return data;
    return fail(`it has no tensor "${name}" of ${length} numbers`);
  };
  const kept = read("losses", losses.length);
  const arrays = parameters.flatMap(({ name, arrays: own }) =>
    LASTING.flatMap((kind) => {
      const into = own[kind];
      return into === undefined ? [] : [{ into, from: read(`${kind}/${name}`, into.length) }];
    }),
  );
  const best =
    scores.length === 0
      ? undefined
      : parameters.map(({ name, arrays: { value } }) =>
          read(`best/${name}`, value?.length ?? 0).slice(),
        );
  for (const { into, from } of arrays) into.set(from);
  losses.set(kept);
  Object.assign(progress, { steps, scores, best });
}

/** A score that is NaN is null in JSON. */
function scoresIn(text: string | undefined): CurvePoint[] | undefined {
  let list: unknown;
  try {
    list = JSON.parse(text ?? "");
  } catch {
    return undefined;
  }
  if (!Array.isArray(list)) return undefined;
  const scores = list.map((point: unknown): CurvePoint | undefined => {
    if (typeof point !== "object" || point === null) return undefined;
    const { step, value } = point as Record<string, unknown>;
    if (typeof step !== "number" || !(typeof value === "number" || value === null))
      return undefined;
    return { step, value: value ?? NaN };
  });
  return scores.includes(undefined) ? undefined : scores.filter((score) => score !== undefined);
}
