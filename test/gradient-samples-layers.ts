// Samples for the gradients of products and normalizations.
import fc from "fast-check";
import type { AttributeInput } from "../src/graph/attribute.js";
import { broadcast, float, floatsIn, narrowed, shapes, type Samples } from "./gradient-samples.js";

const size = fc.integer({ min: 1, max: 4 });
const mnk = fc.tuple(size, size, size);

/** Matrices with batch axes that broadcast, or vectors. */
const matMul: Samples = fc
  .tuple(broadcast(2), mnk, fc.nat(5))
  .chain(([[left, right], [m, k, n], form]) => {
    const a = form === 0 ? [k] : [...left, m, k];
    const b = form === 1 ? [k] : [...right, k, n];
    return fc.tuple(floatsIn(a), floatsIn(b)).map((inputs) => ({ inputs }));
  });

const scale = fc.constantFrom(1, 0.5, -2).map(float);

const fusedMatMul: Samples = fc
  .tuple(broadcast(2), mnk, fc.record({ transA: fc.nat(1), transB: fc.nat(1), alpha: scale }))
  .chain(([[left, right], [m, k, n], attributes]) => {
    const a = attributes.transA === 1 ? [k, m] : [m, k];
    const b = attributes.transB === 1 ? [n, k] : [k, n];
    return fc
      .tuple(floatsIn([...left, ...a]), floatsIn([...right, ...b]))
      .map((inputs) => ({ inputs, attributes }));
  });

const gemm: Samples = fc
  .tuple(
    mnk,
    fc.record({ transA: fc.nat(1), transB: fc.nat(1), alpha: scale, beta: scale }),
    fc.boolean(),
  )
  .chain(([[m, k, n], attributes, bias]) =>
    narrowed([m, n]).chain((shape) =>
      fc
        .tuple(
          floatsIn(attributes.transA === 1 ? [k, m] : [m, k]),
          floatsIn(attributes.transB === 1 ? [n, k] : [k, n]),
          floatsIn(shape),
        )
        .map(([a, b, c]) => ({ inputs: bias ? [a, b, c] : [a, b], attributes })),
    ),
  );

/** Equations, with a letter for each axis; "..." stands for the axes b and h. */
const einsum: Samples = fc
  .tuple(
    fc.constantFrom(
      "ij,jk->ik",
      "bij,bjk->bik",
      "bhqd,bhkd->bhqk",
      "bqhd,bkhd->bhqk",
      "...ij,...jk->...ik",
      "ij,kj",
      "i,j->ij",
      "ij->ji",
      "ijk->ik",
      "bij,j->bi",
      "bi,bi->b",
    ),
    fc.array(size, { minLength: 26, maxLength: 26 }),
  )
  .chain(([equation, sizes]) => {
    const [left = ""] = equation.split("->");
    const terms = left.split(",").map((term) => term.replace("...", "bh"));
    const dims = (term: string) => [...term].map((letter) => sizes[letter.charCodeAt(0) - 97] ?? 1);
    return fc
      .tuple(...terms.map((term) => floatsIn(dims(term))))
      .map((inputs) => ({ inputs, attributes: { equation } }));
  });

/** One or two spatial axes, each with a stride, a dilation and pads of its own, and groups. */
const convolution: Samples = fc
  .tuple(
    fc.integer({ min: 1, max: 2 }),
    fc.tuple(...[1, 2, 3, 4].map(() => fc.integer({ min: 1, max: 2 }))),
    fc.boolean(),
  )
  .chain(([spatial, [batch = 1, group = 1, into = 1, out = 1], biased]) => {
    const axis = fc.record({
      kernel: fc.integer({ min: 1, max: 3 }),
      stride: fc.integer({ min: 1, max: 3 }),
      dilation: fc.integer({ min: 1, max: 2 }),
      begin: fc.nat(1),
      end: fc.nat(1),
      more: fc.nat(4),
    });
    return fc.array(axis, { minLength: spatial, maxLength: spatial }).chain((axes) => {
      const sizes = axes.map((a) => a.dilation * (a.kernel - 1) + 1 + a.more);
      const kernel = axes.map((a) => a.kernel);
      return fc
        .tuple(
          floatsIn([batch, group * into, ...sizes]),
          floatsIn([group * out, into, ...kernel]),
          floatsIn([group * out]),
        )
        .map(([x, w, bias]) => ({
          inputs: biased ? [x, w, bias] : [x, w],
          attributes: {
            strides: axes.map((a) => a.stride),
            dilations: axes.map((a) => a.dilation),
            pads: [...axes.map((a) => a.begin), ...axes.map((a) => a.end)],
            group,
          },
        }));
    });
  });

const NEAR_ONE = { low: 0.5, high: 1.5 };
/** Rows of at least three, so that they do not all normalize to the same. */
const rows = fc
  .tuple(shapes(0, 2), fc.integer({ min: 3, max: 6 }))
  .map(([lead, last]) => [...lead, last]);
const spread = { low: -2, high: 2 };
const epsilon = fc.constantFrom(1e-5, 1e-2, 0.5).map(float);

const layerNormalization: Samples = rows.chain((dims) =>
  fc
    .tuple(
      fc.integer({ min: -dims.length, max: dims.length - 1 }),
      fc.boolean(),
      fc.constantFrom([0], [0], [0, 1, 2], [1, 2], [1], [2]),
    )
    .chain(([axis, bias, read]) => {
      const tail = dims.slice(axis);
      return fc
        .tuple(floatsIn(dims, spread), floatsIn(tail, NEAR_ONE), floatsIn(tail), epsilon)
        .map(([x, scale, shift, eps]) => ({
          inputs: bias ? [x, scale, shift] : [x, scale],
          attributes: { axis, epsilon: eps },
          outputs: Math.max(...read) + 1,
          read,
        }));
    }),
);

/** Output 1, where there is one, is one over the root mean square. */
const rms = (opset: number, read: fc.Arbitrary<number[]>): Samples =>
  rows.chain((dims) =>
    fc
      .tuple(floatsIn(dims, spread), floatsIn(dims.slice(-1), NEAR_ONE), epsilon, read)
      .map(([x, scale, eps, outputs]) => ({
        inputs: [x, scale],
        attributes: { axis: -1, epsilon: eps },
        outputs: Math.max(...outputs) + 1,
        read: outputs,
        opset,
      })),
  );

/** [batch, tokens, width] and a skip of the same shape; output 3 is their sum. */
const skip = (centered: boolean): Samples =>
  fc
    .tuple(size, size, fc.integer({ min: 3, max: 6 }), fc.boolean(), fc.constantFrom([0], [0, 3]))
    .chain(([batch, tokens, width, biased, read]) => {
      const dims = [batch, tokens, width];
      return fc
        .tuple(
          floatsIn(dims, spread),
          floatsIn(dims),
          floatsIn([width], NEAR_ONE),
          floatsIn([width]),
          floatsIn([width]),
          epsilon,
        )
        .map(([x, other, scale, shift, bias, eps]) => {
          const end = biased ? [bias] : [];
          const inputs = [x, other, scale, ...(centered ? [shift] : []), ...end];
          return { inputs, attributes: { epsilon: eps }, outputs: read.length === 1 ? 1 : 4, read };
        });
    });

const channels = fc.tuple(size, size, shapes(1, 2)).map(([n, c, rest]) => [n, c, ...rest]);

const batchNormalization: Samples = channels.chain((dims) => {
  const each = dims.slice(1, 2);
  return fc
    .tuple(
      floatsIn(dims, spread),
      floatsIn(each, NEAR_ONE),
      floatsIn(each),
      floatsIn(each),
      floatsIn(each, NEAR_ONE),
      epsilon,
    )
    .map(([x, scale, bias, mean, variance, eps]) => ({
      inputs: [x, scale, bias, mean, variance],
      attributes: { epsilon: eps } as Readonly<Record<string, AttributeInput>>,
    }));
});

const instanceNormalization: Samples = channels.chain((dims) => {
  // Three elements at least to a channel.
  const shape = [...dims.slice(0, 2), 3, ...dims.slice(2, 3)];
  return fc
    .tuple(
      floatsIn(shape, spread),
      floatsIn(dims.slice(1, 2), NEAR_ONE),
      floatsIn(dims.slice(1, 2)),
      epsilon,
    )
    .map(([x, scale, bias, eps]) => ({
      inputs: [x, scale, bias],
      attributes: { epsilon: eps },
    }));
});

export const LAYER_SAMPLES: Readonly<Record<string, Samples>> = {
  MatMul: matMul,
  "com.microsoft.FusedMatMul": fusedMatMul,
  Gemm: gemm,
  Einsum: einsum,
  Conv: convolution,
  LayerNormalization: layerNormalization,
  RMSNormalization: rms(23, fc.constant([0])),
  SimplifiedLayerNormalization: rms(18, fc.constantFrom([0], [0, 1], [1])),
  "com.microsoft.SkipLayerNormalization": skip(true),
  "com.microsoft.SkipSimplifiedLayerNormalization": skip(false),
  BatchNormalization: batchNormalization,
  InstanceNormalization: instanceNormalization,
};
