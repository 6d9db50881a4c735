// The verb train: fine-tunes a model on labelled data, or by a teacher, and writes it in the form in which its exporter wrote it.
import { NothingToTrainError, WeightPatternError } from "../errors.js";
import { exportModel } from "../graph/export.js";
import type { Graph } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import { hoistConstants } from "../passes/constants.js";
import { inlineFunctions } from "../passes/functions.js";
import { REPORT_VERSION, type TrainReport } from "../report/report.js";
import type { Session } from "../runtime/runtime.js";
import { addLoss } from "../train/losses.js";
import { trainLoop } from "../train/loop.js";
import type { Parameter } from "../train/parameters.js";
import type { Trained, TrainLoopOptions } from "../train/training.js";
import { commandLine } from "./command-line.js";
import { requireFloat } from "../plan/plan-model.js";
import { evaluationOf } from "../evaluate/score.js";
import { floatAnswers, verify } from "../evaluate/verify.js";
import type { Host, OpenedModel } from "../host/host.js";
import { withRun, type Run } from "../host/run.js";
import { undoOnFailure, withSession } from "../host/sessions.js";
import { TRAIN_DEFAULTS } from "../options/defaults.js";
import { trainSettings, type TrainOptions, type TrainSettings } from "../options/train.js";
import { globOf } from "../plan/patterns.js";
import { readGraph } from "../host/read-graph.js";
import { reportFile, requireReportName } from "./report.js";
import { checkpointStore, statePath } from "../train/state-file.js";
import { putWeights, type Copy } from "../train/shared-matrices.js";
import { trainingData, type TrainingData } from "../train/batches.js";
import { finishTraining, trainingGraph } from "../train/training-graph.js";
import { curveOf, loopOptions, scoringOf, type RunOf, type Scoring } from "../train/run.js";

export interface TrainedFile {
  readonly path: string;
  readonly report: TrainReport;
}

/**
 * Trains a float model; the result appears whole or not at all. Beside it a checkpoint is kept while the run lasts, which the same call takes
 * up again where it was cut off, to the same bytes. Throws an OctavoError for everything that is the user's to mend, and the signal's reason.
 */
export async function trainModel(
  host: Host,
  input: string,
  options: TrainOptions,
): Promise<TrainedFile> {
  const settings = trainSettings(options);
  requireReportName(settings.report);
  return withRun(host, input, async (run) => {
    const clock = { begun: host.now(), trained: 0, written: 0 };
    const { file } = run;
    const { force, onProgress = () => undefined } = settings;
    const output = outputOf(host, file, settings);
    requireOutputs(host, output, settings);
    onProgress({ step: "reading", done: 0, total: 0 });
    const model = readGraph(file);
    requireFloat(model);
    const evaluation = await evaluationOf(run, { ...settings, onProgress });
    const scoring = await scoringOf(run, settings);
    const made = await train(run, settings, { output: output.model, scoring });
    clock.trained = host.now();

    onProgress({ step: "writing", done: 0, total: 0 });
    const written = host.write(
      output.model,
      exportModel(withWeights(model, made.trained, made.copies)),
      { force, external: file.external, texts: output.texts },
    );
    clock.written = host.now();
    const peakMemoryBytes = host.peakMemory();
    return undoOnFailure(host, written.files, async () => {
      const asked = { evaluation };
      const float =
        evaluation &&
        (await withSession(host, file.path, (session) => floatAnswers(session, asked)));
      const { change } = float ? await verify(host, output.model, float, asked) : {};
      const path = settings.output ?? output.model;
      const report: TrainReport = {
        ...resultsOf(made, settings, scoring),
        model: file.path,
        output: path,
        seconds: { train: clock.trained - clock.begun, write: clock.written - clock.trained },
        peakMemoryBytes,
        commandLine: commandLine("train", [input], options, TRAIN_DEFAULTS),
        environment: host.environment(host.runtime),
        ...(change && { evaluation: change.report }),
        warnings: [...warningsOf(made.trained, made.data), ...(change?.warnings ?? [])],
      };
      const { report: page } = settings;
      if (page !== undefined) host.writeText(page, reportFile(page, report), force);
      host.remove([statePath(output.model)]);
      return { path, report };
    });
  });
}

/** Throws where something that is written may not be. */
function requireOutputs(
  host: Host,
  { model, texts }: ReturnType<typeof outputOf>,
  { report, force }: TrainSettings,
): void {
  for (const path of [...texts.map((text) => text.path), model, ...(report ? [report] : [])])
    host.requireWritable(path, force);
}

/** What the report says of the training itself. */
function resultsOf(
  { trained, data }: Made,
  { teacher }: TrainSettings,
  scoring: Scoring | undefined,
): Omit<
  TrainReport,
  "model" | "output" | "seconds" | "peakMemoryBytes" | "commandLine" | "environment" | "warnings"
> {
  return {
    version: REPORT_VERSION,
    command: "train",
    task: data.task.name,
    loss: teacher === undefined ? "task" : "distillation",
    data: data.paths,
    rows: data.records,
    truncated: data.truncated,
    parameters: trained.weights.size,
    weights: [...trained.weights.values()].reduce((sum, { length }) => sum + length, 0),
    steps: trained.steps,
    stopped: trained.stopped,
    best: trained.best,
    resumed: trained.resumed,
    losses: curveOf(trained.losses),
    scores: scoring === undefined ? [] : trained.scores.map(scoring.shown),
    ...(scoring === undefined ? {} : { metric: scoring.metric }),
  };
}

/** Where the model goes, and what goes beside it: into a folder all that its own folder holds but weights. */
function outputOf(host: Host, { path, folder }: OpenedModel, { output }: TrainSettings) {
  if (output === undefined || output.endsWith(".onnx"))
    return { model: output ?? host.beside(path, "_tuned"), texts: [] };
  const content = folder === undefined ? [] : host.folderContent(folder);
  return {
    model: host.join(output, "onnx", "model.onnx"),
    texts: content.map((each) => ({ path: host.join(output, each.path), text: each.content })),
  };
}

interface Running {
  readonly output: string;
  readonly scoring: Scoring | undefined;
}

interface Made {
  readonly trained: Trained;
  readonly data: TrainingData;
  readonly copies: readonly Copy[];
}

async function train(run: Run, settings: TrainSettings, running: Running): Promise<Made> {
  const { host, file } = run;
  const { teacher } = settings;
  const { onProgress = () => undefined } = settings;
  const source = readGraph(file);
  inlineFunctions(source);
  hoistConstants(source);
  const data = await trainingData(run, source.graph, {
    ...settings,
    loss: teacher === undefined ? "task" : "distillation",
    onProgress,
  });
  const { model, parameters, copies } = trainingGraph(source, data.outputs, (graph, all) =>
    notFrozen(graph, all, settings.freeze),
  );
  return withTeacher(host, teacher, async (taught, fingerprint) => {
    const batches = data.batches(taught);
    const identity = identityOf(run, data, settings, fingerprint);
    const options = optionsFor(host, settings, running, {
      perEpoch: batches.perEpoch,
      identity,
    });
    onProgress({ step: "loading", done: 0, total: 0 });
    const trained = await trainLoop(
      host.runtime,
      {
        model,
        parameters,
        loss: (graph) => addLoss(graph, data.terms),
        recompute: settings.recompute,
        lower: finishTraining,
      },
      batches,
      options,
    );
    return { trained, data, copies };
  });
}

function optionsFor(
  host: Host,
  settings: TrainSettings,
  { output, scoring }: Running,
  of: Pick<RunOf, "perEpoch" | "identity">,
): TrainLoopOptions {
  const { force, checkpointEvery: every, onCheckpoint, onProgress = () => undefined } = settings;
  return loopOptions(
    host,
    { ...settings, steps: settings.trainSteps, onProgress },
    { ...of, scoring, checkpoint: checkpointStore(host, output, { every, force, onCheckpoint }) },
  );
}

/** What must be the same for a checkpoint to be taken up. */
function identityOf(
  { host, file }: Run,
  data: TrainingData,
  settings: TrainSettings,
  teacher: string,
): RunOf["identity"] {
  const { freeze, batchSize, maxLength, labelScale, seed, recompute } = settings;
  return {
    model: host.fingerprint(file),
    data: data.digest,
    terms: data.terms,
    teacher,
    frozen: freeze,
    batchSize,
    maxLength,
    labelScale,
    seed,
    recompute,
  };
}

/** Runs `work` with the session and the fingerprint of the teacher that is named, if one is. */
async function withTeacher<T>(
  host: Host,
  name: string | undefined,
  work: (teacher: Session | undefined, fingerprint: string) => Promise<T>,
): Promise<T> {
  if (name === undefined) return work(undefined, "none");
  return withRun(host, name, ({ file }) =>
    withSession(host, file.path, (session) => work(session, host.fingerprint(file))),
  );
}

/** Patterns fit names of initializers, and of the nodes that read them. Throws WeightPatternError, NothingToTrainError. */
function notFrozen(
  graph: Graph,
  parameters: readonly Parameter[],
  patterns: readonly string[],
): readonly Parameter[] {
  if (parameters.length === 0)
    throw new NothingToTrainError(
      "no weight of the model is a float32 initializer that is learned",
    );
  const names = parameters.map(({ name }) => name);
  const known = new Map(
    names.map((name) => {
      const readers = [...(graph.value(name)?.consumers() ?? [])].map((node) => node.name);
      return [name, [name, ...readers]];
    }),
  );
  const frozen = new Set<string>();
  for (const pattern of patterns) {
    const glob = globOf(pattern);
    const fitting = names.filter((name) => known.get(name)?.some((each) => glob.test(each)));
    if (fitting.length === 0) throw new WeightPatternError(pattern, names);
    for (const name of fitting) frozen.add(name);
  }
  if (frozen.size === names.length)
    throw new NothingToTrainError(`all ${names.length} weights are frozen`);
  return parameters.filter(({ name }) => !frozen.has(name));
}

/** The exporter's model with trained weights in its own initializers; where they stood in functions or constants, these become initializers. */
function withWeights(model: Model, { weights }: Trained, copies: readonly Copy[]): Model {
  const names = [...weights.keys(), ...copies.map(({ name }) => name)];
  if (names.some((name) => model.graph.value(name)?.tensor === undefined)) {
    inlineFunctions(model);
    hoistConstants(model);
  }
  putWeights(model.graph, weights, copies);
  return model;
}

function warningsOf({ best, steps }: Trained, { truncated }: TrainingData): string[] {
  return [
    ...(truncated === 0
      ? []
      : [`${truncated} rows of the data were cut: they have more tokens than are read at most.`]),
    ...(best === 0 && steps > 0
      ? [
          "Training did not help: no evaluation was better than that of the model as it was, and its weights were written unchanged.",
        ]
      : []),
  ];
}
