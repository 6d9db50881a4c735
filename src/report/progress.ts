// Progress of long work as one line on a terminal that keeps changing: step, share, rate, time left.
import { grouped, seconds } from "./format.js";
import { shorten } from "./table.js";

export interface Progress {
  /** What is being done: `calibrating`. */
  readonly step: string;
  readonly done: number;
  /** Undefined where nobody knows. */
  readonly total?: number | undefined;
  /** What is counted: `sentences`. */
  readonly unit?: string | undefined;
  /** What else is to be seen meanwhile: `loss 0.312`. */
  readonly note?: string | undefined;
}

export type OnProgress = (progress: Progress) => void;

/** A terminal, or anything that is written to. */
export interface LineOutput {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

export interface ProgressLine {
  readonly report: OnProgress;
  /** Wipes the line away. */
  end(): void;
}

const SILENT: ProgressLine = { report() {}, end() {} };
const CLEAR = "\r\u001b[K";
/** Seconds between two changes of the line. */
const PAUSE = 0.1;

/** A line on `output` if that is a terminal; silent elsewhere. `now`: seconds of a clock that only goes forward. */
export function progressLine(
  output: LineOutput,
  now: () => number = () => performance.now() / 1000,
): ProgressLine {
  if (output.isTTY !== true) return SILENT;
  let step = "";
  let begun = 0;
  let shown = -Infinity;
  return {
    report(progress) {
      const time = now();
      if (progress.step !== step) {
        step = progress.step;
        begun = time;
        shown = -Infinity;
      }
      if (time - shown < PAUSE) return;
      shown = time;
      const line = progressText(progress, time - begun);
      output.write(CLEAR + shorten(line, (output.columns ?? 80) - 1));
    },
    end() {
      if (shown > -Infinity) output.write(CLEAR);
      step = "";
      shown = -Infinity;
    },
  };
}

/** `calibrating  320 of 1,000 sentences (32 %), 45.1/s, 15.1 s left` after `elapsed` seconds. */
export function progressText({ step, done, total, unit, note }: Progress, elapsed: number): string {
  const things = unit === undefined ? "" : ` ${unit}`;
  const rate = elapsed > 0 ? done / elapsed : 0;
  const pace = rate > 0 ? `, ${rate >= 10 ? grouped(Math.round(rate)) : rate.toFixed(1)}/s` : "";
  if (total === undefined) return `${step}  ${grouped(done)}${things}${pace}`;
  if (total === 0) return step;
  const left = rate > 0 && done < total ? `, ${seconds((total - done) / rate)} left` : "";
  const share = Math.floor((done / total) * 100);
  return `${step}  ${grouped(done)} of ${grouped(total)}${things} (${share} %)${pace}${left}${note === undefined ? "" : `, ${note}`}`;
}
