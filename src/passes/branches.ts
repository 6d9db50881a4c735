// Takes the branch of an If whose condition types alone decide ("are the lengths of queries and keys the same?"), and puts it in the If's place.
import type { Graph, Node, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { elementOf } from "../ops/facts.js";
import { inferGrowing } from "../ops/infer.js";

/** Returns the number of branches taken. Branches that hold bodies of their own stay. */
export function takeBranches(model: Model): number {
  const types = inferGrowing(model);
  let count = 0;
  for (const node of model.graph.nodes()) {
    const [condition] = node.inputs;
    if (node.op !== "If" || condition === undefined) continue;
    const truth = elementOf(types.factOf(condition));
    if (truth !== 0 && truth !== 1) continue;
    const branch = node.attributes.get(truth === 1 ? "then_branch" : "else_branch");
    if (branch?.type !== "graph" || !isFlat(branch.value)) continue;
    inline(model.graph, node, branch.value);
    count++;
  }
  return count;
}

function isFlat(body: Graph): boolean {
  const nodes = [...body.nodes()];
  const sparse = [...body.initializers()].some((value) => value.tensor === undefined);
  return !sparse && nodes.every((node) => [...node.subgraphs()].length === 0);
}

function inline(graph: Graph, at: Node, body: Graph): void {
  const outer = new Map<Value, Value>();
  const resolve = (value: Value | undefined) => (value && outer.get(value)) ?? value;
  for (const value of body.initializers())
    if (value.tensor !== undefined)
      outer.set(value, graph.addInitializer(value.name, value.tensor));
  for (const node of body.nodes()) {
    const copy = graph.addNode({
      op: node.opType,
      domain: node.domain,
      name: node.name,
      inputs: node.inputs.map(resolve),
      outputs: node.outputs.map((value) =>
        value === undefined ? "" : graph.freshName(value.name),
      ),
      attributes: new Map(node.attributes),
      before: at,
    });
    node.outputs.forEach((value, i) => {
      if (value === undefined) return;
      const made = copy.output(i);
      made.dtype = value.dtype;
      made.shape = value.shape;
      outer.set(value, made);
    });
  }
  const results = body.outputs.map(resolve);
  at.outputs.forEach((value, i) => {
    const result = results[i];
    if (value !== undefined && result !== undefined) graph.replaceUses(value, result);
  });
  graph.removeNode(at);
}
