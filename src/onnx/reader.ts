// Reads ONNX files (protobuf wire format) by the table in schema.ts. Tensors stay where they are; everything else becomes plain data.
// https://protobuf.dev/programming-guides/encoding/
import { OnnxFormatError } from "../errors.js";
import { Cursor } from "./cursor.js";
import { GatheredBlob, NUMBERS, VarintBlob } from "./numbers.js";
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
import { blobOf, memorySource, type ByteSource } from "./source.js";

/** Twice what other readers of ONNX allow; about 60 graphs inside each other. */
const MAX_DEPTH = 200;
/** A tag and a number, each at most 10 bytes. */
const FIELD_HEAD = 20;
/** Packed numbers up to this many bytes are decoded at once. */
const SMALL_RUN = 1024;

/** Wire type of one element. */
const WIRE_OF: { readonly [K in ScalarKind]: number } = {
  int64: WIRE.varint,
  uint64: WIRE.varint,
  int32: WIRE.varint,
  float: WIRE.fixed32,
  double: WIRE.fixed64,
  string: WIRE.length,
  bytes: WIRE.length,
  blob: WIRE.length,
};

/**
 * Reads an ONNX model. Over memory, tensors are views into `from`; over a file they are ranges of it that are read when asked for, so the
 * source must stay open as long as the model is used. Throws OnnxFormatError for anything that is not a complete model.
 */
export function decodeModel(from: ByteSource | Uint8Array): ModelProto {
  const source = from instanceof Uint8Array ? memorySource(from) : from;
  if (source.size === 0) throw new OnnxFormatError("it is empty", 0, source.path);
  try {
    const model = decode("ModelProto", source);
    if (model.graph !== undefined) return model;
  } catch (error) {
    if (!(error instanceof OnnxFormatError)) throw error;
    throw otherFormat(source) ?? error;
  }
  throw otherFormat(source) ?? new OnnxFormatError("it holds no graph", undefined, source.path);
}

/** Reads a TensorProto on its own (the `.pb` files of ONNX test data). Throws OnnxFormatError. */
export function decodeTensor(from: ByteSource | Uint8Array): TensorProto {
  return decode("TensorProto", from instanceof Uint8Array ? memorySource(from) : from);
}

function decode<N extends MessageName>(name: N, source: ByteSource): Messages[N] {
  const message: PlainMessage = {};
  decodeInto(message, messageType(name), new Cursor(source), source.size, 1);
  return message;
}

/** What people really have in hand when it is not a model. */
const SIGNATURES: readonly { at: number; text: string; detail: string }[] = [
  {
    at: 0,
    text: "version https://git-lfs",
    detail: "it is a Git LFS pointer, not the model itself; `git lfs pull` fetches the model",
  },
  { at: 0, text: "<", detail: "it is a web page or XML; the download did not give the model" },
  { at: 4, text: "ORTM", detail: "it is a model in ORT format, which is made for loading only" },
  { at: 4, text: "TFL3", detail: "it is a TensorFlow Lite model" },
  { at: 0, text: "PK\x03\x04", detail: "it is a ZIP archive, such as PyTorch writes" },
  { at: 8, text: '{"', detail: "it looks like a safetensors file: weights without a graph" },
  { at: 0, text: "{", detail: "it is JSON" },
];

function otherFormat(source: ByteSource): OnnxFormatError | undefined {
  const head = String.fromCharCode(...source.read(0, Math.min(source.size, 32)));
  const found = SIGNATURES.find(({ at, text }) => head.startsWith(text, at));
  return found && new OnnxFormatError(found.detail, undefined, source.path);
}

/** Reads fields up to `end` into `message`, which has some already where a message comes in several pieces. */
function decodeInto(
  message: PlainMessage,
  type: MessageType,
  cursor: Cursor,
  end: number,
  depth: number,
): void {
  if (depth > MAX_DEPTH) cursor.fail(`messages are nested more than ${MAX_DEPTH} deep`);
  let unknownFrom = -1;
  while (cursor.offset < end) {
    cursor.need(FIELD_HEAD);
    const start = cursor.offset;
    const tag = cursor.tag();
    const number = tag >>> 3;
    const wire = tag & 7;
    const field = number < 32 ? type.byNumber[number] : undefined;
    if (field !== undefined && fits(field, wire)) {
      if (unknownFrom >= 0) keepUnknown(message, cursor, unknownFrom, start);
      unknownFrom = -1;
      decodeField(message, field, wire, cursor, end, depth);
    } else {
      if (number === 0) cursor.fail("a field has the number 0", start);
      if (unknownFrom < 0) unknownFrom = start;
      skipField(cursor, number, wire, end, depth, start);
    }
    if (cursor.offset > end) cursor.fail(`a field of ${type.name} runs past its end`, start);
  }
  if (unknownFrom >= 0) keepUnknown(message, cursor, unknownFrom, end);
}

/** Whether the wire type is one this field is read from. As protobuf has it, a field of another wire type is an unknown field. */
function fits(field: FieldType, wire: number): boolean {
  if (field.shape === "message") return wire === WIRE.length;
  if (wire === WIRE_OF[field.kind]) return true;
  return (
    wire === WIRE.length && (field.shape === "packed" || (field.many && field.kind in NUMBERS))
  );
}

function decodeField(
  message: PlainMessage,
  field: FieldType,
  wire: number,
  cursor: Cursor,
  end: number,
  depth: number,
): void {
  if (field.shape === "packed") {
    const run =
      wire === WIRE.length ? decodeRun(field.kind, cursor, end) : decodeNumber(field.kind, cursor);
    gather(message, field.name, run);
    return;
  }
  for (const rival of field.rivals) if (message[rival] !== undefined) delete message[rival];
  if (field.shape === "message") {
    // A single message in several pieces is merged from them.
    const earlier = field.many ? undefined : message[field.name];
    const inner = (earlier ?? {}) as PlainMessage;
    const length = cursor.length(end);
    decodeInto(inner, field.type, cursor, cursor.offset + length, depth + 1);
    if (field.many) append(message, field.name, inner);
    else message[field.name] = inner;
  } else if (!field.many) message[field.name] = decodeScalar(field.kind, cursor, end);
  else if (wire === WIRE_OF[field.kind])
    append(message, field.name, decodeScalar(field.kind, cursor, end));
  else {
    const length = cursor.length(end);
    const last = cursor.offset + length;
    while (cursor.offset < last) {
      cursor.need(FIELD_HEAD);
      append(message, field.name, decodeScalar(field.kind, cursor, last));
    }
    if (cursor.offset > last) cursor.fail("a list of numbers ends within a number", last - length);
  }
}

function append(message: PlainMessage, name: string, value: unknown): void {
  const list = message[name] as unknown[] | undefined;
  if (list === undefined) message[name] = [value];
  else list.push(value);
}

function decodeScalar(
  kind: ScalarKind,
  cursor: Cursor,
  end: number,
): Int64 | string | Uint8Array | Blob {
  switch (kind) {
    case "int64":
      return cursor.int64();
    case "int32":
      return cursor.int32();
    case "float":
      return cursor.float();
    case "string":
      return cursor.string(cursor.length(end));
    case "bytes":
      return cursor.bytes(cursor.length(end));
    case "blob":
      return cursor.blob(cursor.length(end));
    case "double":
    case "uint64":
      throw new Error(`internal: a ${kind} outside a packed field`);
  }
}

/** A packed run. Varints are counted here, so that every one of them is known to be whole. */
function decodeRun(kind: NumberKind, cursor: Cursor, end: number): Blob {
  const { width, varint } = NUMBERS[kind];
  const length = cursor.length(end);
  if (!varint) {
    if (length % width !== 0) cursor.fail(`${length} bytes are no list of ${width}-byte numbers`);
    return cursor.blob(length);
  }
  const start = cursor.offset;
  let count = 0;
  for (; cursor.offset < start + length; count++) {
    cursor.need(FIELD_HEAD);
    cursor.skipVarint();
  }
  if (cursor.offset > start + length) cursor.fail("a list of numbers ends within a number", start);
  const run = new VarintBlob(cursor.source, start, length, width, count);
  return length <= SMALL_RUN ? blobOf(run.read()) : run;
}

function decodeNumber(kind: NumberKind, cursor: Cursor): Blob {
  const { width, varint } = NUMBERS[kind];
  if (!varint) return blobOf(cursor.bytes(width));
  const bytes = new Uint8Array(width);
  cursor.varintInto(new DataView(bytes.buffer), 0, width);
  return blobOf(bytes);
}

/** Sets a run of numbers, or adds it to those that the message has. */
function gather(message: PlainMessage, name: string, run: Blob): void {
  if (run.byteLength === 0) return;
  const earlier = message[name] as Blob | undefined;
  if (earlier === undefined) message[name] = run;
  else {
    const all = earlier instanceof GatheredBlob ? earlier : new GatheredBlob(earlier.read());
    all.append(run.read());
    message[name] = all;
  }
}

/** Passes over a field that the table does not know. Groups, long deprecated, are read up to their end mark. */
function skipField(
  cursor: Cursor,
  number: number,
  wire: number,
  end: number,
  depth: number,
  start: number,
): void {
  switch (wire) {
    case WIRE.varint:
      return cursor.skipVarint();
    case WIRE.fixed64:
      return cursor.skip(8);
    case WIRE.fixed32:
      return cursor.skip(4);
    case WIRE.length:
      return cursor.skip(cursor.length(end));
    case WIRE.group:
      return skipGroup(cursor, number, end, depth + 1, start);
    case WIRE.endGroup:
      return cursor.fail("a group ends that never began", start);
    default:
      return cursor.fail(`wire type ${wire} does not exist`, start);
  }
}

function skipGroup(cursor: Cursor, group: number, end: number, depth: number, from: number): void {
  if (depth > MAX_DEPTH) cursor.fail(`groups are nested more than ${MAX_DEPTH} deep`, from);
  while (cursor.offset < end) {
    cursor.need(FIELD_HEAD);
    const start = cursor.offset;
    const tag = cursor.tag();
    const number = tag >>> 3;
    if (number === 0) cursor.fail("a field has the number 0", start);
    if ((tag & 7) === WIRE.endGroup) {
      if (number !== group) cursor.fail(`group ${group} ends as group ${number}`, start);
      return;
    }
    skipField(cursor, number, tag & 7, end, depth, start);
  }
  cursor.fail("a group has no end", from);
}

/** Fields between two known ones are kept as one piece. */
function keepUnknown(message: PlainMessage, cursor: Cursor, from: number, to: number): void {
  (message.unknown ??= []).push(cursor.passed(from, to));
}
