// The trtexec command that builds an engine from a written model, for people to run where the GPU is.
import type { DimsOf, WrittenModel } from "./target.js";

/** Sizes of free dims: the smallest, the one that is tuned for, the largest. */
const BATCH = [1, 8, 32];
const LENGTH = [1, 128, 512];
const PROFILES = ["minShapes", "optShapes", "maxShapes"];

/**
 * One line for a shell. FP16 models are strongly typed: all that is not quantized has its type in the file; in others TensorRT chooses FP16 where that
 * is faster.
 */
export function trtexecCommand({ path, dimsOf, maxBatch, fp16 }: WrittenModel): string {
  const profiles = shapeProfiles(dimsOf, maxBatch).map((shapes, i) => `--${PROFILES[i]}=${shapes}`);
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
 * The largest has `maxBatch` rows. What a dim is (tokens, earlier tokens, the side of an image) `dimsOf` knows.
 */
export function shapeProfiles(dimsOf: DimsOf, maxBatch: number | undefined): string[] {
  const batches = maxBatch === undefined ? BATCH : [1, Math.min(8, maxBatch), maxBatch];
  const profiles = batches.map((batch, i) =>
    Object.entries(dimsOf({ batch, length: LENGTH[i] ?? 1 }))
      .map(([name, dims]) => `${name}:${dims.join("x")}`)
      .join(","),
  );
  return new Set(profiles).size === 1 ? [] : profiles;
}

/** As a POSIX shell takes it for one word. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
