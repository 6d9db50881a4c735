// Node only: finds the model that a user names, and reads what its folder says about it.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import {
  ModelFolderError,
  ModelNotFoundError,
  NoModelInFolderError,
  SeveralModelsError,
} from "../errors.js";
import { codeOf, systemMessage } from "../onnx/file-source.js";
import type { FolderFiles } from "./configuration.js";

export interface LocatedModel {
  /** The .onnx file. */
  readonly path: string;
  /** The folder with its config.json, tokenizer.json and so on; undefined where there is none. */
  readonly folder: string | undefined;
}

/** Where the float model lies in a folder by convention. */
const USUAL = ["onnx/model.onnx", "model.onnx"];
/** Endings by which exporters and runtimes tell reduced models from the float model. */
const REDUCED =
  /[._-](quantized|int8|uint8|int4|uint4|q4|q4f16|q8|bnb4|fp16|bf16|quint8|qint8|O[1-4]|optimized)([._-][^/]*)?\.onnx$/;

/**
 * Resolves `<model>`: an ONNX file, or a folder as Hugging Face lays it out. In a folder, onnx/model.onnx or model.onnx is taken, else its
 * only model. Throws ModelNotFoundError, NoModelInFolderError, SeveralModelsError.
 */
export function locateModel(model: string): LocatedModel {
  const stat = statSync(model, { throwIfNoEntry: false });
  if (stat === undefined)
    throw new ModelNotFoundError(model, "it does not exist; give an .onnx file or a model folder");
  if (!stat.isDirectory()) return { path: model, folder: folderOf(model) };
  const path = join(model, candidateIn(model));
  return { path, folder: model };
}

/** The folder that holds a model file's configuration: its own, or the one above `onnx/`. */
function folderOf(path: string): string | undefined {
  const own = dirname(path);
  const folders = basename(own) === "onnx" ? [own, dirname(own)] : [own];
  return folders.find((folder) =>
    ["config.json", "tokenizer.json"].some((file) => existsSync(join(folder, file))),
  );
}

function candidateIn(folder: string): string {
  const usual = USUAL.filter((file) => existsSync(join(folder, file)));
  if (usual.length > 1) throw new SeveralModelsError(folder, usual);
  if (usual[0] !== undefined) return usual[0];
  const all = [...modelsIn(folder, "onnx"), ...modelsIn(folder, "")];
  const full = all.filter((file) => !REDUCED.test(file));
  if (full.length > 1) throw new SeveralModelsError(folder, full);
  if (full[0] === undefined) throw new NoModelInFolderError(folder, [...USUAL, "*.onnx"], all);
  return full[0];
}

function modelsIn(folder: string, sub: string): string[] {
  try {
    return readdirSync(join(folder, sub))
      .filter((file) => file.endsWith(".onnx"))
      .toSorted()
      .map((file) => (sub === "" ? file : `${sub}/${file}`));
  } catch (error) {
    const code = codeOf(error);
    if (sub !== "" && (code === "ENOENT" || code === "ENOTDIR")) return [];
    if (code === undefined) throw error;
    throw new ModelNotFoundError(folder, systemMessage(error));
  }
}

const FILES = {
  config: "config.json",
  tokenizer: "tokenizer.json",
  tokenizerConfig: "tokenizer_config.json",
  specialTokens: "special_tokens_map.json",
  pooling: "1_Pooling/config.json",
  sentence: "sentence_bert_config.json",
} as const;

/** Reads the JSON files of a model's folder. Throws ModelFolderError for one that is there but is no JSON object. */
export function readFolder(folder: string): FolderFiles {
  const files = Object.entries(FILES).map(
    ([key, file]) => [key, readJson(join(folder, file))] as const,
  );
  const found: FolderFiles = { folder, ...Object.fromEntries(files) };
  return found.tokenizer === undefined ? { ...found, ...olderTokenizer(folder) } : found;
}

const SENTENCE_PIECE = ["spiece.model", "sentencepiece.bpe.model", "tokenizer.model", "spm.model"];

function olderTokenizer(folder: string): Pick<FolderFiles, "vocabulary" | "sentencePiece"> {
  return {
    vocabulary: {
      wordPiece: readText(join(folder, "vocab.txt")),
      bytePieces: readJson(join(folder, "vocab.json")),
      merges: readText(join(folder, "merges.txt")),
    },
    sentencePiece: SENTENCE_PIECE.find((name) => existsSync(join(folder, name))),
  };
}

/** Without a byte order mark; undefined where there is no such file. */
function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").replace(/^\uFEFF/, "");
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    if (code === undefined) throw error;
    throw new ModelFolderError(path, systemMessage(error));
  }
}

function readJson(path: string): Readonly<Record<string, unknown>> | undefined {
  const text = readText(path);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ModelFolderError(path, `no JSON (${(error as Error).message})`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new ModelFolderError(path, "no JSON object");
  return value as Readonly<Record<string, unknown>>;
}

/** What belongs to a model's folder whatever its weights are: configuration, tokenizer, description. */
const CONTENT = /\.(json|txt|md|jinja|model|spm)$/;

/** Files of a folder, and of the folders in it but `onnx`, that are no models or weights. Throws ModelFolderError. */
export function folderContent(folder: string): { path: string; content: Uint8Array }[] {
  const namesIn = (sub: string) => {
    try {
      return readdirSync(join(folder, sub), { withFileTypes: true });
    } catch (error) {
      throw codeOf(error) === undefined
        ? error
        : new ModelFolderError(folder, systemMessage(error));
    }
  };
  const inside = namesIn("").flatMap((entry) =>
    entry.isDirectory() && entry.name !== "onnx" && !entry.name.startsWith(".")
      ? namesIn(entry.name).map(({ name }) => `${entry.name}/${name}`)
      : [entry.name],
  );
  return inside
    .filter((path) => CONTENT.test(path) && statSync(join(folder, path)).isFile())
    .toSorted()
    .map((path) => ({ path, content: readFileSync(join(folder, path)) }));
}
