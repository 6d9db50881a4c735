// What every operator means here, one row each, keyed as rules name them: `MatMul`, `com.microsoft.Gelu`.
import type { Node } from "../graph/graph.js";
import { CONTRIB } from "./contrib.js";
import { CONTROL } from "./control.js";
import { ELEMENTWISE } from "./elementwise.js";
import type { OpRow, OpTable } from "./facts.js";
import { LINEAR } from "./linear.js";
import { LOGIC } from "./logic.js";
import { MOVEMENT } from "./movement.js";
import { NORMALIZATION } from "./normalization.js";
import { QUANTIZATION } from "./quantization.js";
import { REDUCE } from "./reduce.js";
import { SEQUENCE } from "./sequence.js";
import { SHAPE } from "./shape.js";

export type { OpRow } from "./facts.js";

/** A missing row is an operator that Octavo knows nothing about; that is no error here. */
const OPS: OpTable = {
  ...ELEMENTWISE,
  ...LOGIC,
  ...SHAPE,
  ...MOVEMENT,
  ...REDUCE,
  ...LINEAR,
  ...NORMALIZATION,
  ...QUANTIZATION,
  ...CONTROL,
  ...SEQUENCE,
  ...CONTRIB,
};

/** The row of a node's operator. */
export function rowOf(node: Node): OpRow | undefined {
  return Object.hasOwn(OPS, node.op) ? OPS[node.op] : undefined;
}

/** Whether a node surely gives the same outputs for the same inputs, its bodies included. False for operators that are not in the table. */
export function isDeterministic(node: Node): boolean {
  const row = rowOf(node);
  if (row === undefined) return false;
  const random = typeof row.random === "function" ? row.random(node) : row.random === true;
  if (random) return false;
  for (const body of node.subgraphs())
    for (const inner of body.allNodes()) if (!isDeterministic(inner)) return false;
  return true;
}
