// A second run over the sample, of a few layers at a time so that memory stays bounded: means and covariances of activations as they will be quantized.
import { batchMaskOf, detectMask, type Masked } from "../../calibrate/observers.js";
import type { RunBatch } from "../../data/run-batches.js";
import type { Value } from "../../graph/graph.js";
import { emit } from "../../graph/match.js";
import type { Model } from "../../graph/model.js";
import { maskInput } from "../../inputs/mask.js";
import { removeDead } from "../../passes/dead.js";
import type { Group } from "../groups.js";
import type { Products } from "../products.js";
import type { ActivationSpec } from "../../quant/plan.js";
import type { RuntimeTensor, Session } from "../../runtime/runtime.js";
import { copyOf, fakeQuantized, rowsThatCount } from "../../calibrate/float-copy.js";
import type { Run } from "../../host/run.js";
import { withTemporarySession } from "../../host/sessions.js";

/** Of all activations of a group together, each row [K] of them. */
export interface GramMatrices {
  readonly rows: number;
  /** Σ x [K], before quantization. */
  readonly exact: Float64Array;
  /** Σ x̂ [K]. */
  readonly sums: Float64Array;
  /** Σ x̂ · x̂ᵀ [K, K]. */
  readonly gram: Float32Array;
}

export interface GramOptions {
  /** How an activation is quantized, its range found beforehand; undefined where it is taken as it is. */
  readonly specOf: (activation: Value) => ActivationSpec | undefined;
  readonly batches: Iterable<RunBatch>;
  readonly products: Products;
  readonly onBatch: () => void;
  readonly signal?: AbortSignal | undefined;
}

/** Runs the part of `model` that these groups need. Throws RuntimeFailedError, and the reason of an abort. */
export function gramMatricesOf(
  { host, file }: Run,
  model: Model,
  groups: readonly Group[],
  options: GramOptions,
): Promise<GramMatrices[]> {
  const { copy, observers } = observed(model, groups, options.specOf);
  return withTemporarySession(host, copy, file.external, (session) =>
    collect(session, observers, options),
  );
}

/** An activation of a group as an output of the copy. */
interface Observer {
  readonly output: string;
  /** The same before it is quantized; absent where it is taken as it is. */
  readonly exact: string | undefined;
  readonly masked: Masked;
}

/** A copy that computes the groups' activations, quantized and back, and nothing else. */
function observed(
  model: Model,
  groups: readonly Group[],
  specOf: GramOptions["specOf"],
): { copy: Model; observers: Observer[][] } {
  const copy = copyOf(model);
  const { graph } = copy;
  graph.truncateOutputs(0);
  const mask = maskInput(graph);
  const observers = groups.map(({ activations }) =>
    activations.map((activation): Observer => {
      const value = graph.value(activation.name);
      const [reader] = value?.consumers() ?? [];
      if (value === undefined || !reader)
        throw new Error(`internal: the copy has no activation "${activation.name}"`);
      const spec = specOf(activation);
      const observer = (output: Value): string => {
        output.dtype = "float32";
        output.shape = value.shape;
        graph.addOutput(output);
        return output.name;
      };
      const exact = observer(emit(reader, "Identity", [value]));
      const output = spec === undefined ? undefined : observer(fakeQuantized(copy, value, spec));
      const masked = detectMask(value.shape, mask?.shape);
      return output === undefined
        ? { output: exact, exact: undefined, masked }
        : { output, exact, masked };
    }),
  );
  removeDead(copy);
  return { copy, observers };
}

async function collect(
  session: Session,
  observers: readonly (readonly Observer[])[],
  { batches, products, onBatch, signal }: GramOptions,
): Promise<GramMatrices[]> {
  const sums = new Map<number, GroupSums>();
  for (const { feeds, mask } of batches) {
    signal?.throwIfAborted();
    const results = await session.run(feeds);
    const batchMask = batchMaskOf(mask, feeds);
    for (const [g, group] of observers.entries())
      for (const { output, exact, masked } of group) {
        const { data, dims } = floatsIn(results, output);
        const before = exact === undefined ? undefined : floatsIn(results, exact).data;
        const cols = dims.at(-1) ?? 1;
        const known = sums.get(g) ?? new GroupSums(cols);
        sums.set(g, known);
        await known.add(data, before, rowsThatCount(dims, masked, batchMask), products);
      }
    onBatch();
  }
  const none = new Float64Array();
  return observers.map(
    (_, g) =>
      sums.get(g)?.moments ?? { rows: 0, exact: none, sums: none, gram: new Float32Array() },
  );
}

function floatsIn(
  results: Readonly<Record<string, RuntimeTensor>>,
  name: string,
): { data: Float32Array; dims: readonly number[] } {
  const { data, dims } = results[name] ?? {};
  if (!(data instanceof Float32Array) || dims === undefined)
    throw new Error(`internal: no value of "${name}"`);
  return { data, dims };
}

class GroupSums {
  readonly #cols: number;
  #rows = 0;
  readonly #exact: Float64Array;
  readonly #sums: Float64Array;
  #gram: Float32Array;
  #spare: Float32Array;

  constructor(cols: number) {
    this.#cols = cols;
    this.#exact = new Float64Array(cols);
    this.#sums = new Float64Array(cols);
    this.#gram = new Float32Array(cols * cols);
    this.#spare = new Float32Array(cols * cols);
  }

  get moments(): GramMatrices {
    return { rows: this.#rows, exact: this.#exact, sums: this.#sums, gram: this.#gram };
  }

  /** Adds the rows of `data` [rows, cols] that count; moves them together in place, those of `exact` too. */
  async add(
    data: Float32Array,
    exact: Float32Array | undefined,
    counting: Uint8Array | undefined,
    products: Products,
  ): Promise<void> {
    const cols = this.#cols;
    const rows = together(data, cols, counting);
    if (rows === 0) return;
    addRows(this.#sums, data, rows);
    if (exact !== undefined) together(exact, cols, counting);
    addRows(this.#exact, exact ?? data, rows);
    const x = { values: data.subarray(0, rows * cols), rows, cols };
    await products.addGram(x, this.#gram, this.#spare);
    [this.#gram, this.#spare] = [this.#spare, this.#gram];
    this.#rows += rows;
  }
}

function addRows(sums: Float64Array, data: Float32Array, rows: number): void {
  for (let r = 0, i = 0; r < rows; r++)
    for (let k = 0; k < sums.length; k++, i++) sums[k] = (sums[k] as number) + (data[i] as number);
}

/** Moves the rows that count together, to the front; gives their number. */
function together(data: Float32Array, cols: number, counting: Uint8Array | undefined): number {
  const rows = data.length / cols;
  if (counting === undefined) return rows;
  let kept = 0;
  // A mask is of rows [batch · length]; what follows an inner axis has several rows for each.
  const each = rows / counting.length;
  for (let r = 0; r < rows; r++) {
    if (counting[Math.floor(r / each)] === 0) continue;
    if (kept !== r) data.copyWithin(kept * cols, r * cols, (r + 1) * cols);
    kept++;
  }
  return kept;
}
