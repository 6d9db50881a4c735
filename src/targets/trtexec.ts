// The trtexec command that builds an engine from a written model, for people to run where the GPU is.
import type { Dim, Value } from "../graph/graph.js";
import type { WrittenModel } from "./target.js";

/** Sizes of free dims: the smallest, the one that is tuned for, the largest. */
const BATCH = [1, 8, 32];
const LENGTH = [1, 128, 512];
const PROFILES = ["minShapes", "optShapes", "maxShapes"];

/**
 * One line for a shell. Free first dims are taken for the batch, other free dims for the length. FP16 models are strongly typed: all that is not quantized has its
 * type in the file; in others TensorRT chooses FP16 where that is faster.
 */
export function trtexecCommand({
  path,
  inputs,
  maxLength = Infinity,
  maxBatch,
  fp16,
}: WrittenModel): string {
  const profiles = shapeProfiles(inputs, { maxLength, maxBatch }).map(
    (shapes, i) => `--${PROFILES[i]}=${shapes}`,
  );
  const engine = path.replace(/(\.onnx)?$/, ".plan");
  return [
    "trtexec",
    quoted(`--onnx=${path}`),
    quoted(`--saveEngine=${engine}`),
    ...(fp16 ? ["--stronglyTyped"] : ["--int8", "--fp16"]),
    ...profiles.map(quoted),
  ].join(" ");
}

/**
 * The smallest, the usual and the largest shape of every input as TensorRT's tools spell them (`ids:1x1,mask:1x1`); none where all dims are fixed.
 * The largest has `maxBatch` as its free first dims; `maxLength` bounds the other free ones.
 */
export function shapeProfiles(
  inputs: readonly Value[],
  { maxLength = Infinity, maxBatch }: { maxLength?: number; maxBatch?: number | undefined } = {},
): string[] {
  if (!inputs.some(({ shape }) => shape?.some(isFree) === true)) return [];
  const batches = maxBatch === undefined ? BATCH : [1, Math.min(8, maxBatch), maxBatch];
  return batches.map((batch, i) => {
    const length = Math.min(LENGTH[i] ?? 1, maxLength);
    return inputs.map((input) => sized(input, batch, length)).join(",");
  });
}

function isFree(dim: Dim): boolean {
  return typeof dim !== "number";
}

function sized({ name, shape = [] }: Value, batch: number, length: number): string {
  const dims = shape.map((dim, axis) =>
    typeof dim === "number" ? dim : axis === 0 ? batch : length,
  );
  return `${name}:${dims.join("x")}`;
}

/** As a POSIX shell takes it for one word. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
