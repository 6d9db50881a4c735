// Comparison, logic, bits, choice and conversion of type.
import type { Dim } from "../graph/graph.js";
import { dtypeOfCode } from "../onnx/dtypes.js";
import { broadcastShapes } from "./broadcast.js";
import { broadcasting, combineElements, type OnDims } from "./elementwise.js";
import {
  elementsOf,
  firstDType,
  likeInput,
  type InferRule,
  type OpRow,
  type OpTable,
} from "./facts.js";
import { bitShift, bitwise, compare, logic, not } from "./kernels/logic.js";
import { cast, castLike } from "./kernels/cast.js";
import { where } from "./kernels/movement.js";
import { equalDims, lessDims } from "./symbols.js";

const truth = (b: boolean | undefined): Dim => (b === undefined ? null : Number(b));
const negated = (b: boolean | undefined) => (b === undefined ? undefined : !b);

/** A comparison of two elements; Dim arguments may be unknown. */
const test =
  (f: (a: Dim, b: Dim) => boolean | undefined): OnDims =>
  (a = null, b = null) =>
    truth(f(a, b));

const both: OnDims = (a, b) => (a === 0 || b === 0 ? 0 : a === 1 && b === 1 ? 1 : null);
const either: OnDims = (a, b) => (a === 1 || b === 1 ? 1 : a === 0 && b === 0 ? 0 : null);
const oneOf: OnDims = (a, b) =>
  typeof a === "number" && typeof b === "number" ? Number(a !== b) : null;

const inferWhere: InferRule = (c) => {
  const [condition, yes, no] = c.inputs;
  const shape = broadcastShapes([condition?.shape, yes?.shape, no?.shape]);
  const choose: OnDims = (which, a = null, b = null) => {
    if (which === 1) return a;
    if (which === 0) return b;
    return a !== null && equalDims(a, b) === true ? a : null;
  };
  return [
    {
      dtype: firstDType([yes, no]),
      shape,
      elements: combineElements([condition, yes, no], shape, choose),
    },
  ];
};

/** Whole numbers stay what they are as another type wide enough; truth values ask for `!= 0`. */
const inferCast: InferRule = ({ node, inputs: [input] }) => {
  const dtype = dtypeOfCode(node.int("to", 0));
  const keep = (e: Dim): Dim => {
    if (dtype === "bool") return truth(negated(equalDims(e, 0)));
    if (dtype === "int64" || dtype === "float64") return e;
    const exact = dtype === "int32" ? 2 ** 31 - 1 : dtype === "float32" ? 2 ** 24 : 0;
    return typeof e === "string" && exact > 0
      ? e
      : typeof e === "number" && Math.abs(e) <= exact
        ? e
        : null;
  };
  return [{ dtype, shape: input?.shape, elements: elementsOf(input)?.map(keep) }];
};

const row = (infer: InferRule, rest: Omit<OpRow, "infer"> = {}): OpRow => ({
  infer,
  elementwise: true,
  ...rest,
});
const toBool = (f: OnDims) => broadcasting(f, "bool");

export const LOGIC: OpTable = {
  Equal: row(toBool(test(equalDims)), { commutative: true, evaluate: compare("equal") }),
  Greater: row(toBool(test((a, b) => lessDims(b, a))), { evaluate: compare("greater") }),
  GreaterOrEqual: row(toBool(test((a, b) => negated(lessDims(a, b)))), {
    evaluate: compare("greaterOrEqual"),
  }),
  Less: row(toBool(test(lessDims)), { evaluate: compare("less") }),
  LessOrEqual: row(toBool(test((a, b) => negated(lessDims(b, a)))), {
    evaluate: compare("lessOrEqual"),
  }),
  And: row(toBool(both), { commutative: true, evaluate: logic("and") }),
  Or: row(toBool(either), { commutative: true, evaluate: logic("or") }),
  Xor: row(toBool(oneOf), { commutative: true, evaluate: logic("xor") }),
  Not: row(
    ({ inputs: [input] }) => [
      {
        dtype: "bool",
        shape: input?.shape,
        elements: elementsOf(input)?.map((e) => (typeof e === "number" ? Number(e === 0) : null)),
      },
    ],
    { evaluate: not },
  ),
  BitwiseAnd: row(broadcasting(), { commutative: true, evaluate: bitwise("and") }),
  BitwiseOr: row(broadcasting(), { commutative: true, evaluate: bitwise("or") }),
  BitwiseXor: row(broadcasting(), { commutative: true, evaluate: bitwise("xor") }),
  BitwiseNot: row(likeInput(), { evaluate: bitwise("not") }),
  BitShift: row(broadcasting(), { evaluate: bitShift }),
  Where: row(inferWhere, { evaluate: where }),
  Cast: row(inferCast, { evaluate: cast }),
  CastLike: row(({ inputs: [input, like] }) => [{ dtype: like?.dtype, shape: input?.shape }], {
    evaluate: castLike,
  }),
};
