// Merges initializers of equal content: exporters write a shared weight once per use, and a shape constant once per operator.
// Tensors are read one at a time, and only those whose type and dims another one shares.
import type { Graph, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { DTYPES, elementCount } from "../onnx/dtypes.js";
import type { Blob } from "../onnx/proto.js";
import { RangeBlob } from "../onnx/source.js";
import type { Tensor } from "../onnx/tensor.js";
import { graphsOf } from "./pass.js";

/** Different contents of one hash that are kept apart by comparing; further ones stay as they are. */
const MAX_COLLISIONS = 4;
/** Bytes that are looked at first. */
const SAMPLE = 1024;

/**
 * Lets all readers of equal initializers read the first of them (an outer graph's comes before an inner one's). Never merged: inputs with
 * defaults, graph outputs, strings, sparse tensors, and float vectors or matrices that hold one value throughout (fresh biases and norms of
 * several layers are equal by chance; training must be able to move them apart).
 */
export function dedupe(model: Model): number {
  let changes = 0;
  for (const group of groupBy(candidates(model.graph), ([v, t]) => signature(v, t)))
    for (const alike of groupBy(group, ([, tensor]) => sampleHash(tensor.data)))
      changes += mergeEqual(alike);
  return changes;
}

type Candidate = readonly [value: Value, tensor: Tensor];

function* candidates(root: Graph): Generator<Candidate> {
  for (const graph of graphsOf(root))
    for (const value of graph.initializers()) {
      const { tensor } = value;
      if (tensor !== undefined && value.isConstant && DTYPES[tensor.dtype].kind !== "string")
        yield [value, tensor];
    }
}

function signature(_: Value, { dtype, dims }: Tensor): string {
  return `${dtype} ${dims.join()}`;
}

/** The groups of two and more. */
function* groupBy<T>(items: Iterable<T>, keyOf: (item: T) => string | number): Generator<T[]> {
  const groups = new Map<string | number, T[]>();
  const lonely = new Map<string | number, T>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    const first = lonely.get(key);
    if (group !== undefined) group.push(item);
    else if (first === undefined) lonely.set(key, item);
    else {
      groups.set(key, [first, item]);
      lonely.delete(key);
    }
  }
  yield* groups.values();
}

function mergeEqual(alike: readonly Candidate[]): number {
  // Two: one comparison decides. More: a hash of all bytes first, so that the number of comparisons stays linear.
  if (alike.length > 2) {
    let changes = 0;
    for (const group of groupBy(alike, ([, tensor]) => hash(tensor.data.read())))
      changes += mergeGroup(group);
    return changes;
  }
  return mergeGroup(alike);
}

function mergeGroup(group: readonly Candidate[]): number {
  const kept: Candidate[] = [];
  let changes = 0;
  for (const candidate of group) {
    const [value, tensor] = candidate;
    const bytes = tensor.data.read();
    const equal = kept.find(([, other]) => sameBytes(other.data.read(), bytes));
    if (equal === undefined) {
      if (kept.length < MAX_COLLISIONS && !isUniformFloat(tensor, bytes)) kept.push(candidate);
    } else if (redirect(value, equal[0])) changes++;
  }
  return changes;
}

/** Lets every reader of `from` read `to`, where all of them can see `to` under its name. */
function redirect(from: Value, to: Value): boolean {
  if (from.isOutput) return false;
  for (const use of from.uses) {
    const scope = use.kind === "node" ? use.node.graph : use.graph;
    if (scope?.resolve(to.name) !== to) return false;
  }
  from.graph.replaceUses(from, to);
  from.graph.removeInitializer(from);
  return true;
}

function isUniformFloat(tensor: Tensor, bytes: Uint8Array): boolean {
  const { kind, bits } = DTYPES[tensor.dtype];
  if (kind !== "float" || elementCount(tensor.dims) <= 1) return false;
  const size = Math.max(1, bits / 8);
  for (let i = size; i < bytes.length; i++) if (bytes[i] !== bytes[i - size]) return false;
  return true;
}

/** As many bytes as are compared or hashed at a time in 32-bit words, or undefined where the bytes are not aligned. */
function wordsOf(bytes: Uint8Array): Uint32Array | undefined {
  if (bytes.byteOffset % 4 !== 0) return undefined;
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  const x = wordsOf(a);
  const y = wordsOf(b);
  let from = 0;
  if (x !== undefined && y !== undefined) {
    for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return false;
    from = x.length * 4;
  }
  for (let i = from; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** A hash of the last bytes alone: tells most tensors apart without reading through them, nor loading them from a file. */
function sampleHash(blob: Blob): number {
  const length = Math.min(SAMPLE, blob.byteLength);
  const at = blob.byteLength - length;
  if (blob instanceof RangeBlob) return hash(blob.source.read(blob.offset + at, length));
  return hash(blob.read().subarray(at));
}

/** A 53-bit hash. */
function hash(bytes: Uint8Array): number {
  let a = 0x811c9dc5;
  let b = 0x9747b28c;
  for (const byte of bytes) {
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul(b ^ byte, 0x5bd1e995) + (b >>> 15);
  }
  return (a >>> 0) * 0x200000 + (b >>> 11);
}
