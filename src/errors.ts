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
