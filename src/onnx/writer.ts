// Writes ONNX files (protobuf wire format) by the table in schema.ts: one pass for the sizes, one for the bytes. Tensors are read when their
// turn comes and not kept, so memory follows the largest of them.
import { ModelTooLargeError } from "../errors.js";
import { NUMBERS } from "./numbers.js";
import type { Blob, Int64, ModelProto, TensorProto } from "./proto.js";
import {
  messageType,
  WIRE,
  type FieldType,
  type MessageName,
  type Messages,
  type MessageType,
  type NumberKind,
  type PlainMessage,
  type ScalarKind,
} from "./schema.js";

/** No protobuf reader takes a message beyond this. */
export const MAX_PROTOBUF_BYTES = 2 ** 31 - 1;

/** Blobs from this size on are handed over as chunks of their own, smaller ones are copied between the fields. */
const OWN_CHUNK = 4096;

const utf8 = new TextEncoder();

/** Bytes of the model as a file, external data not counted. Exact, whatever the size. */
export function encodedSize(model: ModelProto): number {
  return new Plan(model, "ModelProto").total;
}

/**
 * The bytes of the model as a file, in pieces: blobs are read when reached and not kept. Fields stand in the order of their numbers, unknown
 * ones after them. Throws ModelTooLargeError beyond the 2 GB of protobuf.
 */
export function encodeChunks(model: ModelProto): Generator<Uint8Array> {
  const plan = new Plan(model, "ModelProto");
  if (plan.total > MAX_PROTOBUF_BYTES) throw new ModelTooLargeError(plan.total, MAX_PROTOBUF_BYTES);
  return plan.chunks();
}

/** The model as a file in memory. Throws ModelTooLargeError beyond the 2 GB of protobuf. */
export function encodeModel(model: ModelProto): Uint8Array {
  return join(new Plan(model, "ModelProto"));
}

/** A TensorProto on its own, as in the `.pb` files of ONNX test data. */
export function encodeTensor(tensor: TensorProto): Uint8Array {
  return join(new Plan(tensor, "TensorProto"));
}

function join(plan: Plan<MessageName>): Uint8Array {
  if (plan.total > MAX_PROTOBUF_BYTES) throw new ModelTooLargeError(plan.total, MAX_PROTOBUF_BYTES);
  const out = new Uint8Array(plan.total);
  let at = 0;
  for (const chunk of plan.chunks()) {
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}

/** Sizes of all messages and runs of a model, in the order in which writing meets them. */
class Plan<N extends MessageName> {
  readonly total: number;
  readonly #message: PlainMessage;
  readonly #type: MessageType;
  readonly #sizes: number[] = [];
  /** Bytes that are handed over as chunks of their own. */
  #apart = 0;

  constructor(message: Messages[N], name: N) {
    this.#message = message as PlainMessage;
    this.#type = messageType(name);
    this.total = this.#measure(this.#message, this.#type);
  }

  #measure(message: PlainMessage, type: MessageType): number {
    let size = 0;
    for (const field of type.fields) {
      const value = message[field.name];
      if (value === undefined) continue;
      const tag = field.number < 16 ? 1 : 2;
      if (field.shape === "packed") {
        const bytes = this.#measureRun(field.kind, value as Blob);
        if (bytes > 0) size += tag + varintSize(bytes) + bytes;
      } else if (!field.many) size += tag + this.#measureOne(field, value);
      else for (const element of value as unknown[]) size += tag + this.#measureOne(field, element);
    }
    for (const piece of message.unknown ?? []) size += piece.length;
    return size;
  }

  #measureOne(field: Exclude<FieldType, { shape: "packed" }>, value: unknown): number {
    if (field.shape === "scalar") {
      if (field.kind === "blob") this.#setApart((value as Blob).byteLength);
      return scalarSize(field.kind, value);
    }
    const slot = this.#sizes.length;
    this.#sizes.push(0);
    const size = this.#measure(value as PlainMessage, field.type);
    this.#sizes[slot] = size;
    return varintSize(size) + size;
  }

  #measureRun(kind: NumberKind, run: Blob): number {
    const { varint } = NUMBERS[kind];
    let size = run.byteLength;
    if (varint) {
      size = 0;
      eachVarint(kind, run, (low, high) => (size += halvesSize(low, high)));
      this.#sizes.push(size);
    }
    this.#setApart(size);
    return size;
  }

  #setApart(size: number): void {
    if (size >= OWN_CHUNK) this.#apart += size;
  }

  *chunks(): Generator<Uint8Array> {
    // Everything but the large blobs fits one buffer of known size; the cuts say where the blobs go.
    const output = new Output(this.total - this.#apart, this.#sizes);
    output.message(this.#message, this.#type);
    let from = 0;
    for (const { at, size, read, inPlace } of output.cuts) {
      if (!inPlace && at > from) yield output.bytes.subarray(from, at);
      const bytes = read();
      if (bytes.length !== size)
        throw new Error(`internal: a blob of ${size} bytes gave ${bytes.length}`);
      if (inPlace) output.bytes.set(bytes, at);
      else {
        from = at;
        yield bytes;
      }
    }
    if (from < output.bytes.length) yield output.bytes.subarray(from);
  }
}

/** Smaller blobs are read at once: there are thousands of them in some models. */
const IN_TURN = 256;

interface Cut {
  readonly at: number;
  readonly size: number;
  readonly read: () => Uint8Array;
  /** The blob's bytes go into the buffer, at a place that is kept for them. */
  readonly inPlace: boolean;
}

class Output {
  readonly bytes: Uint8Array;
  readonly cuts: Cut[] = [];
  readonly #view: DataView;
  readonly #sizes: readonly number[];
  #next = 0;
  #at = 0;

  constructor(size: number, sizes: readonly number[]) {
    this.bytes = new Uint8Array(size);
    this.#view = new DataView(this.bytes.buffer);
    this.#sizes = sizes;
  }

  message(message: PlainMessage, type: MessageType): void {
    for (const field of type.fields) {
      const value = message[field.name];
      if (value === undefined) continue;
      if (field.shape === "packed") this.#run(field.number, field.kind, value as Blob);
      else if (!field.many) this.#one(field, value);
      else for (const element of value as unknown[]) this.#one(field, element);
    }
    for (const piece of message.unknown ?? []) this.#copy(piece);
  }

  #one(field: Exclude<FieldType, { shape: "packed" }>, value: unknown): void {
    if (field.shape === "message") {
      this.#tag(field.number, WIRE.length);
      this.#varint(this.#size());
      this.message(value as PlainMessage, field.type);
      return;
    }
    switch (field.kind) {
      case "int64":
        this.#tag(field.number, WIRE.varint);
        return this.#int64(value as Int64);
      case "int32":
        this.#tag(field.number, WIRE.varint);
        return this.#int64(value as number);
      case "float":
        this.#tag(field.number, WIRE.fixed32);
        this.#view.setFloat32(this.#at, value as number, true);
        this.#at += 4;
        return;
      case "string":
        this.#tag(field.number, WIRE.length);
        return this.#string(value as string);
      case "bytes": {
        const bytes = value as Uint8Array;
        this.#tag(field.number, WIRE.length);
        this.#varint(bytes.length);
        return this.#copy(bytes);
      }
      case "blob": {
        const blob = value as Blob;
        this.#tag(field.number, WIRE.length);
        this.#varint(blob.byteLength);
        return this.#blob(blob.byteLength, () => blob.read());
      }
      case "double":
      case "uint64":
        throw new Error(`internal: a ${field.kind} outside a packed field`);
    }
  }

  #run(number: number, kind: NumberKind, run: Blob): void {
    const size = NUMBERS[kind].varint ? this.#size() : run.byteLength;
    if (size === 0) return;
    this.#tag(number, WIRE.length);
    this.#varint(size);
    this.#blob(size, () => (NUMBERS[kind].varint ? encodeRun(kind, run, size) : run.read()));
  }

  #size(): number {
    const size = this.#sizes[this.#next++];
    if (size === undefined) throw new Error("internal: the model changed while it was written");
    return size;
  }

  #tag(number: number, wire: number): void {
    this.#varint((number << 3) | wire);
  }

  #varint(value: number): void {
    let rest = value;
    while (rest > 127) {
      this.bytes[this.#at++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.bytes[this.#at++] = rest;
  }

  #int64(value: Int64): void {
    if (typeof value === "number" && value >= 0) return this.#varint(value);
    const bits = BigInt.asUintN(64, BigInt(value));
    this.#at = putHalves(this.bytes, this.#at, Number(bits & 0xffffffffn), Number(bits >> 32n));
  }

  #string(text: string): void {
    const size = utf8Size(text);
    this.#varint(size);
    if (size !== text.length) utf8.encodeInto(text, this.bytes.subarray(this.#at, this.#at + size));
    else for (let i = 0; i < size; i++) this.bytes[this.#at + i] = text.charCodeAt(i);
    this.#at += size;
  }

  #copy(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #blob(size: number, read: () => Uint8Array): void {
    if (size >= OWN_CHUNK) {
      this.cuts.push({ at: this.#at, size, read, inPlace: false });
      return;
    }
    // Read in its turn: the scales of a weight are known once its codes, which stand before them, have been written.
    if (size >= IN_TURN) {
      this.cuts.push({ at: this.#at, size, read, inPlace: true });
      this.#at += size;
      return;
    }
    const bytes = read();
    if (bytes.length !== size)
      throw new Error(`internal: a blob of ${size} bytes gave ${bytes.length}`);
    this.#copy(bytes);
  }
}

function scalarSize(kind: ScalarKind, value: unknown): number {
  switch (kind) {
    case "int64":
    case "int32":
      return int64Size(value as Int64);
    case "float":
      return 4;
    case "string":
      return withLength(utf8Size(value as string));
    case "bytes":
    case "blob":
      return withLength((value as { byteLength: number }).byteLength);
    case "double":
    case "uint64":
      throw new Error(`internal: a ${kind} outside a packed field`);
  }
}

function withLength(size: number): number {
  return varintSize(size) + size;
}

/** Size of a non-negative safe integer as a varint. */
function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) size++;
  return size;
}

function int64Size(value: Int64): number {
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) throw new Error(`internal: ${value} is not an int64`);
    return value < 0 ? 10 : varintSize(value);
  }
  if (BigInt.asIntN(64, value) !== value) throw new Error(`internal: ${value} is not an int64`);
  if (value < 0n) return 10;
  return halvesSize(Number(value & 0xffffffffn), Number(value >> 32n));
}

/** Bytes of a text in UTF-8; half a surrogate pair counts as the replacement character that is written for it. */
function utf8Size(text: string): number {
  let size = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x80) continue;
    if (code < 0x800) size += 1;
    else {
      size += 2;
      const paired =
        code >= 0xd800 && code < 0xdc00 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00;
      // The pair takes 4 bytes, 2 of which are counted as its units.
      if (paired) i++;
    }
  }
  return size;
}

function halvesSize(low: number, high: number): number {
  if (high === 0) return varintSize(low);
  return varintSize(high * 16 + Math.floor(low / 2 ** 28)) + 4;
}

function putHalves(bytes: Uint8Array, start: number, lowHalf: number, highHalf: number): number {
  let at = start;
  let low = lowHalf;
  let high = highHalf;
  while (high !== 0 || low > 127) {
    bytes[at++] = (low & 127) | 128;
    low = ((low >>> 7) | (high << 25)) >>> 0;
    high >>>= 7;
  }
  bytes[at++] = low;
  return at;
}

/** The numbers of a run as the halves of the 64 bits that are written; int32 is extended by its sign. */
function eachVarint(kind: NumberKind, run: Blob, take: (low: number, high: number) => void): void {
  const bytes = run.read();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const { width } = NUMBERS[kind];
  if (bytes.length % width !== 0)
    throw new Error(`internal: ${bytes.length} bytes are no list of ${kind}`);
  for (let at = 0; at < bytes.length; at += width) {
    const low = view.getUint32(at, true);
    const high = width === 8 ? view.getUint32(at + 4, true) : low >>> 31 === 1 ? 0xffffffff : 0;
    take(low, high);
  }
}

function encodeRun(kind: NumberKind, run: Blob, size: number): Uint8Array {
  const out = new Uint8Array(size);
  let at = 0;
  eachVarint(kind, run, (low, high) => (at = putHalves(out, at, low, high)));
  return out;
}
