import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { differences } from "../../test/differences.js";
import { foreignGraphs, hasShared, sharedModels, zooGraphs } from "../../test/shared.js";
import { openModelFile } from "./files.js";
import type { GraphProto } from "./proto.js";
import { decodeModel } from "./reader.js";
import { tensorFromProto } from "./tensor-proto.js";
import { encodeModel } from "./writer.js";

describe.skipIf(!hasShared)("models that exporters wrote", () => {
  const files = [...zooGraphs(), ...sharedModels(), ...foreignGraphs()];

  test.each(files)("$name is the same after it was read and written", ({ path }) => {
    const file = openModelFile(path);
    try {
      const bytes = readFileSync(path);
      const model = decodeModel(file.source);
      const written = encodeModel(model);
      expect(differences(decodeModel(written), decodeModel(bytes))).toEqual([]);
      expect(Buffer.compare(written, bytes)).toBe(0);
      let tensors = 0;
      for (const proto of model.graph === undefined ? [] : tensorsOf(model.graph)) {
        const { data } = tensorFromProto(proto, file.external);
        expect(data.read().length).toBe(data.byteLength);
        tensors++;
      }
      expect(tensors).toBeGreaterThan(0);
    } finally {
      file.close();
    }
  });
});

function* tensorsOf(graph: GraphProto): Generator<NonNullable<GraphProto["initializer"]>[number]> {
  yield* graph.initializer ?? [];
  for (const { attribute = [] } of graph.node ?? [])
    for (const { t, g } of attribute) {
      if (t !== undefined) yield t;
      if (g !== undefined) yield* tensorsOf(g);
    }
}
