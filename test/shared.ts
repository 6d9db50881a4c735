// Where the test material outside the repository is, when it is there at all.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../shared", import.meta.url));

export const hasShared: boolean = existsSync(join(root, "zoo"));

/** A path inside ../shared. */
export function shared(...segments: string[]): string {
  return join(root, ...segments);
}

export interface SharedGraph {
  readonly name: string;
  readonly path: string;
}

/** The exported graphs of the zoo. */
export function zooGraphs(): SharedGraph[] {
  return hasShared ? foldersWith("zoo", "model.onnx") : [];
}

/** The fine-tuned models, as `NAME/onnx/model.onnx`. */
export function sharedModels(): SharedGraph[] {
  return hasShared ? foldersWith("models", "onnx/model.onnx") : [];
}

/** Graphs that others wrote, by their path below graphs/. */
export function foreignGraphs(): SharedGraph[] {
  if (!hasShared) return [];
  const base = shared("graphs");
  return readdirSync(base, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".onnx"))
    .toSorted()
    .map((file) => ({ name: file, path: join(base, file) }));
}

function foldersWith(folder: string, file: string): SharedGraph[] {
  return readdirSync(shared(folder))
    .toSorted()
    .map((name) => ({ name, path: shared(folder, name, file) }))
    .filter(({ path }) => existsSync(path));
}
