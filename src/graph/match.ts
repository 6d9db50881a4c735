// Patterns over the graph and the rewriting of what they find: a pass is a list of rules, each a pattern and what takes its place.
import type { Graph, Node, Value } from "./graph.js";
import { toAttribute, type AttributeInput } from "./attribute.js";
import { scalarOf } from "../onnx/values.js";

type Captures = Map<string, Value>;
type State = { readonly captures: Captures; readonly nodes: readonly Node[] };

/** A predicate on a value: yields every way in which it can match (commutative operators have several). */
export interface Pattern {
  readonly find: (value: Value, state: State) => Generator<State>;
  /** Operators a match's root may have; undefined where any value may match. */
  readonly roots?: readonly string[];
}

/** What a pattern found: values by the names the pattern gave them, and the nodes matched, root first. */
export interface Match {
  get(name: string): Value;
  has(name: string): boolean;
  readonly nodes: readonly Node[];
}

export interface OpOptions {
  /** Captures the node's output under this name. */
  readonly as?: string;
  /** Attributes that must stand there with these values. */
  readonly attributes?: Readonly<Record<string, number | string | readonly number[]>>;
  /** The value has this one reader and is no output of the graph. */
  readonly once?: boolean;
}

const COMMUTATIVE: ReadonlySet<string> = new Set([
  "Add",
  "Mul",
  "And",
  "Or",
  "Xor",
  "Max",
  "Min",
  "Sum",
  "Equal",
  "BitwiseAnd",
  "BitwiseOr",
  "BitwiseXor",
]);

/** Any value; a name that comes again stands for the same value. */
export function any(name?: string): Pattern {
  return {
    *find(value, state) {
      const next = capture(state, name, value);
      if (next !== undefined) yield next;
    },
  };
}

/** An initializer that no caller can override. */
export function constant(name?: string): Pattern {
  return {
    *find(value, state) {
      const next = value.isConstant ? capture(state, name, value) : undefined;
      if (next !== undefined) yield next;
    },
  };
}

/** A constant of one element near `expected` (relative tolerance; absolute for 0). */
export function scalar(expected: number, tolerance = 1e-4): Pattern {
  return {
    *find(value, state) {
      const tensor = value.isConstant ? value.tensor : undefined;
      const got = tensor === undefined ? undefined : scalarOf(tensor);
      if (got === undefined) return;
      const allowed = expected === 0 ? tolerance : Math.abs(expected) * tolerance;
      if (Math.abs(got - expected) <= allowed) yield state;
    },
  };
}

/** The first output of a node of one of these operators whose inputs match; operators as `Node.op` names them. */
export function op(
  ops: string | readonly string[],
  inputs: readonly Pattern[],
  options: OpOptions = {},
): Pattern {
  const roots = typeof ops === "string" ? [ops] : ops;
  const wanted = Object.entries(options.attributes ?? {});
  return {
    roots,
    *find(value, state) {
      const node = value.producer;
      if (node === undefined || value.producerIndex !== 0 || !roots.includes(node.op)) return;
      if (options.once === true && value.onlyUse === undefined) return;
      if (!wanted.every(([name, input]) => hasAttribute(node, name, input))) return;
      const got = node.inputs;
      if (got.length !== inputs.length || got.includes(undefined)) return;
      const next = capture(state, options.as, value);
      if (next === undefined) return;
      const start = { captures: next.captures, nodes: [...next.nodes, node] };
      yield* findInputs(inputs, got, 0, start);
      const swaps = inputs.length === 2 && COMMUTATIVE.has(node.op) && got[0] !== got[1];
      if (swaps) yield* findInputs(inputs, [got[1], got[0]], 0, start);
    },
  };
}

/** The first of several patterns that fits; all of them are tried where the rest of the match demands it. */
export function oneOf(...patterns: readonly Pattern[]): Pattern {
  const roots = patterns.flatMap((p) => p.roots ?? []);
  const open = patterns.some((p) => p.roots === undefined);
  return {
    ...(open ? {} : { roots }),
    *find(value, state) {
      for (const pattern of patterns) yield* pattern.find(value, state);
    },
  };
}

/** The first way in which `pattern` matches `value`. */
export function match(pattern: Pattern, value: Value): Match | undefined {
  for (const { captures, nodes } of pattern.find(value, { captures: new Map(), nodes: [] }))
    return {
      nodes: [...new Set(nodes)],
      has: (name) => captures.has(name),
      get(name) {
        const found = captures.get(name);
        if (found === undefined) throw new Error(`internal: the pattern captures no "${name}"`);
        return found;
      },
    };
  return undefined;
}

function* findInputs(
  patterns: readonly Pattern[],
  values: readonly (Value | undefined)[],
  at: number,
  state: State,
): Generator<State> {
  const pattern = patterns[at];
  const value = values[at];
  if (pattern === undefined || value === undefined) {
    yield state;
    return;
  }
  for (const next of pattern.find(value, state)) yield* findInputs(patterns, values, at + 1, next);
}

function capture(state: State, name: string | undefined, value: Value): State | undefined {
  if (name === undefined) return state;
  const known = state.captures.get(name);
  if (known !== undefined) return known === value ? state : undefined;
  return { captures: new Map(state.captures).set(name, value), nodes: state.nodes };
}

function hasAttribute(node: Node, name: string, input: AttributeInput): boolean {
  const got = node.attributes.get(name);
  if (got === undefined || got.type === "opaque") return false;
  const wanted = toAttribute(input);
  if (wanted.type === "ints")
    return got.type === "ints" && `${got.value.join()}` === wanted.value.join();
  if (wanted.type === "string") return node.string(name, "") === input;
  return (got.type === "int" || got.type === "float") && Number(got.value) === input;
}

export interface Rule {
  readonly name: string;
  readonly pattern: Pattern;
  /** What takes the place of the matched value, built with `emit(at, …)`; undefined leaves it as it is. */
  readonly apply: (match: Match, at: Node) => Value | undefined;
}

export function rule(name: string, pattern: Pattern, apply: Rule["apply"]): Rule {
  return { name, pattern, apply };
}

/**
 * Tries the rules, in order, on each node of the graph and of its subgraphs, once, from the last to the first (so that a large pattern is met
 * before its parts). A match's value is replaced and the nodes that only it needed are removed. Returns the number of rewrites. Linear time:
 * rules are looked up by the operator of their root.
 */
export function rewrite(graph: Graph, rules: readonly Rule[]): number {
  const byOp = new Map<string, Rule[]>();
  for (const r of rules) {
    if (r.pattern.roots === undefined)
      throw new Error(`internal: rule "${r.name}" has no operator at its root`);
    for (const root of new Set(r.pattern.roots)) {
      const list = byOp.get(root);
      if (list === undefined) byOp.set(root, [r]);
      else list.push(r);
    }
  }
  let count = 0;
  for (const node of [...graph.allNodes()].reverse()) {
    if (node.graph === undefined) continue;
    for (const r of byOp.get(node.op) ?? []) {
      const value = node.outputs[0];
      const found = value === undefined ? undefined : match(r.pattern, value);
      const replacement = found === undefined ? undefined : r.apply(found, node);
      if (value === undefined || found === undefined || replacement === undefined) continue;
      replacement.dtype ??= value.dtype;
      replacement.shape ??= value.shape;
      node.graph.replaceUses(value, replacement);
      removeUnread(found.nodes);
      count++;
      break;
    }
  }
  return count;
}

/** Nodes of a match come root first, so one walk suffices. */
function removeUnread(nodes: readonly Node[]): void {
  for (const node of nodes)
    if (node.graph !== undefined && node.outputs.every((o) => o === undefined || o.uses.size === 0))
      node.graph.removeNode(node);
}

export interface EmitOptions {
  readonly domain?: string;
  readonly name?: string;
  readonly outputs?: number;
}

/** Adds a node before `at`, in its graph, and returns its first output. */
export function emit(
  at: Node,
  opType: string,
  inputs: readonly (Value | undefined)[],
  attributes: Readonly<Record<string, AttributeInput>> = {},
  options: EmitOptions = {},
): Value {
  if (at.graph === undefined) throw new Error(`internal: ${at.op} "${at.name}" is in no graph`);
  return at.graph.addNode({ op: opType, inputs, attributes, before: at, ...options }).output();
}
