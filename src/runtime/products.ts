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

/** Models of one Gemm; sessions are made when they are first needed. */
export function runtimeProducts(runtime: Runtime): RuntimeProducts {
  const sessions = new Map<string, Promise<Session>>();
  const sessionOf = (form: GemmForm): Promise<Session> => {
    const key = JSON.stringify(form);
    const session = sessions.get(key) ?? runtime.load(gemmModel(form), { spinning: "running" });
    sessions.set(key, session);
    return session;
  };
  const run = async (
    form: GemmForm,
    feeds: Readonly<Record<string, Matrix>>,
    into: Matrix,
  ): Promise<void> => {
    const session = await sessionOf(form);
    const tensors = Object.fromEntries(
      Object.entries(feeds).map(([name, matrix]) => [name, tensorOf(matrix)]),
    );
    await session.run(tensors, { into: { y: tensorOf(into) } });
  };
  return {
    multiply: (a, b, into) => run({}, { a, b }, { values: into, rows: a.rows, cols: b.cols }),
    multiplyTransposed: (a, b, into) =>
      run({ transB: 1 }, { a, b }, { values: into, rows: a.rows, cols: b.rows }),
    addGram(x, sum, into) {
      const square = { rows: x.cols, cols: x.cols };
      const c = { values: sum, ...square };
      return run({ transA: 1 }, { a: x, b: x, c }, { values: into, ...square });
    },
    async release() {
      for (const session of sessions.values()) await (await session).release();
      sessions.clear();
    },
  };
}

interface GemmForm {
  readonly transA?: 1;
  readonly transB?: 1;
}

function gemmModel(form: GemmForm): Uint8Array {
  const names = form.transA === undefined ? ["a", "b"] : ["a", "b", "c"];
  const model = buildModel({ opset: OPSET, irVersion: IR_VERSION }, (b) => {
    const inputs = names.map((name) => b.input(name, [null, null]));
    const y = b.add("Gemm", inputs, { ...form }, { outputs: ["y"] });
    y.dtype = "float32";
    y.shape = [null, null];
    b.output(y);
  });
  return encodeModel(exportModel(model));
}

function tensorOf({ values, rows, cols }: Matrix): RuntimeTensor {
  return { dtype: "float32", dims: [rows, cols], data: values };
}
