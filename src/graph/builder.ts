// Writes graphs node by node: for models made from nothing, and for rewrites that put operators into a graph that is there.
import type { DType } from "../onnx/dtypes.js";
import { float32Tensor, int64Tensor, type Tensor } from "../onnx/tensor.js";
import type { AttributeInput } from "./attribute.js";
import { Graph, type Dim, type NewNode, type Node, type Value } from "./graph.js";
import type { Model } from "./model.js";

export type Attributes = Readonly<Record<string, AttributeInput>>;
export type Inputs = readonly (Value | undefined)[];

export interface BuilderOptions {
  /** Put nodes before this one; default: at the end. */
  readonly before?: Node | undefined;
  /** Operator sets of the model: a domain that an operator is of is added to them at version 1. Default: they are left alone. */
  readonly opsets?: Map<string, number> | undefined;
  /** What constants are called that have no name of their own; default "constant". */
  readonly constants?: string;
}

/** What a node is called, and how many outputs it has; default: made from its operator, 1. */
export type Naming = Pick<NewNode, "name" | "outputs">;

export class GraphBuilder {
  readonly #scope: string;
  readonly #constants: Map<string, Value>;

  constructor(
    readonly graph: Graph,
    readonly options: BuilderOptions = {},
    /** Builder that this one is a scope of. */
    outer?: { readonly scope: string; readonly constants: Map<string, Value> },
  ) {
    this.#scope = outer?.scope ?? "";
    this.#constants = outer?.constants ?? new Map<string, Value>();
  }

  /** The same graph, where names begin with `name.`: "encoder.layer.0" from scopes within scopes. Constants are shared. */
  scope(name: string): GraphBuilder {
    const outer = { scope: `${this.#scope}${name}.`, constants: this.#constants };
    return new GraphBuilder(this.graph, this.options, outer);
  }

  /** The same graph and constants, with nodes put before `node`. */
  at(node: Node): GraphBuilder {
    const outer = { scope: this.#scope, constants: this.#constants };
    return new GraphBuilder(node.graph ?? this.graph, { ...this.options, before: node }, outer);
  }

  /** An input, under exactly this name: scopes do not count, callers feed by it. Throws InvalidGraphError where the name is taken. */
  input(name: string, shape: readonly Dim[], dtype: DType = "float32"): Value {
    return this.graph.addInput(name, { dtype, shape });
  }

  /** What is stored under a name in the scope: a weight, a bias, a table. Of a name that is taken a fresh one is made. */
  initializer(name: string, tensor: Tensor): Value {
    return this.graph.addInitializer(`${this.#scope}${name}`, tensor);
  }

  /** Adds a node `Op` or `domain.Op` and returns its first output. Whole numbers become int attributes; a float is `{ type: "float", value }`. */
  add(op: string, inputs: Inputs, attributes: Attributes = {}, naming: Naming = {}): Value {
    return this.addNode(op, inputs, attributes, naming).output();
  }

  /** The same, for operators with several outputs. */
  addNode(op: string, inputs: Inputs, attributes: Attributes = {}, naming: Naming = {}): Node {
    const { before, opsets } = this.options;
    const dot = op.lastIndexOf(".");
    const domain = dot < 0 ? "" : op.slice(0, dot);
    if (domain !== "" && opsets?.has(domain) === false) opsets.set(domain, 1);
    const kind = { op: op.slice(dot + 1), domain, inputs, attributes, before };
    return this.graph.addNode({ ...kind, ...this.#scoped(naming) });
  }

  /** An initializer of the outermost graph, made once for each `key`. */
  constant(key: string, make: () => Tensor): Value {
    let value = this.#constants.get(key);
    if (value === undefined) {
      value = this.graph.root.addInitializer(this.options.constants ?? "constant", make());
      this.#constants.set(key, value);
    }
    return value;
  }

  /** A float32 scalar. */
  number(value: number): Value {
    return this.constant(`float32 ${value}`, () => float32Tensor(value));
  }

  /** A vector of int64. */
  ints(list: readonly number[]): Value {
    return this.constant(`int64 ${list.join()}`, () => int64Tensor(list));
  }

  /** An int64 scalar. */
  integer(value: number): Value {
    return this.constant(`scalar int64 ${value}`, () => int64Tensor(value));
  }

  output(...values: readonly Value[]): void {
    for (const value of values) this.graph.addOutput(value);
  }

  #scoped({ name, outputs }: Naming): Naming {
    const scoped = (own: string): string => (own === "" ? "" : `${this.#scope}${own}`);
    return {
      ...(name === undefined ? {} : { name: scoped(name) }),
      ...(outputs === undefined
        ? {}
        : { outputs: typeof outputs === "number" ? outputs : outputs.map(scoped) }),
    };
  }
}

export interface NewModel {
  /** Version of the default operator set. */
  readonly opset: number;
  readonly irVersion: number;
  /** Versions of further operator sets by their domain. */
  readonly domains?: Readonly<Record<string, number>>;
}

/** A model whose graph `build` writes. */
export function buildModel(
  { opset, irVersion, domains = {} }: NewModel,
  build: (b: GraphBuilder) => void,
): Model {
  const opsets = new Map([["", opset], ...Object.entries(domains)]);
  const graph = new Graph();
  build(new GraphBuilder(graph, { opsets }));
  return { graph, opsets, irVersion, functions: [], rest: {} };
}
