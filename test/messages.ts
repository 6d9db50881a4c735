// Arbitrary messages of the ONNX IR for property tests, made from the schema table.
import fc from "fast-check";
import { blobOf } from "../src/onnx/source.js";
import {
  messageType,
  type MessageName,
  type Messages,
  type MessageType,
  type NumberKind,
  type PlainMessage,
  type ScalarKind,
} from "../src/onnx/schema.js";
import type { FieldType } from "../src/onnx/schema.js";

const text = fc.string({ unit: "grapheme", maxLength: 40 });
const bytes = fc.uint8Array({ maxLength: 20 });
const float = fc.float().map(Math.fround);
const int64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt(-300n, 300n),
);

const SCALARS: { readonly [K in ScalarKind]: fc.Arbitrary<unknown> } = {
  int64: int64.map((value) => (Number.isSafeInteger(Number(value)) ? Number(value) : value)),
  uint64: fc.constant(undefined),
  int32: fc.integer(),
  float,
  double: fc.constant(undefined),
  string: text,
  bytes,
  blob: fc
    .oneof(bytes, fc.uint8Array({ minLength: 4000, maxLength: 9000, size: "max" }))
    .map(blobOf),
};

const RUNS: { readonly [K in NumberKind]: fc.Arbitrary<ArrayBufferView> } = {
  int64: fc.bigInt64Array({ minLength: 1, maxLength: 20 }),
  uint64: fc.bigUint64Array({ minLength: 1, maxLength: 20 }),
  int32: fc.int32Array({ minLength: 1, maxLength: 2000, size: "+1" }),
  float: fc.float32Array({ minLength: 1, maxLength: 20 }),
  double: fc.float64Array({ minLength: 1, maxLength: 20 }),
};

/** Messages as the reader would make them: what is absent is absent, integers are numbers where those are exact. */
export function arbitraryMessage<N extends MessageName>(name: N): fc.Arbitrary<Messages[N]> {
  return ofType(messageType(name), 4).map((message) => message as Messages[N]);
}

/** Some of the fields of a message, now and then with unknown ones. */
function ofType(type: MessageType, depth: number): fc.Arbitrary<PlainMessage> {
  const usable = type.fields.filter((field) => field.shape !== "message" || depth > 0);
  const unknown = fc.constantFrom(undefined, UNKNOWN_VARINT, UNKNOWN_BYTES);
  return fc
    .tuple(fc.subarray(usable, { maxLength: Math.min(5, usable.length) }), unknown)
    .chain(([fields, extra]) => {
      const record: Record<string, fc.Arbitrary<unknown>> = {};
      for (const field of fields) record[field.name] = valueOf(field, depth);
      return fc.record(record).map((drawn) => {
        const message: PlainMessage = { ...drawn };
        for (const field of fields)
          if (field.shape !== "packed" && message[field.name] !== undefined)
            for (const rival of field.rivals) delete message[rival];
        if (extra !== undefined) message.unknown = [extra];
        return message;
      });
    });
}

/** Field 100 as a number, and as bytes. */
const UNKNOWN_VARINT = Uint8Array.of(0xa0, 0x06, 1);
const UNKNOWN_BYTES = Uint8Array.of(0xa2, 0x06, 2, 3, 4);

function valueOf(field: FieldType, depth: number): fc.Arbitrary<unknown> {
  if (field.shape === "packed") return RUNS[field.kind].map(blobOf);
  const one = field.shape === "scalar" ? SCALARS[field.kind] : ofType(field.type, depth - 1);
  return field.many ? fc.array(one, { minLength: 1, maxLength: 3 }) : one;
}
