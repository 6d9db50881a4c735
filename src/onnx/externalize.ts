// Moves tensors of a model out into a data file and back in. Works on messages alone; nothing is read and nothing is written here.
import type { ExternalData } from "./external.js";
import type { Blob, ModelProto, TensorProto } from "./proto.js";
import { messageType, type MessageType, type PlainMessage } from "./schema.js";
import { tensorFromProto, tensorToProto, withoutData } from "./tensor-proto.js";

/** Tensors below this many bytes stay in the model: runtimes look at small ones (shapes, axes) while they load the graph. */
const SMALLEST = 1024;
/** A page of memory, so that runtimes can map a tensor instead of copying it. */
const PAGE = 4096;
/** Windows maps files in steps of 64 KB. From `LARGE` on that costs at most a sixteenth, and small tensors are not worth it. */
const GRANULE = 65_536;
const LARGE = 1_048_576;

const EXTERNAL = 1;

/** Content of a data file: blobs in ascending order, zeros between them. */
export interface Layout {
  readonly model: ModelProto;
  readonly pieces: readonly { readonly offset: number; readonly blob: Blob }[];
  readonly size: number;
}

/** The model with every tensor that stands in another file made a part of it again, still unread. Throws ExternalDataError. */
export function internalize(model: ModelProto, external?: ExternalData): ModelProto {
  return mapTensors(model, (tensor) =>
    tensor.dataLocation === EXTERNAL
      ? tensorToProto(undefined, tensorFromProto(tensor, external))
      : tensor,
  );
}

/** The model with the large initializers of all its graphs replaced by references into a file `location`, and what that file holds. */
export function externalize(model: ModelProto, location: string): Layout {
  const pieces: { offset: number; blob: Blob }[] = [];
  let size = 0;
  const lean = mapTensors(model, (tensor, isInitializer) => {
    if (!isInitializer || !isLarge(tensor)) return tensor;
    const handle = tensorFromProto(tensor);
    const blob = handle.data;
    if (handle.dtype === "string" || blob.byteLength < SMALLEST) return tensor;
    const step = blob.byteLength >= LARGE ? GRANULE : PAGE;
    const offset = Math.ceil(size / step) * step;
    pieces.push({ offset, blob });
    size = offset + blob.byteLength;
    return {
      ...withoutData(tensor),
      dataLocation: EXTERNAL,
      externalData: [
        { key: "location", value: location },
        { key: "offset", value: String(offset) },
        { key: "length", value: String(blob.byteLength) },
      ],
    };
  });
  return { model: lean, pieces, size };
}

function isLarge({
  rawData,
  floatData,
  int32Data,
  int64Data,
  doubleData,
  uint64Data,
}: TensorProto) {
  const blobs = [rawData, floatData, int32Data, int64Data, doubleData, uint64Data];
  return blobs.some((blob) => blob !== undefined && blob.byteLength >= SMALLEST);
}

/** The bytes of a data file, in order; blobs are read when reached and not kept. */
export function* layoutChunks({ pieces }: Layout): Generator<Uint8Array> {
  let at = 0;
  for (const { offset, blob } of pieces) {
    if (offset > at) yield new Uint8Array(offset - at);
    yield blob.read();
    at = offset + blob.byteLength;
  }
}

type Change = (tensor: TensorProto, isInitializer: boolean) => TensorProto;

const tensorType = messageType("TensorProto");
const graphType = messageType("GraphProto");

/** A copy of the model with its tensors changed, wherever they stand; messages without a changed tensor are shared with the original. */
function mapTensors(model: ModelProto, change: Change): ModelProto {
  // oxlint-disable-next-line typescript/no-unnecessary-type-assertion -- the compiler needs it: interfaces have no index signature
  return mapMessage(model as PlainMessage, messageType("ModelProto"), change);
}

function mapMessage(message: PlainMessage, type: MessageType, change: Change): PlainMessage {
  let copy: PlainMessage | undefined;
  for (const field of type.fields) {
    const value = message[field.name];
    if (field.shape !== "message" || value === undefined) continue;
    const map = (inner: PlainMessage): PlainMessage =>
      field.type === tensorType
        ? // oxlint-disable-next-line typescript/no-unnecessary-type-assertion -- as above
          (change(inner, type === graphType) as PlainMessage)
        : mapMessage(inner, field.type, change);
    const changed = field.many ? mapList(value as PlainMessage[], map) : map(value as PlainMessage);
    if (changed !== value) (copy ??= { ...message })[field.name] = changed;
  }
  return copy ?? message;
}

function mapList(list: PlainMessage[], map: (one: PlainMessage) => PlainMessage): PlainMessage[] {
  const changed = list.map(map);
  return changed.every((one, i) => one === list[i]) ? list : changed;
}
