// Patterns over the graph, and the rewriting of what they find: a pass is a list of rules, each a pattern and what takes its place.
import { scalarOf } from "../onnx/values.js";
import type { Attribute, AttributeInput } from "./attribute.js";
import { GraphBuilder } from "./builder.js";
import type { Graph, Node, Value } from "./graph.js";

/** What has been found so far; never changed, so that another way can be tried from the same point. */
interface State {
  readonly graph: Graph;
  readonly captures: ReadonlyMap<string, Value>;
  readonly nodes: readonly Node[];
}

/** What a value may be. Made by the functions of this file. */
export interface Pattern {
  /** All ways in which the value fits; undefined is an optional input that is left out. */
  readonly find: (value: Value | undefined, state: State) => Generator<State>;
  /** Operators that may make the value; undefined where any value may fit. */
  readonly roots?: readonly string[];
}

/** What a pattern found. */
export interface Match {
  /** The value captured under that name; throws where the pattern has no such name or took another branch. */
  get(name: string): Value;
  has(name: string): boolean;
  /** The nodes that made up the match, the root first. All stand in the root's graph. */
  readonly nodes: readonly Node[];
}

export interface OpOptions {
  /** Captures the value under this name. */
  readonly as?: string;
  /** Attributes that must stand there with these values (floats as they are after rounding to float32). */
  readonly attributes?: Readonly<Record<string, number | string | readonly number[]>>;
  /** Nobody else reads the value: it has one reader, a node. */
  readonly once?: boolean;
  /** Which of the node's outputs the value is; the first by default. */
  readonly output?: number;
}

/** Operators whose inputs may stand in any order. */
const COMMUTATIVE: ReadonlySet<string> = new Set([
  "Add",
  "Mul",
  "And",
  "Or",
  "Xor",
  "Max",
  "Min",
  "Sum",
  "Mean",
  "Equal",
  "BitwiseAnd",
  "BitwiseOr",
  "BitwiseXor",
]);

/** With more inputs than this, they are only tried in the order of the pattern. */
const MOST_PERMUTED = 4;

/** Any value. A name that comes again in a pattern stands for the same value. */
export function any(name?: string): Pattern {
  return {
    *find(value, state) {
      const next = value && capture(state, name, value);
      if (next !== undefined) yield next;
    },
  };
}

/** An initializer that no caller can override, of this graph or one around it. */
export function constant(name?: string): Pattern {
  return {
    *find(value, state) {
      const next = value?.isConstant === true ? capture(state, name, value) : undefined;
      if (next !== undefined) yield next;
    },
  };
}

/** A constant of one element, of any rank, near `expected`; the tolerance is relative, absolute for 0. */
export function scalar(expected: number, tolerance = 1e-4): Pattern {
  const finite = Number.isFinite(expected);
  const allowed = expected === 0 ? tolerance : finite ? Math.abs(expected) * tolerance : 0;
  return {
    *find(value, state) {
      const tensor = value?.isConstant === true ? value.tensor : undefined;
      const got = tensor === undefined ? undefined : scalarOf(tensor);
      if (got === undefined) return;
      if (got === expected || Math.abs(got - expected) <= allowed) yield state;
    },
  };
}

/**
 * What a node of one of these operators makes (named as `Node.op`, so "com.microsoft.Gelu"), its inputs fitting `inputs` in this order, or
 * in any where the operator is commutative. Inputs that the node leaves out fit `optional` patterns only. The node stands in the same graph
 * as the root of the match: what a subgraph reads from outside is a value for it, not an operator.
 */
export function op(
  ops: string | readonly string[],
  inputs: readonly Pattern[],
  options: OpOptions = {},
): Pattern {
  const roots = typeof ops === "string" ? [ops] : ops;
  const wanted = Object.entries(options.attributes ?? {});
  const output = options.output ?? 0;
  return {
    roots,
    *find(value, state) {
      const node = value?.producer;
      if (value === undefined || node === undefined || node.graph !== state.graph) return;
      if (value.producerIndex !== output || !roots.includes(node.op)) return;
      if (options.once === true && value.onlyUse === undefined) return;
      if (!wanted.every(([name, want]) => fits(node.attributes.get(name), want))) return;
      const given = node.inputs.findLastIndex((input) => input !== undefined) + 1;
      const named = given > inputs.length ? undefined : capture(state, options.as, value);
      if (named === undefined) return;
      const start = { ...named, nodes: [...named.nodes, node] };
      const permute = given <= MOST_PERMUTED && COMMUTATIVE.has(node.op);
      const order = permute && given === inputs.length ? findInAnyOrder : findInOrder;
      yield* order(inputs, node.inputs.slice(0, given), start, 0, 0);
    },
  };
}

/** One of several patterns; the first that lets the rest of the match succeed. */
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

/** An input that may be left out. */
export function optional(pattern: Pattern): Pattern {
  return {
    *find(value, state) {
      if (value === undefined) yield state;
      else yield* pattern.find(value, state);
    },
  };
}

/** The first way in which `value` fits `pattern`. */
export function match(pattern: Pattern, value: Value): Match | undefined {
  const graph = value.producer?.graph ?? value.graph;
  for (const { captures, nodes } of pattern.find(value, { graph, captures: new Map(), nodes: [] }))
    return {
      nodes: [...new Set(nodes)],
      has: (name) => captures.has(name),
      get(name) {
        const found = captures.get(name);
        if (found === undefined) throw new Error(`internal: the pattern captured no "${name}"`);
        return found;
      },
    };
  return undefined;
}

type Inputs = readonly (Value | undefined)[];

function* findInOrder(
  patterns: readonly Pattern[],
  values: Inputs,
  state: State,
  at: number,
): Generator<State> {
  const pattern = patterns[at];
  if (pattern === undefined) yield state;
  else
    for (const next of pattern.find(values[at], state))
      yield* findInOrder(patterns, values, next, at + 1);
}

/** `taken` has a bit for each value that an earlier pattern took. */
function* findInAnyOrder(
  patterns: readonly Pattern[],
  values: Inputs,
  state: State,
  at: number,
  taken: number,
): Generator<State> {
  const pattern = patterns[at];
  if (pattern === undefined) {
    yield state;
    return;
  }
  const tried = new Set<Value | undefined>();
  for (const [i, value] of values.entries()) {
    if ((taken >> i) % 2 === 1 || tried.has(value)) continue;
    tried.add(value);
    for (const next of pattern.find(value, state))
      yield* findInAnyOrder(patterns, values, next, at + 1, taken | (1 << i));
  }
}

function capture(state: State, name: string | undefined, value: Value): State | undefined {
  if (name === undefined) return state;
  const known = state.captures.get(name);
  if (known !== undefined) return known === value ? state : undefined;
  return { ...state, captures: new Map(state.captures).set(name, value) };
}

function fits(got: Attribute | undefined, want: number | string | readonly number[]): boolean {
  switch (got?.type) {
    case "int":
      return typeof want === "number" && Number(got.value) === want;
    case "float":
      return typeof want === "number" && sameFloat(got.value, want);
    case "string":
      return typeof want === "string" && new TextDecoder().decode(got.value) === want;
    case "ints":
    case "floats": {
      if (typeof want !== "object" || want.length !== got.value.length) return false;
      const exact = got.type === "ints";
      return want.every((w, i) => {
        const value = Number(got.value[i]);
        return exact ? value === w : sameFloat(value, w);
      });
    }
    default:
      return false;
  }
}

function sameFloat(a: number, b: number): boolean {
  return Math.fround(a) === Math.fround(b);
}

export interface Rule {
  readonly name: string;
  readonly pattern: Pattern;
  readonly apply: (match: Match, at: Node) => Value | undefined;
}

/**
 * `apply` gets what the pattern found and its root node, and returns what takes the place of the matched value: built with `emit(at, …)`, or
 * one that is there already; undefined leaves it as it is. What it returns may read the matched value: then it comes behind it.
 */
export function rule(name: string, pattern: Pattern, apply: Rule["apply"]): Rule {
  return { name, pattern, apply };
}

/** How many times what a rewrite touched is looked at again, so that rules which undo each other come to an end. */
const ROUNDS = 16;

/**
 * Tries the rules, in order, on each node of the graph and its subgraphs, from the last to the first, so that a large pattern is met before
 * its parts. The readers of a matched value read the replacement instead, and nodes of the match that nobody reads any more are removed.
 * Nodes that a rewrite made, and readers of what it replaced, are then tried again, up to 16 times. Values that nobody reads are left
 * alone. Returns the number of rewrites. Linear time: rules are looked up by the operator of their root.
 */
export function rewrite(graph: Graph, rules: readonly Rule[]): number {
  const byOp = rulesByOp(rules);
  let queue = [...graph.allNodes()].toReversed();
  const known = new Set(queue);
  let count = 0;
  for (let round = 0; round < ROUNDS && queue.length > 0; round++) {
    const again = new Set<Node>();
    for (const node of queue) {
      for (const value of node.outputs) {
        if (value === undefined || node.graph === undefined) continue;
        const readers = [...value.consumers()];
        const replacement = rewriteValue(value, node, byOp.get(node.op) ?? [], known);
        if (replacement === undefined) continue;
        count++;
        for (const touched of [...newNodes(replacement, known), ...readers])
          if (byOp.has(touched.op)) again.add(touched);
      }
    }
    queue = [...again];
  }
  return count;
}

function rulesByOp(rules: readonly Rule[]): ReadonlyMap<string, readonly Rule[]> {
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
  return byOp;
}

/** Applies the first rule that fits and has a replacement. */
function rewriteValue(
  value: Value,
  node: Node,
  rules: readonly Rule[],
  known: ReadonlySet<Node>,
): Value | undefined {
  for (const { pattern, apply } of rules) {
    if (value.uses.size === 0 || node.graph === undefined) return undefined;
    const found = match(pattern, value);
    if (found === undefined) continue;
    const uses = [...value.uses];
    const replacement = apply(found, node);
    if (replacement === undefined || replacement === value) continue;
    replacement.dtype ??= value.dtype;
    replacement.shape ??= value.shape;
    // Only who read the value before: what `apply` made may read it too, and goes on to.
    const readers = uses.filter((use) => value.uses.has(use));
    node.graph.replaceUses(value, replacement, readers);
    if (value.uses.size > 0) putBeforeNew(node, node.graph, known);
    removeUnread(found.nodes);
    return replacement;
  }
  return undefined;
}

/** `emit` puts nodes before the root; those that read it must come behind it. */
function putBeforeNew(root: Node, graph: Graph, known: ReadonlySet<Node>): void {
  let first = root;
  while (first.previous !== undefined && !known.has(first.previous)) first = first.previous;
  graph.moveNode(root, first);
}

function removeUnread(nodes: readonly Node[]): void {
  let left = nodes;
  for (let size = -1; size !== left.length;) {
    size = left.length;
    left = left.filter((node) => {
      const unread = node.outputs.every((o) => o === undefined || o.uses.size === 0);
      if (unread) node.graph?.removeNode(node);
      return !unread;
    });
  }
}

/** The nodes behind a value that were not there before. */
function newNodes(value: Value, known: Set<Node>): Node[] {
  const found: Node[] = [];
  const stack = [value.producer];
  while (stack.length > 0) {
    const node = stack.pop();
    if (node === undefined || known.has(node)) continue;
    known.add(node);
    found.push(node);
    for (const input of node.inputs) stack.push(input?.producer);
  }
  return found;
}

export interface EmitOptions {
  /** Default: what stands before the last dot of the operator's name. */
  readonly domain?: string;
  readonly name?: string;
  /** Names of the outputs, or their number. */
  readonly outputs?: readonly string[] | number;
}

/**
 * Adds a node before `at`, in its graph, and returns its first output. The operator may carry its domain, as in "com.microsoft.Gelu". Whole
 * numbers become int attributes; a float is `{ type: "float", value }`.
 */
export function emit(
  at: Node,
  op: string,
  inputs: readonly (Value | undefined)[],
  attributes: Readonly<Record<string, AttributeInput>> = {},
  options: EmitOptions = {},
): Value {
  if (at.graph === undefined) throw new Error(`internal: ${at.op} "${at.name}" is in no graph`);
  const { domain, ...naming } = options;
  const type = domain === undefined || domain === "" ? op : `${domain}.${op}`;
  return new GraphBuilder(at.graph, { before: at }).add(type, inputs, attributes, naming);
}
