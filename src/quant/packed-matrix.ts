// A weight in packed blocks, made when its bytes are asked for: the plan costs no memory, and writing costs one matrix at a time.
import { WeightNotFiniteError } from "../errors.js";
import { lazyTensor, type Tensor } from "../onnx/tensor.js";
import { floatsOf } from "../onnx/values.js";
import { BITS, blockCount, packBlocks, zeroPointBytes, type PackedBlocks } from "./blocks.js";
import type { BlockWeight } from "./plan.js";
import type { MatrixView } from "./weight-view.js";

export interface PackedMatrix {
  /** uint8 [N, blocks, block · bits / 8]. */
  readonly codes: Tensor;
  /** float32 [N · blocks]. */
  readonly scales: Tensor;
  /** uint8 [N · ⌈blocks · bits / 8⌉]; absent where symmetric. */
  readonly zeroPoints?: Tensor;
}

/**
 * The packed form of a weight [K, N]. It is read when codes or scales are, not now; scales and zero points are kept (they are small), codes
 * and floats are not. Reading throws WeightNotFiniteError for NaN or Inf.
 */
export function packedMatrix(view: MatrixView, spec: BlockWeight): PackedMatrix {
  const { initializer, rows: depth, cols: columns } = view;
  const source = initializer.tensor;
  if (source === undefined) throw new Error(`internal: "${initializer.name}" is no constant`);
  let kept: Omit<PackedBlocks, "codes"> | undefined;
  const pack = (): PackedBlocks => {
    const stored = floatsOf(source);
    const values = view.transposed ? stored : transposed(stored, depth, columns);
    const { codes, ...rest } = packBlocks(values, columns, depth, spec, (at) => {
      const index = view.transposed ? at : (at % depth) * columns + Math.floor(at / depth);
      throw new WeightNotFiniteError(initializer.name, stored[index] ?? Number.NaN, index);
    });
    kept = rest;
    return { codes, ...rest };
  };
  const blocks = blockCount(depth, spec.block);
  const bytes = (spec.block * BITS[spec.dtype]) / 8;
  const codes = lazyTensor("uint8", [columns, blocks, bytes], () => pack().codes);
  const scales = lazyTensor("float32", [columns * blocks], () => {
    const { buffer, byteOffset, byteLength } = (kept ?? pack()).scales;
    return new Uint8Array(buffer, byteOffset, byteLength);
  });
  if (spec.scheme === "symmetric") return { codes, scales };
  const zeroPoints = lazyTensor("uint8", [columns * zeroPointBytes(depth, spec)], () => {
    const { zeroPoints: zeros } = kept ?? pack();
    if (zeros === undefined) throw new Error("internal: asymmetric blocks without zero points");
    return zeros;
  });
  return { codes, scales, zeroPoints };
}

/** The transpose of a row-major matrix [rows, cols], in blocks that stay in the cache. */
function transposed(values: Float32Array, rows: number, cols: number): Float32Array {
  const out = new Float32Array(values.length);
  const block = 32;
  for (let r0 = 0; r0 < rows; r0 += block) {
    const r1 = Math.min(rows, r0 + block);
    for (let c0 = 0; c0 < cols; c0 += block) {
      const c1 = Math.min(cols, c0 + block);
      for (let r = r0; r < r1; r++)
        for (let c = c0; c < c1; c++) out[c * rows + r] = values[r * cols + c] as number;
    }
  }
  return out;
}
