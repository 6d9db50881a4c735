// Samples for the gradients of operators that move elements.
import fc from "fast-check";
import { elementCount } from "../src/onnx/dtypes.js";
import type { Operand } from "./finite-differences.js";
import {
  axesOf,
  axisOf,
  constant,
  floatsIn,
  int64,
  integers,
  narrowed,
  positions,
  shapes,
  type Samples,
} from "./gradient-samples.js";

const reshape: Samples = shapes(1, 4).chain((dims) =>
  fc.tuple(fc.nat(dims.length), fc.boolean(), floatsIn(dims)).chain(([cut, open, x]) => {
    const target = [elementCount(dims.slice(0, cut)), ...dims.slice(cut)];
    return integers(open ? target.with(0, -1) : target).map((shape) => ({ inputs: [x, shape] }));
  }),
);

const flatten: Samples = shapes(1, 4).chain((dims) =>
  fc
    .tuple(floatsIn(dims), fc.integer({ min: -dims.length, max: dims.length }))
    .map(([x, axis]) => ({ inputs: [x], attributes: { axis } })),
);

/** A shape with axes of size 1, and which those are. */
const withOnes = shapes(1, 3).chain((dims) =>
  axesOf(dims.length, 1).map((axes) => {
    const at = axes.map((axis) => (axis < 0 ? axis + dims.length : axis));
    return { axes, dims: dims.map((dim, i) => (at.includes(i) ? 1 : dim)) };
  }),
);

const squeeze: Samples = withOnes.chain(({ axes, dims }) =>
  floatsIn(dims).map((x) => ({ inputs: [x, constant(axes)] })),
);

const unsqueeze: Samples = fc
  .tuple(shapes(0, 3), fc.integer({ min: 1, max: 2 }))
  .chain(([dims, more]) => {
    const count = { minLength: more, maxLength: more };
    const all = [...Array(dims.length + more).keys()];
    return fc
      .tuple(floatsIn(dims), fc.shuffledSubarray(all, count))
      .map(([x, axes]) => ({ inputs: [x, constant(axes)] }));
  });

const transpose: Samples = shapes(1, 4).chain((dims) =>
  fc
    .tuple(
      floatsIn(dims),
      fc.option(
        fc.shuffledSubarray([...dims.keys()], { minLength: dims.length, maxLength: dims.length }),
      ),
    )
    .map(([x, perm]) => ({ inputs: [x], attributes: perm === null ? {} : { perm } })),
);

const expand: Samples = shapes(0, 4).chain((dims) =>
  narrowed(dims).chain((narrow) =>
    fc.tuple(floatsIn(narrow), integers(dims)).map(([x, shape]) => ({ inputs: [x, shape] })),
  ),
);

const tile: Samples = shapes(1, 3).chain((dims) =>
  fc
    .tuple(
      floatsIn(dims),
      fc.tuple(...dims.map(() => fc.integer({ min: 1, max: 3 }))).chain((times) => integers(times)),
    )
    .map(([x, repeats]) => ({ inputs: [x, repeats] })),
);

const trilu: Samples = shapes(2, 4).chain((dims) =>
  fc
    .tuple(
      floatsIn(dims),
      fc.constantFrom(0, 1),
      fc.option(fc.integer({ min: -3, max: 3 }).chain((k) => integers([k], []))),
    )
    .map(([x, upper, k]) => ({ inputs: [x, k ?? undefined], attributes: { upper } })),
);

const concat: Samples = shapes(1, 4).chain((dims) =>
  fc
    .tuple(
      axisOf(dims.length),
      fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 }),
    )
    .chain(([axis, parts]) => {
      const at = axis < 0 ? axis + dims.length : axis;
      return fc
        .tuple(...parts.map((part) => floatsIn(dims.with(at, part))))
        .map((inputs) => ({ inputs, attributes: { axis } }));
    }),
);

const split: Samples = shapes(1, 4).chain((dims) =>
  fc
    .tuple(
      axisOf(dims.length),
      fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 }),
    )
    .chain(([axis, parts]) => {
      const at = axis < 0 ? axis + dims.length : axis;
      const whole = dims.with(
        at,
        parts.reduce((sum, part) => sum + part, 0),
      );
      const outputs = parts.length;
      return fc
        .tuple(floatsIn(whole), integers(parts), fc.subarray([...parts.keys()], { minLength: 1 }))
        .map(([x, sizes, read]) => ({ inputs: [x, sizes], attributes: { axis }, outputs, read }));
    }),
);

/** Elements that start : end : step takes of `length`. */
function taken({ start, end, step }: Cut, length: number): number {
  const at = (i: number, low: number, high: number) =>
    Math.min(Math.max(i < 0 ? i + length : i, low), high);
  const span =
    step > 0
      ? at(end, 0, length) - at(start, 0, length)
      : at(end, -1, length - 1) - at(start, 0, length - 1);
  return Math.max(0, Math.ceil(span / step));
}

interface Cut {
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** Starts and ends inside and outside the axis, from either end. */
const slice: Samples = shapes(1, 4).chain((dims) =>
  axesOf(dims.length).chain((axes) => {
    const length = (axis: number) => dims.at(axis) ?? 1;
    const bound = (axis: number) => fc.integer({ min: -length(axis) - 1, max: length(axis) + 1 });
    const cut = (axis: number): fc.Arbitrary<Cut> =>
      fc.constantFrom(1, 1, 1, 2, 3, -1, -2).chain((step) => {
        // onnxruntime takes the greatest int32 for "to the end" whichever way it goes.
        const far = step > 0 ? 2 ** 31 - 1 : -(2 ** 31);
        const end = fc.oneof(bound(axis), fc.constant(far));
        return fc.record({ start: bound(axis), end, step: fc.constant(step) });
      });
    return fc
      .tuple(floatsIn(dims), fc.tuple(...axes.map(cut)), fc.boolean())
      .map(([x, cuts, free]) => {
        // Where nothing is taken, a computed shape of the loss would hold a 0, which Reshape reads as "as before".
        const empty = cuts.some((one, i) => taken(one, length(axes[i] ?? 0)) === 0);
        const list = (of: (c: Cut) => number): Operand => ({
          tensor: int64(cuts.map(of), [cuts.length]),
          constant: !free || empty,
        });
        const [starts, ends] = [list(({ start }) => start), list(({ end }) => end)];
        const steps = constant(cuts.map(({ step }) => step));
        return { inputs: [x, starts, ends, constant(axes), steps], numbered: empty };
      });
  }),
);

const pad: Samples = shapes(1, 3).chain((dims) =>
  fc
    .tuple(
      fc.constantFrom("constant", "constant", "reflect", "edge", "wrap"),
      axesOf(dims.length, 1),
      fc.boolean(),
    )
    .chain(([mode, some, narrow]) => {
      const axes = narrow ? some : [...dims.keys()];
      const amount = (axis: number) => {
        const length = dims.at(axis) ?? 1;
        // Reflecting goes at most once, and cutting leaves something.
        return mode === "constant"
          ? fc.integer({ min: -Math.floor((length - 1) / 2), max: 2 })
          : fc.integer({ min: 0, max: Math.min(2, length - 1) });
      };
      return fc
        .tuple(
          floatsIn(dims),
          fc.tuple(...[...axes, ...axes].map(amount)).chain((amounts) => integers(amounts)),
          fc.option(floatsIn([])),
        )
        .map(([x, pads, fill]) => ({
          inputs: [
            x,
            pads,
            mode === "constant" ? (fill ?? undefined) : undefined,
            ...(narrow ? [constant(axes)] : []),
          ],
          attributes: { mode },
          opset: mode === "wrap" ? 19 : 18,
        }));
    }),
);

const gather: Samples = fc
  .tuple(shapes(1, 3), shapes(0, 2))
  .chain(([dims, picked]) =>
    axisOf(dims.length).chain((axis) =>
      fc
        .tuple(floatsIn(dims), positions(picked, dims.at(axis) ?? 1))
        .map(([x, indices]) => ({ inputs: [x, indices], attributes: { axis } })),
    ),
  );

const gatherElements: Samples = shapes(1, 3).chain((dims) =>
  fc.tuple(axisOf(dims.length), fc.integer({ min: 1, max: 5 })).chain(([axis, count]) => {
    const at = axis < 0 ? axis + dims.length : axis;
    return fc
      .tuple(floatsIn(dims), positions(dims.with(at, count), dims[at] ?? 1))
      .map(([x, indices]) => ({ inputs: [x, indices], attributes: { axis } }));
  }),
);

/** Data with leading batch axes, and tuples of positions into it. */
const tuples = fc
  .tuple(
    fc.nat(2),
    fc.integer({ min: 1, max: 2 }),
    fc.nat(1),
    shapes(0, 2),
    fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 5, maxLength: 5 }),
  )
  .chain(([batch, depth, rest, more, sizes]) => {
    const dims = sizes.slice(0, batch + depth + rest);
    const indexed = dims.slice(batch, batch + depth);
    const lead = [...dims.slice(0, batch), ...more];
    const count = elementCount(lead);
    const tuple = fc.tuple(...indexed.map((n) => fc.integer({ min: -n, max: n - 1 })));
    return fc
      .array(tuple, { minLength: count, maxLength: count })
      .chain((list) => integers(list.flat(), [...lead, depth]))
      .map((indices) => ({ batch, dims, indices, depth, lead }));
  })
  // The depth of the tuples is a part of the operator's form.
  .map((one) => ({ ...one, indices: { ...one.indices, constant: true } }));

const gatherND: Samples = tuples.chain(({ batch, dims, indices }) =>
  floatsIn(dims).map((x) => ({ inputs: [x, indices], attributes: { batch_dims: batch } })),
);

/** Each position at most once, where updates replace. */
const scatterElements: Samples = shapes(1, 3).chain((dims) =>
  fc.tuple(axisOf(dims.length), fc.boolean()).chain(([axis, adds]) => {
    const at = axis < 0 ? axis + dims.length : axis;
    const length = dims[at] ?? 1;
    const once = fc.shuffledSubarray([...Array(length).keys()], { minLength: 1 }).map((order) => {
      const shape = dims.with(at, order.length);
      const inner = elementCount(dims.slice(at + 1));
      const list = Array.from(
        { length: elementCount(shape) },
        (_, i) => order[Math.floor(i / inner) % order.length] ?? 0,
      );
      return { tensor: int64(list, shape), constant: false };
    });
    const indices = adds
      ? fc.integer({ min: 1, max: 4 }).chain((n) => positions(dims.with(at, n), length))
      : once;
    return indices.chain((picked) =>
      fc.tuple(floatsIn(dims), floatsIn(picked.tensor.dims)).map(([x, updates]) => ({
        inputs: [x, picked, updates],
        attributes: { axis, ...(adds ? { reduction: "add" } : {}) },
      })),
    );
  }),
);

const scatterND: Samples = fc.tuple(shapes(1, 3), fc.boolean()).chain(([dims, adds]) => {
  const length = dims[0] ?? 1;
  const rows = adds
    ? fc.array(fc.nat(length - 1), { minLength: 1, maxLength: 4 })
    : fc.shuffledSubarray([...Array(length).keys()], { minLength: 1 });
  return rows.chain((list) =>
    fc
      .tuple(
        floatsIn(dims),
        floatsIn([list.length, ...dims.slice(1)]),
        integers(list, [list.length, 1], fc.constant(true)),
      )
      .map(([x, updates, indices]) => ({
        inputs: [x, indices, updates],
        attributes: adds ? { reduction: "add" } : {},
      })),
  );
});

export const MOVEMENT_SAMPLES: Readonly<Record<string, Samples>> = {
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: transpose,
  Expand: expand,
  Tile: tile,
  Trilu: trilu,
  Concat: concat,
  Split: split,
  Slice: slice,
  Pad: pad,
  Gather: gather,
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterElements: scatterElements,
  ScatterND: scatterND,
};
