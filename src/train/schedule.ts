// The learning rate by the step: a linear rise at the start, then constant, or down to 0 linearly or along a cosine.

export const SCHEDULES = ["constant", "linear", "cosine"] as const;
export type Schedule = (typeof SCHEDULES)[number];

export interface ScheduleOptions {
  readonly schedule: Schedule;
  readonly steps: number;
  /** Steps in which the factor rises to 1. */
  readonly warmup: number;
}

/** Share of the whole that is left, from 1 (after the rise) to 0 (at the end), to factor. */
const FACTOR: Readonly<Record<Schedule, (left: number) => number>> = {
  constant: () => 1,
  linear: (left) => left,
  cosine: (left) => (1 - Math.cos(Math.PI * left)) / 2,
};

/** What the learning rate is multiplied by for update `step`, counted from 0; above 0 for each of them, so that no batch is in vain. */
export function rateFactor(step: number, { schedule, steps, warmup }: ScheduleOptions): number {
  if (step < warmup) return (step + 1) / (warmup + 1);
  return FACTOR[schedule]((steps - step) / Math.max(1, steps - warmup));
}
