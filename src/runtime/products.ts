// Matrix products through a runtime: models of one operator, fed with views and written into arrays that the caller has.
import { buildModel } from "../graph/builder.js";
import { exportModel } from "../graph/export.js";
import { encodeModel } from "../onnx/writer.js";
import type { Runtime, RuntimeTensor, Session } from "./runtime.js";

/** Row-major float32 [rows, cols]. */
interface Matrix {
  readonly values: Float32Array;
  readonly rows: number;
  readonly cols: number;
}

/** Products of float32 matrices, at the speed of the runtime. Each throws RuntimeFailedError. */
export interface RuntimeProducts {
  multiply(a: Matrix, b: Matrix, into: Float32Array): Promise<void>;
  multiplyTransposed(a: Matrix, b: Matrix, into: Float32Array): Promise<void>;
  addGram(x: Matrix, sum: Float32Array, into: Float32Array): Promise<void>;
  release(): Promise<void>;
}

const OPSET = 13;
const IR_VERSION = 7;

/** One model of three Gemms; its session is made when it is first needed. */
export function runtimeProducts(runtime: Runtime): RuntimeProducts {
  let session: Promise<Session> | undefined;
  const run = async (
    form: Form,
    feeds: Readonly<Record<string, Matrix>>,
    into: Matrix,
  ): Promise<void> => {
    session ??= runtime.load(gemmModel(), { spinning: "running" });
    const tensors = Object.fromEntries(
      Object.entries(feeds).map(([name, matrix]) => [`${form}.${name}`, tensorOf(matrix)]),
    );
    const y = `${form}.y`;
    // The runtime computes all outputs, whatever is asked for: the others are of matrices of one element.
    await (
      await session
    ).run(
      { ...NOTHING, ...tensors },
      {
        outputs: [y],
        into: { [y]: tensorOf(into) },
      },
    );
  };
  return {
    multiply: (a, b, into) => run("plain", { a, b }, { values: into, rows: a.rows, cols: b.cols }),
    multiplyTransposed: (a, b, into) =>
      run("transposed", { a, b }, { values: into, rows: a.rows, cols: b.rows }),
    addGram(x, sum, into) {
      const square = { rows: x.cols, cols: x.cols };
      const c = { values: sum, ...square };
      return run("gram", { a: x, b: x, c }, { values: into, ...square });
    },
    async release() {
      await (await session)?.release();
      session = undefined;
    },
  };
}

/** What each Gemm takes. */
const FORMS = {
  plain: { inputs: ["a", "b"], attributes: {} },
  transposed: { inputs: ["a", "b"], attributes: { transB: 1 } },
  gram: { inputs: ["a", "b", "c"], attributes: { transA: 1 } },
} as const;
type Form = keyof typeof FORMS;

const NOTHING = Object.fromEntries(
  Object.entries(FORMS).flatMap(([form, { inputs }]) =>
    inputs.map((name) => [
      `${form}.${name}`,
      tensorOf({ values: new Float32Array(1), rows: 1, cols: 1 }),
    ]),
  ),
);

function gemmModel(): Uint8Array {
  const model = buildModel({ opset: OPSET, irVersion: IR_VERSION }, (b) => {
    for (const [form, { inputs, attributes }] of Object.entries(FORMS)) {
      const values = inputs.map((name) => b.input(`${form}.${name}`, [null, null]));
      const y = b.add("Gemm", values, { ...attributes }, { outputs: [`${form}.y`] });
      y.dtype = "float32";
      y.shape = [null, null];
      b.output(y);
    }
  });
  return encodeModel(exportModel(model));
}

function tensorOf({ values, rows, cols }: Matrix): RuntimeTensor {
  return { dtype: "float32", dims: [rows, cols], data: values };
}
