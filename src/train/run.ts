// What a run of training is told beside its graph: steps, schedule, evaluation along the way, and what must be the same to go on with it.
import type { OnProgress } from "../report/progress.js";
import type { CurvePointReport } from "../report/train.js";
import type { CheckpointStore, CurvePoint, TrainLoopOptions } from "./training.js";
import type { Schedule } from "./schedule.js";
import { evaluateModel } from "../evaluate/predictions.js";
import { prepareEvaluation, type EvaluationSettings } from "../evaluate/score.js";
import { rowsFor, type EvaluationRows } from "../evaluate/rows.js";
import type { Host } from "../host/host.js";
import type { Run } from "../host/run.js";
import type { Session } from "../runtime/runtime.js";
import { digestOf } from "./batches.js";
import { BETAS, EPSILON, POINTS, SCORED_TOGETHER } from "./defaults.js";

/** An evaluation that is repeated while the model changes. */
export interface Scoring {
  readonly metric: string;
  readonly better: "higher" | "lower";
  readonly digest: string;
  /** Higher is better, whatever the metric. */
  readonly score: NonNullable<TrainLoopOptions["evaluate"]>;
  /** The metric of a score. */
  readonly shown: (point: CurvePoint) => CurvePointReport;
}

export interface ScoringSettings extends Omit<
  EvaluationSettings,
  "data" | "samples" | "batchSize" | "onProgress"
> {
  readonly evaluate?: string | readonly string[] | undefined;
}

/** Reads the labelled data of an evaluation; undefined where none is asked for. Throws as `evaluateFile`. */
export async function scoringOf(run: Run, settings: ScoringSettings): Promise<Scoring | undefined> {
  const { evaluate: data, signal, maxLength } = settings;
  if (data === undefined) return undefined;
  const { task, tokenizer, records } = await prepareEvaluation(run, {
    ...settings,
    data,
    samples: "all",
    batchSize: SCORED_TOGETHER,
    onProgress: () => undefined,
  });
  const options = { batchSize: SCORED_TOGETHER, maxLength, signal };
  let rows: EvaluationRows | undefined;
  const measured = async (session: Session) => {
    rows ??= rowsFor([session], tokenizer, task, records, options);
    const asked = { ...options, rows };
    const { measures } = await evaluateModel(session, tokenizer, task, records, asked);
    const [first] = measures;
    if (first === undefined) throw new Error("internal: a task without a metric");
    return first;
  };
  // Which metric it is shows once there are no records to score.
  const [{ name, better } = { name: "score", better: "higher" as const }] = task.measures([]);
  const sign = better === "higher" ? 1 : -1;
  return {
    metric: name,
    better,
    digest: digestOf(records),
    score: async (session) => sign * (await measured(session)).value(),
    shown: ({ step, value }) => ({ step, value: Number.isNaN(value) ? null : sign * value }),
  };
}

export interface RunSettings {
  readonly epochs: number;
  readonly steps?: number | undefined;
  readonly rate: number;
  readonly schedule: Schedule;
  /** Share of the updates. */
  readonly warmup: number;
  readonly optimizer: "adamw" | "sgd";
  readonly weightDecay: number;
  readonly momentum: number;
  readonly clip: number;
  readonly accumulate: number;
  readonly evaluateEvery?: number | undefined;
  readonly patience?: number | undefined;
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress: OnProgress;
}

export interface RunOf {
  /** Batches of an epoch. */
  readonly perEpoch: number;
  readonly scoring?: Scoring | undefined;
  readonly checkpoint?: CheckpointStore | undefined;
  /** What else must be the same for a checkpoint to be taken up. */
  readonly identity: Readonly<Record<string, unknown>>;
}

/** The loop's options from the user's. */
export function loopOptions(
  host: Host,
  settings: RunSettings,
  { perEpoch, scoring, checkpoint, identity }: RunOf,
): TrainLoopOptions {
  const { onProgress } = settings;
  const options = fixedOptions(settings, perEpoch, scoring);
  const { runtime } = host.environment(host.runtime);
  const same = { ...identity, evaluation: scoring?.digest ?? "none", ...options, runtime };
  return {
    ...options,
    identity: asTexts(same),
    now: () => host.now(),
    checkpoint,
    signal: settings.signal,
    ...(scoring && {
      evaluate(session, step) {
        onProgress({ step: "evaluating", done: 0, total: 0 });
        return scoring.score(session, step);
      },
    }),
    onStep: ({ done, total, loss, rate: now }) =>
      onProgress({
        step: "training",
        done,
        total,
        unit: "steps",
        note: `loss ${loss.toPrecision(3)}, rate ${now.toExponential(1)}`,
      }),
  };
}

/** Those that must be the same for a checkpoint to be taken up. */
function fixedOptions(settings: RunSettings, perEpoch: number, scoring: Scoring | undefined) {
  const { accumulate, optimizer, rate, schedule, weightDecay, momentum } = settings;
  const perPass = Math.ceil(perEpoch / accumulate);
  const steps = settings.steps ?? Math.max(1, Math.ceil((settings.epochs * perEpoch) / accumulate));
  return {
    steps,
    schedule,
    optimizer,
    rate,
    weightDecay,
    momentum,
    accumulate,
    warmup: Math.round(settings.warmup * steps),
    betas: BETAS,
    epsilon: EPSILON,
    ...(settings.clip > 0 ? { clip: settings.clip } : {}),
    ...(scoring && { evaluateEvery: settings.evaluateEvery ?? perPass }),
    ...(settings.patience === undefined ? {} : { patience: settings.patience }),
    ...(settings.threads === undefined ? {} : { threads: settings.threads }),
  } as const;
}

function asTexts(values: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name,
      typeof value === "string" ? value : JSON.stringify(value ?? null),
    ]),
  );
}

/** The losses of a run as a curve: means over equal spans of steps, each at its last one. */
export function curveOf(losses: Float32Array): CurvePointReport[] {
  const span = Math.max(1, Math.ceil(losses.length / POINTS));
  const points: CurvePointReport[] = [];
  for (let at = 0; at < losses.length; at += span) {
    const part = losses.subarray(at, at + span);
    const mean = part.reduce((sum, loss) => sum + loss, 0) / part.length;
    points.push({ step: at + part.length, value: mean });
  }
  return points;
}
