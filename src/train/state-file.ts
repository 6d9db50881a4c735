// The state of a training run as a safetensors file beside its output, and what makes another run not the same.
import { readSafetensors } from "../data/safetensors.js";
import { safetensorsPieces } from "../data/write-safetensors.js";
import { CheckpointError, SafetensorsError } from "../errors.js";
import { floatsOf } from "../onnx/values.js";
import type { RuntimeTensor } from "../runtime/runtime.js";
import type { CheckpointStore, TrainingState } from "./training.js";
import type { Host } from "../host/host.js";

/** Where the state of a run is kept. */
export function statePath(output: string): string {
  return `${output}.part`;
}

/** `read` throws CheckpointError, `write` WriteFailedError. */
export function checkpointStore(
  host: Host,
  output: string,
  {
    every,
    force,
    onCheckpoint,
  }: Required<Pick<CheckpointStore, "every" | "force">> & {
    readonly onCheckpoint?: ((path: string) => void) | undefined;
  },
): CheckpointStore {
  const path = statePath(output);
  return {
    path,
    every,
    force,
    read() {
      const bytes = host.readState(path);
      return bytes === undefined ? undefined : stateIn(bytes, path);
    },
    write({ tensors, texts }) {
      host.replaceFile(path, safetensorsPieces(tensors, texts));
      onCheckpoint?.(path);
    },
  };
}

function stateIn(bytes: Uint8Array, path: string): TrainingState {
  try {
    const { tensors, metadata } = readSafetensors(bytes);
    const floats = [...tensors].flatMap(([name, tensor]): [string, RuntimeTensor][] =>
      tensor.dtype === "float32"
        ? [[name, { dtype: "float32", dims: tensor.dims, data: floatsOf(tensor) }]]
        : [],
    );
    return { tensors: Object.fromEntries(floats), texts: Object.fromEntries(metadata) };
  } catch (error) {
    if (error instanceof SafetensorsError) throw new CheckpointError(path, error.detail);
    throw error;
  }
}
