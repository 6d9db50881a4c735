import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeModel } from "../onnx/reader.js";
import { float32Tensor } from "../onnx/tensor.js";
import { encodeModel } from "../onnx/writer.js";
import { cloneModel } from "./clone.js";
import { exportModel } from "./export.js";
import { Graph, type Node, type Value } from "./graph.js";
import { importModel } from "./import.js";
import type { Model } from "./model.js";
import { print } from "./print.js";
import { verify } from "./verify.js";

/** One random edit; the numbers choose among what there is. */
interface Edit {
  readonly kind: "node" | "body" | "output" | "replace" | "remove" | "move";
  readonly choices: readonly number[];
}

const edit = fc.record<Edit>({
  kind: fc.constantFrom("node", "node", "node", "body", "output", "replace", "remove", "move"),
  choices: fc.array(fc.nat(), { minLength: 4, maxLength: 4 }),
});
const edits = fc.array(edit, { maxLength: 60, size: "max" });

function start(): Graph {
  const graph = new Graph();
  graph.addInput("x", { dtype: "float32", shape: ["n"] });
  graph.addInput("optional");
  graph.addNamedInitializer("optional", float32Tensor([1, 2]));
  graph.addInitializer("w", float32Tensor([3, 4]));
  return graph;
}

function pick<T>(list: readonly T[], choice = 0): T | undefined {
  return list[choice % Math.max(1, list.length)];
}

function graphsOf(root: Graph): Graph[] {
  return [root, ...[...root.allNodes()].flatMap((node) => [...node.subgraphs()])];
}

/** Values that can be seen from `graph`. */
function visible(graph: Graph | undefined): Value[] {
  return graph === undefined ? [] : [...visible(graph.parent), ...graph.values()];
}

/** Values that a node reads, its subgraphs included. */
function reads(node: Node): Value[] {
  const inner = [...node.subgraphs()].flatMap((sub) => [
    ...[...sub.nodes()].flatMap(reads),
    ...sub.outputs,
  ]);
  return [...node.inputs.filter((v) => v !== undefined), ...inner];
}

function holderOf(graph: Graph): Node | undefined {
  return [...(graph.parent?.nodes() ?? [])].find((node) => [...node.subgraphs()].includes(graph));
}

/** Whether a value is made from what `source` makes; a value in a body is made by the body's holder as well. */
function needs(value: Value, source: (v: Value) => boolean): boolean {
  const seen = new Set<Value>();
  const stack = [value];
  for (let v = stack.pop(); v !== undefined; v = stack.pop()) {
    if (seen.has(v)) continue;
    seen.add(v);
    if (source(v)) return true;
    if (v.producer !== undefined) stack.push(...reads(v.producer));
  }
  return false;
}

/** True where reading `value` in `graph` makes no cycle through the nodes that hold `graph`. */
function isReadable(value: Value, graph: Graph): boolean {
  for (let at: Graph | undefined = graph; at !== undefined; at = at.parent) {
    const holder = holderOf(at);
    if (holder !== undefined && needs(value, (v) => v.producer === holder)) return false;
  }
  return true;
}

function apply(root: Graph, { kind, choices: [a, b, c, d] }: Edit): void {
  const graphs = graphsOf(root);
  const graph = pick(graphs, a) ?? root;
  const values = visible(graph).filter((v) => isReadable(v, graph));
  const nodes = [...graph.nodes()];
  const node = pick(nodes, b);
  switch (kind) {
    case "node":
    case "body": {
      const attributes: Record<string, { type: "graph"; value: Graph }> = {};
      if (kind === "body") {
        const body = new Graph(graph);
        body.addOutput(body.addNode({ op: "Exp", inputs: [pick(values, d)] }).output());
        attributes["body"] = { type: "graph", value: body };
      }
      const inputs = [
        pick(values, b),
        c === undefined || c % 3 === 0 ? undefined : pick(values, c),
      ];
      graph.addNode({ op: "Op", name: "twin", inputs, outputs: ((d ?? 0) % 2) + 1, attributes });
      break;
    }
    case "output": {
      const value = pick([...graph.values()], b);
      if (value !== undefined) graph.addOutput(value);
      break;
    }
    case "replace": {
      const from = pick([...graph.values()], b);
      const to = pick(values, c);
      if (from !== undefined && to !== undefined && !needs(to, (v) => v === from)) {
        const want = root.outputs.map((v) =>
          v === from && v.isInput ? meaning(v) : meaning(v, { from, to }),
        );
        const names = root.outputs.map((v) => v.name);
        graph.replaceUses(from, to);
        expect(root.outputs.map((v) => v.name)).toEqual(names);
        expect(root.outputs.map((v) => meaning(v))).toEqual(want);
      }
      break;
    }
    case "remove":
      if (node?.outputs.every((v) => v === undefined || v.uses.size === 0)) graph.removeNode(node);
      break;
    case "move":
      if (node !== undefined) graph.moveNode(node, c === undefined ? undefined : pick(nodes, c));
  }
  root.sort();
}

const numbers = new Map<string, number>();
const identities = new WeakMap<Node, number>();
let made = 0;

/** A number for what a value computes: the same where its nodes and inputs are. Identity is nothing. */
function meaning(value: Value, swap?: { from: Value; to: Value }): number {
  const known = new Map<Value, number>();
  const of = (v: Value): number => {
    if (v === swap?.from) return of(swap.to);
    const cached = known.get(v);
    if (cached !== undefined) return cached;
    const number = v.producer === undefined ? numbered(`value ${v.name}`) : ofNode(v, v.producer);
    known.set(v, number);
    return number;
  };
  const ofNode = (v: Value, node: Node): number => {
    if (node.op === "Identity" && node.inputs[0] !== undefined) return of(node.inputs[0]);
    const id = identities.get(node) ?? ++made;
    identities.set(node, id);
    const inputs = node.inputs.map((input) => (input === undefined ? 0 : of(input)));
    const bodies = [...node.subgraphs()].map((sub) => sub.outputs.map(of).join());
    return numbered(`${id}.${v.producerIndex}(${inputs.join()}) ${bodies.join(";")}`);
  };
  return of(value);
}

function numbered(text: string): number {
  const number = numbers.get(text) ?? numbers.size + 1;
  numbers.set(text, number);
  return number;
}

const modelOf = (graph: Graph): Model => ({
  graph,
  opsets: new Map([["", 18]]),
  irVersion: 8,
  functions: [],
  rest: {},
});

test("edits keep the legal form, the names of outputs, and what the outputs mean", () => {
  fc.assert(
    fc.property(edits, (list) => {
      const graph = start();
      for (const edit of list) {
        apply(graph, edit);
        verify(graph);
      }
    }),
    { numRuns: 300 },
  );
});

test("a model is the same after export and import, as messages and as a file", () => {
  fc.assert(
    fc.property(edits, (list) => {
      const graph = start();
      for (const edit of list) apply(graph, edit);
      // Types of inner values are not written.
      for (const node of graph.allNodes())
        for (const value of node.outputs)
          if (value !== undefined) value.dtype = value.shape = undefined;
      const model = modelOf(graph);
      const text = print(model);
      const proto = exportModel(model);
      for (const back of [importModel(proto), importModel(decodeModel(encodeModel(proto)))]) {
        verify(back);
        expect(print(back)).toBe(text);
      }
    }),
    { numRuns: 300 },
  );
});

test("a clone is the same model, types and all, and editing either leaves the other as it was", () => {
  fc.assert(
    fc.property(edits, fc.array(edit, { maxLength: 8 }), (list, later) => {
      const graph = start();
      for (const edit of list) apply(graph, edit);
      const model = modelOf(graph);
      const text = print(model);
      const clone = cloneModel(model);
      verify(clone);
      expect(print(clone)).toBe(text);
      for (const edit of later) apply(clone.graph, edit);
      clone.opsets.set("", 1);
      verify(clone);
      verify(model);
      expect(print(model)).toBe(text);
      const edited = print(clone);
      for (const edit of later) apply(graph, edit);
      expect(print(clone)).toBe(edited);
    }),
    { numRuns: 100 },
  );
});

test("however the nodes are shuffled, sorting finds a valid order of the same graph, and then rests", () => {
  fc.assert(
    fc.property(edits, fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat())), (list, moves) => {
      const graph = start();
      for (const edit of list) apply(graph, edit);
      const before = graph.outputs.map((v) => meaning(v));
      for (const [a, b, c] of moves) {
        const shuffled = pick(graphsOf(graph), a) ?? graph;
        const nodes = [...shuffled.nodes()];
        const node = pick(nodes, b);
        if (node !== undefined) shuffled.moveNode(node, pick(nodes, c));
      }
      graph.sort();
      verify(graph);
      expect(graph.outputs.map((v) => meaning(v))).toEqual(before);
      const order = [...graph.allNodes()];
      graph.sort();
      expect([...graph.allNodes()].every((node, i) => node === order[i])).toBe(true);
    }),
    { numRuns: 300 },
  );
});
