// What each activation alone costs: the float model with one activation at a time in 8 bits, over a few rows of the sample.
import { batchMaskOf, detectMask, type Masked } from "../../calibrate/observers.js";
import type { RunBatch } from "../../data/run-batches.js";
import type { Value } from "../../graph/graph.js";
import { emit } from "../../graph/match.js";
import type { Model } from "../../graph/model.js";
import { maskInput } from "../../inputs/mask.js";
import type { ActivationSpec } from "../../quant/plan.js";
import type { Feeds, RuntimeTensor, Session } from "../../runtime/runtime.js";
import { copyOf, fakeQuantized, rowsThatCount } from "../../calibrate/float-copy.js";
import type { Run } from "../../host/run.js";
import { withTemporarySession } from "../../host/sessions.js";
import { realsOf } from "../../evaluate/snr.js";

export interface SensitivityOptions {
  readonly batches: Iterable<RunBatch>;
  readonly onBatch: () => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Σ (y − ŷ)² / Σ y² of the model's real outputs for each activation, all others in float. Padded positions do not count. Throws RuntimeFailedError, and
 * the reason of an abort.
 */
export async function sensitivities(
  { host, file }: Run,
  model: Model,
  specs: ReadonlyMap<Value, ActivationSpec>,
  options: SensitivityOptions,
): Promise<Map<Value, number>> {
  const copy = copyOf(model);
  const switches = [...specs].map(([activation, spec]) => switched(copy, activation.name, spec));
  copy.graph.sort();
  const mask = maskInput(copy.graph);
  const outputs = copy.graph.outputs.map(({ name, shape }) => ({
    name,
    masked: detectMask(shape, mask?.shape),
  }));
  const noise = await withTemporarySession(host, copy, file.external, (session) =>
    measure(session, switches, outputs, options),
  );
  return new Map([...specs.keys()].map((activation, i) => [activation, noise[i] ?? 0]));
}

/** Puts a choice behind an activation: in 8 bits where the new input of that name is true, else as it is. */
function switched(copy: Model, name: string, spec: ActivationSpec): string {
  const { graph } = copy;
  const value = graph.value(name);
  if (value === undefined) throw new Error(`internal: the copy has no activation "${name}"`);
  const readers = [...value.uses];
  const input = graph.addInput(graph.freshName(`${name}_in_8_bits`), { dtype: "bool", shape: [] });
  const coded = fakeQuantized(copy, value, spec);
  const [reader] = value.consumers();
  if (!reader) throw new Error(`internal: nothing reads "${name}"`);
  const chosen = emit(reader, "Where", [input, coded, value]);
  chosen.dtype = value.dtype;
  chosen.shape = value.shape;
  graph.replaceUses(value, chosen, readers);
  return input.name;
}

interface Output {
  readonly name: string;
  readonly masked: Masked;
}

async function measure(
  session: Session,
  switches: readonly string[],
  outputs: readonly Output[],
  { batches, onBatch, signal }: SensitivityOptions,
): Promise<number[]> {
  const names = outputs.map(({ name }) => name);
  const noise = switches.map(() => 0);
  let signalPower = 0;
  for (const { feeds, mask } of batches) {
    signal?.throwIfAborted();
    const run = (on: string | undefined): Promise<Record<string, RuntimeTensor>> =>
      session.run({ ...feeds, ...flags(switches, on) }, { outputs: names });
    const exact = await run(undefined);
    const counts = (name: string, masked: Masked): Uint8Array | undefined =>
      rowsThatCount(exact[name]?.dims ?? [], masked, batchMaskOf(mask, feeds));
    for (const { name, masked } of outputs)
      signalPower += difference(exact[name], undefined, counts(name, masked));
    for (const [i, one] of switches.entries()) {
      signal?.throwIfAborted();
      const coded = await run(one);
      for (const { name, masked } of outputs)
        noise[i] = (noise[i] ?? 0) + difference(exact[name], coded[name], counts(name, masked));
    }
    onBatch();
  }
  return noise.map((power) => (signalPower > 0 ? power / signalPower : 0));
}

function flags(switches: readonly string[], on: string | undefined): Feeds {
  return Object.fromEntries(
    switches.map((name) => [
      name,
      { dtype: "bool", dims: [], data: Uint8Array.of(name === on ? 1 : 0) },
    ]),
  );
}

/** Σ (a − b)² over the rows that count; without b, Σ a². What is not finite on one of both sides does not count. */
function difference(
  a: RuntimeTensor | undefined,
  b: RuntimeTensor | undefined,
  rows: Uint8Array | undefined,
): number {
  const left = a && realsOf(a);
  const right = b && realsOf(b);
  if (left === undefined || (b !== undefined && right === undefined)) return 0;
  const each = rows === undefined ? left.length : left.length / rows.length;
  let sum = 0;
  for (let i = 0; i < left.length; i++) {
    if (rows !== undefined && rows[Math.floor(i / each)] === 0) continue;
    const d = (left[i] as number) - (right?.[i] ?? 0);
    if (Number.isFinite(d)) sum += d * d;
  }
  return sum;
}
