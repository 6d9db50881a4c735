import { describe, expect, test } from "vitest";
import { buildModel } from "../../test/build.js";
import { modelOf, runNode, type OneNode } from "../../test/one-node.js";
import { randomFrom } from "../../test/mutate.js";
import { elementsOf } from "../../test/run.js";
import type { AttributeInput } from "../graph/attribute.js";
import { DTYPES, elementCount, type DType } from "../onnx/dtypes.js";
import { float32ToFloat16 } from "../onnx/float.js";
import { int64Tensor, tensorOf, type Tensor } from "../onnx/tensor.js";
import { numbersOf } from "../onnx/values.js";
import { evaluate } from "./evaluate.js";
import { inferTypes } from "./infer.js";

const random = randomFrom(7);
const pick = (low: number, high: number) => low + Math.floor(random() * (high - low + 1));

const MAKE: { readonly [D in DType]?: (list: number[]) => ArrayBufferView } = {
  float32: (l) => Float32Array.from(l),
  float64: (l) => Float64Array.from(l),
  float16: (l) => float32ToFloat16(Float32Array.from(l)),
  int8: (l) => Int8Array.from(l),
  uint8: (l) => Uint8Array.from(l),
  int16: (l) => Int16Array.from(l),
  uint16: (l) => Uint16Array.from(l),
  int32: (l) => Int32Array.from(l),
  uint32: (l) => Uint32Array.from(l),
  int64: (l) => BigInt64Array.from(l, BigInt),
  uint64: (l) => BigUint64Array.from(l, BigInt),
  bool: (l) => Uint8Array.from(l, (x) => Number(x !== 0)),
};

function make(dtype: DType, dims: readonly number[], list: number[]): Tensor {
  const view = MAKE[dtype]?.(list);
  if (view === undefined) throw new Error(`no array for ${dtype}`);
  return tensorOf(dtype, dims, view);
}

/** Random elements: whole numbers for integers, normal sizes with a few special ones for floats. */
function some(dtype: DType, dims: readonly number[], low = -9, high = 9): Tensor {
  const { kind } = DTYPES[dtype];
  const from = kind === "uint" || kind === "bool" ? Math.max(0, low) : low;
  const one = () => (kind === "float" ? (random() * (high - low) + low) * 1.1 : pick(from, high));
  return make(dtype, dims, Array.from({ length: elementCount(dims) }, one));
}

const f = (dims: readonly number[], low?: number, high?: number) =>
  some("float32", dims, low, high);
const i = (dims: readonly number[], low?: number, high?: number) => some("int64", dims, low, high);
const ints = (...list: number[]) => int64Tensor(list);
const special = (dtype: DType = "float32") =>
  make(dtype, [12], [0, -0, 1, -1, 0.5, 1.5, 2.5, -0.5, -2.5, Infinity, -Infinity, Number.NaN]);

type Case = [
  name: string,
  inputs: readonly (Tensor | undefined)[],
  attributes?: Record<string, AttributeInput>,
  /** `ulps` is relative, `slack` absolute: what an approximation of onnxruntime's may be off by. */
  options?: { opset?: number; outputs?: number; ulps?: number; slack?: number; domain?: string },
];

/** How many representable numbers lie between two floats, at most; 0 where they are the same or both NaN. */
function distance(got: Tensor, want: Tensor, slack: number): number {
  const [a, b] = [elementsOf(got), elementsOf(want)];
  if (!(a instanceof Float32Array) || !(b instanceof Float32Array))
    return Buffer.compare(got.data.read(), want.data.read()) === 0 ? 0 : Infinity;
  const step = (x: number) => Math.max(Math.abs(x), 2 ** -126) * 2 ** -23;
  return Math.max(
    0,
    ...Array.from(a, (x, k) => {
      const y = b[k] ?? 0;
      if (Object.is(x, y) || x === y) return 0;
      const off = Math.abs(x - y);
      return off <= slack ? 0 : Number.isNaN(off) ? Infinity : off / step(y);
    }),
  );
}

async function check([op, inputs, attributes = {}, options = {}]: Case): Promise<void> {
  const { ulps = 0, slack = 0, ...rest } = options;
  const spec: OneNode = { op, inputs, attributes, ...rest };
  const want = await runNode(spec);
  const { model, node } = modelOf(spec);
  const got = evaluate(node, inputs);
  if (got === undefined) throw new Error(`${op} was not evaluated`);
  want.forEach((w, k) => {
    const g = got[k];
    expect([g?.dtype, g?.dims]).toEqual([w.dtype, w.dims]);
    if (g === undefined || distance(g, w, slack) > ulps)
      expect(g && numbersOf(g), JSON.stringify(inputs.map((t) => t && numbersOf(t)))).toEqual(
        numbersOf(w),
      );
  });
  // What is inferred of the node without its content must hold too.
  inferTypes(model);
  want.forEach((w, k) => {
    const { dtype, shape } = node.output(k);
    expect(dtype).toBe(w.dtype);
    if (shape === undefined) return;
    expect(shape.length).toBe(w.dims.length);
    shape.forEach((d, n) =>
      expect(d === null || d === w.dims[n] || typeof d === "string").toBe(true),
    );
  });
}

function all(cases: readonly Case[]): void {
  const seen = new Map<string, number>();
  for (const c of cases) {
    const n = (seen.get(c[0]) ?? 0) + 1;
    seen.set(c[0], n);
    const types = c[1].map((t) => (t ? `${t.dtype}[${t.dims.join()}]` : "-")).join(" ");
    test(`${c[0]} ${n}: ${types}`, async () => check(c));
  }
}

const NUMERIC: readonly DType[] = ["float32", "float64", "int64", "int32"];

describe("arithmetic equals onnxruntime", () => {
  const binary = (op: string, dtype: DType, low = -9, high = 9): Case[] => [
    [op, [some(dtype, [2, 3], low, high), some(dtype, [2, 3], low, high)]],
    [op, [some(dtype, [4, 1, 3], low, high), some(dtype, [5, 1], low, high)]],
    [op, [some(dtype, [], low, high), some(dtype, [2, 0], low, high)]],
  ];
  all(NUMERIC.flatMap((d) => ["Add", "Sub", "Mul"].flatMap((op) => binary(op, d))));
  all(NUMERIC.flatMap((d) => binary("Div", d, 1, 9)));
  all([
    ["Div", [i([9], -20, 20), ints(3)]],
    ["Div", [i([9], -20, 20), ints(-3)]],
    ["Div", [some("int32", [9], -20, 20), make("int32", [1], [-7])]],
    ["Div", [special(), make("float32", [], [0])]],
    ["Add", [tensorOf("int64", [1], BigInt64Array.of(2n ** 63n - 1n)), ints(1)]],
    ["Mul", [tensorOf("int64", [1], BigInt64Array.of(2n ** 62n + 3n)), ints(5)]],
    ["Mul", [make("int32", [2], [2147483647, 65537]), make("int32", [2], [2147483647, 65539])]],
    ["Sub", [make("int32", [1], [-2147483648]), make("int32", [1], [1])]],
    ["Add", [some("float16", [20]), some("float16", [20])]],
    ["Mul", [some("float16", [20]), some("float16", [20])]],
  ]);
  all(
    (["int64", "int32", "uint8", "int8"] as const).flatMap((d): Case[] => [
      ["Mod", [some(d, [12], -9, 9), some(d, [12], 1, 4)]],
      ["Mod", [some(d, [12], -9, 9), some(d, [12], 1, 4)], { fmod: 1 }],
    ]),
  );
  all([
    ["Mod", [i([12]), ints(-4)]],
    ["Mod", [f([12]), f([12], 1, 4)], { fmod: 1 }],
    ["Mod", [f([12]), f([12], -4, -1)], { fmod: 1 }],
  ]);
  all([
    ["Pow", [f([7], 0, 5), f([7], -2, 3)], {}, { ulps: 2 }],
    ["Pow", [f([7]), make("float32", [], [2])]],
    ["Pow", [f([7]), make("float32", [], [3])]],
    ["Pow", [f([7], 0, 9), make("float32", [1], [0.5])], {}, { ulps: 2 }],
    ["Pow", [f([7]), ints(2)]],
    ["Pow", [f([2, 1]), make("float32", [3], [0, 1, 2])], {}, { ulps: 1 }],
    ["Pow", [i([7], 0, 9), ints(3)]],
    ["Pow", [i([7], -9, 9), make("float32", [1], [2])]],
    ["Pow", [special(), make("float32", [], [2])]],
    ["Pow", [special(), make("float32", [], [-1])]],
  ]);
  all(
    NUMERIC.flatMap((d): Case[] => [
      ["Max", [some(d, [2, 3]), some(d, [3])]],
      ["Min", [some(d, [2, 3]), some(d, [1]), some(d, [4, 1, 1])]],
      ["Max", [some(d, [4])]],
    ]),
  );
  all([
    ["Max", [special(), make("float32", [], [0])]],
    ["Min", [special(), make("float32", [], [0])]],
    ["Sum", [f([2, 3]), f([3]), f([2, 1])]],
    ["Mean", [f([2, 3]), f([3]), f([2, 1])], {}, { ulps: 1 }],
    ["Sum", [f([3])]],
  ]);
});

describe("functions equal onnxruntime", () => {
  const exact = ["Abs", "Neg", "Sign", "Floor", "Ceil", "Round", "Reciprocal", "Relu"];
  all(
    exact.flatMap((op): Case[] => [
      [op, [f([3, 7])]],
      [op, [special()]],
    ]),
  );
  all(
    ["Abs", "Neg", "Sign"].flatMap((op): Case[] => [
      [op, [i([9])]],
      [op, [some("int32", [9])]],
    ]),
  );
  all([
    ["Sqrt", [f([9], 0, 100)]],
    ["Sqrt", [special()]],
    ["Exp", [f([40])], {}, { ulps: 2 }],
    ["Exp", [special()], {}, { ulps: 2 }],
    ["Log", [f([40], 0, 90)], {}, { ulps: 2 }],
    ["Log", [special()], {}, { ulps: 2 }],
    ["Erf", [f([40], -4, 4)], {}, { ulps: 4 }],
    ["Erf", [special()], {}, { ulps: 4 }],
    // onnxruntime's is a rational function, right to one step of 1.
    ["Sigmoid", [f([40])], {}, { slack: 2 ** -23 }],
    ["Tanh", [f([40], -4, 4)], {}, { ulps: 8 }],
    ["Sin", [f([40])], {}, { ulps: 4 }],
    ["Cos", [f([40])], {}, { ulps: 4 }],
    ["Tan", [f([40], -1, 1)], {}, { ulps: 4 }],
    ["Atan", [f([40])], {}, { ulps: 4 }],
    ["IsNaN", [special()]],
    ["IsInf", [special()]],
    ["IsInf", [special()], { detect_negative: 0 }],
    ["Clip", [f([9]), make("float32", [], [-2]), make("float32", [], [3])]],
    ["Clip", [i([9]), undefined, int64Tensor(3)]],
    ["Clip", [special(), make("float32", [], [-1])]],
    ["Clip", [special(), undefined, make("float32", [], [1])]],
    ["Clip", [special()]],
    [
      "Clip",
      [f([9])],
      { min: { type: "float", value: -2 }, max: { type: "float", value: 3 } },
      { opset: 10 },
    ],
  ]);
});

describe("comparison, logic and bits equal onnxruntime", () => {
  const compare = ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"];
  all(
    compare.flatMap((op): Case[] => [
      [op, [f([3, 4], -2, 2), f([4], -2, 2)]],
      [op, [i([30], -2, 2), i([30], -2, 2)]],
      [op, [some("int32", [30], -2, 2), some("int32", [1], -2, 2)]],
      [op, [special(), make("float32", [], [0])]],
      [op, [special(), special()]],
    ]),
  );
  const bools = (dims: number[]) => some("bool", dims, 0, 1);
  all(
    ["And", "Or", "Xor"].flatMap((op): Case[] => [
      [op, [bools([20]), bools([20])]],
      [op, [bools([4, 1]), bools([3])]],
    ]),
  );
  all([
    ["Equal", [bools([20]), bools([20])]],
    ["Not", [bools([20])]],
    ["BitwiseAnd", [i([20]), i([20])]],
    ["BitwiseOr", [some("uint8", [20]), some("uint8", [20])]],
    ["BitwiseXor", [some("int32", [4, 1]), some("int32", [5])]],
    ["BitwiseNot", [i([20])]],
    ["BitwiseNot", [some("uint8", [20])]],
    ["BitShift", [some("uint32", [20], 0, 999), some("uint32", [20], 0, 9)], { direction: "LEFT" }],
    [
      "BitShift",
      [some("uint64", [20], 0, 999), some("uint64", [20], 0, 9)],
      { direction: "RIGHT" },
    ],
    ["BitShift", [some("uint8", [20], 0, 255), some("uint8", [20], 0, 7)], { direction: "LEFT" }],
    ["Where", [bools([3, 4]), f([4]), f([3, 1])]],
    ["Where", [bools([1]), i([4]), i([3, 1])]],
    ["Where", [bools([5]), some("uint8", [5]), some("uint8", [])]],
  ]);
});

describe("Cast equals onnxruntime between all types", () => {
  const types = ["float32", "float16", "float64", "int8", "uint8", "int16", "uint16"] as const;
  const more = ["int32", "uint32", "int64", "uint64", "bool"] as const;
  const list: DType[] = [...types, ...more];
  const values = [0, 1, 2, 3, 100, 127, 0.4, 0.5, 1.5, 2.7, 99.9];
  all(
    list.flatMap((from) =>
      list.map((to): Case => {
        const whole = DTYPES[from].kind === "float" ? values : values.map(Math.floor);
        return ["Cast", [make(from, [values.length], whole)], { to: DTYPES[to].code }];
      }),
    ),
  );
  const to = (d: DType) => ({ to: DTYPES[d].code });
  all([
    ["Cast", [make("float32", [5], [-1.9, -0.5, -0, 1e9, -1e9])], to("int64")],
    ["Cast", [make("float32", [5], [-1.9, -0.5, -0, 1e9, -1e9])], to("int32")],
    ["Cast", [make("int64", [4], [-1, 300, 2 ** 32 + 5, -(2 ** 31) - 1])], to("int32")],
    ["Cast", [make("int64", [3], [-1, 300, 2 ** 32 + 5])], to("uint8")],
    ["Cast", [make("int32", [3], [-1, 300, 70000])], to("int8")],
    ["Cast", [make("int32", [3], [-1, 300, 70000])], to("uint64")],
    [
      "Cast",
      [
        tensorOf(
          "int64",
          [4],
          BigInt64Array.of(
            2n ** 53n + 1n,
            2n ** 60n + 2n ** 36n + 1n,
            -(2n ** 62n) - 1n,
            2n ** 55n + 2n ** 31n,
          ),
        ),
      ],
      to("float32"),
    ],
    [
      "Cast",
      [tensorOf("int64", [2], BigInt64Array.of(2n ** 53n + 1n, -(2n ** 62n) - 1n))],
      to("float64"),
    ],
    ["Cast", [special()], to("bool")],
    ["Cast", [special()], to("float16")],
    [
      "Cast",
      [make("float32", [7], [65504, 65519, 65520, 1e-8, 5.97e-8, 6.1e-5, -1e9])],
      to("float16"),
    ],
    ["Cast", [make("float64", [4], [1e300, 1e-300, 0.1, 1 / 3])], to("float32")],
    ["CastLike", [f([5]), i([1])]],
  ]);
});

describe("operators that move elements equal onnxruntime", () => {
  for (const dtype of ["float32", "int64", "bool", "uint8", "float16"] as const) {
    const x = (...dims: number[]) => some(dtype, dims);
    all([
      ["Transpose", [x(2, 3, 4)]],
      ["Transpose", [x(2, 3, 4)], { perm: [1, 0, 2] }],
      ["Slice", [x(5, 6), ints(1, 0), ints(4, 6), ints(0, 1), ints(1, 2)]],
      ["Slice", [x(5, 6), ints(-3), ints(2 ** 40), ints(-1)]],
      ["Slice", [x(5, 6), ints(-1), ints(-(2 ** 40)), ints(0), ints(-1)]],
      ["Slice", [x(5, 6), ints(10, 4), ints(0, -7), ints(0, 1), ints(-2, -3)]],
      ["Slice", [x(5, 6), ints(3), ints(1), ints(0)]],
      ["Slice", [x(5, 6), ints(1, 2), ints(4, 5)]],
      ["Concat", [x(2, 3), x(2, 1), x(2, 0)], { axis: 1 }],
      ["Concat", [x(2, 3), x(4, 3)], { axis: -2 }],
      ["Split", [x(6, 2)], { axis: 0, num_outputs: 3 }, { outputs: 3 }],
      ["Split", [x(7, 2)], { axis: 0, num_outputs: 3 }, { outputs: 3 }],
      ["Split", [x(2, 7), ints(3, 0, 4)], { axis: 1 }, { outputs: 3 }],
      ["Gather", [x(5, 3), i([2, 2], -5, 4)]],
      ["Gather", [x(5, 3), int64Tensor(-1)], { axis: 1 }],
      ["GatherElements", [x(5, 3), i([2, 3], -5, 4)]],
      ["GatherElements", [x(4, 5), i([4, 2], -5, 4)], { axis: 1 }],
      ["GatherND", [x(4, 3, 2), i([5, 2], 0, 2)]],
      ["GatherND", [x(4, 3, 2), i([5, 1], -4, 3)]],
      ["GatherND", [x(2, 3, 2), i([2, 4, 1], 0, 2)], { batch_dims: 1 }],
      // onnxruntime has no Trilu of bytes.
      ...(dtype === "uint8" ? [] : trilu(x)),
      ["Expand", [x(3, 1), ints(2, 1, 4)]],
      ["Expand", [x(3, 1), ints(1)]],
      ["Tile", [x(2, 3), ints(2, 3)]],
      ["Tile", [x(2), ints(0)]],
      ["Reshape", [x(2, 6), ints(0, 2, -1)]],
      ["Reshape", [x(2, 6), ints(-1)]],
      ["Reshape", [x(0, 6), ints(6, 0)], { allowzero: 1 }],
      ["Flatten", [x(2, 3, 4)], { axis: 2 }],
      ["Flatten", [x(2, 3, 4)], { axis: 0 }],
      ["Flatten", [x(2, 3, 4)], { axis: -1 }],
      ["Squeeze", [x(1, 3, 1)]],
      ["Squeeze", [x(1, 3, 1), ints(-1)]],
      ["Squeeze", [x(1, 3, 1)], { axes: [0] }, { opset: 11 }],
      ["Unsqueeze", [x(3, 4), ints(0, -1)]],
      ["Unsqueeze", [x(3, 4)], { axes: [1] }, { opset: 11 }],
      ["Identity", [x(3)]],
    ]);
    if (dtype !== "bool" && dtype !== "float16")
      all([
        ["Pad", [x(2, 3), ints(1, 0, 0, 2), make(dtype, [], [5])]],
        ["Pad", [x(2, 3), ints(0, 1, 0, 1)]],
        ["Pad", [x(2, 3), ints(0, 2, 1, 1)], { mode: "edge" }],
        ["Pad", [x(3, 4), ints(1, 2, 1, 1)], { mode: "reflect" }],
        ["Pad", [x(3, 4), ints(-1, 1, 0, -2)]],
        ["Pad", [x(3, 4), ints(1, 1), make(dtype, [], [5]), ints(-1)]],
        ["ScatterND", [x(4, 3), i([1, 2], 0, 2), x(1)]],
        ["ScatterND", [x(4, 3), ints2(0, 3), x(2, 3)]],
        ["ScatterElements", [x(4, 3), make("int64", [1, 3], [0, -1, 2]), x(1, 3)]],
      ]);
  }
  all([
    ["Slice", [f([5, 6])], { starts: [1, -2], ends: [4, 6], axes: [0, 1] }, { opset: 9 }],
    ["Split", [f([6, 2])], { axis: 0, split: [1, 5] }, { opset: 11, outputs: 2 }],
    ["Pad", [f([2, 3])], { pads: [0, 1, 1, 0] }, { opset: 10 }],
  ]);
});

function trilu(x: (...dims: number[]) => Tensor): Case[] {
  return [
    ["Trilu", [x(3, 4)]],
    ["Trilu", [x(2, 4, 3), int64Tensor(-1)], { upper: 0 }],
    ["Trilu", [x(4, 4), int64Tensor(2)], { upper: 1 }],
  ];
}

function ints2(...list: number[]): Tensor {
  return make("int64", [list.length, 1], list);
}

describe("operators that make tensors equal onnxruntime", () => {
  all([
    ["Shape", [f([2, 3, 4])]],
    ["Shape", [f([2, 3, 4])], { start: 1, end: -1 }],
    ["Shape", [f([2, 3, 4])], { start: -9, end: 9 }],
    ["Shape", [f([])]],
    ["Size", [f([2, 3])]],
    ["Range", [int64Tensor(2), int64Tensor(11), int64Tensor(3)]],
    ["Range", [int64Tensor(9), int64Tensor(2), int64Tensor(-2)]],
    ["Range", [int64Tensor(9), int64Tensor(2), int64Tensor(2)]],
    ["Range", [0, 1, 0.1].map((x) => make("float32", [], [x]))],
    ["Range", [0, 10, 0.3].map((x) => make("float32", [], [x]))],
    ["ConstantOfShape", [ints(2, 3)]],
    ["ConstantOfShape", [ints(2, 0)], { value: { type: "tensor", value: ints(7) } }],
    ["ConstantOfShape", [tensorOf("int64", [0], new BigInt64Array(0))]],
    ["EyeLike", [f([3, 4])], { k: 1 }],
    ["EyeLike", [f([3, 4])], { k: -1, dtype: DTYPES.int64.code }],
    ["Constant", [], { value_ints: [3, 4] }],
    ["Constant", [], { value_float: { type: "float", value: 2 } }],
    ["Constant", [], { value_int: 3 }],
    ["Dropout", [f([3])]],
    ["CumSum", [i([4, 3]), int64Tensor(0)]],
    ["CumSum", [i([4, 3]), int64Tensor(-1)], { exclusive: 1 }],
    ["CumSum", [i([4, 3]), int64Tensor(1)], { reverse: 1 }],
    ["CumSum", [some("int32", [4, 3]), int64Tensor(1)], { reverse: 1, exclusive: 1 }],
    ["CumSum", [f([4, 9]), int64Tensor(1)]],
    ["ArgMax", [i([4, 5], 0, 3)], { axis: 1 }],
    ["ArgMin", [f([4, 5])], { axis: 0, keepdims: 0 }],
    ["ArgMax", [some("int32", [4, 5], 0, 2)], { axis: -1, select_last_index: 1 }],
  ]);
});

describe("reductions equal onnxruntime", () => {
  const ops = ["ReduceSum", "ReduceMean", "ReduceProd", "ReduceMax", "ReduceMin", "ReduceL1"];
  const floats = ["ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"];
  all(
    [...ops, ...floats].flatMap((op): Case[] => [
      [op, [f([3, 4, 5], 1, 9), ints(1)], {}, { ulps: 8, opset: 18 }],
      [op, [f([3, 4, 5], 1, 9), ints(0, -1)], { keepdims: 0 }, { ulps: 8, opset: 18 }],
      [op, [f([3, 4], 1, 9)], {}, { ulps: 8, opset: 18 }],
      [op, [f([3, 4], 1, 9)], { axes: [-1] }, { ulps: 8, opset: 11 }],
    ]),
  );
  all(
    ["ReduceSum", "ReduceProd", "ReduceMax", "ReduceMin"].flatMap((op): Case[] => [
      [op, [i([3, 4]), ints(1)], { keepdims: 0 }],
      [op, [some("int32", [3, 4]), ints(0)]],
    ]),
  );
  all([
    ["ReduceMean", [some("int32", [3, 4]), ints(0)]],
    ["ReduceSum", [i([3, 4])], { noop_with_empty_axes: 1 }],
    ["ReduceMax", [make("float32", [3], [-1, 2, Infinity])]],
    ["ReduceMin", [make("float32", [3], [-1, 2, -Infinity])]],
  ]);
});

describe("quantization equals onnxruntime", () => {
  const scale = make("float32", [], [0.05]);
  const scales = make("float32", [3], [0.1, 0.02, 0.3]);
  all([
    ["QuantizeLinear", [f([4, 3]), scale]],
    ["QuantizeLinear", [f([4, 3]), scale, make("int8", [], [3])]],
    ["QuantizeLinear", [f([4, 3]), scales, make("int8", [3], [0, 1, -7])], { axis: 1 }],
    ["QuantizeLinear", [f([3, 4]), scales, make("uint8", [3], [0, 1, 7])], { axis: 0 }],
    [
      "QuantizeLinear",
      [
        make("float32", [8], [0.5, 1.5, 2.5, -0.5, -1.5, 300, -300, 0.49999997]),
        make("float32", [], [1]),
      ],
    ],
    ["DequantizeLinear", [some("uint8", [4, 3], 0, 255), scale]],
    ["DequantizeLinear", [some("int8", [4, 3], -128, 127), scale, make("int8", [], [3])]],
    [
      "DequantizeLinear",
      [some("int8", [4, 3]), scales, make("int8", [3], [0, 1, -7])],
      { axis: 1 },
    ],
    ["DequantizeLinear", [some("int32", [3, 4], -99999, 99999), scales], { axis: 0 }],
    [
      "DequantizeLinear",
      [some("int8", [4, 4]), some("float32", [2, 4], 0, 1), some("int8", [2, 4])],
      { axis: 0, block_size: 2 },
      { opset: 21 },
    ],
    [
      "QuantizeLinear",
      [
        f([4, 5]),
        make(
          "float32",
          [4, 3],
          Array.from({ length: 12 }, () => 0.1),
        ),
        some("int8", [4, 3]),
      ],
      { axis: 1, block_size: 2 },
      { opset: 21 },
    ],
    [
      "DequantizeLinear",
      [some("uint8", [4, 3], 0, 255), scale, make("uint8", [], [128])],
      {},
      { domain: "com.microsoft" },
    ],
  ]);
});

describe("what cannot be evaluated stays a node", () => {
  const evaluated = (op: string, inputs: (Tensor | undefined)[], limit?: number) =>
    evaluate(modelOf({ op, inputs }).node, inputs, limit === undefined ? {} : { limit });

  test("the extreme of numbers and NaN, on which runtimes do not agree", () => {
    expect(evaluated("ReduceMax", [special()])).toBeUndefined();
    expect(evaluated("ReduceMin", [special()])).toBeUndefined();
  });
  test("a division by zero", () => {
    expect(evaluated("Div", [i([3]), ints(0)])).toBeUndefined();
    expect(evaluated("Mod", [i([3]), ints(0)])).toBeUndefined();
  });
  test("a float outside the range of the integer it is cast to", () => {
    const { node } = modelOf({
      op: "Cast",
      inputs: [f([1])],
      attributes: { to: DTYPES.int32.code },
    });
    expect(evaluate(node, [make("float32", [1], [3e9])])).toBeUndefined();
    expect(evaluate(node, [make("float32", [1], [Number.NaN])])).toBeUndefined();
  });
  test("an output beyond the limit", () => {
    expect(evaluated("ConstantOfShape", [ints(1000, 1000)], 999_999)).toBeUndefined();
    expect(
      evaluated(
        "Range",
        [0, 2 ** 40, 1].map((x) => int64Tensor(x)),
      ),
    ).toBeUndefined();
    expect(evaluated("Expand", [f([1]), ints(2 ** 40)])).toBeUndefined();
    expect(evaluated("Tile", [f([1]), ints(2 ** 40)])).toBeUndefined();
  });
  test("indices outside the data", () => {
    expect(evaluated("Gather", [f([3]), ints(3)])).toBeUndefined();
    expect(evaluated("GatherND", [f([3]), ints(3)])).toBeUndefined();
  });
  test("a node that may give something else next time", () => {
    expect(evaluated("RandomNormalLike", [f([3])])).toBeUndefined();
    expect(evaluated("Dropout", [f([3]), undefined, make("bool", [], [1])])).toBeUndefined();
  });
  test("an operator that nobody knows", () => {
    expect(evaluated("Frobnicate", [f([3])])).toBeUndefined();
    expect(evaluated("constructor", [f([3])])).toBeUndefined();
  });
});

describe("old spellings", () => {
  test.each(["float16", "float32", "float64"] as const)(
    "a Clip of %s has its bounds in attributes",
    (dtype) => {
      const x = make(dtype, [3], [-5, 0.5, 5]);
      const { node } = modelOf({
        op: "Clip",
        inputs: [x],
        attributes: { min: { type: "float", value: -1 }, max: { type: "float", value: 2 } },
        opset: 6,
      });
      const [found] = evaluate(node, [x]) ?? [];
      expect(found && numbersOf(found)).toEqual([-1, 0.5, 2]);
    },
  );
});

test("a vector that updates are added to is not taken for one that they are written into", () => {
  const shapes = (reduction: string) => {
    const model = buildModel((b) => {
      const inputs = [b.int("from", [1, 2]), b.int("at", [1], [1, 1]), b.int("by", [1])];
      const sizes = b.op("sizes", "ScatterND", inputs, { reduction });
      b.output(b.op("y", "Reshape", [b.input("x", [6]), sizes]));
    });
    inferTypes(model);
    return model.graph.outputs[0]?.shape;
  };
  expect(shapes("none")).toEqual([1, 1]);
  expect(shapes("add")).toEqual([null, null]);
});
