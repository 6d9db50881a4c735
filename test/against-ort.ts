// Runs a model of one node in the reference interpreter and in onnxruntime, to hold one against the other.
import { exportModel } from "../src/graph/export.js";
import { DTYPES } from "../src/onnx/dtypes.js";
import type { Tensor } from "../src/onnx/tensor.js";
import { encodeModel } from "../src/onnx/writer.js";
import type { AttributeInput } from "../src/graph/attribute.js";
import type { Model } from "../src/graph/model.js";
import { ortNode } from "../src/runtime/ort-node.js";
import { interpret } from "./oracles/reference/interpret.js";
import { isRunnable, type RuntimeTensor, type SessionOptions } from "../src/runtime/runtime.js";
import { toRuntime } from "../src/runtime/tensors.js";
import { buildModel } from "./build.js";

export interface OneNode {
  /** "Domain.Op" or "Op". */
  readonly op: string;
  /** Types that runtimes do not take from outside (4 bits) become initializers, and such outputs are cast to int8. */
  readonly inputs: readonly (Tensor | undefined)[];
  /** Whether the outputs are 4-bit integers. */
  readonly narrow?: boolean;
  readonly attributes?: Readonly<Record<string, AttributeInput>>;
  readonly outputs?: number;
  readonly opset?: number;
  readonly irVersion?: number;
  /** Whether all inputs but the first are initializers, which runtimes may prepare beforehand. Default: false. */
  readonly constant?: boolean;
}

function modelOfOne(spec: OneNode): { model: Model; feeds: Record<string, RuntimeTensor> } {
  const { op, inputs, attributes = {}, outputs = 1, opset = 21, irVersion = 10 } = spec;
  const feeds: Record<string, RuntimeTensor> = {};
  const model = buildModel(
    ({ graph }) => {
      const dot = op.lastIndexOf(".");
      const values = inputs.map((tensor, i) => {
        if (tensor === undefined) return undefined;
        const name = `i${i}`;
        if ((spec.constant === true && i > 0) || !isRunnable(tensor.dtype))
          return graph.addInitializer(name, tensor);
        feeds[name] = toRuntime(tensor);
        return graph.addInput(name, { dtype: tensor.dtype, shape: tensor.dims });
      });
      const node = graph.addNode({
        op: op.slice(dot + 1),
        domain: dot < 0 ? "" : op.slice(0, dot),
        name: "one",
        inputs: values,
        attributes,
        outputs,
      });
      for (const value of node.outputs) {
        if (value === undefined) continue;
        const attributes = { to: DTYPES.int8.code };
        const wide = spec.narrow === true && { op: "Cast", inputs: [value], attributes };
        graph.addOutput(wide ? graph.addNode(wide).output() : value);
      }
    },
    { opset, irVersion },
  );
  return { model, feeds };
}

export interface Both {
  /** By position. */
  readonly reference: readonly RuntimeTensor[];
  readonly ort: readonly RuntimeTensor[];
}

export async function runBoth(spec: OneNode, options: SessionOptions = {}): Promise<Both> {
  const { model, feeds } = modelOfOne(spec);
  const session = await ortNode.load(encodeModel(exportModel(model)), {
    threads: 1,
    optimize: "disabled",
    ...options,
  });
  try {
    return {
      ort: Object.values(await session.run(feeds)),
      reference: Object.values(interpret(model, feeds)),
    };
  } finally {
    await session.release();
  }
}
