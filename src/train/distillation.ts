// The loss of each task on what a teacher says of the same rows: no labels are needed.
import { WEIGHTS, type LossTerm } from "./losses.js";
import type { Feeds } from "../runtime/runtime.js";
import type { TaskName } from "../tasks/read.js";
import {
  float,
  outputNamed,
  perToken,
  placesOf,
  poolingFeeds,
  rowWeights,
  spanOutputs,
  vectorOf,
  type BatchRows,
  type LossSetting,
  type MakeLoss,
  type TaskLoss,
} from "./rows.js";

/** One for each token that is no padding. */
const tokenWeights = (batch: BatchRows, { padding }: LossSetting): Feeds => ({
  [WEIGHTS.tokens]: float(
    perToken(batch, padding, () => 1),
    [batch.batch, batch.length],
  ),
});

function ofRows(term: (output: string, setting: LossSetting) => LossTerm): MakeLoss {
  return (setting) => {
    const { name } = outputNamed(setting, ["logits"], 2);
    return {
      terms: [term(name, setting)],
      outputs: [name],
      counted: () => 1,
      feeds: rowWeights,
    };
  };
}

const ofTokens: MakeLoss = (setting) => {
  const { name } = outputNamed(setting, ["logits"], 3);
  const { temperature } = setting;
  return {
    terms: [{ kind: "soft", output: name, over: "tokens", temperature }],
    outputs: [name],
    counted: ({ rows }) => rows.reduce((sum, { encoded }) => sum + (encoded?.ids.length ?? 0), 0),
    feeds: (batch) => tokenWeights(batch, setting),
  };
};

const ofVectors: MakeLoss = (setting) => {
  const { output, pooling } = vectorOf(setting);
  return {
    terms: [{ kind: "match-pooled", output, pooling }],
    outputs: [output],
    counted: ({ rows }) => rows.length,
    feeds: (batch) => ({ ...poolingFeeds(batch, setting, pooling), ...rowWeights(batch) }),
  };
};

const ofSpans: MakeLoss = (setting) => {
  const outputs = spanOutputs(setting);
  return {
    terms: [{ kind: "soft-span", outputs, temperature: setting.temperature }],
    outputs,
    counted: () => 1,
    feeds: (batch) => ({ ...rowWeights(batch), ...placesOf(batch, setting.padding) }),
  };
};

const ofClasses = ofRows((output, { temperature }) => ({
  kind: "soft",
  output,
  over: "rows",
  temperature,
}));

/** By the outputs of a teacher. */
export const TEACHER_LOSSES: Readonly<Record<TaskName, MakeLoss>> = {
  "text-classification": ofClasses,
  "image-classification": ofClasses,
  "multi-label-classification": ofRows((output, { temperature }) => ({
    kind: "soft-flags",
    output,
    temperature,
  })),
  regression: ofRows((output) => ({ kind: "match", output, over: "rows" })),
  "sentence-embedding": ofVectors,
  "token-classification": ofTokens,
  "question-answering": ofSpans,
  "masked-language-modelling": ofTokens,
  "causal-language-modelling": ofTokens,
};

/** The loss with hidden states beside the outputs; the teacher gives them as outputs. */
export function withHidden(
  loss: TaskLoss,
  hidden: { readonly values: readonly string[]; readonly share: number } | undefined,
  setting: LossSetting,
): TaskLoss {
  const [first] = loss.terms;
  if (hidden === undefined || hidden.values.length === 0 || first === undefined) return loss;
  const { values, share } = hidden;
  const over = "over" in first ? first.over : "rows";
  return {
    ...loss,
    terms: [...loss.terms, { kind: "hidden", values, over, share }],
    hidden: values,
    feeds: (batch) => ({ ...loss.feeds(batch), ...tokenWeights(batch, setting) }),
  };
}
