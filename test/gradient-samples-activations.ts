// Samples for the gradients of activations and of Softmax.
import fc from "fast-check";
import {
  axisOf,
  float,
  floatsIn,
  narrowed,
  one,
  shapes,
  stepsIn,
  withAttributes,
  type Samples,
} from "./gradient-samples.js";

const bent = (dims: readonly number[]) => floatsIn(dims, { low: 0.2, high: 2, signed: true });
const wide = (dims: readonly number[]) => floatsIn(dims, { low: -3, high: 3 });
/** -3.2 to 4.8, away from where the hard ones bend. */
const steps = (dims: readonly number[]) => stepsIn(dims, 4);

const alpha = fc.constantFrom({}, { alpha: float(0.3) }, { alpha: float(1.5) });

const pRelu: Samples = shapes(1, 4).chain((dims) =>
  narrowed(dims).chain((slope) =>
    fc.tuple(bent(dims), floatsIn(slope)).map((inputs) => ({ inputs })),
  ),
);

const gelu: Samples = fc
  .tuple(one(wide), fc.constantFrom("none", "tanh"))
  .map(([sample, approximate]) => ({ ...sample, attributes: { approximate }, opset: 20 }));

/** A bias along the last axis, or none. */
const biased = (needed: boolean): Samples =>
  fc
    .tuple(shapes(1, 3), fc.boolean())
    .chain(([dims, has]) =>
      fc
        .tuple(wide(dims), floatsIn(dims.slice(-1)))
        .map(([x, bias]) => ({ inputs: needed || has ? [x, bias] : [x] })),
    );

/** Along one axis; before operator set 13, over all from there on. */
const softmax: Samples = fc.tuple(shapes(1), fc.boolean()).chain(([dims, old]) =>
  fc.tuple(floatsIn(dims, { low: -2, high: 2 }), axisOf(dims.length)).map(([x, axis]) => ({
    inputs: [x],
    attributes: { axis },
    ...(old ? { opset: 12, numbered: true } : {}),
  })),
);

export const ACTIVATION_SAMPLES: Readonly<Record<string, Samples>> = {
  Erf: one(wide),
  Tanh: one(wide),
  Sigmoid: one(wide),
  Relu: one(bent),
  LeakyRelu: withAttributes(one(bent), alpha),
  PRelu: pRelu,
  Elu: withAttributes(one(bent), alpha),
  Softplus: one(wide),
  Softsign: one(bent),
  HardSigmoid: one(steps),
  HardSwish: one(steps),
  Mish: one(wide),
  Swish: withAttributes(one(wide), alpha).map((sample) => ({ ...sample, opset: 24 })),
  Gelu: gelu,
  "com.microsoft.Gelu": one(wide),
  "com.microsoft.BiasGelu": biased(true),
  "com.microsoft.FastGelu": biased(false),
  "com.microsoft.QuickGelu": withAttributes(one(wide, 1), alpha),
  Softmax: softmax,
  LogSoftmax: softmax,
};
