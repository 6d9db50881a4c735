// Gives every reader of an INT8 weight or zero point a copy of its own: onnxruntime makes sums exact only of weights that nothing else reads.
import {
  ATTRIBUTE_TYPES,
  type GraphProto,
  type ModelProto,
  type TensorProto,
} from "../onnx/proto.js";

const INT8 = 3;

type Named = ReadonlyMap<string, TensorProto>;

/** A model that computes the same. Its tensors stay where they are, so that no more memory is taken; what is written holds each copy. */
export function unshareWeights(model: ModelProto): ModelProto {
  const { graph } = model;
  if (graph === undefined) return model;
  const [names, read] = [namesIn(graph), new Set<TensorProto>()];
  return { ...model, graph: unshared(graph, new Map(), { names, read }) };
}

interface Seen {
  readonly names: Set<string>;
  readonly read: Set<TensorProto>;
}

function unshared(graph: GraphProto, outer: Named, seen: Seen): GraphProto {
  const inputs = new Set(graph.input?.map(({ name }) => name));
  const known = new Map(outer);
  for (const tensor of graph.initializer ?? [])
    if (tensor.name !== undefined && tensor.dataType === INT8 && !inputs.has(tensor.name))
      known.set(tensor.name, tensor);
  const copies: TensorProto[] = [];
  const ownOf = (name: string): string => {
    const tensor = known.get(name);
    if (tensor === undefined) return name;
    if (!seen.read.has(tensor)) {
      seen.read.add(tensor);
      return name;
    }
    const copy = { ...tensor, name: freeName(name, seen.names) };
    copies.push(copy);
    return copy.name;
  };
  const node = graph.node?.map((each) => ({
    ...each,
    ...(each.input && { input: each.input.map(ownOf) }),
    ...(each.attribute && {
      attribute: each.attribute.map((attribute) => ({
        ...attribute,
        ...(attribute.type === ATTRIBUTE_TYPES.graph &&
          attribute.g !== undefined && { g: unshared(attribute.g, known, seen) }),
      })),
    }),
  }));
  return {
    ...graph,
    ...(node && { node }),
    ...(copies.length > 0 && { initializer: [...(graph.initializer ?? []), ...copies] }),
  };
}

function freeName(name: string, names: Set<string>): string {
  let count = 2;
  while (names.has(`${name}_${count}`)) count++;
  names.add(`${name}_${count}`);
  return `${name}_${count}`;
}

/** Names of all values, those of bodies included. */
function namesIn(graph: GraphProto, names = new Set<string>()): Set<string> {
  for (const { name } of [...(graph.input ?? []), ...(graph.initializer ?? [])])
    if (name !== undefined) names.add(name);
  for (const node of graph.node ?? []) {
    for (const name of [...(node.input ?? []), ...(node.output ?? [])]) names.add(name);
    for (const { g } of node.attribute ?? []) if (g !== undefined) namesIn(g, names);
  }
  return names;
}
