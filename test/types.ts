// Holds inferred types against what onnxruntime computes: every inner value of a graph becomes an output, runs, and is compared.
import { exportModel } from "../src/graph/export.js";
import { importModel } from "../src/graph/import.js";
import type { Dim, Value } from "../src/graph/graph.js";
import type { Model } from "../src/graph/model.js";
import { openModelFile } from "../src/onnx/files.js";
import { decodeModel } from "../src/onnx/reader.js";
import { encodeModel } from "../src/onnx/writer.js";
import type { Tensor } from "../src/onnx/tensor.js";
import { multiplyDims, namesIn } from "../src/ops/symbols.js";
import { openSession, runSession, type Feeds } from "./run.js";

export function readModelFile(path: string): Model {
  const { source, external } = openModelFile(path);
  return importModel(decodeModel(source), external);
}

/** A dim with numbers in place of its names; null where a name has none. */
function dimWith(dim: Dim, names: ReadonlyMap<string, number>): number | null {
  if (typeof dim !== "string") return dim;
  let text = dim;
  for (const name of [...(namesIn(dim) ?? [])].toSorted((a, b) => b.length - a.length)) {
    const size = names.get(name);
    if (size === undefined) return null;
    text = text.replaceAll(
      new RegExp(`(?<![\\w.])${name.replaceAll(".", "\\.")}(?![\\w.])`, "g"),
      String(size),
    );
  }
  const value = multiplyDims(text, 1);
  return typeof value === "number" ? value : null;
}

export interface TypeCheck {
  /** Values whose dtype or rank inference left open. */
  readonly unknown: string[];
  /** Disagreements with onnxruntime. */
  readonly wrong: string[];
  /** Values that were compared, their dims, and how many of those are unknown. */
  readonly values: number;
  readonly dims: number;
  readonly openDims: number;
}

/** Runs all values of the outermost graph and compares. */
export async function checkTypes(model: Model, feeds: readonly Feeds[]): Promise<TypeCheck> {
  const check = { unknown: [] as string[], wrong: [] as string[], values: 0, dims: 0, openDims: 0 };
  for (const node of model.graph.allNodes())
    for (const value of node.outputs)
      if (value && (value.dtype === undefined || value.shape === undefined))
        check.unknown.push(`${node.op} ${value.name}: ${value.dtype} ${value.shape?.join()}`);
  const watched: Value[] = [];
  for (const node of model.graph.nodes())
    for (const value of node.outputs)
      if (value?.dtype !== undefined && value.shape !== undefined) watched.push(value);
  for (const value of watched) if (!value.isOutput) model.graph.addOutput(value);
  for (const value of model.graph.outputs) value.typeProto = undefined;
  const session = await openSession(encodeModel(exportModel(model)), { level: "disabled" });
  for (const inputs of feeds)
    compare(watched, await runSession(session, inputs), bound(model, inputs), check);
  await session.release();
  return check;
}

function bound(model: Model, feeds: Feeds): Map<string, number> {
  const names = new Map<string, number>();
  for (const input of model.graph.inputs)
    input.shape?.forEach((dim, i) => {
      const size = feeds[input.name]?.dims[i];
      if (typeof dim === "string" && size !== undefined) names.set(dim, size);
    });
  return names;
}

function compare(
  watched: readonly Value[],
  results: Readonly<Record<string, Tensor>>,
  names: Map<string, number>,
  check: { wrong: string[]; values: number; dims: number; openDims: number },
): void {
  for (const { name, dtype, shape, producer } of watched) {
    const real = results[name];
    if (real === undefined || shape === undefined) continue;
    check.values++;
    const says = `${producer?.op} ${name}: ${dtype} [${shape.join(", ")}], really ${real.dtype} [${real.dims.join(", ")}]`;
    if (real.dtype !== dtype || real.dims.length !== shape.length) check.wrong.push(says);
    else
      shape.forEach((dim, i) => {
        check.dims++;
        if (dim === null) check.openDims++;
        // A name of the file's own (for a size that depends on data) is bound where it is met first.
        if (typeof dim === "string" && namesIn(dim)?.has(dim) && !names.has(dim))
          names.set(dim, real.dims[i] ?? 0);
        const size = dimWith(dim, names);
        if (dim !== null && size !== real.dims[i]) check.wrong.push(`${says}: ${dim} is ${size}`);
      });
  }
}
