// Feeds that data holds ready to run, held against the inputs of the graph and brought to their types.
import { DTYPES } from "../onnx/dtypes.js";
import { float16ToFloat32 } from "../onnx/float.js";
import {
  isRunnable,
  type Elements,
  type Feeds,
  type Port,
  type RunnableDType,
  type RuntimeTensor,
} from "../runtime/runtime.js";
import { elementsOf } from "./feeds.js";
import { dataErrorAt, type FeedRecord } from "./records.js";

/** Inputs whose zeros are padding. */
const MASKS = ["attention_mask", "input_mask"];

/**
 * The inputs of a record in the types of the graph. An input with one axis less than the graph's is one row, and gets the axis of the batch.
 * Throws DataError, which names the record and lists the graph's inputs, for inputs that are missing or unknown, for another number of axes
 * or other sizes than the graph fixes, and for values that the type does not have.
 */
export function readyFeeds(ports: readonly Port[], record: FeedRecord): Feeds {
  const fail = (detail: string): never => {
    throw dataErrorAt(record.place, detail, `the inputs of the model: ${described(ports)}`);
  };
  const known = new Set(ports.map((port) => port.name));
  const unknown = Object.keys(record.inputs).filter((name) => !known.has(name));
  if (unknown.length > 0) fail(`unknown ${inputsNamed(unknown)}`);
  const missing = ports.filter((port) => !Object.hasOwn(record.inputs, port.name));
  if (missing.length > 0) fail(`no ${inputsNamed(missing.map((port) => port.name))}`);
  const feeds = ports.map((port): [string, RuntimeTensor] => {
    const given = record.inputs[port.name];
    if (given === undefined) return fail(`no ${inputsNamed([port.name])}`);
    const wrong = (detail: string): never => fail(`the input "${port.name}" ${detail}`);
    if (!isRunnable(port.dtype)) return wrong(`cannot be fed: its type is ${typeOf(port)}`);
    const dims = fitted(given.dims, port, wrong);
    return [port.name, { dtype: port.dtype, dims, data: cast(given, port.dtype, wrong) }];
  });
  return Object.fromEntries(feeds);
}

/** The mask of ready feeds, where they have one of batch × length: 1 where a token counts. */
export function maskOfFeeds(feeds: Feeds): Uint8Array | undefined {
  const mask = MASKS.map((name) => feeds[name]).find((tensor) => tensor?.dims.length === 2);
  return mask && Uint8Array.from(mask.data, (value: number | bigint) => (Number(value) ? 1 : 0));
}

/** Rows that a record of feeds holds: as its first input says. */
export function rowsOfFeeds(ports: readonly Port[], record: FeedRecord): number {
  const [port] = ports;
  const dims = port && record.inputs[port.name]?.dims;
  return dims === undefined || dims.length !== (port?.shape ?? dims).length ? 1 : (dims[0] ?? 1);
}

type Wrong = (detail: string) => never;

function fitted(dims: readonly number[], { shape }: Port, wrong: Wrong): readonly number[] {
  if (shape === undefined) return dims;
  const whole = dims.length === shape.length - 1 ? [1, ...dims] : dims;
  const fits =
    whole.length === shape.length &&
    shape.every((dim, axis) => typeof dim !== "number" || dim === whole[axis]);
  return fits ? whole : wrong(`is ${sizes(dims)}, the graph takes ${sizes(shape)}`);
}

/** Elements in another type; only such as that type can say exactly, apart from the rounding of floats. */
function cast({ dtype, data }: RuntimeTensor, to: RunnableDType, wrong: Wrong): Elements {
  if (dtype === to) return data;
  const numbers =
    dtype === "float16" && data instanceof Uint16Array
      ? Float64Array.from(float16ToFloat32(data))
      : Float64Array.from(data, Number);
  const [low, high] = rangeOf(to);
  if (low !== undefined) {
    const bad = numbers.findIndex((x) => !(Number.isInteger(x) && x >= low && x <= high));
    if (bad >= 0)
      return wrong(`holds ${numbers[bad]} at element ${bad}, which its type ${to} does not have`);
  }
  return elementsOf(to, numbers);
}

/** Smallest and largest whole number of a type, as far as a number holds them exactly; undefined for floats. */
function rangeOf(dtype: RunnableDType): [low: number, high: number] | [low: undefined] {
  const { bits, kind } = DTYPES[dtype];
  if (kind === "float") return [undefined];
  if (kind === "bool") return [0, 1];
  const exact = Math.min(bits, 54);
  if (kind === "int") return [-(2 ** (exact - 1)) + (bits > 54 ? 1 : 0), 2 ** (exact - 1) - 1];
  return [0, 2 ** Math.min(bits, 53) - 1];
}

function inputsNamed(names: readonly string[]): string {
  return `${names.length === 1 ? "input" : "inputs"} ${names.map((name) => `"${name}"`).join(", ")}`;
}

/** `input_ids int64 [batch, length], …` */
function described(ports: readonly Port[]): string {
  return ports
    .map((port) => `${port.name} ${typeOf(port)}${port.shape ? ` ${sizes(port.shape)}` : ""}`)
    .join(", ");
}

function typeOf({ dtype }: Port): string {
  return dtype ?? "of no tensor";
}

function sizes(dims: readonly (number | string | null)[]): string {
  return `[${dims.map((dim) => dim ?? "?").join(", ")}]`;
}
