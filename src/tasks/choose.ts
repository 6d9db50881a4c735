// Tells a model's task from its folder: from the head that its class is named for, its kind of problem, its pooling. Never from the model's name.
import { TaskError } from "../errors.js";
import { configurationOf, type FolderFiles } from "../data/configuration.js";
import { imageClassification } from "./image-classification.js";
import { causalLanguageModelling, maskedLanguageModelling } from "./language-modelling.js";
import { multiLabelClassification } from "./multi-label-classification.js";
import { questionAnswering } from "./question-answering.js";
import { TASKS, type TaskName } from "./read.js";
import { regression } from "./regression.js";
import { poolingOf, sentenceEmbedding, type Pooling } from "./sentence-embedding.js";
import type { Task } from "./task.js";
import { textClassification } from "./text-classification.js";
import { tokenClassification } from "./token-classification.js";

export interface TaskOptions {
  /** Instead of what the folder tells. */
  readonly task?: TaskName | undefined;
  /** How vectors of tokens become one, instead of what the folder tells. */
  readonly pooling?: Pooling | undefined;
}

type Make = (files: FolderFiles, labels: readonly string[], pooling?: Pooling) => Task;

const MAKE: Readonly<Record<TaskName, Make>> = {
  "text-classification": (_, labels) => textClassification(labels),
  "multi-label-classification": (_, labels) => multiLabelClassification(labels),
  regression: () => regression(),
  "sentence-embedding": (files, _, pooling) =>
    sentenceEmbedding(pooling ?? poolingOf(files.pooling)),
  "token-classification": (_, labels) => tokenClassification(labels),
  "question-answering": () => questionAnswering(),
  "masked-language-modelling": () => maskedLanguageModelling(),
  "causal-language-modelling": () => causalLanguageModelling(),
  "image-classification": (_, labels) => imageClassification(labels),
};

/** Ends of the names of classes, and their tasks. */
const HEADS: readonly (readonly [ending: string, task: TaskName])[] = [
  ["ForTokenClassification", "token-classification"],
  ["ForQuestionAnswering", "question-answering"],
  ["ForMaskedLM", "masked-language-modelling"],
  ["ForCausalLM", "causal-language-modelling"],
  ["LMHeadModel", "causal-language-modelling"],
  ["ForImageClassification", "image-classification"],
];

/** Makes the task that is named, or the one that the folder tells. Throws TaskError where it tells none. */
export function chooseTask(files: FolderFiles, options: TaskOptions = {}): Task {
  const { labels } = configurationOf(files.config);
  return MAKE[options.task ?? nameOf(files)](files, labels, options.pooling);
}

function nameOf(files: FolderFiles): TaskName {
  const { architectures, labels, problemType } = configurationOf(files.config);
  const has = (head: string) => architectures.some((architecture) => architecture.endsWith(head));
  if (has("ForSequenceClassification")) {
    if (problemType === "multi_label_classification") return "multi-label-classification";
    return problemType === "regression" || labels.length === 1
      ? "regression"
      : "text-classification";
  }
  const head = HEADS.find(([ending]) => has(ending));
  if (head !== undefined) return head[1];
  if (files.pooling !== undefined) return "sentence-embedding";
  throw new TaskError(
    `${files.folder} does not tell the task of its model: name it with --task`,
    TASKS,
  );
}
