// Values and nodes with their edges in both directions. They are made and wired by Graph.
import type { DType } from "../onnx/dtypes.js";
import type {
  NodeDeviceConfigurationProto,
  SparseTensorProto,
  StringStringEntryProto,
  TypeProto,
} from "../onnx/proto.js";
import type { Tensor } from "../onnx/tensor.js";
import type { Attribute } from "./attribute.js";
import type { Graph } from "./graph.js";

/** A known size, a symbol ("batch", or an expression over symbols), or null where nothing is known. */
export type Dim = number | string | null;

/** A place that reads a value: an input slot of a node, or an output slot of a graph. */
export type Use =
  | { readonly kind: "node"; readonly node: Node; readonly index: number }
  | { readonly kind: "output"; readonly graph: Graph; readonly index: number };

export class Value {
  /** Element type, where known. */
  dtype: DType | undefined;
  /** Shape, where at least the rank is known. */
  shape: readonly Dim[] | undefined;
  /** Constant content: this value is an initializer (or an input with a default, when it is in `graph.inputs` too). */
  tensor: Tensor | undefined;
  /** The type as it stood in the file, kept for inputs and outputs (denotations, sequences, maps, optionals). */
  typeProto: TypeProto | undefined;
  /** A sparse initializer: kept, not interpreted. */
  sparse: SparseTensorProto | undefined;
  docString: string | undefined;
  metadata: StringStringEntryProto[] | undefined;
  /** The node that makes this value; undefined for inputs and initializers. */
  readonly producer: Node | undefined;
  readonly producerIndex: number;
  readonly #uses = new Set<Use>();
  #outputSlots = 0;

  /** Use `Graph`'s methods, not this constructor. */
  constructor(
    readonly graph: Graph,
    public name: string,
    producer?: Node,
    producerIndex = -1,
  ) {
    this.producer = producer;
    this.producerIndex = producerIndex;
  }

  /** Who reads this value, in the order the readers were attached; readers inside subgraphs included. */
  get uses(): ReadonlySet<Use> {
    return this.#uses;
  }

  /** Nodes that read this value, one entry per input slot. */
  *consumers(): Generator<Node> {
    for (const use of this.#uses) if (use.kind === "node") yield use.node;
  }

  /** The single input slot that reads this value, when there is exactly one reader and it is a node. */
  get onlyUse(): Extract<Use, { kind: "node" }> | undefined {
    if (this.#uses.size !== 1) return undefined;
    const [use] = this.#uses;
    return use?.kind === "node" ? use : undefined;
  }

  /** True where this graph, or one inside it, returns the value. */
  get isOutput(): boolean {
    return this.#outputSlots > 0;
  }

  get isInput(): boolean {
    return this.graph.isInput(this);
  }

  /** True for initializers that no caller can override. */
  get isConstant(): boolean {
    return this.tensor !== undefined && !this.isInput;
  }

  get rank(): number | undefined {
    return this.shape?.length;
  }

  /** For Graph and Node only. */
  attach(use: Use): void {
    this.#uses.add(use);
    if (use.kind === "output") this.#outputSlots++;
  }

  detach(use: Use): void {
    if (this.#uses.delete(use) && use.kind === "output") this.#outputSlots--;
  }
}

export class Node {
  /** Unique among the nodes of a graph, or empty. */
  readonly name: string;
  readonly opType: string;
  readonly domain: string;
  overload: string | undefined;
  docString: string | undefined;
  metadata: StringStringEntryProto[] | undefined;
  deviceConfigurations: NodeDeviceConfigurationProto[] | undefined;
  /** Fields of the file that this version of the format does not know. */
  unknown: Uint8Array[] | undefined;
  readonly attributes: Map<string, Attribute>;
  /** The graph this node stands in; undefined once it is removed. */
  graph: Graph | undefined;
  previous: Node | undefined;
  next: Node | undefined;
  #inputs: (Value | undefined)[] = [];
  #uses: (Use | undefined)[] = [];
  #outputs: (Value | undefined)[] = [];

  /** Use `Graph.addNode`, not this constructor. */
  constructor(opType: string, domain: string, name: string, attributes: Map<string, Attribute>) {
    this.opType = opType;
    // "ai.onnx" is an alias of the default domain.
    this.domain = domain === "ai.onnx" ? "" : domain;
    this.name = name;
    this.attributes = attributes;
  }

  /** Inputs by position; undefined is an optional input that is left out. */
  get inputs(): readonly (Value | undefined)[] {
    return this.#inputs;
  }

  get outputs(): readonly (Value | undefined)[] {
    return this.#outputs;
  }

  /** The operator as rules name it: `MatMul`, or `com.microsoft.Gelu` outside the default domain. */
  get op(): string {
    return this.domain === "" ? this.opType : `${this.domain}.${this.opType}`;
  }

  input(index: number): Value | undefined {
    return this.#inputs[index];
  }

  /** Output `index`; throws where the node has none (an internal mistake). */
  output(index = 0): Value {
    const value = this.#outputs[index];
    if (value === undefined)
      throw new Error(`internal: ${this.op} "${this.name}" has no output ${index}`);
    return value;
  }

  setInput(index: number, value: Value | undefined): void {
    while (this.#inputs.length <= index) {
      this.#inputs.push(undefined);
      this.#uses.push(undefined);
    }
    const old = this.#uses[index];
    if (old !== undefined) this.#inputs[index]?.detach(old);
    this.#inputs[index] = value;
    if (value === undefined) this.#uses[index] = undefined;
    else {
      const use: Use = { kind: "node", node: this, index };
      this.#uses[index] = use;
      value.attach(use);
    }
  }

  setInputs(values: readonly (Value | undefined)[]): void {
    for (let i = values.length; i < this.#inputs.length; i++) this.setInput(i, undefined);
    this.#inputs.length = Math.min(this.#inputs.length, values.length);
    this.#uses.length = this.#inputs.length;
    values.forEach((value, i) => this.setInput(i, value));
  }

  /** For Graph only. */
  setOutputs(values: (Value | undefined)[]): void {
    this.#outputs = values;
  }

  int(name: string, missing: number): number;
  int(name: string, missing?: undefined): number | undefined;
  int(name: string, missing?: number): number | undefined {
    const a = this.attributes.get(name);
    return a?.type === "int" ? Number(a.value) : missing;
  }

  float(name: string, missing: number): number {
    const a = this.attributes.get(name);
    return a?.type === "float" ? a.value : missing;
  }

  ints(name: string): number[] | undefined {
    const a = this.attributes.get(name);
    return a?.type === "ints" ? a.value.map(Number) : undefined;
  }

  floats(name: string): readonly number[] | undefined {
    const a = this.attributes.get(name);
    return a?.type === "floats" ? a.value : undefined;
  }

  string(name: string, missing: string): string;
  string(name: string, missing?: undefined): string | undefined;
  string(name: string, missing?: string): string | undefined {
    const a = this.attributes.get(name);
    return a?.type === "string" ? new TextDecoder().decode(a.value) : missing;
  }

  tensor(name: string): Tensor | undefined {
    const a = this.attributes.get(name);
    return a?.type === "tensor" ? a.value : undefined;
  }

  /** Graphs in this node's attributes (bodies of If, Loop, Scan, …), in attribute order. */
  *subgraphs(): Generator<Graph> {
    for (const a of this.attributes.values()) {
      if (a.type === "graph") yield a.value;
      else if (a.type === "graphs") yield* a.value;
    }
  }
}

/** A node as messages name it: its operator and its name, or its first output where it has none. */
export function describe(node: Node): string {
  const first = node.outputs.find((o) => o !== undefined);
  return `${node.op} "${node.name || first?.name || "?"}"`;
}
