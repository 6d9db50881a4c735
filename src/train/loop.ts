// The loop of training, of `train` and of QAT alike: batches in, updates, evaluations, checkpoints; the best parameters out.
import { CheckpointError, LossNotFiniteError } from "../errors.js";
import type { Runtime } from "../runtime/runtime.js";
import { restore, stateOf, type Progressing } from "./checkpoint.js";
import { addRest, gradientNorm, MOMENTS, update } from "./optimizer.js";
import { rateFactor } from "./schedule.js";
import { makeStep, type TrainingStep } from "./step.js";
import { arrayOf, type Kind } from "./store.js";
import type {
  CurvePoint,
  LateOptions,
  Trainable,
  Trained,
  TrainingBatch,
  TrainingBatches,
  TrainLoopOptions,
} from "./training.js";

/**
 * Trains the parameters of a graph. The same graph, batches and options give the same bytes, also where the run was ended at any moment and
 * taken up from its checkpoint. With `evaluate` the parameters of the best score are returned, which may be those before the first step.
 *
 * Throws NoGradientError, RuntimeFailedError, UnsupportedError (a parameter too large to train), LossNotFiniteError, CheckpointError (what is
 * kept is of another run), the signal's reason when it is aborted (the state is kept before), and what `evaluate` and the batches throw.
 */
export async function trainLoop(
  runtime: Runtime,
  trainable: Trainable,
  batches: TrainingBatches,
  options: TrainLoopOptions | LateOptions,
): Promise<Trained> {
  const { accumulate, threads, optimizer } = options;
  const kinds: Kind[] = ["value", "gradient", ...MOMENTS[optimizer]];
  if (accumulate > 1) kinds.push("rest");
  const step = await makeStep(runtime, trainable, { kinds, threads });
  try {
    const found = "begin" in options ? await options.begin(await step.forward()) : options;
    return await new Run(step, batches, found).run();
  } finally {
    await step.release();
  }
}

class Run {
  readonly #step: TrainingStep;
  readonly #batches: TrainingBatches;
  readonly #options: TrainLoopOptions;
  readonly #progress: Progressing;
  #saved = -Infinity;

  constructor(step: TrainingStep, batches: TrainingBatches, options: TrainLoopOptions) {
    this.#step = step;
    this.#batches = batches;
    this.#options = options;
    this.#progress = {
      steps: 0,
      losses: new Float32Array(options.steps),
      scores: [],
      best: undefined,
    };
  }

  async run(): Promise<Trained> {
    const { steps: total, signal, checkpoint, now } = this.#options;
    const progress = this.#progress;
    const { parameters } = this.#step;
    this.#resume();
    const resumed = progress.steps;
    this.#saved = now();
    try {
      for (;;) {
        signal?.throwIfAborted();
        if (this.#isEvaluationDue()) await this.#evaluate();
        if (progress.steps >= total || this.#hasStalled()) break;
        if (checkpoint !== undefined && now() >= this.#saved + checkpoint.every) this.#save();
        signal?.throwIfAborted();
        await this.#update();
      }
    } catch (error) {
      if (signal?.aborted === true) this.#save();
      throw error;
    }
    const { best, scores, steps, losses } = progress;
    return {
      weights: new Map(
        parameters.map((parameter, i) => [
          parameter.name,
          best?.[i] ?? arrayOf(parameter, "value").slice(),
        ]),
      ),
      steps,
      stopped: steps < total ? "early" : "done",
      losses: losses.subarray(0, steps),
      scores,
      best: bestOf(scores)?.step ?? steps,
      resumed,
    };
  }

  #resume(): void {
    const { checkpoint, identity = {} } = this.#options;
    if (checkpoint === undefined) return;
    try {
      const kept = checkpoint.read();
      if (kept === undefined) return;
      restore(kept, checkpoint.path, this.#step.parameters, this.#progress, identity);
    } catch (error) {
      if (!(checkpoint.force === true && error instanceof CheckpointError)) throw error;
    }
  }

  /** One update of the parameters, from one batch or several. */
  async #update(): Promise<void> {
    const { accumulate, clip, rate: highest, steps: total, onStep, checkpoint } = this.#options;
    const { parameters } = this.#step;
    const progress = this.#progress;
    const { steps } = progress;
    const own: TrainingBatch[] = [];
    for (let i = 0; i < accumulate; i++) own.push(await this.#batch(steps * accumulate + i));
    const counted = own.reduce((sum, batch) => sum + batch.counted, 0);
    let loss = 0;
    const stop = (what: "loss" | "gradient", value: number, { place }: TrainingBatch): never => {
      if (checkpoint !== undefined) this.#save();
      throw new LossNotFiniteError(what, value, steps + 1, place, checkpoint?.path);
    };
    for (const [i, batch] of own.entries()) {
      // A batch of which nothing counts is no reason to stop: its gradients are 0.
      const share = 1 / Math.max(1, counted);
      const part = await this.#step.run(batch.feeds, share, i === 0 ? "gradient" : "rest");
      if (!Number.isFinite(part)) stop("loss", part, batch);
      if (i > 0) addRest(parameters);
      loss += part;
    }
    const norm = gradientNorm(parameters);
    const [first] = own;
    if (!Number.isFinite(norm) && first !== undefined) stop("gradient", norm, first);
    const rate = highest * rateFactor(steps, this.#options);
    const shortened = clip === undefined ? 1 : Math.min(1, clip / Math.max(norm, clip));
    update(parameters, this.#options, { step: steps, rate, clip: shortened });
    progress.losses[steps] = loss;
    progress.steps = steps + 1;
    onStep?.({ done: progress.steps, total, loss, rate });
  }

  async #batch(number: number): Promise<TrainingBatch> {
    const { perEpoch } = this.#batches;
    return this.#batches.batch(Math.floor(number / perEpoch), number % perEpoch);
  }

  #isEvaluationDue(): boolean {
    const { evaluate, evaluateEvery = Infinity, steps: total } = this.#options;
    const { steps, scores } = this.#progress;
    if (evaluate === undefined || scores.at(-1)?.step === steps) return false;
    return steps === 0 || steps === total || steps % evaluateEvery === 0;
  }

  async #evaluate(): Promise<void> {
    const { evaluate } = this.#options;
    const { steps, scores } = this.#progress;
    const value = (await evaluate?.(await this.#step.forward(), steps)) ?? NaN;
    const before = bestOf(scores);
    this.#progress.scores = [...scores, { step: steps, value }];
    if (before !== undefined && !isBetter(value, before.value)) return;
    this.#progress.best = this.#step.parameters.map((parameter, i) => {
      const values = arrayOf(parameter, "value");
      const own = this.#progress.best?.[i] ?? new Float32Array(values.length);
      own.set(values);
      return own;
    });
  }

  /** Whether as many evaluations as `patience` in a row were no better than the best before them. */
  #hasStalled(): boolean {
    const { patience = Infinity } = this.#options;
    const { scores } = this.#progress;
    const best = bestOf(scores);
    return best !== undefined && scores.length - 1 - scores.indexOf(best) >= patience;
  }

  #save(): void {
    const { checkpoint, identity = {}, now } = this.#options;
    checkpoint?.write(stateOf(this.#step.parameters, this.#progress, identity));
    this.#saved = now();
  }
}

/** The highest score, the earliest of equal ones. */
function bestOf(scores: readonly CurvePoint[]): CurvePoint | undefined {
  return scores.reduce<CurvePoint | undefined>(
    (best, point) => (best === undefined || isBetter(point.value, best.value) ? point : best),
    undefined,
  );
}

/** Any score is better than one that is none (NaN). */
function isBetter(a: number, b: number): boolean {
  return a > b || (Number.isNaN(b) && !Number.isNaN(a));
}
