// Tells a model's task from its folder: from the head that its class is named for, its kind of problem, its pooling. Never from the model's name.
import { TaskError } from "../errors.js";
import { configurationOf, type FolderFiles } from "../data/configuration.js";
import { TASKS, type TaskName } from "./read.js";
import { regression } from "./regression.js";
import { poolingOf, sentenceEmbedding } from "./sentence-embedding.js";
import type { Task } from "./task.js";
import { textClassification } from "./text-classification.js";
import { tokenClassification } from "./token-classification.js";

const MAKE: Readonly<Record<TaskName, (files: FolderFiles) => Task>> = {
  "text-classification": (files) => textClassification(configurationOf(files.config).labels),
  regression: () => regression(),
  "sentence-embedding": (files) => sentenceEmbedding(poolingOf(files.pooling)),
  "token-classification": (files) => tokenClassification(configurationOf(files.config).labels),
};

/** Makes the task `name`, or the one that the folder tells. Throws TaskError where it tells none. */
export function chooseTask(files: FolderFiles, name?: TaskName): Task {
  return MAKE[name ?? nameOf(files)](files);
}

function nameOf(files: FolderFiles): TaskName {
  const { architectures, labels, problemType } = configurationOf(files.config);
  const has = (head: string) => architectures.some((architecture) => architecture.endsWith(head));
  if (has("ForTokenClassification")) return "token-classification";
  if (has("ForSequenceClassification")) {
    if (problemType === "multi_label_classification")
      throw new TaskError(
        `${files.folder}: several labels per text are not in this version`,
        TASKS,
      );
    return problemType === "regression" || labels.length === 1
      ? "regression"
      : "text-classification";
  }
  if (files.pooling !== undefined) return "sentence-embedding";
  throw new TaskError(`${files.folder} does not tell the task of its model`, TASKS);
}
