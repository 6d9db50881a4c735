// A classifier of a few hundred weights, and batches that it can learn, for tests of training.
import type { Model } from "../src/graph/model.js";
import { inferTypes } from "../src/ops/infer.js";
import type { RuntimeTensor } from "../src/runtime/runtime.js";
import { addLoss, LABELS, WEIGHTS } from "../src/train/losses.js";
import { trainableParameters } from "../src/train/parameters.js";
import type { Trainable, TrainingBatch, TrainingBatches } from "../src/train/training.js";
import { buildModel, floats } from "./build.js";

const [WORDS, WIDTH, CLASSES] = [20, 8, 3];

/** input_ids [batch, tokens] and attention_mask of the same shape to logits [batch, 3]: lookup, masked mean, layer, tanh, layer. */
export function tinyClassifier(): Model {
  const model = buildModel((b) => {
    const { graph } = b;
    const shape = ["batch", "tokens"];
    const ids = b.input("input_ids", shape, "int64");
    const mask = b.input("attention_mask", shape, "int64");
    const weight = (name: string, dims: readonly number[], seed: number) =>
      graph.addInitializer(name, floats(dims, seed));
    const rows = b.op("rows", "Gather", [weight("words.weight", [WORDS, WIDTH], 1), ids]);
    const counted = b.op("counted", "Cast", [mask], { to: 1 });
    const each = b.op("each", "Unsqueeze", [counted, b.int("last", [2])]);
    const sum = b.op(
      "sum",
      "ReduceSum",
      [b.op("masked", "Mul", [rows, each]), b.int("tokens", [1])],
      {
        keepdims: 0,
      },
    );
    const count = b.op("count", "ReduceSum", [counted, b.int("one", [1])], { keepdims: 1 });
    const mean = b.op("mean", "Div", [sum, count]);
    const product = b.op("product", "MatMul", [mean, weight("dense.weight", [WIDTH, WIDTH], 2)]);
    const hidden = b.op("hidden", "Tanh", [
      b.op("dense", "Add", [product, weight("dense.bias", [WIDTH], 3)]),
    ]);
    const head = [weight("head.weight", [CLASSES, WIDTH], 4), weight("head.bias", [CLASSES], 5)];
    b.output(b.op("logits", "Gemm", [hidden, ...head], { transB: 1 }));
  });
  inferTypes(model);
  return model;
}

export function tinyTrainable(): Trainable {
  const model = tinyClassifier();
  return {
    model,
    parameters: trainableParameters(model.graph, model.graph.outputs),
    loss: (graph) => addLoss(graph, [{ kind: "cross-entropy", output: "logits", over: "rows" }]),
  };
}

/** Rows of `tokens` words whose class is that of their first word; other batches in each epoch. */
export function tinyBatches({
  rows = 8,
  tokens = 5,
  perEpoch = 4,
}: { rows?: number; tokens?: number; perEpoch?: number } = {}): TrainingBatches {
  return {
    perEpoch,
    batch(epoch, index): TrainingBatch {
      const start = (epoch * perEpoch + index) * rows;
      const word = (row: number, token: number) => (7 * (start + row) + 3 * token * token) % WORDS;
      const ids = Array.from({ length: rows * tokens }, (_, i) =>
        word(Math.floor(i / tokens), i % tokens),
      );
      const labels = Array.from({ length: rows }, (_, row) => word(row, 0) % CLASSES);
      const dims = [rows, tokens];
      return {
        feeds: {
          input_ids: whole(ids, dims),
          attention_mask: whole(
            ids.map(() => 1),
            dims,
          ),
          [LABELS.labels]: whole(labels, [rows]),
          [WEIGHTS.rows]: float(
            labels.map(() => 1),
            [rows],
          ),
        },
        counted: rows,
        place: `rows ${start} to ${start + rows - 1}`,
      };
    },
  };
}

function whole(values: readonly number[], dims: readonly number[]): RuntimeTensor {
  return { dtype: "int64", dims, data: BigInt64Array.from(values, BigInt) };
}

function float(values: readonly number[], dims: readonly number[]): RuntimeTensor {
  return { dtype: "float32", dims, data: Float32Array.from(values) };
}
