// Strides and offsets: the one way in which the rules walk through tensors.

/** Row-major strides, in elements. */
export function stridesOf(dims: readonly number[]): number[] {
  const strides = dims.map(() => 1);
  let stride = 1;
  for (let i = dims.length - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= dims[i] ?? 1;
  }
  return strides;
}

/** Strides that walk a tensor of shape `dims` as if it had been broadcast to `to`; undefined where it does not broadcast. */
function broadcastStrides(dims: readonly number[], to: readonly number[]): number[] | undefined {
  const offset = to.length - dims.length;
  if (offset < 0) return undefined;
  const own = stridesOf(dims);
  const strides: number[] = [];
  for (const [i, size] of to.entries()) {
    const dim = i < offset ? 1 : (dims[i - offset] ?? 1);
    if (dim !== 1 && dim !== size) return undefined;
    strides.push(dim === 1 ? 0 : (own[i - offset] ?? 0));
  }
  return strides;
}

/** The offset of each element of a `dims` walk with `strides` that begins at `start`, in row-major order. */
export function offsetsOf(
  dims: readonly number[],
  strides: readonly number[],
  start = 0,
): Int32Array {
  let count = 1;
  for (const d of dims) count *= d;
  const offsets = new Int32Array(count);
  if (count === 0) return offsets;
  offsets[0] = start;
  // Grows from the innermost axis outwards: each axis repeats what is there, shifted by its stride.
  let filled = 1;
  for (let axis = dims.length - 1; axis >= 0; axis--) {
    const size = dims[axis] ?? 1;
    const stride = strides[axis] ?? 0;
    for (let i = 1; i < size; i++)
      for (let j = 0; j < filled; j++) offsets[i * filled + j] = (offsets[j] ?? 0) + i * stride;
    filled *= size;
  }
  return offsets;
}

/** The offsets of a tensor of shape `dims` broadcast to `to`; undefined where it does not broadcast. */
export function broadcastOffsets(
  dims: readonly number[],
  to: readonly number[],
): Int32Array | undefined {
  const strides = broadcastStrides(dims, to);
  return strides && offsetsOf(to, strides);
}

/** The shape that broadcasting gives, for shapes that are known; undefined where they do not broadcast. */
export function broadcastSizes(shapes: readonly (readonly number[])[]): number[] | undefined {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  const result = Array.from({ length: rank }, () => 1);
  for (const shape of shapes)
    for (const [i, dim] of shape.entries()) {
      const at = rank - shape.length + i;
      const own = result[at] ?? 1;
      if (own === 1) result[at] = dim;
      else if (dim !== 1 && dim !== own) return undefined;
    }
  return result;
}

/** The sizes where all are numbers. */
export function sizesOf(
  shape: readonly (number | string | null)[] | undefined,
): readonly number[] | undefined {
  return shape?.every((d) => typeof d === "number") ? shape : undefined;
}
