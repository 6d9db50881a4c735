// Every target by name: what this version writes for, and what to say of the combinations that it cannot.
import { UnsupportedError } from "../errors.js";
import type { Mode } from "../quant/plan.js";
import { cpu } from "./cpu.js";
import { openvino } from "./openvino.js";
import type { Target } from "./target.js";
import { tensorrt } from "./tensorrt.js";
import { web } from "./web.js";

export const TARGET_NAMES = ["cpu", "web", "openvino", "tensorrt"] as const;
export type TargetName = (typeof TARGET_NAMES)[number];

const TARGETS: Partial<Record<TargetName, Target>> = { cpu, web, openvino, tensorrt };

interface Refusal {
  readonly reason: string;
  readonly instead: string;
}

const LATER: Refusal = {
  reason: "this version of Octavo does not write that form",
  instead: "Use --mode dynamic --target cpu, which onnxruntime runs on CPUs.",
};

/** What a runtime cannot do at all, whatever the version of Octavo. */
const IMPOSSIBLE: Partial<Record<TargetName, Partial<Record<Mode, Refusal>>>> = {
  tensorrt: {
    dynamic: {
      reason:
        "an Nvidia GPU has no dynamic quantization, TensorRT takes explicit Q/DQ with ranges found beforehand",
      instead: "Use --mode static with --data, or --target cpu for dynamic.",
    },
  },
  openvino: {
    dynamic: {
      reason:
        "OpenVINO runs operators that find ranges at run time one by one in float, not as integer products",
      instead: "Use --mode static with --data, or --target cpu for dynamic.",
    },
  },
};

/** The target that writes `mode`. Throws UnsupportedError, which says what to use instead. */
export function targetFor(name: TargetName, mode: Mode): Target {
  const target = TARGETS[name];
  if (target?.modes.includes(mode) === true) return target;
  const { reason, instead } = IMPOSSIBLE[name]?.[mode] ?? LATER;
  throw new UnsupportedError(`--mode ${mode} with --target ${name}`, reason, instead);
}

/** The mode that a target takes where the user names none. */
export function usualMode(name: TargetName): Mode {
  return TARGETS[name]?.modes[0] ?? "dynamic";
}

/** The target whatever the mode, for what only concerns its float form. Throws UnsupportedError. */
export function floatTarget(name: TargetName): Target {
  const target = TARGETS[name];
  if (target !== undefined) return target;
  throw new UnsupportedError(`--target ${name}`, LATER.reason, "Use --target cpu.");
}
