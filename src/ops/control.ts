// If, Loop and Scan: their outputs follow from their bodies.
import type { Dim, Graph } from "../graph/graph.js";
import {
  elementOf,
  unknownDims,
  type Fact,
  type InferContext,
  type InferRule,
  type OpTable,
} from "./facts.js";
import { commonShape, merged } from "./merge.js";
import { equalDims } from "./symbols.js";

function bodyOf({ node }: InferContext, name: string): Graph | undefined {
  const attribute = node.attributes.get(name);
  return attribute?.type === "graph" ? attribute.value : undefined;
}

/** Both branches are inferred; a constant condition lets one decide. */
const inferIf: InferRule = (c) => {
  const [yes, no] = [bodyOf(c, "then_branch"), bodyOf(c, "else_branch")];
  if (yes === undefined || no === undefined) return [];
  const [thens, elses] = [c.inferBody(yes, []), c.inferBody(no, [])];
  const condition = elementOf(c.inputs[0]);
  if (typeof condition === "number") return condition === 0 ? elses : thens;
  return c.node.outputs.map((_, i) => merged(thens[i] ?? {}, elses[i] ?? {}));
};

/** A fact as a carried value has it: its content changes from turn to turn. */
const carried = (fact: Fact | undefined): Fact =>
  fact === undefined ? {} : { dtype: fact.dtype, shape: fact.shape, sequence: fact.sequence };

/**
 * Carried values keep what every turn leaves unchanged: what the body gives back is merged into what went in until nothing changes, and what
 * has once become unknown stays so. Beyond `turns` nothing is kept.
 */
function settle(
  { turns }: InferContext,
  start: readonly Fact[],
  turn: (state: readonly Fact[]) => readonly Fact[],
): { state: readonly Fact[]; results: readonly Fact[] } {
  let state = start.map(carried);
  for (let i = 0; ; i++) {
    // A state about which nothing is assumed cannot change any more.
    if (i === turns) state = state.map(() => ({}));
    const results = turn(state);
    if (i === turns) return { state, results };
    const next = state.map((own, i) => weaker(own, results[i] ?? {}));
    if (next.every((fact, i) => fact === state[i])) return { state, results };
    state = next;
  }
}

/** `own` itself where `other` says the same; else a fact that says less. */
function weaker(own: Fact, other: Fact): Fact {
  const both = carried(merged(own, other));
  const dtype = both.dtype === own.dtype;
  const sequence = own.sequence === undefined || both.sequence !== undefined;
  const dims = own.shape === undefined || sameWhereKnown(own.shape, both.shape);
  return dtype && sequence && dims ? own : both;
}

/** An unknown dim of a carried value (null here) differs each time; it says nothing that could be lost. */
function sameWhereKnown(own: readonly Dim[], common: readonly Dim[] | undefined): boolean {
  return common !== undefined && own.every((d, i) => d === null || equalDims(d, common[i] ?? null));
}

/** Inputs: trip count, condition, carried values. Body: (turn, condition, carried…) → (condition, carried…, scanned…). */
const inferLoop: InferRule = (c) => {
  const body = bodyOf(c, "body");
  if (body === undefined) return [];
  const start = c.inputs.slice(2).map((f) => f ?? {});
  const turn: Fact = { dtype: "int64", shape: [] };
  const condition: Fact = { dtype: "bool", shape: [] };
  const { state, results } = settle(c, start, (values) =>
    c.inferBody(body, [turn, condition, ...values]).slice(1),
  );
  const scanned = results.slice(start.length).map(({ dtype, shape }): Fact => {
    return { dtype, shape: shape && [null, ...shape] };
  });
  return [...state, ...scanned];
};

/** Scan of opset 9 on: states, then scanned inputs, one slice per turn. */
const inferScan: InferRule = (c) => {
  const body = bodyOf(c, "body");
  const count = c.node.int("num_scan_inputs", 0);
  // Opset 8 has a batch dim and sequence lengths.
  if (body === undefined || c.opset < 9) return [];
  const states = c.inputs.slice(0, c.inputs.length - count).map((f) => f ?? {});
  const scanned = c.inputs.slice(c.inputs.length - count);
  const axes = (name: string, i: number, rank: number) => {
    const axis = c.node.ints(name)?.[i] ?? 0;
    return axis < 0 ? axis + rank : axis;
  };
  let length: Dim = null;
  const slices = scanned.map((fact, i): Fact => {
    const shape = fact?.shape;
    if (shape === undefined) return { dtype: fact?.dtype };
    const at = axes("scan_input_axes", i, shape.length);
    length ??= shape[at] ?? null;
    return { dtype: fact?.dtype, shape: shape.toSpliced(at, 1) };
  });
  const { state, results } = settle(c, states, (values) =>
    c.inferBody(body, [...values, ...slices]),
  );
  const outputs = results.slice(states.length).map(({ dtype, shape }, i): Fact => {
    if (shape === undefined) return { dtype };
    return {
      dtype,
      shape: shape.toSpliced(axes("scan_output_axes", i, shape.length + 1), 0, length),
    };
  });
  return [...state, ...outputs];
};

/** SequenceMap of opset 17: a body over the elements of sequences. */
const inferSequenceMap: InferRule = (c) => {
  const body = bodyOf(c, "body");
  if (body === undefined) return [];
  const items = c.inputs.map((fact) => carried(fact?.sequence ?? fact));
  return c.inferBody(body, items).map((item) => {
    const shape = item.shape && commonShape(item.shape, unknownDims(item.shape.length));
    return { sequence: { dtype: item.dtype, shape } };
  });
};

export const CONTROL: OpTable = {
  If: { infer: inferIf },
  Loop: { infer: inferLoop },
  Scan: { infer: inferScan },
  SequenceMap: { infer: inferSequenceMap },
};
