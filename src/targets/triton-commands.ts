// How to start Triton on a model repository and how to ask it something: lines for a shell.
import type { DimsOf } from "./target.js";
import type { TritonTensor } from "./triton.js";
import { quoted } from "./trtexec.js";

/** The server's image; any later release does as well. */
const IMAGE = "nvcr.io/nvidia/tritonserver:25.06-py3";
const ADDRESS = "localhost:8000";
/** Tokens of the example; a batch is one request. */
const LENGTH = 4;
/** Values of an example at most: a line that people can read. */
const MOST = 64;

export interface Serving {
  readonly name: string;
  /** Absolute. */
  readonly repository: string;
  readonly gpu: boolean;
}

export function startCommand({ repository, gpu }: Serving): string {
  return [
    "docker run --rm",
    ...(gpu ? ["--gpus=all"] : []),
    "-p 8000:8000 -p 8001:8001 -p 8002:8002",
    `-v ${quoted(`${repository}:/models:ro`)}`,
    IMAGE,
    "tritonserver --model-repository=/models",
  ].join(" ");
}

/** A value that every model takes as a part of its input; undefined for types that JSON requests cannot hold. */
const EXAMPLES: Readonly<Record<string, number | boolean | string | undefined>> = {
  FP16: undefined,
  BF16: undefined,
  BOOL: true,
  BYTES: "text",
};

/** A request of the KServe protocol with dummy values; the model's configuration is asked for where such a request would be no line. */
export function requestCommand(
  { name }: Serving,
  inputs: readonly TritonTensor[],
  dimsOf: DimsOf,
): string {
  const sizes = dimsOf({ batch: 1, length: LENGTH });
  const model = `${ADDRESS}/v2/models/${name}`;
  const tensors = inputs.map(({ name: input, requestType }) => {
    const shape = sizes[input] ?? [];
    const own = shape.length === 0 ? [1] : shape;
    const count = own.reduce((product, dim) => product * dim, 1);
    const value = requestType in EXAMPLES ? EXAMPLES[requestType] : 1;
    if (value === undefined || count > MOST) return undefined;
    const data = Array.from({ length: count }, () => value);
    return { name: input, datatype: requestType, shape: own, data };
  });
  if (tensors.includes(undefined)) return `curl ${model}/config`;
  const body = JSON.stringify({ inputs: tensors });
  return `curl -X POST ${model}/infer -H 'Content-Type: application/json' -d ${quoted(body)}`;
}
