// How many tokens a graph admits: tables of positions and constant masks end somewhere, and nothing in the file says where.
import type { Node, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { numbersOf } from "../onnx/values.js";
import { constantNumber, constantOf, constantShape, passedInputs } from "./structure.js";

const MAX_DEPTH = 48;

/**
 * Tokens of one row (those of earlier runs included) up to which every table of positions has a row, and every constant that is cut to
 * the length is long enough; undefined where nothing bounds them.
 */
export function maxLengthOf(model: Model): number | undefined {
  let bound = Infinity;
  for (const node of model.graph.allNodes()) {
    const own = Object.hasOwn(BOUNDS, node.op) ? BOUNDS[node.op]?.(node) : undefined;
    if (own !== undefined && own > 0) bound = Math.min(bound, own);
  }
  return bound === Infinity ? undefined : bound;
}

const BOUNDS: { readonly [op: string]: (node: Node) => number | undefined } = {
  Gather(node) {
    const rows = constantShape(node.input(0))?.at(node.int("axis", 0));
    const index = node.input(1);
    if (rows === undefined || index === undefined) return undefined;
    const beyond = beyondLength(index, 0);
    return beyond === undefined ? undefined : rows - beyond;
  },
  /** A constant that is cut at an end which depends on the inputs. */
  Slice(node) {
    const dims = slicedConstant(node.input(0));
    const ends = node.input(2);
    if (dims === undefined || ends === undefined || constantOf(ends) !== undefined)
      return undefined;
    const list = node.input(3);
    const tensor = constantOf(list);
    if (list !== undefined && tensor === undefined) return undefined;
    const axes = tensor === undefined ? dims.map((_, i) => i) : numbersOf(tensor);
    // A dim of 1 is one to be broadcast, not a table.
    return Math.min(...axes.map((axis) => dims.at(axis) ?? 1).filter((size) => size > 1));
  },
};

/** The shape of a constant that is at most cut before. */
function slicedConstant(value: Value | undefined): readonly number[] | undefined {
  let at = value;
  for (let i = 0; i < 4; i++) {
    const shape = constantShape(at);
    if (shape !== undefined || at?.producer?.op !== SLICE) return shape;
    at = at.producer.input(0);
  }
  return undefined;
}
const SLICE = "Slice";

/**
 * For positions that are counted in the graph: the largest position minus (length - 1). Undefined for anything else, and for positions
 * that are limited before they are used (buckets of distances).
 */
function beyondLength(value: Value, depth: number): number | undefined {
  const node = value.producer;
  if (node === undefined || depth > MAX_DEPTH) return undefined;
  const rule = Object.hasOwn(COUNTING, node.op) ? COUNTING[node.op] : undefined;
  const of = (index: number) => {
    const input = node.input(index);
    return input && beyondLength(input, depth + 1);
  };
  if (rule !== undefined) return rule(of, node);
  return largest(passedInputs(node).map((input) => beyondLength(input, depth + 1)));
}

type Rule = (of: (index: number) => number | undefined, node: Node) => number | undefined;

const COUNTING: { readonly [op: string]: Rule } = {
  Range: (_, node) =>
    constantOf(node.input(1)) === undefined ? (constantNumber(node.input(0)) ?? 0) : undefined,
  // The count of what is there begins at 1.
  CumSum: () => 1,
  // Ones, of which the places are asked for: how older exporters write a range.
  NonZero: () => 0,
  Add: (of, node) => {
    const [a, b] = [of(0), of(1)];
    const sum = largest([a, b]);
    const added = constantNumber(node.input(a === undefined ? 0 : 1)) ?? 0;
    return sum === undefined ? undefined : sum + added;
  },
  Sub: (of, node) => {
    const [a, less] = [of(0), constantNumber(node.input(1))];
    return a === undefined || less === undefined ? undefined : a - less;
  },
  // Positions times a mask.
  Mul: (of) => largest([of(0), of(1)]),
};

function largest(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((v) => v !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}
