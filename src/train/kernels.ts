// The loops over all parameters, several times faster as vector code than in JavaScript: AdamW, SGD, the gradients' norm and sum.
import { assemble, eachVector, get, OPS, set, tee, type Code, type Function } from "./assembler.js";

/** Pointers are byte addresses in one memory, multiples of 16; `end` is where the first array ends. Ranges are not empty. */
export interface Kernels {
  /** Sum of squares, in float64. */
  sumOfSquares(from: number, end: number): number;
  /** `into` += `from` */
  add(into: number, from: number, end: number): void;
  /**
   * g = gradient · clip; m = b1·m + c1·g; v = b2·v + c2·g²; value = keep·value − rate·m / (√v + epsilon), all in float32.
   * I. Loshchilov, F. Hutter: Decoupled Weight Decay Regularization (arXiv 1711.05101), the corrections of its moments inside rate and epsilon.
   */
  adamw(...args: [...pointers: Four, end: number, ...floats: Four, ...floats: Four]): void;
  /** m = momentum·m + clip·gradient; value = keep·value − rate·m, all in float32. Floats: keep, clip, momentum, rate. */
  sgd(...args: [value: number, gradient: number, m: number, end: number, ...floats: Four]): void;
}

type Four = [number, number, number, number];

/** Code over the locals of a loop, by their names. */
interface Locals {
  /** Four elements at a pointer. */
  readonly load: (pointer: string) => Code;
  /** A number in all four places, or a vector that was kept. */
  readonly of: (name: string) => Code;
  /** Stores a vector at a pointer and keeps it. */
  readonly store: (pointer: string, value: Code, kept: string) => Code;
  readonly keep: (name: string, value: Code) => Code;
}

const binary =
  (op: Code) =>
  (a: Code, b: Code): Code => [...a, ...b, ...op];
const add = binary(OPS["f32x4.add"]);
const subtract = binary(OPS["f32x4.sub"]);
const times = binary(OPS["f32x4.mul"]);
const over = binary(OPS["f32x4.div"]);
const root = (a: Code): Code => [...a, ...OPS["f32x4.sqrt"]];

interface Loop {
  readonly pointers: readonly string[];
  readonly floats?: readonly string[];
  /** Vectors that are kept, zero at first. */
  readonly kept?: readonly string[];
  readonly body: (locals: Locals) => Code;
  /** What is returned at the end. */
  readonly result?: (locals: Locals) => Code;
}

/** A function of pointers, the end of the first, and floats. */
function loop({ pointers, floats = [], kept = [], body, result }: Loop): Function {
  const names = [...pointers, "end", ...floats];
  const vectors = [...floats, ...kept];
  const at = (name: string): number => {
    const found = vectors.indexOf(name);
    return found < 0 ? names.indexOf(name) : names.length + found;
  };
  const locals: Locals = {
    load: (pointer) => [...get(at(pointer)), ...OPS["v128.load"]],
    of: (name) => get(at(name)),
    store: (pointer, value, name) => [
      ...get(at(pointer)),
      ...value,
      ...tee(at(name)),
      ...OPS["v128.store"],
    ],
    keep: (name, value) => [...value, ...set(at(name))],
  };
  const spread = floats.flatMap((name) => [
    ...get(names.indexOf(name)),
    ...OPS["f32x4.splat"],
    ...set(at(name)),
  ]);
  return {
    parameters: names.map((name) => (floats.includes(name) ? "f32" : "i32")),
    ...(result === undefined ? {} : { result: "f64" }),
    vectors: vectors.length,
    code: [
      ...spread,
      ...eachVector(pointers.map(at), at("end"), body(locals)),
      ...(result?.(locals) ?? []),
    ],
  };
}

const ADAMW = loop({
  pointers: ["value", "gradient", "m", "v"],
  floats: ["keep", "clip", "b1", "c1", "b2", "c2", "rate", "epsilon"],
  kept: ["g", "mean", "square"],
  body: ({ load, of, store, keep }) => [
    ...keep("g", times(load("gradient"), of("clip"))),
    ...store("m", add(times(load("m"), of("b1")), times(of("g"), of("c1"))), "mean"),
    ...store(
      "v",
      add(times(load("v"), of("b2")), times(times(of("g"), of("g")), of("c2"))),
      "square",
    ),
    ...store(
      "value",
      subtract(
        times(load("value"), of("keep")),
        over(times(of("mean"), of("rate")), add(root(of("square")), of("epsilon"))),
      ),
      "g",
    ),
  ],
});

const SGD = loop({
  pointers: ["value", "gradient", "m"],
  floats: ["keep", "clip", "momentum", "rate"],
  kept: ["mean"],
  body: ({ load, of, store }) => [
    ...store(
      "m",
      add(times(load("m"), of("momentum")), times(load("gradient"), of("clip"))),
      "mean",
    ),
    ...store(
      "value",
      subtract(times(load("value"), of("keep")), times(of("mean"), of("rate"))),
      "mean",
    ),
  ],
});

const ADD = loop({
  pointers: ["into", "from"],
  kept: ["sum"],
  body: ({ load, store }) => store("into", add(load("into"), load("from")), "sum"),
});

const SUM_OF_SQUARES = loop({
  pointers: ["from"],
  kept: ["x", "low", "high", "wide"],
  body({ load, of, keep }) {
    const added = (sum: string, half: Code) => [
      ...keep("wide", [...half, ...OPS["f64x2.promote_low_f32x4"]]),
      ...keep(sum, [
        ...of(sum),
        ...of("wide"),
        ...of("wide"),
        ...OPS["f64x2.mul"],
        ...OPS["f64x2.add"],
      ]),
    ];
    return [
      ...keep("x", load("from")),
      ...added("low", of("x")),
      ...added("high", [...of("x"), ...of("x"), ...OPS["i8x16.shuffle high"]]),
    ];
  },
  result: ({ of, keep }) => [
    ...keep("low", [...of("low"), ...of("high"), ...OPS["f64x2.add"]]),
    ...of("low"),
    ...OPS["f64x2.extract_lane 0"],
    ...of("low"),
    ...OPS["f64x2.extract_lane 1"],
    ...OPS["f64.add"],
  ],
});

/** What is used of the global of every engine, for which the language's own library has no types. */
interface Engine {
  readonly Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
}

const PAGE = 2 ** 16;
/** Bytes that 32-bit pointers reach. */
export const LARGEST_MEMORY = 2 ** 32 - PAGE;

let compiled: object | undefined;

/** A memory of at least `bytes` zeros, and the loops over it. */
export function kernelMemory(bytes: number): { buffer: ArrayBuffer; kernels: Kernels } {
  const { WebAssembly } = globalThis as unknown as { readonly WebAssembly: Engine };
  compiled ??= new WebAssembly.Module(
    assemble({ adamw: ADAMW, sgd: SGD, add: ADD, sumOfSquares: SUM_OF_SQUARES }),
  );
  const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE) });
  const { exports } = new WebAssembly.Instance(compiled, { "": { memory } });
  return { buffer: memory.buffer, kernels: exports as Kernels };
}
