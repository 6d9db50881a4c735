import { expect, test } from "vitest";
import { fixtureJson } from "../../test/fixture.js";
import { SCHEMA, type Field } from "./schema.js";

type Descriptor = [number, string, boolean, boolean, string | null, string | null];

/** The descriptors of the onnx package, as the table would have them. */
function expected(fields: Record<string, Descriptor>): Record<string, Field> {
  const rows = Object.entries(fields).map(
    ([name, [number, type, repeated, packed, message, group]]) => {
      const camel = name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
      const scalar = name === "raw_data" ? "blob" : type === "enum" ? "int32" : type;
      const label = packed ? "packed" : repeated ? "many" : "one";
      return [camel, { number, kind: message ?? scalar, label, oneof: group ?? undefined }];
    },
  );
  return Object.fromEntries(rows) as Record<string, Field>;
}

test("the table holds every message and field of the onnx package, with number, type and encoding", () => {
  const descriptors = fixtureJson("onnx/schema.json") as Record<string, Record<string, Descriptor>>;
  const table = Object.fromEntries(
    Object.entries(descriptors).map(([name, fields]) => [name, expected(fields)]),
  );
  expect(SCHEMA).toEqual(table);
});
