// Quantization-aware training: a planned edition learns to live with its quantizers, and is lowered as any static one.
import type { Model } from "../graph/model.js";
import { inferTypes } from "../ops/infer.js";
import { removeDead } from "../passes/dead.js";
import { exportModel } from "../graph/export.js";
import { cloneModel } from "../graph/clone.js";
import { planToJson } from "../quant/plan.js";
import { findSites } from "../quant/sites.js";
import type { OnProgress } from "../report/progress.js";
import type { QatReport } from "../report/train.js";
import type { Session } from "../runtime/runtime.js";
import type { Target } from "../targets/target.js";
import { saturates } from "../runtime/integer-sums.js";
import { expandQuantizers } from "./expand-quantizers.js";
import { QUANTIZER_RULES } from "./fake-quantize.js";
import { foldBack } from "./fold-back.js";
import { addLoss } from "../train/losses.js";
import { trainLoop } from "../train/loop.js";
import type { Trained } from "../train/training.js";
import type { Planned } from "../plan/plan-model.js";
import type { Host, OpenedModel } from "../host/host.js";
import { qatData, type QatData, type QatDataSettings } from "./data.js";
import { beyond, closeness, fewOf, isCloser } from "./scoring.js";
import { loadTeacher } from "./teacher.js";
import { quantizerGraph, type QuantizerGraph } from "./quantizer-graph.js";
import { checkpointStore, statePath } from "../train/state-file.js";
import { finishTraining } from "../train/training-graph.js";
import { curveOf, loopOptions } from "../train/run.js";

export interface QatSettings extends QatDataSettings {
  readonly trainSteps: number;
  /** Highest learning rate of weights; default: by the noise that there is at the start. */
  readonly rate?: number | undefined;
  /** Multiple of it, for steps and zero points. */
  readonly scaleRateMultiplier: number;
  readonly evaluateEvery?: number | undefined;
  readonly patience?: number | undefined;
  readonly threads?: number | undefined;
  readonly checkpointEvery: number;
  readonly onCheckpoint?: ((path: string) => void) | undefined;
  readonly force: boolean;
  readonly onProgress: OnProgress;
}

export interface QatPlanned {
  readonly planned: Planned;
  readonly report: QatReport;
  /** Takes the checkpoint away, once the result is written. */
  readonly finish: () => void;
}

/** Evaluations of a run, the one before it and the one at its end included. */
const EVALUATIONS = 11;
/** Share of the steps in which the learning rate rises. */
const WARMUP = 0.05;
/** Rows that the noise at the start is measured on. */
const NOISE_ROWS = 128;

/**
 * Trains what `planned` plans for `model`, which gets the trained weights. Of all evaluations the best counts, the one before training included: what
 * comes out is no worse by it than what went in. Throws what data and training throw.
 */
export async function trainPlanned(
  host: Host,
  file: OpenedModel,
  model: Model,
  target: Target,
  planned: Planned,
  settings: QatSettings & { readonly output: string },
): Promise<QatPlanned> {
  const start = host.now();
  const { onProgress, scaleRateMultiplier } = settings;
  onProgress({ step: "reading", done: 0, total: 0 });
  const from = await loadTeacher(host, file, planned.float ?? model);
  const teacher = from.session;
  try {
    const found = await qatData(host, file, model.graph, from, settings);
    const made = quantizerGraph(model, planned.plan, target, {
      weights: planned.weights,
      scaleRateMultiplier,
      outputs: found.outputs,
    });
    const { noise, scoring } = await atStart(host, file, made, async (session) => ({
      noise: await noiseOf(session, teacher, found, settings),
      scoring: found.loss === "distill" ? await beyond(found, session) : found.scoring,
    }));
    const data = { ...found, scoring };
    const rate = settings.rate ?? rateFor(noise);
    const { trained, store } = await run(host, file, made, data, rate, settings);
    const { plan, weights } = foldBack(model, made.plan, made.quantizers, trained.weights);
    const sites = findSites(model);
    return {
      planned: {
        ...planned,
        sites,
        plan,
        weights,
        // What calibration saw is not what trained weights give.
        ranges: trained.best === 0 ? (planned.ranges ?? []) : [],
        warnings: [...(planned.warnings ?? []), ...warningsOf(trained, data)],
      },
      report: reportOf(trained, data, made, { rate, noise, seconds: host.now() - start }),
      finish: () => host.remove([store]),
    };
  } finally {
    await teacher.release();
  }
}

async function run(
  host: Host,
  file: OpenedModel,
  made: QuantizerGraph,
  data: QatData,
  rate: number,
  settings: QatSettings & { readonly output: string },
): Promise<{ trained: Trained; store: string }> {
  const { trainSteps: steps, output, onProgress, force, onCheckpoint } = settings;
  const {
    checkpointEvery: every,
    evaluateEvery,
    scaleRateMultiplier,
    seed,
    batchSize,
    maxLength,
  } = settings;
  const options = loopOptions(
    host,
    {
      steps,
      epochs: 1,
      rate,
      schedule: "cosine",
      warmup: WARMUP,
      optimizer: "adamw",
      weightDecay: 0,
      momentum: 0,
      clip: 1,
      accumulate: 1,
      onProgress,
      evaluateEvery: evaluateEvery ?? Math.max(1, Math.ceil(steps / (EVALUATIONS - 1))),
      patience: settings.patience,
      threads: settings.threads,
      signal: settings.signal,
    },
    {
      perEpoch: data.batches.perEpoch,
      scoring: data.scoring,
      checkpoint: checkpointStore(host, output, { every, force, onCheckpoint }),
      identity: {
        model: host.fingerprint(file),
        data: data.digest,
        terms: data.terms,
        plan: planToJson(made.plan),
        scaleRateMultiplier,
        batchSize,
        maxLength,
        labelScale: settings.labelScale,
        seed,
      },
    },
  );
  onProgress({ step: "loading", done: 0, total: 0 });
  const unsignedWeights = await saturates(host.runtime);
  const trained = await trainLoop(
    host.runtime,
    {
      model: made.model,
      parameters: made.parameters,
      loss: (graph) => addLoss(graph, data.terms),
      rules: QUANTIZER_RULES,
      lower(graph) {
        expandQuantizers(graph, { unsignedWeights });
        finishTraining(graph);
      },
    },
    data.batches,
    options,
  );
  return { trained, store: statePath(output) };
}

/** Runs the forward pass of a graph with quantizers, before it is trained. */
async function atStart<T>(
  host: Host,
  file: OpenedModel,
  { model }: QuantizerGraph,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const copy = cloneModel(model);
  inferTypes(copy);
  expandQuantizers(copy, { unsignedWeights: await saturates(host.runtime) });
  removeDead(copy);
  const temporary = host.writeTemporary(exportModel(copy), file.external);
  try {
    const session = await host.runtime.load(temporary.path, { spinning: "running" });
    try {
      return await work(session);
    } finally {
      await session.release();
    }
  } finally {
    temporary.release();
  }
}

/** Signal-to-noise ratio of an edition, dB. */
async function noiseOf(
  session: Session,
  teacher: Session,
  { held, outputs }: QatData,
  { maxLength, signal }: QatSettings,
): Promise<number> {
  const few = { ...held, records: fewOf(held.records, NOISE_ROWS) };
  const { snrDb } = await closeness(few, [teacher, session], outputs, { maxLength, signal });
  return snrDb;
}

/** Where noise is this loud, weights learn at the highest rate; where it is less, by as much less as its power: faster ones lead away from an edition that is good already. */
const LOUD_DB = 14;
const HIGHEST_RATE = 6e-5;
const LOWEST_RATE = 2e-7;

/** The learning rate for an edition whose outputs have this signal-to-noise ratio before it is trained. */
export function rateFor(snrDb: number): number {
  if (Number.isNaN(snrDb)) return HIGHEST_RATE;
  const rate = HIGHEST_RATE * Math.min(1, 10 ** ((LOUD_DB - snrDb) / 10));
  return Math.max(LOWEST_RATE, Number(rate.toPrecision(2)));
}

function warningsOf(
  { best, scores, steps }: Trained,
  { loss, scoring, guard, truncated, heldOut }: QatData,
) {
  const [before = NaN, ...after] = scores.map((point) => scoring.shown(point).value ?? NaN);
  const start = `${scoring.metric} ${before.toPrecision(4)} before`;
  const closest = Math.min(...after);
  const isTaught = loss === "distill" && closest < before;
  const by = !isTaught
    ? start
    : guard !== undefined && isCloser(closest, before)
      ? `${guard.metric} fell, though it came closer to the float model`
      : `${start}, ${closest.toPrecision(4)} at best: hardly closer to the float model`;
  return [
    ...(best === 0 && steps > 0
      ? [
          `Training made it no better by ${heldOut ? "the records that were held out" : "the data of --eval"} (${by}): ` +
            "what was written is the edition before training, the same as in static mode.",
        ]
      : []),
    ...(truncated === 0
      ? []
      : [`${truncated} rows were cut: they have more tokens than are read at most.`]),
  ];
}

function reportOf(
  trained: Trained,
  data: QatData,
  { parameters }: QuantizerGraph,
  { rate, noise, seconds }: { rate: number; noise: number; seconds: number },
): QatReport {
  return {
    loss: data.loss,
    task: data.task,
    rows: data.records,
    heldOut: data.heldOut,
    scored: data.held.records.length,
    rate,
    startSnrDb: Number.isFinite(noise) ? noise : null,
    parameters: parameters.length,
    steps: trained.steps,
    stopped: trained.stopped,
    best: trained.best,
    resumed: trained.resumed,
    losses: curveOf(trained.losses),
    metric: data.scoring.metric,
    scores: trained.scores.map(data.scoring.shown),
    seconds,
  };
}
