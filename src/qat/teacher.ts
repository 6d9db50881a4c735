// The float model that a quantized model learns from: its outputs, and the hidden states that both have.
import type { Graph } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { prepareQuantizers } from "../passes/training.js";
import type { Session } from "../runtime/runtime.js";
import { copyOf } from "../calibrate/float-copy.js";
import { KeptAnswers } from "../evaluate/answers.js";
import type { Run } from "../host/run.js";
import { withTemporarySession } from "../host/sessions.js";
import { hasTrait } from "../ops/traits.js";

export interface Teacher {
  /** Has the model's outputs, and the hidden states as further ones. */
  readonly session: Session;
  /** The same for the model's outputs alone, whose values are kept. */
  readonly answers: KeptAnswers;
  /** Names of values in the graph that is trained, too. */
  readonly hidden: readonly string[];
}

/** `float` is the graph that is planned, before anything was rounded; it teaches while `work` lasts. Throws RuntimeFailedError. */
export async function withTeacher<T>(
  { host, file }: Run,
  float: Model,
  work: (teacher: Teacher) => Promise<T>,
): Promise<T> {
  const copy = copyOf(float);
  prepareQuantizers(copy);
  const outputs = copy.graph.outputs.map(({ name }) => name);
  const hidden = hiddenStates(copy.graph);
  for (const name of hidden) {
    const value = copy.graph.value(name);
    if (value !== undefined && !value.isOutput) copy.graph.addOutput(value);
  }
  return withTemporarySession(host, copy, file.external, (session) =>
    work({ session, answers: new KeptAnswers(session, { outputs }), hidden }),
  );
}

/** Normalized activations [batch, tokens, width] of texts: where each block of a Transformer begins or ends. */
function hiddenStates(graph: Graph): string[] {
  const found: string[] = [];
  for (const node of graph.nodes()) {
    const value = node.outputs[0];
    if (!hasTrait(node, "normalization") || value?.dtype !== "float32" || value.rank !== 3)
      continue;
    const [batch, tokens, width] = value.shape ?? [];
    const varies = [batch, tokens].some((size) => typeof size !== "number");
    if (varies && typeof width === "number") found.push(value.name);
  }
  return found;
}
