// Normalizations, and the attention and position operators of newer operator sets.
import type { Dim } from "../graph/graph.js";
import { dtypeOfCode } from "../onnx/dtypes.js";
import { axisIn, likeInput, type InferRule, type OpTable } from "./facts.js";
import { addDims, floorDivideDims, multiplyDims } from "./symbols.js";

/** Output like X; mean and inverse deviation are 1 from `axis` on. Their type is float unless `stash_type` says otherwise. */
export const layerNormalization: InferRule = ({ node, inputs: [x] }) => {
  const shape = x?.shape;
  const axis = shape && axisIn(node.int("axis", -1), shape.length);
  const stash = {
    dtype: dtypeOfCode(node.int("stash_type", 1)),
    shape: axis === undefined ? undefined : shape?.map((d, i) => (i < axis ? d : 1)),
  };
  return [{ dtype: x?.dtype, shape }, stash, stash];
};

/** Y like X; the statistics that follow in training mode (and in older versions) are like the running ones. */
const batchNormalization: InferRule = ({ inputs: [x, , , mean] }) => {
  const statistics = { dtype: mean?.dtype, shape: mean?.shape };
  return [{ dtype: x?.dtype, shape: x?.shape }, statistics, statistics, statistics, statistics];
};

/**
 * Attention of opset 23: Q, K, V as [batch, heads, length, size] or [batch, length, heads * size]; past and present keys and values always
 * have four dims.
 */
const attention: InferRule = ({ node, inputs }) => {
  const [q, k, v, , pastKey, pastValue] = inputs;
  const dtype = q?.dtype;
  const split = (shape: readonly Dim[] | undefined, heads: number | undefined) => {
    if (shape?.length === 4) return shape;
    if (shape?.length !== 3 || heads === undefined) return undefined;
    const [batch = null, length = null, width = null] = shape;
    return [batch, heads, length, floorDivideDims(width, heads)];
  };
  const kvHeads = node.int("kv_num_heads");
  const [query, key, value] = [
    split(q?.shape, node.int("q_num_heads")),
    split(k?.shape, kvHeads),
    split(v?.shape, kvHeads),
  ];
  const present = (
    own: readonly Dim[] | undefined,
    past: readonly Dim[] | undefined,
    given: boolean,
  ) => own && own.with(2, given ? addDims(past?.[2] ?? null, own[2] ?? null) : (own[2] ?? null));
  const keys = present(key, pastKey?.shape, pastKey !== undefined);
  const values = present(value, pastValue?.shape, pastValue !== undefined);
  const [batch = null, heads = null, length = null] = query ?? [];
  const size = value?.[3] ?? null;
  const flat = q?.shape?.length === 3;
  const known = q?.shape !== undefined;
  const out: readonly Dim[] = flat
    ? [batch, length, multiplyDims(heads, size)]
    : [batch, heads, length, size];
  return [
    { dtype, shape: known ? out : undefined },
    { dtype: pastKey?.dtype ?? k?.dtype, shape: keys },
    { dtype: pastValue?.dtype ?? v?.dtype, shape: values },
    { dtype, shape: [batch, heads, length, keys?.[2] ?? null] },
  ];
};

const like = { infer: likeInput() } as const;

export const NORMALIZATION: OpTable = {
  LayerNormalization: { infer: layerNormalization },
  // Written without a domain by several exporters; the runtimes know them.
  SimplifiedLayerNormalization: { infer: layerNormalization },
  RMSNormalization: like,
  GroupNormalization: like,
  InstanceNormalization: like,
  MeanVarianceNormalization: like,
  LpNormalization: like,
  BatchNormalization: { infer: batchNormalization },
  Attention: { infer: attention },
  RotaryEmbedding: like,
};
