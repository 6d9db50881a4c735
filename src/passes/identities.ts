// Removes operators that hand on their input as it is: by nature, or because the inferred types prove it.
import type { Node, Use, Value } from "../graph/graph.js";
import { opset, type Model } from "../graph/model.js";
import { DTYPES, dtypeOfCode } from "../onnx/dtypes.js";
import { numbersOf, scalarOf } from "../onnx/values.js";
import { inferTypes } from "../ops/infer.js";

/** The input that an operator's only read output equals element for element, in the same shape; undefined where that is not certain. */
type Rule = (node: Node, version: number) => Value | undefined;

const first: Rule = (node) => node.input(0);
/** For operators that can only rearrange: with the shape unchanged, in order. */
const ifSameShape: Rule = (node) =>
  sameShape(node.input(0), node.outputs[0]) ? node.input(0) : undefined;
const ifSingle: Rule = (node) => (node.inputs.length === 1 ? node.input(0) : undefined);

const RULES: { readonly [op: string]: Rule } = {
  Identity: first,
  Dropout: (node, version) => (isInferenceDropout(node, version) ? node.input(0) : undefined),
  Cast: (node) => {
    const x = node.input(0);
    return x?.dtype !== undefined && x.dtype === dtypeOfCode(node.int("to", 0)) ? x : undefined;
  },
  CastLike: (node) => {
    const [x, like] = node.inputs;
    return x?.dtype !== undefined && x.dtype === like?.dtype ? x : undefined;
  },
  Reshape: ifSameShape,
  Flatten: ifSameShape,
  Expand: ifSameShape,
  Squeeze: ifSameShape,
  Unsqueeze: ifSameShape,
  Tile: ifSameShape,
  Transpose: (node) => {
    const x = node.input(0);
    const perm = node.ints("perm");
    const keeps = perm === undefined ? (x?.rank ?? 2) <= 1 : perm.every((axis, i) => axis === i);
    return keeps ? x : undefined;
  },
  Slice: (node, version) => {
    const steps = node.input(4);
    const forward =
      version < 10 || steps === undefined || elements(steps)?.every((step) => step > 0) === true;
    return forward ? ifSameShape(node, version) : undefined;
  },
  Pad: (node, version) => {
    const pads = version < 11 ? node.ints("pads") : elements(node.input(1));
    return pads?.every((pad) => pad === 0) === true ? node.input(0) : undefined;
  },
  Concat: ifSingle,
  Sum: ifSingle,
  Max: ifSingle,
  Min: ifSingle,
  Mean: ifSingle,
  // x + 0 turns -0 into 0: exact for whole numbers only. x + -0 and x - 0 are exact for all.
  Add: (node) =>
    withNeutral(node, 0, 1, isNeutralAddend) ?? withNeutral(node, 1, 0, isNeutralAddend),
  Sub: (node) => withNeutral(node, 0, 1, (n) => Object.is(n, 0)),
  Mul: (node) => withNeutral(node, 0, 1, isOne) ?? withNeutral(node, 1, 0, isOne),
  Div: (node) => withNeutral(node, 0, 1, isOne),
  Pow: (node) => withNeutral(node, 0, 1, isOne),
};

/** Constants with more elements than this are not looked through for being neutral. */
const MAX_ELEMENTS = 1 << 16;

/**
 * Lets the readers of operators that do nothing read their input instead. An operator stays where a graph's output needs its name and the
 * input cannot take it over. Linear time, besides type inference.
 */
export function removeIdentities(model: Model): number {
  inferTypes(model);
  return removeTypedIdentities(model);
}

/** The same for a model whose types are inferred already; of operators in `only`, where given. */
export function removeTypedIdentities(model: Model, only?: ReadonlySet<string>): number {
  const version = opset(model);
  let changes = 0;
  for (const node of model.graph.allNodes()) {
    const rule = Object.hasOwn(RULES, node.op) ? RULES[node.op] : undefined;
    const [output, ...others] = node.outputs;
    if (rule === undefined || output === undefined || only?.has(node.op) === false) continue;
    if (others.some((other) => other !== undefined && other.uses.size > 0)) continue;
    const input = rule(node, version);
    if (input !== undefined && bypass(node, output, input)) changes++;
  }
  return changes;
}

/** Redirects all readers that can be; returns whether there were any. */
function bypass(node: Node, output: Value, input: Value): boolean {
  const { graph } = node;
  if (graph === undefined) return false;
  const uses = [...output.uses];
  if (uses.every((use) => canRedirect(use, input))) {
    graph.replaceUses(output, input);
    graph.removeNode(node);
    return true;
  }
  const readers = uses.filter((use) => use.kind === "node");
  for (const use of readers) use.node.setInput(use.index, input);
  return readers.length > 0;
}

/** An output of a graph can only be the result of one of its own nodes, and of one output only. */
function canRedirect(use: Use, input: Value): boolean {
  if (use.kind === "node") return true;
  return input.producer !== undefined && input.graph === use.graph && !input.isOutput;
}

/** The shapes are known to be the same: number by number, symbol by symbol. */
function sameShape(a: Value | undefined, b: Value | undefined): boolean {
  const x = a?.shape;
  const y = b?.shape;
  if (x === undefined || y === undefined || x.length !== y.length) return false;
  return x.every((dim, i) => dim !== null && dim === y[i]);
}

function isInferenceDropout(node: Node, version: number): boolean {
  if (version < 7) return node.int("is_test", 0) === 1;
  const training = node.input(2);
  return training === undefined || elements(training)?.every((flag) => flag === 0) === true;
}

function elements(value: Value | undefined): number[] | undefined {
  if (value?.tensor === undefined || !value.isConstant) return undefined;
  if (value.tensor.dims.reduce((n, dim) => n * dim, 1) > MAX_ELEMENTS) return undefined;
  return value.tensor.dtype === "string" ? undefined : numbersOf(value.tensor);
}

const isOne = (n: number) => n === 1;
const isNeutralAddend = (n: number, isFloat: boolean) => (isFloat ? Object.is(n, -0) : n === 0);

/**
 * Input `at`, when input `other` is a constant of one neutral element that does not broadcast it to another shape. A vector of ones or zeros
 * is a parameter that nobody has trained yet (of a normalization, of a linear layer): its operator stays.
 */
function withNeutral(
  node: Node,
  at: number,
  other: number,
  isNeutral: (n: number, isFloat: boolean) => boolean,
): Value | undefined {
  const x = node.input(at);
  const constant = node.input(other);
  if (x === undefined || constant?.tensor === undefined || x.dtype !== node.outputs[0]?.dtype)
    return undefined;
  const isScalar = constant.tensor.dims.length === 0;
  if (!isScalar && !sameShape(x, node.outputs[0])) return undefined;
  const n = scalarOf(constant.tensor);
  const isFloat = x.dtype === undefined || DTYPES[x.dtype].kind === "float";
  return constant.isConstant && n !== undefined && isNeutral(n, isFloat) ? x : undefined;
}
