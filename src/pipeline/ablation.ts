// What each step of a quantization gave: the quantized model is made again without it, and checked on the same inputs.
import type { CalibrationReport, AblationReport } from "../report/report.js";
import type { Host } from "../host/host.js";
import type { AnyQuantizeOptions } from "../options/quantize.js";

interface Step {
  readonly name: AblationReport["step"];
  /** The options that leave it out. */
  readonly without: AnyQuantizeOptions;
  readonly applied: (calibration: CalibrationReport | undefined, outliers: number) => boolean;
}

const STEPS: readonly Step[] = [
  {
    name: "outlier channels",
    without: { outliers: false },
    applied: (_, outliers) => outliers > 0,
  },
  {
    name: "smoothing",
    without: { smooth: false },
    applied: (calibration) => (calibration?.smoothed ?? 0) > 0,
  },
  {
    name: "rounding",
    without: { round: false },
    applied: (calibration) => (calibration?.rounded ?? 0) > 0,
  },
  {
    name: "bias correction",
    without: { correct: false },
    applied: (calibration) => (calibration?.corrected ?? 0) > 0,
  },
  {
    name: "a second term",
    without: { accuracy: "default", extraProducts: undefined },
    applied: (calibration) => (calibration?.secondTerms ?? 0) > 0,
  },
];

/** What was done, and how it is done again: into a file of its own; resolves to the lowest signal-to-noise ratio of the check, dB. */
export interface Done {
  readonly calibration: CalibrationReport | undefined;
  /** Channels that were split off. */
  readonly outliers: number;
  readonly again: (changed: AnyQuantizeOptions) => Promise<number | undefined>;
}

/** One step left out at a time, of those that did something. Nothing is left on disk. Throws as quantizing does. */
export async function measureSteps(
  host: Host,
  { calibration, outliers, again }: Done,
): Promise<AblationReport[]> {
  const reports: AblationReport[] = [];
  for (const { name, without, applied } of STEPS) {
    if (!applied(calibration, outliers)) continue;
    const temporary = host.temporaryFolder();
    try {
      const snrDb = await again({ ...without, output: `${temporary.path}/model.onnx` });
      if (snrDb !== undefined) reports.push({ step: name, withoutSnrDb: snrDb });
    } finally {
      temporary.release();
    }
  }
  return reports;
}
