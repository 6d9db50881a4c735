// Gradients of convolutions (patch embeddings, convolutions over tokens): others, with batch and channels in changed roles.
import type { Node, Value } from "../graph/graph.js";
import type { Backward } from "./backward.js";
import { noGradient } from "./no-gradient.js";
import type { GradientRule, GradientTable } from "./rule.js";

interface Convolution {
  readonly x: Value;
  readonly w: Value;
  /** Number of spatial axes. */
  readonly spatial: number;
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
  readonly group: number;
}

function convolutionOf(node: Node, x: Value, w: Value): Convolution {
  if (x.rank === undefined) throw noGradient(node, "the rank of its input is not known");
  const spatial = x.rank - 2;
  const ones = Array.from({ length: spatial }, () => 1);
  const auto = node.string("auto_pad", "NOTSET");
  if (auto !== "NOTSET" && auto !== "VALID")
    throw noGradient(node, `its padding is not written out (auto_pad ${auto})`);
  return {
    x,
    w,
    spatial,
    strides: node.ints("strides") ?? ones,
    dilations: node.ints("dilations") ?? ones,
    pads: node.ints("pads") ?? [...ones, ...ones].fill(0),
    group: node.int("group", 1),
  };
}

/** Cuts the spatial axes of `value` to those of `like`. */
function cutTo(b: Backward, value: Value, like: Value, spatial: number): Value {
  const axes = Array.from({ length: spatial }, (_, i) => i + 2);
  const ends = b.op("Slice", [b.shapeOf(like), b.ints([2]), b.ints([2 + spatial])]);
  return b.op("Slice", [value, b.ints(axes.map(() => 0)), ends, b.ints(axes)]);
}

/** The transposed convolution, as long as the stride can make it, and cut to the input. */
function inputGradient(b: Backward, dy: Value, c: Convolution): Value {
  const full = b.op("ConvTranspose", [dy, c.w], {
    strides: c.strides,
    dilations: c.dilations,
    pads: c.pads,
    group: c.group,
    output_padding: c.strides.map((stride) => stride - 1),
  });
  return c.strides.every((stride) => stride === 1) ? full : cutTo(b, full, c.x, c.spatial);
}

/**
 * A convolution of the input by dy: batch takes the role of channels, strides that of dilations. x becomes [C/G, G·N, …], dy [O, N, …], and the
 * result [C/G, O, …] is turned to [O, C/G, …].
 */
function weightGradient(b: Backward, dy: Value, c: Convolution): Value {
  const rest = Array.from({ length: c.spatial }, (_, i) => i + 2);
  const swapped = (value: Value) => b.op("Transpose", [value], { perm: [1, 0, ...rest] });
  const full = b.op("Conv", [groupsInBatch(b, c, rest), swapped(dy)], {
    strides: c.dilations,
    dilations: c.strides,
    pads: c.pads,
    group: c.group,
  });
  return cutTo(b, swapped(full), c.w, c.spatial);
}

function groupsInBatch(b: Backward, { x, group }: Convolution, rest: readonly number[]): Value {
  if (group === 1) return b.op("Transpose", [x], { perm: [1, 0, ...rest] });
  const sizes = b.shapeOf(x);
  const tail = b.op("Slice", [sizes, b.ints([2]), b.ints([2 + rest.length])]);
  const join = (...parts: Value[]) => b.op("Concat", parts, { axis: 0 });
  // 0 keeps the size of the batch.
  const apart = b.op("Reshape", [x, join(b.ints([0, group, -1]), tail)]);
  const perm = [2, 1, 0, ...rest.map((axis) => axis + 1)];
  const turned = b.op("Transpose", [apart], { perm });
  const channels = b.op("Gather", [b.shapeOf(turned), b.ints([0])], { axis: 0 });
  return b.op("Reshape", [turned, join(channels, b.ints([-1]), tail)]);
}

const conv: GradientRule = {
  gradient(node, [dy], b) {
    const [x, w, bias] = node.inputs;
    if (dy === undefined || x === undefined || w === undefined) return [];
    const c = convolutionOf(node, x, w);
    const others = [0, ...Array.from({ length: c.spatial }, (_, i) => i + 2)];
    return [
      b.wants(x) ? inputGradient(b, dy, c) : undefined,
      b.wants(w) ? weightGradient(b, dy, c) : undefined,
      b.wants(bias) ? b.reduce("ReduceSum", dy, others, 0) : undefined,
    ];
  },
};

export const CONVOLUTIONS: GradientTable = { Conv: conv };
