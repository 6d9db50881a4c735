// Samples for the gradients of attention.
import fc from "fast-check";
import { tensorOf } from "../src/onnx/tensor.js";
import type { Operand } from "./finite-differences.js";
import { floatsIn, type Samples } from "./gradient-samples.js";

const float = (value: number) => ({ type: "float", value }) as const;

const lengths = (values: readonly number[], dims: readonly number[]): Operand => ({
  tensor: tensorOf("int32", dims, Int32Array.from(values)),
  constant: true,
});

const HEADS = 2;
const WIDTH = 4;

const packed: Samples = fc
  .record({ tokens: fc.integer({ min: 1, max: 4 }), masked: fc.boolean(), causal: fc.boolean() })
  .chain(({ tokens, masked, causal }) =>
    fc
      .tuple(floatsIn([2, tokens, 3]), floatsIn([3, 3 * WIDTH]), floatsIn([3 * WIDTH]))
      .map((inputs) => ({
        inputs: masked ? [...inputs, lengths([tokens, 1], [2])] : inputs,
        attributes: { num_heads: HEADS, unidirectional: Number(causal) },
        numbered: true,
      })),
  );

const multiHead: Samples = fc
  .record({ tokens: fc.integer({ min: 1, max: 4 }), keys: fc.integer({ min: 1, max: 4 }) })
  .chain(({ tokens, keys }) =>
    fc
      .tuple(
        floatsIn([2, tokens, WIDTH]),
        floatsIn([2, keys, WIDTH]),
        floatsIn([2, keys, WIDTH]),
        floatsIn([3 * WIDTH]),
      )
      .map((inputs) => ({
        inputs,
        attributes: { num_heads: HEADS, scale: float(0.5) },
        numbered: true,
      })),
  );

const standard: Samples = fc
  .record({ tokens: fc.integer({ min: 1, max: 4 }), causal: fc.boolean(), capped: fc.boolean() })
  .chain(({ tokens, causal, capped }) =>
    fc
      .tuple(
        floatsIn([2, 4, tokens, 3]),
        floatsIn([2, 2, tokens, 3]),
        floatsIn([2, 2, tokens, 3]),
        floatsIn([tokens, tokens]),
      )
      .map((inputs) => ({
        inputs,
        attributes: { is_causal: Number(causal), ...(capped ? { softcap: float(2) } : {}) },
        opset: 23,
        numbered: true,
      })),
  );

export const ATTENTION_SAMPLES: Readonly<Record<string, Samples>> = {
  Attention: standard,
  "com.microsoft.Attention": packed,
  "com.microsoft.MultiHeadAttention": multiHead,
};
