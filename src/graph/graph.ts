// The graph that every pass works on: nodes in a doubly linked list (their order is the graph's order), values with use-lists in both
// directions, every look-up and every edit O(1). A value used inside a subgraph is the same object and counts as used.
import { InvalidGraphError } from "../errors.js";
import type { DType } from "../onnx/dtypes.js";
import type { SparseTensorProto, StringStringEntryProto, TensorAnnotation } from "../onnx/proto.js";
import type { Tensor } from "../onnx/tensor.js";
import { toAttribute, type Attribute, type AttributeInput } from "./attribute.js";
import { describe, Node, Value, type Dim, type Use } from "./node.js";
import { validOrder } from "./order.js";

export { describe, Node, Value, type Dim, type Use };

export interface NewNode {
  readonly op: string;
  readonly domain?: string;
  readonly name?: string;
  readonly inputs: readonly (Value | undefined)[];
  /** Names of the outputs, "" for one left out; or their number (names are made then). Default: 1. */
  readonly outputs?: readonly string[] | number;
  readonly attributes?: Readonly<Record<string, AttributeInput>> | Map<string, Attribute>;
  /** Insert before this node; default: at the end. */
  readonly before?: Node | undefined;
}

/** Names that are taken: of values, one set for a whole model, so that new names never shadow; of nodes, one set per graph. */
class Names {
  readonly taken = new Set<string>();
  readonly #counters = new Map<string, number>();

  fresh(base: string): string {
    let name = base;
    if (base === "" || this.taken.has(base)) {
      let i = this.#counters.get(base) ?? 0;
      do name = `${base}_${++i}`;
      while (this.taken.has(name));
      this.#counters.set(base, i);
    }
    this.taken.add(name);
    return name;
  }
}

export class Graph {
  name = "";
  docString: string | undefined;
  metadata: StringStringEntryProto[] | undefined;
  quantizationAnnotations: TensorAnnotation[] | undefined;
  /** Fields of the file that this version of the format does not know. */
  unknown: Uint8Array[] | undefined;
  /** The graph around this one, for bodies of If, Loop and Scan. */
  readonly parent: Graph | undefined;
  readonly #names: Names;
  readonly #values = new Map<string, Value>();
  readonly #nodeNames = new Names();
  readonly #inputs: Value[] = [];
  readonly #inputSet = new Set<Value>();
  readonly #outputs: { value: Value; use: Use }[] = [];
  #first: Node | undefined;
  #last: Node | undefined;
  #size = 0;

  constructor(parent?: Graph) {
    this.parent = parent;
    this.#names = parent === undefined ? new Names() : parent.#names;
  }

  get inputs(): readonly Value[] {
    return this.#inputs;
  }

  get outputs(): readonly Value[] {
    return this.#outputs.map((o) => o.value);
  }

  /** Number of nodes, subgraphs not counted. */
  get size(): number {
    return this.#size;
  }

  get first(): Node | undefined {
    return this.#first;
  }

  get last(): Node | undefined {
    return this.#last;
  }

  /** The outermost graph. */
  get root(): Graph {
    return this.parent === undefined ? this : this.parent.root;
  }

  /** Nodes in order, as they stand now: nodes may be removed while walking (they are skipped) and inserted (they are not visited). */
  *nodes(): Generator<Node> {
    const snapshot: Node[] = [];
    for (let node = this.#first; node !== undefined; node = node.next) snapshot.push(node);
    for (const node of snapshot) if (node.graph === this) yield node;
  }

  /** Nodes of this graph and of all graphs inside it, each node before its subgraphs. */
  *allNodes(): Generator<Node> {
    for (const node of this.nodes()) {
      yield node;
      for (const sub of node.subgraphs()) yield* sub.allNodes();
    }
  }

  /** Every value of this graph (not of its subgraphs): inputs, initializers, node outputs. */
  values(): IterableIterator<Value> {
    return this.#values.values();
  }

  *initializers(): Generator<Value> {
    for (const value of this.#values.values())
      if (value.tensor !== undefined || value.sparse !== undefined) yield value;
  }

  /** The value of that name in this graph; `resolve` looks in the graphs around it too. */
  value(name: string): Value | undefined {
    return this.#values.get(name);
  }

  resolve(name: string): Value | undefined {
    return this.#values.get(name) ?? this.parent?.resolve(name);
  }

  isInput(value: Value): boolean {
    return this.#inputSet.has(value);
  }

  /** A name that no value of the whole model has, made from `base`; it counts as taken from now on. */
  freshName(base: string): string {
    return this.#names.fresh(base);
  }

  addInput(name: string, type: { dtype?: DType; shape?: readonly Dim[] } = {}): Value {
    const value = this.#newValue(name);
    value.dtype = type.dtype;
    value.shape = type.shape;
    this.#inputs.push(value);
    this.#inputSet.add(value);
    return value;
  }

  /** Takes a value off the inputs. It stays if it has content (then it is a plain initializer); otherwise it must be unused. */
  removeInput(value: Value): void {
    const at = this.#inputs.indexOf(value);
    if (at < 0) throw new Error(`internal: "${value.name}" is no input`);
    this.#inputs.splice(at, 1);
    this.#inputSet.delete(value);
    if (value.tensor === undefined && value.sparse === undefined) this.#drop(value);
  }

  /** `name` is used as it is when it is free, else a fresh one is made from it. Name and input defaults of the file go through `addNamedInitializer`. */
  addInitializer(name: string, tensor: Tensor): Value {
    const value = this.#newValue(this.freshName(name), true);
    value.tensor = tensor;
    value.dtype = tensor.dtype;
    value.shape = tensor.dims;
    return value;
  }

  /** An initializer under exactly this name: content of an input of that name, or a new value. Throws InvalidGraphError for a name used twice. */
  addNamedInitializer(name: string, tensor: Tensor): Value {
    const value = this.#withoutContent(name);
    value.tensor = tensor;
    // What is declared of an input holds for every caller; its default is one example.
    value.dtype ??= tensor.dtype;
    value.shape ??= tensor.dims;
    return value;
  }

  /** A sparse initializer, under exactly this name: kept as it is, not interpreted. */
  addSparse(name: string, sparse: SparseTensorProto): Value {
    const value = this.#withoutContent(name);
    value.sparse = sparse;
    return value;
  }

  /** An input that has no default yet, or a new value. */
  #withoutContent(name: string): Value {
    const value = this.#values.get(name);
    const free = value !== undefined && this.#inputSet.has(value);
    return free && value.tensor === undefined && value.sparse === undefined
      ? value
      : this.#newValue(name);
  }

  removeInitializer(value: Value): void {
    if (value.uses.size > 0) throw new Error(`internal: initializer "${value.name}" is still used`);
    value.tensor = undefined;
    value.sparse = undefined;
    if (!this.#inputSet.has(value)) this.#drop(value);
  }

  addOutput(value: Value): void {
    const use: Use = { kind: "output", graph: this, index: this.#outputs.length };
    this.#outputs.push({ value, use });
    value.attach(use);
  }

  setOutput(index: number, value: Value): void {
    const slot = this.#outputs[index];
    if (slot === undefined) throw new Error(`internal: no output ${index}`);
    slot.value.detach(slot.use);
    slot.value = value;
    value.attach(slot.use);
  }

  /** Drops all outputs after the first `count`. */
  truncateOutputs(count: number): void {
    for (const slot of this.#outputs.splice(count)) slot.value.detach(slot.use);
  }

  /** Adds a node. A name that another node of this graph has is changed: runtimes refuse two of the same. */
  addNode(spec: NewNode): Node {
    const attributes =
      spec.attributes instanceof Map
        ? spec.attributes
        : new Map(Object.entries(spec.attributes ?? {}).map(([k, v]) => [k, toAttribute(v)]));
    const node = new Node(
      spec.op,
      spec.domain ?? "",
      spec.name ? this.#nodeNames.fresh(spec.name) : "",
      attributes,
    );
    this.#link(node, spec.before);
    node.setInputs(spec.inputs);
    const names =
      typeof spec.outputs === "object"
        ? spec.outputs
        : Array.from({ length: spec.outputs ?? 1 }, () =>
            this.freshName(`${spec.name || spec.op}_out`),
          );
    const made = typeof spec.outputs !== "object";
    node.setOutputs(
      names.map((name, i) => (name === "" ? undefined : this.#newValue(name, made, node, i))),
    );
    return node;
  }

  /** Removes a node whose outputs nobody reads. */
  removeNode(node: Node): void {
    if (node.graph !== this)
      throw new Error(`internal: ${node.op} "${node.name}" is not in this graph`);
    for (const output of node.outputs) {
      if (output === undefined) continue;
      if (output.uses.size > 0) throw new Error(`internal: "${output.name}" is still used`);
      this.#drop(output);
    }
    for (const sub of node.subgraphs()) sub.release();
    node.setInputs([]);
    this.#nodeNames.taken.delete(node.name);
    this.#unlink(node);
  }

  /** Moves a node before another one of this graph (to the end without one). */
  moveNode(node: Node, before: Node | undefined): void {
    if (node.graph !== this)
      throw new Error(`internal: ${node.op} "${node.name}" is not in this graph`);
    if (node === before) return;
    this.#unlink(node);
    this.#link(node, before);
  }

  /**
   * Lets every reader of `from` (or those among `uses`) read `to` instead. An output of the model keeps its name: `to` takes it over where
   * that is possible, and an Identity carries it where not (`to` is an input, an initializer, or an output itself). Where `from` is an input
   * that is an output as well, that output stays as it is: its name is the input's.
   */
  replaceUses(from: Value, to: Value, uses: Iterable<Use> = from.uses): void {
    if (from === to) return;
    const outputs: Extract<Use, { kind: "output" }>[] = [];
    for (const use of Array.from(uses)) {
      if (use.kind === "node") use.node.setInput(use.index, to);
      else if (use.graph.parent !== undefined) use.graph.#replaceBodyOutput(use.index, to);
      else if (!from.isInput) outputs.push(use);
    }
    const [first] = outputs;
    if (first === undefined) return;
    const carrier = first.graph.#takeOver(from, to);
    for (const use of outputs) use.graph.setOutput(use.index, carrier);
  }

  /** Bodies of If, Loop and Scan bind outputs by position, but runtimes want each to be made in the body. */
  #replaceBodyOutput(index: number, to: Value): void {
    const own = to.producer !== undefined && to.graph === this;
    this.setOutput(index, own ? to : this.#identityOf(to));
  }

  #identityOf(value: Value, name?: string): Value {
    const outputs = name === undefined ? 1 : [name];
    const copy = this.addNode({ op: "Identity", inputs: [value], outputs }).output();
    copy.dtype = value.dtype;
    copy.shape = value.shape;
    return copy;
  }

  /** Gives the name and the declared type of an output of the model, `from`, to `to` or to a copy of it. */
  #takeOver(from: Value, to: Value): Value {
    const { name } = from;
    this.#rename(from, this.freshName(`${name}_before`));
    const free = to.producer !== undefined && to.graph === this && !to.isOutput;
    if (free) this.#rename(to, name);
    const carrier = free ? to : this.#identityOf(to, name);
    carrier.dtype ??= from.dtype;
    carrier.shape ??= from.shape;
    carrier.typeProto = from.typeProto;
    carrier.docString = from.docString;
    carrier.metadata = from.metadata;
    return carrier;
  }

  /**
   * Puts the nodes into a topological order, those of subgraphs too. Stable: only what stands after its readers moves, to right before the
   * first of them. Throws InvalidGraphError naming a node of a cycle. Linear time.
   */
  sort(): void {
    for (const node of this.nodes()) for (const sub of node.subgraphs()) sub.sort();
    for (const node of validOrder(this) ?? []) this.moveNode(node, undefined);
  }

  /** Lets go of all values of the graphs around this one (before the node that holds this graph is removed). */
  release(): void {
    for (const node of this.nodes()) {
      for (const sub of node.subgraphs()) sub.release();
      node.setInputs([]);
    }
    this.truncateOutputs(0);
  }

  rename(value: Value, name: string): void {
    if (this.#values.get(value.name) !== value)
      throw new Error(`internal: "${value.name}" is not in this graph`);
    if (this.#values.has(name)) throw new Error(`internal: the name "${name}" is taken`);
    this.#rename(value, name);
  }

  #rename(value: Value, name: string): void {
    if (this.#values.get(value.name) === value) this.#values.delete(value.name);
    value.name = name;
    this.#names.taken.add(name);
    this.#values.set(name, value);
  }

  #newValue(name: string, fresh = false, producer?: Node, index?: number): Value {
    if (!fresh && this.#values.has(name))
      throw new InvalidGraphError(
        `the name "${name}" is used twice`,
        producer && describe(producer),
      );
    this.#names.taken.add(name);
    const value = new Value(this, name, producer, index);
    this.#values.set(name, value);
    return value;
  }

  #drop(value: Value): void {
    this.#values.delete(value.name);
  }

  #link(node: Node, before: Node | undefined): void {
    if (before !== undefined && before.graph !== this)
      throw new Error("internal: anchor is not in this graph");
    const previous = before === undefined ? this.#last : before.previous;
    node.previous = previous;
    node.next = before;
    node.graph = this;
    if (previous === undefined) this.#first = node;
    else previous.next = node;
    if (before === undefined) this.#last = node;
    else before.previous = node;
    this.#size++;
  }

  #unlink(node: Node): void {
    if (node.previous === undefined) this.#first = node.next;
    else node.previous.next = node.next;
    if (node.next === undefined) this.#last = node.previous;
    else node.next.previous = node.previous;
    node.previous = node.next = node.graph = undefined;
    this.#size--;
  }
}
