// Tensors of a safetensors file as ready feeds: `NAME` for a single feed, `i/NAME` for feed i.
import { DataError } from "../errors.js";
import { floatsOf } from "../onnx/values.js";
import type { ByteSource } from "../onnx/source.js";
import type { Tensor } from "../onnx/tensor.js";
import { ELEMENTS, isRunnable, type Feeds, type RuntimeTensor } from "../runtime/runtime.js";
import type { DataRecord } from "./records.js";
import { readSafetensors } from "./safetensors.js";

const NUMBERED = /^(?<number>0|[1-9]\d{0,8})\/(?<name>.+)$/s;
const EXPECTED = "tensors named by the inputs of the graph for one feed, or i/NAME for feed i";

/** The feeds in the order of their numbers; bytes are read feed by feed. Throws SafetensorsError, DataError. */
export async function* readFeedFile(source: ByteSource, path: string): AsyncGenerator<DataRecord> {
  const feeds = feedsByNumber(readSafetensors(source).tensors, path);
  for (const number of [...feeds.keys()].toSorted((a, b) => a - b)) {
    const inputs: Feeds = Object.fromEntries(
      [...(feeds.get(number) ?? [])].map(([name, tensor]) => [
        name,
        runtimeTensor(name, tensor, path),
      ]),
    );
    yield { inputs, place: { path, line: number + 1, unit: "feed" } };
    await Promise.resolve();
  }
}

type Named = Map<string, Tensor>;

function feedsByNumber(tensors: ReadonlyMap<string, Tensor>, path: string): Map<number, Named> {
  const feeds = new Map<number, Named>();
  const plain: string[] = [];
  for (const [key, tensor] of tensors) {
    const { number, name } = NUMBERED.exec(key)?.groups ?? {};
    if (number === undefined || name === undefined) plain.push(key);
    const feed = feeds.get(Number(number ?? 0)) ?? new Map<string, Tensor>();
    feeds.set(Number(number ?? 0), feed.set(name ?? key, tensor));
  }
  if (plain.length > 0 && plain.length < tensors.size)
    throw new DataError(path, undefined, `"${plain[0]}" has no number, others have one`, EXPECTED);
  return feeds;
}

/** Types that no runtime takes as they are become float32. */
function runtimeTensor(name: string, tensor: Tensor, path: string): RuntimeTensor {
  const { dtype, dims } = tensor;
  if (dtype === "complex64")
    throw new DataError(path, undefined, `"${name}" holds complex numbers`, "real numbers");
  if (!isRunnable(dtype)) return { dtype: "float32", dims, data: floatsOf(tensor) };
  const bytes = tensor.data.read();
  const type = ELEMENTS[dtype];
  const aligned = bytes.byteOffset % type.BYTES_PER_ELEMENT === 0 ? bytes : bytes.slice();
  const count = bytes.byteLength / type.BYTES_PER_ELEMENT;
  return { dtype, dims, data: new type(aligned.buffer as ArrayBuffer, aligned.byteOffset, count) };
}
