// The report of octavo benchmark as data, and the machine that figures were measured on.
import type { REPORT_VERSION } from "./report.js";

/** Where a report comes from: figures of time mean nothing without it. */
export interface EnvironmentReport {
  /** Versions: of Octavo, of the runtime with its name, of Node. */
  readonly octavo: string;
  readonly runtime: string;
  readonly node: string;
  /** `linux x64`. */
  readonly system: string;
  readonly cpu: string;
  readonly cores: number;
}

/** How many times as fast as the first model, with the interval that holds 95 % of what other draws of the rounds would give. */
export interface RatioReport {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

export interface BenchmarkedModel {
  readonly model: string;
  /** With its external data. */
  readonly bytes: number;
  /** Highest resident memory of a process that does nothing but load it and run each shape; absent where that was not measured. */
  readonly peakMemoryBytes?: number | undefined;
}

/** One model at one shape and number of threads. */
export interface TimingReport {
  /** Its place in `BenchmarkReport.models`. */
  readonly model: number;
  readonly threads: number;
  readonly batch: number;
  /** Tokens of a row. */
  readonly length: number;
  readonly rounds: number;
  /** Seconds of a run: the median, and the quartiles around it. */
  readonly median: number;
  readonly lower: number;
  readonly upper: number;
  /** batch × length / median. */
  readonly tokensPerSecond: number;
  readonly ratio: RatioReport;
}

export interface BenchmarkReport {
  readonly version: typeof REPORT_VERSION;
  readonly command: "benchmark";
  readonly models: readonly BenchmarkedModel[];
  readonly timings: readonly TimingReport[];
  /** Of the intervals and of the dummy inputs. */
  readonly seed: number;
  readonly seconds: number;
  /** Highest resident memory of this process, which held all models. */
  readonly peakMemoryBytes: number;
  /** The command that does this again. */
  readonly commandLine: string;
  readonly environment: EnvironmentReport;
  readonly warnings: readonly string[];
}
