// The parameters, their gradients and moments, side by side in a few memories that the update loops work on; the runtime reads and writes them there.
import { UnsupportedError } from "../errors.js";
import { kernelMemory, LARGEST_MEMORY, type Kernels } from "./kernels.js";
import type { Parameter } from "./parameters.js";

/** What is kept of each parameter, in this order. `rest` takes the gradients of a further batch before they are added. */
export const KINDS = ["value", "gradient", "moment", "square", "rest"] as const;
export type Kind = (typeof KINDS)[number];

export interface StoredParameter extends Parameter {
  readonly dims: readonly number[];
  readonly arrays: Readonly<Partial<Record<Kind, Float32Array>>>;
  readonly block: Block;
}

export interface Block {
  readonly kernels: Kernels;
  /** Bytes from an array to the next kind's. */
  readonly stride: number;
}

export interface InitialParameter extends Parameter {
  readonly dims: readonly number[];
  readonly initial: Float32Array;
}

/** Vectors of the update loops have 16 bytes: each parameter begins at a multiple, zeros fill the gap. */
const padded = (elements: number): number => Math.ceil(elements / 4) * 16;

/** Lays parameters out in memory with the arrays of `kinds`, and copies their values there. Throws UnsupportedError for one of several GB. */
export function storeOf(
  parameters: readonly InitialParameter[],
  kinds: readonly Kind[],
): StoredParameter[] {
  const most = Math.floor(LARGEST_MEMORY / kinds.length / 16) * 16;
  return grouped(parameters, most).flatMap((group) => {
    const stride = group.reduce((sum, { initial }) => sum + padded(initial.length), 0);
    const { buffer, kernels } = kernelMemory(stride * kinds.length);
    const block = { kernels, stride };
    let at = 0;
    return group.map(({ initial, ...parameter }): StoredParameter => {
      const arrays = Object.fromEntries(
        kinds.map((kind, k) => [kind, new Float32Array(buffer, k * stride + at, initial.length)]),
      );
      at += padded(initial.length);
      arrays["value"]?.set(initial);
      return { ...parameter, arrays, block };
    });
  });
}

/** In their order, each group of at most `most` bytes. */
function grouped(parameters: readonly InitialParameter[], most: number): InitialParameter[][] {
  const groups: InitialParameter[][] = [];
  let room = 0;
  for (const parameter of parameters) {
    const bytes = padded(parameter.initial.length);
    if (bytes > most)
      throw new UnsupportedError(
        `Training "${parameter.name}" with ${parameter.initial.length} elements`,
        `its values, gradients and moments must fit ${most} bytes each`,
        "Freeze it (--freeze).",
      );
    if (bytes > room) {
      groups.push([]);
      room = most;
    }
    groups.at(-1)?.push(parameter);
    room -= bytes;
  }
  return groups;
}

/** An array that the store has. */
export function arrayOf(parameter: StoredParameter, kind: Kind): Float32Array {
  const array = parameter.arrays[kind];
  if (array === undefined) throw new Error(`internal: no ${kind} of "${parameter.name}" is kept`);
  return array;
}
