// Gradients of sums, products and quotients, with broadcasting undone.
import type { GradientRule, GradientTable } from "./rule.js";

const add: GradientRule = {
  gradient: (node, [dy], b) =>
    node.inputs.map((x) => (dy !== undefined && b.wants(x) ? b.sumTo(dy, x) : undefined)),
};

const mul: GradientRule = {
  gradient({ inputs: [x, y] }, [dz], b) {
    if (dz === undefined || x === undefined || y === undefined) return [];
    return [
      b.wants(x) ? b.sumTo(b.op("Mul", [dz, y]), x) : undefined,
      b.wants(y) ? b.sumTo(b.op("Mul", [dz, x]), y) : undefined,
    ];
  },
};

export const ARITHMETIC: GradientTable = {
  Add: add,
  Mul: mul,
};
