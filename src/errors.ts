// Errors a user can cause. Each class carries its facts as fields and one message: what was got, what was expected, what to do.

/** Base of every error that is the user's to mend. Anything else that is thrown is a bug in Octavo. */
export abstract class OctavoError extends Error {
  /** Stable, machine-readable name of the mistake, for example `"onnx-format"`. */
  abstract readonly code: string;

  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
  }

  /** The error as one plain object: `code`, `message` and the class's own fields. */
  toJSON(): Record<string, unknown> {
    const {
      name: _name,
      cause: _cause,
      stack: _stack,
      ...fields
    } = this as Record<string, unknown>;
    return { code: this.code, message: this.message, ...fields };
  }
}

/** Bytes that are not the file format they should be. `offset` is the byte where reading failed. */
export class OnnxFormatError extends OctavoError {
  readonly code = "onnx-format";
  constructor(
    readonly detail: string,
    readonly offset: number | undefined = undefined,
    readonly path: string | undefined = undefined,
  ) {
    const at = offset === undefined ? "" : ` at byte ${offset}`;
    super(
      `${path ?? "The model"} is not a readable ONNX file: ${detail}${at}. ` +
        `Expected a complete ONNX model (a protobuf ModelProto); export or download it again.`,
    );
  }
}

/** A well-formed ONNX file whose graph breaks the rules of the format (a cycle, a name used twice, a missing value, …). */
export class InvalidGraphError extends OctavoError {
  readonly code = "invalid-graph";
  constructor(
    readonly detail: string,
    readonly node: string | undefined = undefined,
  ) {
    super(
      `The graph is invalid${node === undefined ? "" : ` at node ${node}`}: ${detail}. ` +
        `Check the export with onnx.checker or export the model again.`,
    );
  }
}

/** A tensor whose bytes are missing, too few, or do not fit its dims. */
export class TensorDataError extends OctavoError {
  readonly code = "tensor-data";
  constructor(
    readonly tensor: string,
    readonly detail: string,
  ) {
    super(`Tensor "${tensor}": ${detail}`);
  }
}

/** External data that cannot be read, or that must not be (it points out of the model's folder). */
export class ExternalDataError extends OctavoError {
  readonly code = "external-data";
  constructor(
    readonly tensor: string,
    readonly location: string,
    readonly detail: string,
  ) {
    super(`External data of tensor "${tensor}" (location "${location}"): ${detail}`);
  }
}

/** A safetensors file whose header and bytes do not fit together. */
export class SafetensorsError extends OctavoError {
  readonly code = "safetensors";
  constructor(
    readonly detail: string,
    readonly path: string | undefined = undefined,
  ) {
    super(
      `${path ?? "The file"} is not a readable safetensors file: ${detail}. ` +
        `Save or download it again.`,
    );
  }
}

/** A weight that holds NaN or an infinity: no scale can cover it. */
export class WeightNotFiniteError extends OctavoError {
  readonly code = "weight-not-finite";
  constructor(
    readonly tensor: string,
    readonly value: number,
    readonly index: number,
  ) {
    super(
      `Weight "${tensor}" holds ${value} at element ${index}; a weight must be finite to be quantized. ` +
        `Check the training run or the export, or leave its layer in float (--exclude).`,
    );
  }
}

/** A model that does not fit the 2 GB which protobuf allows for one message. */
export class ModelTooLargeError extends OctavoError {
  readonly code = "model-too-large";
  constructor(
    readonly bytes: number,
    readonly limit: number,
  ) {
    super(
      `The model takes ${bytes} bytes as one file, ONNX allows ${limit}. ` +
        `Write its weights into a file beside it (external data).`,
    );
  }
}

/** No model where one was named: the file is missing, or it cannot be opened. */
export class ModelNotFoundError extends OctavoError {
  readonly code = "model-not-found";
  constructor(
    readonly path: string,
    readonly detail: string,
  ) {
    super(`Cannot read the model ${path}: ${detail}.`);
  }
}

/** An output that is there already. */
export class OutputExistsError extends OctavoError {
  readonly code = "output-exists";
  constructor(
    readonly path: string,
    readonly detail = "it exists already",
  ) {
    super(
      `Not written to ${path}: ${detail}. Choose another output, or overwrite it with --force.`,
    );
  }
}

/** An output that is a file the model is being read from; it is never overwritten, by force neither. */
export class OutputIsInputError extends OctavoError {
  readonly code = "output-is-input";
  constructor(readonly path: string) {
    super(
      `Not written to ${path}: the model is read from this file, and an input is never overwritten. ` +
        `Choose another output.`,
    );
  }
}

/** An output that could not be written whole; nothing of it was left behind. */
export class WriteFailedError extends OctavoError {
  readonly code = "write-failed";
  constructor(
    readonly path: string,
    readonly detail: string,
    options?: { cause?: unknown },
  ) {
    super(`Could not write ${path}: ${detail}. Nothing of it was left behind.`, options);
  }
}

/** A plan that is not one, or does not fit the model or the target. */
export class PlanError extends OctavoError {
  readonly code = "plan";
  constructor(
    readonly detail: string,
    readonly path: string | undefined = undefined,
  ) {
    super(
      `The plan${path === undefined ? "" : ` ${path}`} cannot be used: ${detail}. ` +
        `Expected a plan as --write-plan writes it for the same model.`,
    );
  }
}

/** A model that is quantized already: quantizing it again would only lose accuracy. */
export class AlreadyQuantizedError extends OctavoError {
  readonly code = "already-quantized";
  constructor(readonly form: string) {
    super(`The model is quantized already (${form}). Give the float model it was made from.`);
  }
}

/** No site of the model can be quantized for the target. */
export class NothingToQuantizeError extends OctavoError {
  readonly code = "nothing-to-quantize";
  constructor(
    readonly sites: number,
    readonly reasons: readonly string[],
  ) {
    super(
      sites === 0
        ? "Nothing to quantize: the graph has no product with a constant weight and no embedding. " +
            "Expected a Transformer with its weights in the file."
        : `Nothing to quantize: all ${sites} sites stay in float (${reasons.join("; ")}).`,
    );
  }
}

/** A combination that a target does not have; the message names what it has instead. */
export class UnsupportedError extends OctavoError {
  readonly code = "unsupported";
  constructor(
    readonly got: string,
    readonly reason: string,
    readonly alternatives: string,
  ) {
    super(`${got} is not possible: ${reason}. ${alternatives}`);
  }
}

/** An option that does not exist or has a value it cannot have. */
export class OptionError extends OctavoError {
  readonly code = "option";
  /** As the caller writes it. */
  readonly option: string;
  /** Undefined where the option itself is unknown. */
  readonly expected: string | undefined;
  readonly #facts: readonly [option: string, expected: string | undefined];

  /** Other options stand in `expected` as {mode: static}: how they are written is `spelling`'s. */
  constructor(
    option: string,
    readonly got: string,
    expected: string | undefined,
    spelling: OptionSpelling = inCode,
  ) {
    const name = spelling(option);
    const text = expected?.replaceAll(
      /\{(\w+)(?:: ([^{}]+))?\}/g,
      (_, other: string, value?: string) => spelling(other, value),
    );
    super(
      text === undefined
        ? `Option ${name} does not exist; see the documentation of the function, or --help.`
        : `Option ${name} cannot be ${got}. Expected ${text}.`,
    );
    this.option = name.replaceAll('"', "");
    this.expected = text;
    this.#facts = [option, expected];
  }

  /** The same for a caller who writes options in another way. */
  spelled(spelling: OptionSpelling): OptionError {
    const [option, expected] = this.#facts;
    return new OptionError(option, this.got, expected, spelling);
  }
}

/** How an option is written: by itself, or with a value. */
export type OptionSpelling = (option: string, value?: string) => string;

/** `"mode"`, `mode: "static"`, `check: false`. */
function inCode(option: string, value?: string): string {
  if (value === undefined) return `"${option}"`;
  return `${option}: ${value === "true" || value === "false" ? value : `"${value}"`}`;
}

/** A pattern of site names that fits none. */
export class SitePatternError extends OctavoError {
  readonly code = "site-pattern";
  constructor(
    readonly pattern: string,
    readonly sites: readonly string[],
  ) {
    const some = sites
      .slice(0, 3)
      .map((name) => `"${name}"`)
      .join(", ");
    super(
      `No site fits the pattern "${pattern}". ` +
        `The model has ${sites.length} sites, such as ${some}; octavo inspect --all lists them.`,
    );
  }
}

/** The runtime refuses a model or fails while running it; `detail` is its own message. */
export class RuntimeFailedError extends OctavoError {
  readonly code = "runtime-failed";
  constructor(
    readonly stage: "load" | "run",
    readonly detail: string,
    readonly node: string | undefined,
    readonly path: string | undefined = undefined,
    options?: { cause?: unknown },
  ) {
    super(
      `The runtime cannot ${stage} ${path ?? "the model"}${node === undefined ? "" : ` (node ${node})`}: ${detail.replace(/\.$/, "")}. ` +
        (stage === "load"
          ? `Expected a model that onnxruntime loads as it is; try the float model there first.`
          : `Expected feeds that fit the inputs of the model, and a model that runs in onnxruntime as it is ` +
            `(quantize and optimize run both models once, on rows of --data or dummy inputs; --no-check leaves that out).`),
      options,
    );
  }
}

/** The runtime is not installed: it is an optional dependency, which only what runs models needs. */
export class RuntimeMissingError extends OctavoError {
  readonly code = "runtime-missing";
  constructor(
    /** The package. */
    readonly runtime: string,
    /** Why it was not loaded. */
    readonly detail: string,
    options?: { cause?: unknown },
  ) {
    super(
      `${runtime} runs models for Octavo and cannot be loaded: ${detail.replace(/\.$/, "")}. ` +
        `Install it beside Octavo: npm install ${runtime}`,
      options,
    );
  }
}

/** A folder in which no float model lies. */
export class NoModelInFolderError extends OctavoError {
  readonly code = "no-model-in-folder";
  constructor(
    readonly folder: string,
    readonly lookedFor: readonly string[],
    /** Models of the folder that are reduced already. */
    readonly reduced: readonly string[] = [],
  ) {
    const only =
      reduced.length === 0 ? "" : ` It holds ${reduced.join(", ")}, which are not the float model.`;
    super(
      `No float model in the folder ${folder}: looked for ${lookedFor.join(", ")}.${only} ` +
        `Export the model to onnx/model.onnx, or name the .onnx file itself.`,
    );
  }
}

/** A folder in which several files may be meant. */
export class SeveralModelsError extends OctavoError {
  readonly code = "several-models";
  constructor(
    readonly folder: string,
    readonly candidates: readonly string[],
  ) {
    super(
      `The folder ${folder} holds ${candidates.length} models: ${candidates.join(", ")}. ` +
        `Name the file that is meant instead of the folder.`,
    );
  }
}

/** A file of a model's folder (config.json, tokenizer.json, …) that is missing or not what it should be. */
export class ModelFolderError extends OctavoError {
  readonly code = "model-folder";
  constructor(
    readonly path: string,
    readonly detail: string,
    readonly todo = "Download or save the model's folder again.",
  ) {
    super(`${path}: ${detail}. ${todo}`);
  }
}

/** A line of data that cannot be used, or a data file without usable lines. */
export class DataError extends OctavoError {
  readonly code = "data";
  constructor(
    readonly path: string,
    readonly line: number | undefined,
    readonly detail: string,
    readonly expected: string,
  ) {
    super(`${path}${line === undefined ? "" : `, line ${line}`}: ${detail}. Expected ${expected}.`);
  }
}

/** A label that is missing or that the model does not know. */
export class LabelError extends OctavoError {
  readonly code = "label";
  constructor(
    readonly label: string | number | undefined,
    /** Where the record stands. */
    readonly place: string,
    /** What the model knows. */
    readonly known: readonly string[] | string,
  ) {
    const labels = typeof known === "string" ? known : `one of ${known.join(", ")}`;
    super(
      `${place}: ${label === undefined ? "no label" : `the label "${label}" is not the model's`}. ` +
        `Expected ${labels}.`,
    );
  }
}

/** An input of the model that no rule can fill from text. */
export class InputNotFilledError extends OctavoError {
  readonly code = "input-not-filled";
  constructor(
    readonly input: string,
    readonly detail: string,
    readonly known: readonly string[],
  ) {
    super(
      `Input "${input}" of the model cannot be filled from text: ${detail}. ` +
        `Known inputs are ${known.join(", ")}. For others give ready inputs in place of texts: ` +
        `lines such as {"inputs": {"${input}": [[…]]}}, or a safetensors file.`,
    );
  }
}

/** A model whose configuration or outputs do not fit the task. */
export class TaskError extends OctavoError {
  readonly code = "task";
  constructor(
    readonly detail: string,
    readonly tasks: readonly string[],
  ) {
    super(`${detail}. Tasks are ${tasks.join(", ")}.`);
  }
}

/** The demo without its model, which only the repository holds. */
export class DemoMissingError extends OctavoError {
  readonly code = "demo-missing";
  constructor(readonly folder: string) {
    super(
      `The demo's model is not at ${folder}: it is in the repository of Octavo, not in the npm package. ` +
        `Clone the repository and run "npm run demo" there, or try octavo quantize on a model of yours.`,
    );
  }
}

/** Calibration statistics that are not such, do not fit together, or do not hold what is asked of them. */
export class StatisticsError extends OctavoError {
  readonly code = "statistics";
  constructor(
    readonly got: string,
    readonly expected: string,
    readonly todo: string,
    readonly path: string | undefined = undefined,
  ) {
    const file = path === undefined ? "" : ` ${path}`;
    super(`Calibration statistics${file}: ${got}. Expected ${expected}. ${todo}`);
  }
}

/** An operator without a gradient rule stands between what is to be trained and the loss. */
export class NoGradientError extends OctavoError {
  readonly code = "no-gradient";
  constructor(
    /** The operator as rules name it. */
    readonly op: string,
    /** The node's name, or that of its first output. */
    readonly node: string,
    readonly detail: string | undefined = undefined,
  ) {
    super(
      `No gradient for ${op} "${node}"${detail === undefined ? "" : `: ${detail}`}. ` +
        `Expected operators with a gradient between the trained weights and the loss ` +
        `(docs/GRADIENTS.md lists them). Freeze the weights before this node, or export the model without this operator.`,
    );
  }
}

/** A loss or a gradient that is NaN or infinite. */
export class LossNotFiniteError extends OctavoError {
  readonly code = "loss-not-finite";
  constructor(
    readonly what: "loss" | "gradient",
    readonly value: number,
    /** Counted from 1. */
    readonly step: number,
    /** The records of the batch. */
    readonly batch: string,
    /** Where the state before this step is kept. */
    readonly checkpoint: string | undefined = undefined,
  ) {
    super(
      `The ${what} became ${value} at step ${step} (${batch}). ` +
        `Expected a finite number. Lower the learning rate (--lr), or look at these records and at the model's weights.` +
        (checkpoint === undefined ? "" : ` The state before this step is kept in ${checkpoint}.`),
    );
  }
}

/** A checkpoint that is of another run, or is none. */
export class CheckpointError extends OctavoError {
  readonly code = "checkpoint";
  constructor(
    readonly path: string,
    readonly detail: string,
  ) {
    super(
      `The checkpoint ${path} cannot be taken up: ${detail}. ` +
        `Expected the state of a run of the same model, data and options: give that command again, name another output, or begin anew with --force.`,
    );
  }
}

/** A model of which nothing can be, or shall be, trained. */
export class NothingToTrainError extends OctavoError {
  readonly code = "nothing-to-train";
  constructor(readonly detail: string) {
    super(
      `Nothing to train: ${detail}. Expected a model whose weights are float32 initializers on the way to its outputs, ` +
        `some of them not frozen.`,
    );
  }
}

/** A pattern of names that fits no weight. */
export class WeightPatternError extends OctavoError {
  readonly code = "weight-pattern";
  constructor(
    readonly pattern: string,
    readonly weights: readonly string[],
  ) {
    const some = weights
      .slice(0, 3)
      .map((name) => `"${name}"`)
      .join(", ");
    super(
      `No weight fits the pattern "${pattern}". The model trains ${weights.length} weights, such as ${some}; ` +
        `patterns also fit names of the nodes that read them.`,
    );
  }
}
