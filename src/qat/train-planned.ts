// Quantization-aware training: a planned quantized model learns to live with its quantizers, and is lowered as any static one.
import type { Model } from "../graph/model.js";
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
import type { Trained, TrainLoopOptions } from "../train/training.js";
import type { Planned } from "../plan/plan-model.js";
import { floatAnswers, type FloatAnswers, type Verification } from "../evaluate/verify.js";
import type { Run } from "../host/run.js";
import {
  CLIP,
  EVALUATIONS,
  HIGHEST_RATE,
  LOUD_DB,
  LOWEST_RATE,
  NOISE_ROWS,
  WARMUP,
} from "./defaults.js";
import { qatData, type QatData, type QatDataSettings } from "./data.js";
import { beyond, fewOf, isCloser } from "./scoring.js";
import { withTeacher } from "./teacher.js";
import { quantizerGraph, type QuantizerGraph } from "./quantizer-graph.js";
import { checkpointStore, statePath } from "../train/state-file.js";
import { finishTraining } from "../train/training-graph.js";
import { curveOf, loopOptions, type Scoring } from "../train/run.js";

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
  readonly output: string;
  /** What the float model is asked for the report, once all is trained. */
  readonly verification: Verification;
}

export interface QatPlanned {
  readonly planned: Planned;
  readonly report: QatReport;
  readonly float: FloatAnswers;
  /** Takes the checkpoint away, once the result is written. */
  readonly finish: () => void;
}

/** What is known once the quantizers have been seen at work, before the first step. */
interface Start {
  readonly noise: number;
  readonly rate: number;
  readonly scoring: Scoring;
}

/**
 * Trains what `planned` plans for `model`, which gets the trained weights. Of all evaluations the best counts, the one before training included: what
 * comes out is no worse by it than what went in. Throws what data and training throw.
 */
export function trainPlanned(
  run: Run,
  model: Model,
  target: Target,
  planned: Planned,
  settings: QatSettings,
): Promise<QatPlanned> {
  const { host } = run;
  const begun = host.now();
  const { scaleRateMultiplier, onProgress, output } = settings;
  onProgress({ step: "reading", done: 0, total: 0 });
  return withTeacher(run, planned.float ?? model, async (teacher) => {
    const data = await qatData(run, model.graph, teacher, settings);
    const { outputs } = data;
    const made = quantizerGraph(model, planned.plan, target, {
      weights: planned.weights,
      scaleRateMultiplier,
      outputs,
    });
    const { trained, start } = await train(run, made, data, settings);
    const { plan, weights } = foldBack(model, made.plan, made.quantizers, trained.weights);
    const isChanged = trained.best > 0;
    return {
      planned: {
        ...planned,
        sites: findSites(model),
        plan,
        weights,
        // What calibration saw is not what trained weights give.
        ranges: isChanged ? [] : (planned.ranges ?? []),
        clipped: isChanged ? undefined : planned.clipped,
        warnings: [...(planned.warnings ?? []), ...warningsOf(trained, data, start)],
      },
      report: reportOf(trained, data, start, {
        parameters: made.parameters.length,
        seconds: host.now() - begun,
      }),
      float: await floatAnswers(teacher.answers, settings.verification),
      finish: () => host.remove([statePath(output)]),
    };
  });
}

async function train(
  run: Run,
  made: QuantizerGraph,
  data: QatData,
  settings: QatSettings,
): Promise<{ readonly trained: Trained; readonly start: Start }> {
  const { runtime } = run.host;
  const { onProgress, threads } = settings;
  let start: Start | undefined;
  onProgress({ step: "loading", done: 0, total: 0 });
  const unsignedWeights = await saturates(runtime);
  const trained = await trainLoop(
    runtime,
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
    {
      ...FORM,
      threads,
      async begin(forward) {
        start = await startOf(forward, data, settings);
        return optionsFor(run, made, data, start, settings);
      },
    },
  );
  if (start === undefined) throw new Error("internal: training that did not begin");
  return { trained, start };
}

/** How the optimizer goes about it. */
const FORM = { optimizer: "adamw", accumulate: 1 } as const;

/** `forward`: with the quantizers as they are planned. */
async function startOf(
  forward: Session,
  data: QatData,
  { rate, onProgress }: QatSettings,
): Promise<Start> {
  onProgress({ step: "evaluating", done: 0, total: 0 });
  const { held, loss, scoring } = data;
  const { snrOf } = await held.measure(forward, 0);
  const noise = snrOf(fewOf(held.prepared.records.length, NOISE_ROWS));
  return {
    noise,
    rate: rate ?? rateFor(noise),
    scoring: loss === "distill" ? await beyond(data, forward) : scoring,
  };
}

function optionsFor(
  { host, file }: Run,
  { plan }: QuantizerGraph,
  { batches: { perEpoch }, digest, terms }: QatData,
  { rate, scoring }: Start,
  settings: QatSettings,
): TrainLoopOptions {
  const { trainSteps: steps, output, force, onCheckpoint } = settings;
  const {
    checkpointEvery: every,
    scaleRateMultiplier,
    seed,
    batchSize,
    maxLength,
    labelScale,
  } = settings;
  return loopOptions(
    host,
    {
      ...FORM,
      steps,
      epochs: 1,
      rate,
      schedule: "cosine",
      warmup: WARMUP,
      weightDecay: 0,
      momentum: 0,
      clip: CLIP,
      onProgress: settings.onProgress,
      evaluateEvery: settings.evaluateEvery ?? Math.max(1, Math.ceil(steps / (EVALUATIONS - 1))),
      patience: settings.patience,
      threads: settings.threads,
      signal: settings.signal,
    },
    {
      perEpoch,
      scoring,
      checkpoint: checkpointStore(host, output, { every, force, onCheckpoint }),
      identity: {
        model: host.fingerprint(file),
        data: digest,
        terms,
        plan: planToJson(plan),
        scaleRateMultiplier,
        batchSize,
        maxLength,
        labelScale,
        seed,
      },
    },
  );
}

/** The learning rate for a quantized model whose outputs have this signal-to-noise ratio before it is trained. */
export function rateFor(snrDb: number): number {
  if (Number.isNaN(snrDb)) return HIGHEST_RATE;
  const rate = HIGHEST_RATE * Math.min(1, 10 ** ((LOUD_DB - snrDb) / 10));
  return Math.max(LOWEST_RATE, Number(rate.toPrecision(2)));
}

function warningsOf(
  { best, scores, steps }: Trained,
  { loss, acceptance, truncated, heldOut }: QatData,
  { scoring }: Start,
): string[] {
  const [before = NaN, ...after] = scores.map((point) => scoring.shown(point).value ?? NaN);
  const start = `${scoring.metric} ${before.toPrecision(4)} before`;
  const closest = Math.min(...after);
  const isTaught = loss === "distill" && closest < before;
  const by = !isTaught
    ? start
    : acceptance !== undefined && isCloser(closest, before)
      ? `${acceptance.metric} fell, though it came closer to the float model`
      : `${start}, ${closest.toPrecision(4)} at best: hardly closer to the float model`;
  return [
    ...(best === 0 && steps > 0
      ? [
          `Training made it no better by ${heldOut ? "the records that were held out" : "the data of --eval"} (${by}): ` +
            "what was written is the quantized model before training, the same as in static mode.",
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
  { rate, noise, scoring }: Start,
  { parameters, seconds }: { readonly parameters: number; readonly seconds: number },
): QatReport {
  return {
    loss: data.loss,
    task: data.task,
    rows: data.records,
    heldOut: data.heldOut,
    scored: data.held.prepared.records.length,
    rate,
    startSnrDb: Number.isFinite(noise) ? noise : null,
    parameters,
    steps: trained.steps,
    stopped: trained.stopped,
    best: trained.best,
    resumed: trained.resumed,
    losses: curveOf(trained.losses),
    metric: scoring.metric,
    scores: trained.scores.map(scoring.shown),
    seconds,
  };
}
