// What reports of a quantization tell beside its result: where the bytes went, and what was seen of each activation.

/** Bytes of one kind of constant before and after; `rest` is all else in the file, scales among it. */
export interface PartReport {
  readonly part: "embeddings" | "linear layers" | "convolutions" | "rest";
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/** The quantized model made without one of its steps. */
export interface AblationReport {
  readonly step:
    | "outlier channels"
    | "smoothing"
    | "rounding"
    | "bias correction"
    | "a second term";
  /** Its lowest signal-to-noise ratio in the check, dB: of the quantized model itself it is `check.snrDb`. */
  readonly withoutSnrDb: number;
}

/** What calibration saw of one activation, and the range it was given. */
export interface ActivationReport {
  readonly name: string;
  /** The sites that read it. */
  readonly sites: readonly string[];
  /** As what they read it, in the words of the plan. */
  readonly operand: "activation" | "second";
  readonly dtype: string;
  /** 2: what the codes leave has codes of its own; absent: 1. */
  readonly terms?: 1 | 2 | undefined;
  /** Values that were seen. */
  readonly count: number;
  readonly lowest: number;
  readonly highest: number;
  /** The range that the codes span. */
  readonly min: number;
  readonly max: number;
  /** Share of the values seen that lie outside, 0…1. */
  readonly outside: number;
  /** Values as they are to those values rounded to codes and back, dB; from the histogram, in which values lie evenly within a bin. */
  readonly snrDb: number;
  /** Counts of values in equal bins from `lowest` to `highest`. */
  readonly histogram: readonly number[];
}
