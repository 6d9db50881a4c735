// Reports of evaluate and compare as data: metrics with their intervals, what changed between two models, and the error at each site.
import type { REPORT_VERSION } from "./report.js";

/** A metric of one model on labelled data, with the interval that holds it with `confidence`. */
export interface MetricReport {
  readonly name: string;
  readonly value: number;
  /** Ends of the interval; null where it has none (NaN values, one row). */
  readonly low: number | null;
  readonly high: number | null;
  /** Wilson's score interval for a share of rows, percentiles of seeded resamples of the rows for the others. */
  readonly interval: "wilson" | "bootstrap";
  /** Of perplexity and the like a lower value is the better one. */
  readonly better: "higher" | "lower";
}

export interface EvaluateReport {
  readonly version: typeof REPORT_VERSION;
  readonly command: "evaluate";
  readonly model: string;
  readonly task: string;
  readonly data: readonly string[];
  /** Labelled records. */
  readonly rows: number;
  /** What the model reads: more than `rows` where a record is a pair of texts, or a long text in several windows. */
  readonly inputs: number;
  /** Inputs of which tokens were cut off. */
  readonly truncated: number;
  /** The one that matters first. */
  readonly metrics: readonly MetricReport[];
  /** Of the intervals, 0…1. */
  readonly confidence: number;
  /** Of the resamples. */
  readonly seed: number;
  readonly seconds: { readonly load: number; readonly read: number; readonly run: number };
  /** Inputs per second of `run`. */
  readonly rate: number;
  readonly warnings: readonly string[];
}

/** Whether two models that saw the same rows differ by more than chance. */
export interface TestReport {
  /** McNemar's for a share of rows: exact up to 25 rows that differ, with continuity correction beyond; resamples of the rows for the others. */
  readonly name: "mcnemar-exact" | "mcnemar-continuity" | "paired-bootstrap";
  /** Probability of a difference at least as large if there were none, 0…1; null where it has none. */
  readonly p: number | null;
  /** Of McNemar's: rows that only the reference, and only the candidate, has right. */
  readonly onlyReference?: number;
  readonly onlyCandidate?: number;
}

/** One metric before and after. */
export interface MetricChangeReport {
  readonly name: string;
  readonly reference: MetricReport;
  readonly candidate: MetricReport;
  /** candidate − reference, with its interval by paired resamples. */
  readonly difference: number;
  readonly low: number | null;
  readonly high: number | null;
  readonly test: TestReport;
}

/** Predictions of two models on the same rows. */
export interface AgreementReport {
  /** What is equal: classes, the labels of words, answers, …; absent where predictions are numbers, which are correlated instead. */
  readonly share?: number;
  readonly equal?: number;
  readonly of?: number;
  /** What is counted: `rows`, `words`, `tokens`. */
  readonly unit?: string;
  /** Pearson's correlation of predictions that are numbers, and their largest difference. */
  readonly correlation?: number | null;
  readonly largestDifference?: number;
}

/** Metrics of the float model and its quantized model on the same rows: what `quantize --eval` finds, and `compare` where there are labels. */
export interface ChangeReport {
  readonly task: string;
  readonly data: readonly string[];
  readonly rows: number;
  readonly truncated: number;
  /** Empty where the data has no labels. */
  readonly metrics: readonly MetricChangeReport[];
  readonly agreement: AgreementReport;
  readonly confidence: number;
  readonly seed: number;
}

/** How far apart one tensor of two models is, over all rows together; padding does not count where the tensor shows it. */
export interface TensorErrorReport {
  readonly name: string;
  /** dB; Infinity (null in JSON) where nothing differs; absent for whole numbers. */
  readonly snrDb?: number;
  /** Cosine of the two tensors as one vector each; absent for whole numbers. */
  readonly cosine?: number;
  /** Share of equal elements, for whole numbers. Absent as the others are where there is nothing to compare. */
  readonly agreement?: number;
}

/** The error at the output of a site, both models run from their inputs: what the site adds, and what it was given. */
export interface SiteErrorReport {
  /** The site's name in the reference. */
  readonly site: string;
  readonly kind: string;
  readonly shape: readonly number[];
  /** Names of the values in both graphs. */
  readonly reference: string;
  readonly candidate: string;
  /** How the two were found to be one site. */
  readonly matched: "name" | "value" | "order";
  readonly snrDb: number;
  /** How far that is below the lowest of the sites before it, dB; negative where errors before it were larger. */
  readonly fallDb: number;
  readonly cosine: number;
}

/** What one site alone, quantized as the plan has it and all others in float, does to the outputs. */
export interface SiteSensitivityReport {
  readonly site: string;
  readonly kind: string;
  readonly shape: readonly number[];
  /** The lowest of the outputs, dB. */
  readonly snrDb: number;
  readonly cosine: number;
}

export interface CompareReport {
  readonly version: typeof REPORT_VERSION;
  readonly command: "compare";
  readonly reference: string;
  readonly candidate: string;
  readonly bytes: { readonly reference: number; readonly candidate: number };
  readonly inputs: "data" | "synthetic";
  /** Rows that outputs were compared on, and those that sites were. */
  readonly rows: number;
  readonly siteRows: number;
  readonly outputs: readonly TensorErrorReport[];
  /** The lowest of the outputs, dB; absent where none is of real numbers. */
  readonly snrDb?: number;
  /** Predictions, and metrics where the data has labels; absent without data. */
  readonly change?: ChangeReport;
  /** Sites that both models have, the furthest fall first. */
  readonly sites: readonly SiteErrorReport[];
  /** Sites of the reference for which the candidate has no counterpart. */
  readonly unmatched: readonly string[];
  /** With --sensitivity: the largest error first. */
  readonly sensitivity?: readonly SiteSensitivityReport[];
  readonly seconds: { readonly load: number; readonly run: number; readonly sites: number };
  readonly warnings: readonly string[];
}
