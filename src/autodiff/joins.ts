// Gradients of Concat and Split: one is the way back of the other.
import { noGradient } from "./no-gradient.js";
import type { GradientRule, GradientTable } from "./rule.js";
import { rankOf } from "./shapes.js";
import { plus, size, sizeOf, vector } from "./sizes.js";

const concat: GradientRule = {
  gradient(node, [dy], b) {
    const inputs = node.inputs.filter((x) => x !== undefined);
    if (dy === undefined) return [];
    const [only] = inputs;
    if (only !== undefined && inputs.length === 1) return [dy];
    const at = node.int("axis", 0);
    const axis = at < 0 ? at + rankOf(dy, node) : at;
    const sizes = inputs.map((x) => sizeOf(b, x, axis));
    if (inputs.every((x) => b.wants(x)))
      return b.node("Split", [dy, vector(b, sizes)], inputs.length, { axis }).outputs;
    // A slice for each that needs one.
    let start = size(b, 0);
    return inputs.map((x, i) => {
      const from = start;
      const own = sizes[i];
      if (own !== undefined) start = plus(b, from, own);
      if (!b.wants(x)) return undefined;
      return b.op("Slice", [dy, vector(b, [from]), vector(b, [start]), b.ints([axis])]);
    });
  },
};

const split: GradientRule = {
  gradient(node, upstream, b) {
    const [x] = node.inputs;
    if (!b.wants(x)) return [];
    const parts = node.outputs.map((y, i) => {
      const dy = upstream[i];
      if (dy !== undefined) return dy;
      if (y === undefined) throw noGradient(node, `its output ${i} is left out`);
      return b.zerosLike(y);
    });
    return [parts.length === 1 ? parts[0] : b.op("Concat", parts, { axis: node.int("axis", 0) })];
  },
};

export const JOINS: GradientTable = { Concat: concat, Split: split };
