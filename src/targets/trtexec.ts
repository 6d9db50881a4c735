// The trtexec command that builds an engine from a written edition, for people to run where the GPU is.
import type { Dim, Value } from "../graph/graph.js";
import type { WrittenEdition } from "./target.js";

/** Sizes of free dims: the smallest, the one that is tuned for, the largest. */
const BATCH = [1, 8, 32];
const LENGTH = [1, 128, 512];
const PROFILES = ["minShapes", "optShapes", "maxShapes"];

/**
 * One line for a shell. Free first dims are taken for the batch, other free dims for the length. FP16 editions are strongly typed: all that is not quantized has its
 * type in the file; in others TensorRT chooses FP16 where that is faster.
 */
export function trtexecCommand({
  path,
  inputs,
  maxLength = Infinity,
  fp16,
}: WrittenEdition): string {
  const profiles = inputs.some(({ shape }) => shape?.some(isFree) === true)
    ? PROFILES.map(
        (name, i) => `--${name}=${inputs.map((input) => sized(input, i, maxLength)).join(",")}`,
      )
    : [];
  const engine = path.replace(/(\.onnx)?$/, ".plan");
  return [
    "trtexec",
    quoted(`--onnx=${path}`),
    quoted(`--saveEngine=${engine}`),
    ...(fp16 ? ["--stronglyTyped"] : ["--int8", "--fp16"]),
    ...profiles.map(quoted),
  ].join(" ");
}

function isFree(dim: Dim): boolean {
  return typeof dim !== "number";
}

function sized({ name, shape = [] }: Value, profile: number, longest: number): string {
  const free = (axis: number): number =>
    axis === 0 ? (BATCH[profile] ?? 1) : Math.min(LENGTH[profile] ?? 1, longest);
  const dims = shape.map((dim, axis) => (typeof dim === "number" ? dim : free(axis)));
  return `${name}:${dims.join("x")}`;
}

/** As a POSIX shell takes it for one word. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
