// The losses, as nodes on a model's outputs; labels and a teacher's outputs become inputs of the graph. What is padding, or has no label, weighs 0.
import { Backward } from "../autodiff/backward.js";
import type { Dim, Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import type { DType } from "../onnx/dtypes.js";
import { float32Tensor, int64Tensor } from "../onnx/tensor.js";
import { inferGrowing } from "../ops/infer.js";

/** One divided by what counts in all batches of an update: a scalar, fed by the loop. */
export const LOSS_SHARE = "octavo.share";

/** Inputs that weigh what the terms sum over: rows [batch], tokens [batch, tokens], labelled tokens [batch, tokens]. Float; 0 does not count. */
export const WEIGHTS = {
  rows: "octavo.rows",
  tokens: "octavo.tokens",
  labelled: "octavo.labelled",
} as const;
export type Weighted = keyof typeof WEIGHTS;

/** Inputs of labels. */
export const LABELS = {
  /** int64 classes, of a shape as the weights; or floats of the output's shape (flags, scores); or floats [pairs] (similarities). */
  labels: "octavo.labels",
  /** int64 [batch]: the tokens at which answers start and end. */
  starts: "octavo.starts",
  ends: "octavo.ends",
  /** float [batch, tokens], added to logits of places: 0 for tokens, very low for padding. */
  places: "octavo.places",
  /** float [batch, tokens]: how a row's tokens become its vector, summing to 1. */
  pooling: "octavo.pooling",
} as const;

/** The input that takes the teacher's value of an output. */
export const teacherInput = (output: string): string => `octavo.teacher.${output}`;

/** How vectors of tokens become one: a weighted mean (the mean of all, or the first alone), or the highest of each place. */
export type PooledBy = "weights" | "max" | "none";

export type LossTerm = { readonly share?: number } & (
  | { readonly kind: "cross-entropy"; readonly output: string; readonly over: Weighted }
  | { readonly kind: "binary-cross-entropy"; readonly output: string }
  | { readonly kind: "span"; readonly outputs: readonly [start: string, end: string] }
  | { readonly kind: "squared"; readonly output: string }
  /** Rows stand in pairs: the first texts, then the second ones. */
  | { readonly kind: "cosine"; readonly output: string; readonly pooling: PooledBy }
  /** The teacher's probabilities at a temperature. */
  | {
      readonly kind: "soft";
      readonly output: string;
      readonly over: Weighted;
      readonly temperature: number;
    }
  | {
      readonly kind: "soft-span";
      readonly outputs: readonly [start: string, end: string];
      readonly temperature: number;
    }
  /** Each class by itself, as where a text has any number of them. */
  | { readonly kind: "soft-flags"; readonly output: string; readonly temperature: number }
  /** The teacher's numbers themselves: scores, vectors, hidden states. */
  | { readonly kind: "match"; readonly output: string; readonly over: Weighted }
  | { readonly kind: "match-pooled"; readonly output: string; readonly pooling: PooledBy }
  /** The teacher's hidden states [batch, tokens, width]; counted as `over` says, as the term that it stands beside. */
  | { readonly kind: "hidden"; readonly values: readonly string[]; readonly over: Weighted }
);

/**
 * Appends the sum of the terms, each times its `share` (1 where it has none): a scalar. Every term is a sum over what counts times the input
 * `octavo.share`, so that it is a mean over an update, however many batches that has. Outputs are named by the graph's.
 *
 * cross-entropy, binary-cross-entropy: −ln of the probability of the label. span: the mean of those of start and end. squared: (output − label)²,
 * a mean over further axes. cosine: (cosine − label)². soft, soft-span, soft-flags: T² · KL(teacher ‖ model) of probabilities at temperature T
 * (G. Hinton, O. Vinyals, J. Dean, arXiv 1503.02531). match, match-pooled: (output − teacher)², a mean over further axes. hidden: |value − teacher|² /
 * |teacher|², a mean over tokens and values (X. Jiao et al., TinyBERT, arXiv 1909.10351, who take the plain squared error).
 */
export function addLoss(model: Model, terms: readonly LossTerm[]): Value {
  const n = new LossNodes(model);
  const sums = terms.map((term) => {
    const { share = 1 } = term;
    return n.scaled(sumOf(n, term), share);
  });
  const sum = n.b.add(sums);
  if (sum === undefined) throw new Error("internal: a loss without terms");
  return n.b.op("Mul", [sum, n.input(LOSS_SHARE, "float32", [])]);
}

function sumOf(n: LossNodes, term: LossTerm): Value {
  const rule = TERMS[term.kind] as (n: LossNodes, term: LossTerm) => Value;
  return rule(n, term);
}

type Rule<K extends LossTerm["kind"]> = (
  n: LossNodes,
  term: Extract<LossTerm, { readonly kind: K }>,
) => Value;

const TERMS: { readonly [K in LossTerm["kind"]]: Rule<K> } = {
  "cross-entropy": (n, { output, over }) =>
    n.total(crossEntropy(n, n.value(output), LABELS.labels), over),
  "binary-cross-entropy"(n, { output }) {
    const logits = n.value(output);
    const labels = n.input(LABELS.labels, "float32", logits.shape);
    const each = n.b.op("Sub", [softplus(n, logits), n.b.op("Mul", [logits, labels])]);
    return n.total(n.sumLast(each), "rows");
  },
  span(n, { outputs: [start, end] }) {
    const of = (output: string, labels: string) => crossEntropy(n, n.placed(output), labels);
    const both = n.b.op("Add", [of(start, LABELS.starts), of(end, LABELS.ends)]);
    return n.scaled(n.total(both, "rows"), 0.5);
  },
  squared(n, { output }) {
    const value = n.value(output);
    return n.total(squares(n, value, n.input(LABELS.labels, "float32", value.shape), 1), "rows");
  },
  cosine(n, { output, pooling }) {
    const [first, second] = n.halves(pooled(n, n.value(output), pooling));
    const dot = (a: Value, b: Value) => n.sumLast(n.b.op("Mul", [a, b]));
    const norms = n.b.op("Mul", [dot(first, first), dot(second, second)]);
    const length = n.b.op("Sqrt", [n.b.op("Add", [norms, n.b.scalar(TINY, norms)])]);
    const cosine = n.b.op("Div", [dot(first, second), length]);
    return n.total(squares(n, cosine, n.input(LABELS.labels, "float32", cosine.shape), 1), "rows");
  },
  soft: (n, { output, over, temperature }) =>
    n.total(divergence(n, n.value(output), n.teacher(output), temperature), over),
  "soft-span"(n, { outputs, temperature }) {
    const [start, end] = outputs.map((output) =>
      divergence(n, n.placed(output), n.placed(output, n.teacher(output)), temperature),
    ) as [Value, Value];
    return n.scaled(n.total(n.b.op("Add", [start, end]), "rows"), 0.5);
  },
  "soft-flags"(n, { output, temperature }) {
    // KL = p·(ln p − ln q) + (1 − p)·(ln (1 − p) − ln (1 − q)); −ln of a probability is softplus of minus its logit.
    const own = n.scaled(n.value(output), 1 / temperature);
    const taught = n.scaled(n.teacher(output), 1 / temperature);
    const p = n.b.op("Sigmoid", [taught]);
    const entropy = (logits: Value) =>
      n.b.op("Sub", [softplus(n, logits), n.b.op("Mul", [logits, p])]);
    const each = n.sumLast(n.b.op("Sub", [entropy(own), entropy(taught)]));
    return n.scaled(n.total(each, "rows"), temperature ** 2);
  },
  match: (n, { output, over }) =>
    n.total(squares(n, n.value(output), n.teacher(output), over === "rows" ? 1 : 2), over),
  "match-pooled": (n, { output, pooling }) =>
    n.total(
      squares(n, pooled(n, n.value(output), pooling), pooled(n, n.teacher(output), pooling), 1),
      "rows",
    ),
  hidden(n, { values, over }) {
    const errors = values.map((name) => relativeError(n, n.value(name), n.teacher(name)));
    const sum = n.b.add(errors);
    if (sum === undefined) throw new Error("internal: no hidden states");
    const all = (value: Value) => n.b.reduce("ReduceSum", value, undefined, 0);
    const tokens = all(n.input(WEIGHTS.tokens, "float32", sum.shape));
    const mean = n.b.op("Div", [n.total(sum, "tokens"), tokens]);
    const counted = all(n.input(WEIGHTS[over], "float32", sum.shape?.slice(0, RANKS[over])));
    return n.scaled(n.b.op("Mul", [mean, counted]), 1 / values.length);
  },
};

const RANKS: Readonly<Record<Weighted, number>> = { rows: 1, tokens: 2, labelled: 2 };

/** Keeps the length of a vector of zeros off 0. */
const TINY = 1e-12;

/** −ln of the probability of each label; logits have the classes on their last axis. */
function crossEntropy(n: LossNodes, logits: Value, labelsInput: string): Value {
  const logs = n.b.op("LogSoftmax", [logits], { axis: -1 });
  const labels = n.input(labelsInput, "int64", logits.shape?.slice(0, -1));
  const flags = n.b.constant("off and on", () => float32Tensor([0, 1]));
  const ofLabels = n.b.op("OneHot", [labels, n.lastSize(logits), flags], { axis: -1 });
  return n.b.op("Neg", [n.sumLast(n.b.op("Mul", [logs, ofLabels]))]);
}

/** T² · Σ p · (ln p − ln q) over the last axis. */
function divergence(n: LossNodes, logits: Value, taught: Value, temperature: number): Value {
  const teacher = n.scaled(taught, 1 / temperature);
  const logs = n.b.op("LogSoftmax", [n.scaled(logits, 1 / temperature)], { axis: -1 });
  const p = n.b.op("Softmax", [teacher], { axis: -1 });
  const taughtLogs = n.b.op("LogSoftmax", [teacher], { axis: -1 });
  const sum = n.sumLast(n.b.op("Mul", [p, n.b.op("Sub", [taughtLogs, logs])]));
  return n.scaled(sum, temperature ** 2);
}

/** ln(1 + eˣ) without overflow. */
function softplus({ b }: LossNodes, x: Value): Value {
  const small = b.op("Exp", [b.op("Neg", [b.op("Abs", [x])])]);
  const log = b.op("Log", [b.op("Add", [small, b.scalar(1, x)])]);
  return b.op("Add", [b.op("Relu", [x]), log]);
}

/** Squared differences, their mean over the axes after the first `kept`. */
function squares({ b }: LossNodes, one: Value, other: Value, kept: number): Value {
  const difference = b.op("Sub", [one, other]);
  const square = b.op("Mul", [difference, difference]);
  const rank = square.rank ?? kept;
  const axes = Array.from({ length: Math.max(0, rank - kept) }, (_, i) => kept + i);
  return b.reduce("ReduceMean", square, axes, 0);
}

/** Squared distance over the last axis, as a share of the teacher's square. */
function relativeError(n: LossNodes, own: Value, taught: Value): Value {
  const square = (value: Value): Value => n.sumLast(n.b.op("Mul", [value, value]));
  const size = square(taught);
  const distance = square(n.b.op("Sub", [own, taught]));
  return n.b.op("Div", [distance, n.b.op("Add", [size, n.b.scalar(TINY, size)])]);
}

/** The vector of each row: [batch, tokens, width] to [batch, width]. */
function pooled(n: LossNodes, vectors: Value, pooling: PooledBy): Value {
  if (pooling === "none") return vectors;
  const tokens = vectors.shape?.slice(0, 2) ?? [null, null];
  if (pooling === "max") {
    const places = n.b.unsqueeze(n.input(LABELS.places, "float32", tokens), [2]);
    return n.b.reduce("ReduceMax", n.b.op("Add", [vectors, places]), [1], 0);
  }
  const weights = n.b.unsqueeze(n.input(LABELS.pooling, "float32", tokens), [2]);
  return n.b.reduce("ReduceSum", n.b.op("Mul", [vectors, weights]), [1], 0);
}

/** What the terms are written with. */
class LossNodes {
  readonly b: Backward;

  constructor(model: Model) {
    this.b = new Backward(model, inferGrowing(model), {}, []);
  }

  /** A value of the model, mostly one of its outputs. */
  value(name: string): Value {
    const value = this.b.graph.value(name);
    if (value === undefined) throw new Error(`internal: the graph has no "${name}"`);
    return value;
  }

  /** What the teacher has for a value. */
  teacher(name: string): Value {
    return this.input(teacherInput(name), "float32", this.value(name).shape);
  }

  /** An input of the graph, made when it is first asked for. */
  input(name: string, dtype: DType, shape: readonly Dim[] | undefined): Value {
    const { graph } = this.b;
    return graph.value(name) ?? graph.addInput(name, { dtype, ...(shape && { shape }) });
  }

  scaled(value: Value, factor: number): Value {
    return factor === 1 ? value : this.b.op("Mul", [value, this.b.scalar(factor, value)]);
  }

  /** The logits of places [batch, tokens], padding far below all others. */
  placed(output: string, logits = this.value(output)): Value {
    return this.b.op("Add", [logits, this.input(LABELS.places, "float32", logits.shape)]);
  }

  sumLast(value: Value): Value {
    return this.b.reduce("ReduceSum", value, [(value.rank ?? 1) - 1], 0);
  }

  /** The sum of all that counts. */
  total(value: Value, over: Weighted): Value {
    const weights = this.input(WEIGHTS[over], "float32", value.shape);
    return this.b.reduce("ReduceSum", this.b.op("Mul", [value, weights]), undefined, 0);
  }

  /** The size of the last axis, as a scalar. */
  lastSize(value: Value): Value {
    const size = value.shape?.at(-1);
    if (typeof size === "number") return this.b.constant(`size ${size}`, () => int64Tensor(size));
    const last = this.b.constant("last axis", () => int64Tensor(-1));
    return this.b.op("Gather", [this.b.shapeOf(value), last]);
  }

  /** The first and the second half of [2 · pairs, width]. */
  halves(value: Value): readonly [first: Value, second: Value] {
    const half = this.b.op("Reshape", [value, this.b.ints([2, -1, widthOf(value)])]);
    const [first = half, second = half] = [0, 1].map((i) =>
      this.b.op("Gather", [half, this.b.constant(`half ${i}`, () => int64Tensor(i))], { axis: 0 }),
    );
    return [first, second];
  }
}

function widthOf(value: Value): number {
  const width = value.shape?.at(-1);
  if (typeof width === "number") return width;
  throw new Error(`internal: the width of "${value.name}" is not known`);
}
