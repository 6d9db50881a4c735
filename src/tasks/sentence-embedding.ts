// A vector for a text; the cosine of two says how alike two texts are.
import { TaskError } from "../errors.js";
import { cosine } from "./metrics.js";
import { outputOf, pairOf, scoreOf, TASKS, textRecord } from "./read.js";
import { correlations, scoresSideBySide } from "./regression.js";
import type { OutputRow, Task } from "./task.js";

const NAME = "sentence-embedding";

/** How the vectors of tokens become the vector of the text. */
export const POOLINGS = ["mean", "cls", "max"] as const;
export type Pooling = (typeof POOLINGS)[number];

/** The pooling in a 1_Pooling/config.json of sentence-transformers; mean where nothing is said. Throws TaskError for others. */
export function poolingOf(config: Readonly<Record<string, unknown>> = {}): Pooling {
  if (typeof config["pooling_mode"] === "string") return named(config["pooling_mode"]);
  const chosen = Object.entries(config)
    .filter(([key, value]) => key.startsWith("pooling_mode_") && value === true)
    .map(([key]) => key.replace(/^pooling_mode_/, "").replace(/_tokens?$/, ""));
  if (chosen.length > 1)
    throw new TaskError(`Poolings side by side (${chosen.join(", ")}) are not known`, TASKS);
  return chosen[0] === undefined ? "mean" : named(chosen[0]);
}

function named(name: string): Pooling {
  const pooling = POOLINGS.find((known) => known === name);
  if (pooling !== undefined) return pooling;
  throw new TaskError(`The pooling "${name}" is not known (${POOLINGS.join(", ")} are)`, TASKS);
}

/** Predicts the cosine of the two texts of a pair. */
export function sentenceEmbedding(pooling: Pooling): Task<number, number> {
  return {
    name: NAME,
    inputs(record) {
      const { text, textPair } = pairOf(record, NAME);
      return [{ text }, { text: textPair }];
    },
    predict([first, second]) {
      if (first === undefined || second === undefined)
        throw new Error("internal: no rows to predict from");
      return cosine(embeddingOf(first, pooling), embeddingOf(second, pooling));
    },
    reference: (record) => scoreOf(textRecord(record, NAME)),
    // What is asked of similarities is their order.
    measures: (scored) => {
      const { pearson, spearman } = correlations(scored);
      return [spearman, pearson];
    },
    agreement: scoresSideBySide,
  };
}

/** The vector of one row: the model's own (an output [width]), or pooled from an output [tokens, width]. */
export function embeddingOf(row: OutputRow, pooling: Pooling): Float64Array | Float32Array {
  const own = row.outputs["sentence_embedding"];
  if (own?.dims.length === 1) return own.data;
  const { data, dims } = outputOf(row, ["last_hidden_state", "token_embeddings"], 2, NAME);
  const [tokens = 0, width = 0] = dims;
  return POOL[pooling](data, tokens, width);
}

type Pool = (data: Float32Array, tokens: number, width: number) => Float64Array;

/** Rows hold no padding, so every token counts. */
const POOL: Record<Pooling, Pool> = {
  mean(data, tokens, width) {
    const mean = new Float64Array(width);
    for (let i = 0; i < data.length; i++) mean[i % width] = (mean[i % width] ?? 0) + (data[i] ?? 0);
    return mean.map((sum) => sum / tokens);
  },
  cls: (data, _, width) => Float64Array.from(data.subarray(0, width)),
  max(data, _, width) {
    const max = new Float64Array(width).fill(-Infinity);
    for (let i = 0; i < data.length; i++)
      max[i % width] = Math.max(max[i % width] ?? 0, data[i] ?? 0);
    return max;
  },
};
