// The walk of a convolution over its input: which input and weight elements each output element multiplies.
import { product, unsupported, type Call } from "./kernel.js";

export interface Convolution {
  /** [N, M, …spatial]. */
  readonly dims: readonly number[];
  readonly size: number;
  /** Output channel of output element `at`. */
  channel(at: number): number;
  /** Offsets into input and weight of the products that output element `at` sums; the padding has none. */
  terms(at: number): Iterable<readonly [number, number]>;
}

/** For x [N, C, …spatial] and w [M, C / group, …kernel], with the node's strides, pads, dilations and group. */
export function convolutionOf(call: Call, x: readonly number[], w: readonly number[]): Convolution {
  const { node } = call;
  const [batch = 1, channels = 1, ...spatial] = x;
  const [outputs = 1, width = 1, ...kernel] = w;
  const group = node.int("group", 1);
  const ones = spatial.map(() => 1);
  const strides = node.ints("strides") ?? ones;
  const dilations = node.ints("dilations") ?? ones;
  if (channels !== width * group || kernel.length !== spatial.length)
    throw unsupported(node, `a weight [${w.join(", ")}] for [${x.join(", ")}] in ${group} groups`);
  const reach = kernel.map((k, i) => (k - 1) * (dilations[i] ?? 1) + 1);
  const { before, after } = padsOf(call, spatial, reach, strides);
  const out = spatial.map(
    (size, i) =>
      Math.floor(
        (size + (before[i] ?? 0) + (after[i] ?? 0) - (reach[i] ?? 1)) / (strides[i] ?? 1),
      ) + 1,
  );
  const [plane, inPlane, taps] = [product(out), product(spatial), product(kernel)];
  const channel = (at: number) => Math.floor(at / plane) % outputs;
  function* terms(at: number): Generator<readonly [number, number]> {
    const m = channel(at);
    const n = Math.floor(at / (plane * outputs));
    const place = unravel(at % plane, out);
    const first = Math.floor(m / (outputs / group)) * width;
    for (let tap = 0; tap < taps; tap++) {
      const k = unravel(tap, kernel);
      const from = place.map(
        (p, i) => p * (strides[i] ?? 1) - (before[i] ?? 0) + (k[i] ?? 0) * (dilations[i] ?? 1),
      );
      if (from.some((p, i) => p < 0 || p >= (spatial[i] ?? 0))) continue;
      const inside = from.reduce((sum, p, i) => sum * (spatial[i] ?? 1) + p, 0);
      for (let c = 0; c < width; c++)
        yield [(n * channels + first + c) * inPlane + inside, (m * width + c) * taps + tap];
    }
  }
  const dims = [batch, outputs, ...out];
  return { dims, size: product(dims), channel, terms };
}

function unravel(at: number, dims: readonly number[]): number[] {
  const place: number[] = [];
  let rest = at;
  for (const size of dims.toReversed()) {
    place.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return place;
}

function padsOf(
  { node }: Call,
  spatial: readonly number[],
  reach: readonly number[],
  strides: readonly number[],
): { before: readonly number[]; after: readonly number[] } {
  const auto = node.string("auto_pad", "NOTSET");
  if (auto === "SAME_UPPER" || auto === "SAME_LOWER") {
    const total = spatial.map((size, i) => {
      const stride = strides[i] ?? 1;
      return Math.max(0, (Math.ceil(size / stride) - 1) * stride + (reach[i] ?? 1) - size);
    });
    const [half, rest] = [total.map((t) => Math.floor(t / 2)), total.map((t) => Math.ceil(t / 2))];
    return auto === "SAME_UPPER" ? { before: half, after: rest } : { before: rest, after: half };
  }
  const pads = (auto === "NOTSET" ? node.ints("pads") : undefined) ?? [];
  return { before: pads.slice(0, spatial.length), after: pads.slice(spatial.length) };
}
