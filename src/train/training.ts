// What the trainer takes and gives: a graph with its parameters and its loss, batches by their place, options, and the trained values.
import type { GradientTable } from "../autodiff/rule.js";
import type { Value } from "../graph/graph.js";
import type { Model } from "../graph/model.js";
import type { Feeds, RuntimeTensor, Session } from "../runtime/runtime.js";
import type { Parameter } from "./parameters.js";
import type { Schedule } from "./schedule.js";

/** A graph that is trained. Training changes the graph (inputs, loss and gradients are added to it): give one that nobody else needs. */
export interface Trainable {
  /** Its outputs are the model's own; with fake-quantizes in it for QAT. Types must be known (inferTypes). */
  readonly model: Model;
  /** Initializers of the graph, each once. */
  readonly parameters: readonly Parameter[];
  /**
   * Appends the loss: a scalar that is the weighted sum over what counts in a batch, times the input `lossWeight` (see losses.ts).
   * Labels and the teacher's outputs become inputs of the graph.
   */
  readonly loss: (model: Model) => Value;
  /** Gradients of operators that the table of autodiff does not have. */
  readonly rules?: GradientTable | undefined;
  /** Keeps the activations at the ends of blocks only and computes the others once more on the way back: less memory, more time. */
  readonly recompute?: boolean | undefined;
  /** Expands operators that runtimes do not have; called for the graph of the forward pass and for that with gradients. */
  readonly lower?: ((model: Model) => void) | undefined;
}

export interface TrainingBatch {
  /** Inputs of the graph: the model's and the loss's. */
  readonly feeds: Feeds;
  /** How many things the loss sums over (rows, labelled tokens): gradients are of the mean over all of an update. */
  readonly counted: number;
  /** Where its records stand, for messages: `train.tsv, lines 3, 17, …`. */
  readonly place: string;
}

/** The batches of a run by their place: what an epoch holds depends on its number (and on the seed) alone, so that a run can be taken up anywhere. */
export interface TrainingBatches {
  /** Batches of an epoch; the same for each. At least 1. */
  readonly perEpoch: number;
  /** Batch `index` of epoch `epoch`, both counted from 0. */
  batch(epoch: number, index: number): TrainingBatch | Promise<TrainingBatch>;
}

export interface OptimizerOptions {
  readonly optimizer: "adamw" | "sgd";
  /** Highest learning rate of the schedule. */
  readonly rate: number;
  /** Decoupled: each update also takes rate × this share off the parameters that decay. */
  readonly weightDecay: number;
  /** AdamW's decay of its two moments. */
  readonly betas: readonly [number, number];
  readonly epsilon: number;
  /** Of SGD. */
  readonly momentum: number;
}

export interface TrainLoopOptions extends OptimizerOptions {
  /** Updates of the parameters. */
  readonly steps: number;
  readonly schedule: Schedule;
  /** Steps in which the rate rises from 0 to `rate`. */
  readonly warmup: number;
  /** Gradients longer than this (all together, L2) are shortened to it; undefined: never. */
  readonly clip?: number | undefined;
  /** Batches per update. */
  readonly accumulate: number;
  /** Updates between two evaluations; undefined: only before the first and after the last. */
  readonly evaluateEvery?: number | undefined;
  /** Evaluations without a better score after which training stops; undefined: never. */
  readonly patience?: number | undefined;
  /**
   * The score of the parameters as they are: higher is better. `session` is the forward pass of the trainable's graph (its inputs and
   * outputs) with the parameters of the moment, `step` the updates done. With it the parameters of the best score are kept, those before the first step included.
   */
  readonly evaluate?: ((session: Session, step: number) => Promise<number>) | undefined;
  /** Where a run's state is kept, so that one that was cut off is taken up again; undefined: nowhere. */
  readonly checkpoint?: CheckpointStore | undefined;
  /** What must be the same for a checkpoint to be taken up: the model's fingerprint, the data's, each option, by its name. */
  readonly identity?: Readonly<Record<string, string>> | undefined;
  readonly threads?: number | undefined;
  /** Seconds of a clock that only goes forward, for checkpoints. */
  readonly now: () => number;
  readonly signal?: AbortSignal | undefined;
  readonly onStep?: ((step: StepProgress) => void) | undefined;
}

/** Options that are only known once the parameters have been seen at work, as they are before the first step. */
export interface LateOptions extends Pick<
  TrainLoopOptions,
  "optimizer" | "accumulate" | "threads"
> {
  /** `forward`: the session that `evaluate` gets. */
  begin(forward: Session): Promise<TrainLoopOptions>;
}

/** The state of a run: tensors by name, and texts beside them. */
export interface TrainingState {
  readonly tensors: Readonly<Record<string, RuntimeTensor>>;
  readonly texts: Readonly<Record<string, string>>;
}

/** A place for the state of one run. */
export interface CheckpointStore {
  /** For messages. */
  readonly path: string;
  /** Seconds between two checkpoints, at least. */
  readonly every: number;
  /** The state of another run is no error then: this one begins anew. */
  readonly force?: boolean | undefined;
  /** Undefined where there is none. */
  read(): TrainingState | undefined;
  /** Replaces what is there, whole or not at all. The tensors change afterwards. */
  write(state: TrainingState): void;
}

export interface StepProgress {
  /** Updates done, of how many. */
  readonly done: number;
  readonly total: number;
  readonly loss: number;
  /** Learning rate of this update. */
  readonly rate: number;
}

export interface CurvePoint {
  /** Updates done when it was measured; losses count from 1. */
  readonly step: number;
  readonly value: number;
}

export interface Trained {
  /** Values of each parameter after training (the best ones, where they were evaluated), by name. */
  readonly weights: ReadonlyMap<string, Float32Array>;
  /** Updates done. */
  readonly steps: number;
  readonly stopped: "done" | "early";
  /** Mean loss of each update. */
  readonly losses: Float32Array;
  /** Scores in the order of their steps, the first at 0; empty without `evaluate`. */
  readonly scores: readonly CurvePoint[];
  /** Step whose parameters these are. */
  readonly best: number;
  /** Steps of an earlier run that this one took up. */
  readonly resumed: number;
}
