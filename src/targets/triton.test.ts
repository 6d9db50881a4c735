// The configuration for Triton, read back as a server reads it: what stands in it for graphs of all kinds, names of all kinds included.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { buildModel, floats, type Builder } from "../../test/build.js";
import { messagesOf, parsePbtxt, stringOf, type Fields } from "../../test/pbtxt.js";
import { UnsupportedError } from "../errors.js";
import { dimsBySize } from "../inputs/dummy-inputs.js";
import type { TargetName } from "./all.js";
import { message, text } from "./pbtxt.js";
import { requestCommand, startCommand } from "./triton-commands.js";
import { tritonConfig, tritonModel } from "./triton.js";

const encoder = (b: Builder) => {
  const ids = b.input("input_ids", ["batch", "length"], "int64");
  b.input("attention_mask", ["batch", "length"], "int64");
  b.output(b.op("logits", "Cast", [ids], { to: 1 }));
};

function configured(
  build: (b: Builder) => void,
  { target = "cpu", maxBatch = 32 }: { target?: TargetName; maxBatch?: number } = {},
) {
  const model = buildModel(build);
  for (const value of model.graph.outputs) {
    const source = value.producer?.input(0);
    value.dtype ??= "float32";
    value.shape ??= source?.shape;
  }
  const dimsOf = dimsBySize(model);
  const config = parsePbtxt(tritonConfig(model, { name: "reviews", target, maxBatch, dimsOf }));
  const io = (field: string) =>
    messagesOf(config, field).map((one) => ({
      name: stringOf(one, "name"),
      type: stringOf(one, "data_type"),
      dims: one.get("dims"),
      ...(one.has("reshape") ? { reshape: messagesOf(one, "reshape")[0]?.get("shape") } : {}),
    }));
  return {
    dimsOf,
    config,
    inputs: io("input"),
    outputs: io("output"),
    tensors: tritonModel(model),
  };
}

describe("config.pbtxt", () => {
  test("of an encoder: batches of requests, dims without the batch, on the CPU", () => {
    const { config, inputs, outputs } = configured(encoder);
    expect(stringOf(config, "name")).toBe("reviews");
    expect(stringOf(config, "backend")).toBe("onnxruntime");
    expect(config.get("max_batch_size")).toEqual([32]);
    expect(messagesOf(config, "dynamic_batching")).toHaveLength(1);
    expect(inputs).toEqual([
      { name: "input_ids", type: "TYPE_INT64", dims: [-1] },
      { name: "attention_mask", type: "TYPE_INT64", dims: [-1] },
    ]);
    expect(outputs).toEqual([{ name: "logits", type: "TYPE_FP32", dims: [-1] }]);
    expect(stringOf(messagesOf(config, "instance_group")[0], "kind")).toBe("KIND_CPU");
  });

  test("is a text that people can read", () => {
    const model = buildModel((b) => b.output(b.op("y", "Relu", [b.input("x", ["n", 4])])));
    for (const value of model.graph.outputs)
      Object.assign(value, { dtype: "float32", shape: ["n", 4] });
    expect(
      tritonConfig(model, {
        name: "m",
        target: "openvino",
        maxBatch: 8,
        dimsOf: dimsBySize(model),
      }),
    ).toMatchInlineSnapshot(`
      "name: "m"
      backend: "openvino"
      default_model_filename: "model.onnx"
      max_batch_size: 8
      input {
        name: "x"
        data_type: TYPE_FP32
        dims: [ 4 ]
      }
      output {
        name: "y"
        data_type: TYPE_FP32
        dims: [ 4 ]
      }
      dynamic_batching { }
      instance_group {
        kind: KIND_CPU
      }
      "
    `);
  });

  test.each<[string, readonly (number | string)[], RegExp]>([
    ["a fixed batch", [1, 128], /fixed at 1/],
    ["no dims", [], /has no dims/],
  ])("of a model with %s: no batches, all dims", (_, shape, reason) => {
    const { config, inputs, tensors } = configured((b) =>
      b.output(b.op("y", "Relu", [b.input("x", shape)])),
    );
    expect(config.get("max_batch_size")).toEqual([0]);
    expect(config.has("dynamic_batching")).toBe(false);
    expect(inputs[0]?.dims).toEqual(shape.length === 0 ? [1] : shape);
    expect(tensors.unbatched).toMatch(reason);
  });

  test("a batch may have another name in each input, as the newer exporter writes it", () => {
    const { config, inputs } = configured((b) => {
      const x = b.input("x", ["s10", 4]);
      b.input("y", ["s86", 4]);
      b.output(b.op("z", "Relu", [x]));
    });
    expect(config.get("max_batch_size")).toEqual([32]);
    expect(inputs.map(({ dims }) => dims)).toEqual([[4], [4]]);
  });

  test("an output that mixes the rows of a batch stops batches", () => {
    const { config, tensors } = configured((b) => {
      const y = b.op("y", "Reshape", [b.input("x", ["batch", "length"]), b.int("shape", [-1])]);
      y.shape = ["batch*length"];
      b.output(y);
    });
    expect(config.get("max_batch_size")).toEqual([0]);
    expect(tensors.unbatched).toBe('the first dim of output "y" is batch*length, that of no input');
  });

  test("one value a row is sent as one dim, which the server takes away", () => {
    const { inputs } = configured((b) => b.output(b.op("y", "Relu", [b.input("x", ["batch"])])));
    expect(inputs).toEqual([{ name: "x", type: "TYPE_FP32", dims: [1], reshape: [] }]);
  });

  test("inputs with a default are not asked for", () => {
    const { inputs } = configured((b) => {
      b.output(b.op("y", "Relu", [b.input("x", ["batch", 2])]));
      b.input("scale", [1]);
      b.graph.addNamedInitializer("scale", floats([1]));
    });
    expect(inputs.map(({ name }) => name)).toEqual(["x"]);
  });

  test("--max-batch 0 leaves batching out", () => {
    const { config, inputs } = configured(encoder, { maxBatch: 0 });
    expect(config.get("max_batch_size")).toEqual([0]);
    expect(inputs[0]?.dims).toEqual([-1, -1]);
  });

  test("for OpenVINO names the file, which is not called as its own format is", () => {
    const { config } = configured(encoder, { target: "openvino" });
    expect(stringOf(config, "backend")).toBe("openvino");
    expect(stringOf(config, "default_model_filename")).toBe("model.onnx");
  });

  const accelerator = (config: Fields): Record<string, string> => {
    const [optimization] = messagesOf(config, "optimization");
    const [all] = messagesOf(optimization, "execution_accelerators");
    const [gpu] = messagesOf(all, "gpu_execution_accelerator");
    expect(stringOf(gpu, "name")).toBe("tensorrt");
    return Object.fromEntries(
      messagesOf(gpu, "parameters").map((one) => [stringOf(one, "key"), stringOf(one, "value")]),
    );
  };

  test("for TensorRT has the accelerator, with one engine for all shapes up to the largest batch", () => {
    const { config } = configured(encoder, { target: "tensorrt", maxBatch: 64 });
    expect(stringOf(config, "backend")).toBe("onnxruntime");
    expect(stringOf(messagesOf(config, "instance_group")[0], "kind")).toBe("KIND_GPU");
    expect(accelerator(config)).toEqual({
      precision_mode: "FP16",
      trt_engine_cache_enable: "1",
      trt_profile_min_shapes: "input_ids:1x1,attention_mask:1x1",
      trt_profile_opt_shapes: "input_ids:8x128,attention_mask:8x128",
      trt_profile_max_shapes: "input_ids:64x512,attention_mask:64x512",
    });
  });

  test("for TensorRT keeps INT8 where the file says so, and leaves out shapes of names that cannot stand in them", () => {
    const { config } = configured(
      (b) => {
        const x = b.input("x:0", ["batch", 4]);
        const scale = b.float("scale", 1);
        b.output(b.op("y", "DequantizeLinear", [b.op("q", "QuantizeLinear", [x, scale]), scale]));
        for (const value of b.graph.outputs) Object.assign(value, { shape: ["batch", 4] });
      },
      { target: "tensorrt" },
    );
    expect(accelerator(config)).toEqual({ precision_mode: "INT8", trt_engine_cache_enable: "1" });
  });

  test("keeps every name, whatever stands in it", () => {
    const names = fc.string({ unit: "binary", minLength: 1 });
    fc.assert(
      fc.property(names, (name) => {
        const { inputs } = configured((b) =>
          b.output(b.op("out", "Relu", [b.input(name, ["b", 1])])),
        );
        expect(inputs[0]?.name).toBe(name);
      }),
    );
  });

  test("refuses what Triton has no type for, or whose dims are unknown", () => {
    const complex = buildModel((b) => b.output(b.input("x", ["n"], "complex64")));
    expect(() => tritonModel(complex)).toThrow(UnsupportedError);
    const unknown = buildModel((b) => b.output(b.op("y", "Made.Up", [b.input("x", ["n"])])));
    for (const value of unknown.graph.outputs) value.dtype = "float32";
    expect(() => tritonModel(unknown)).toThrow(/"y".*how many dims/);
  });
});

test("strings are printable ASCII", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (value) => {
      expect(message([["name", text(value)]]).body).toMatch(/^name: "[ -~]*"\n$/);
    }),
  );
});

describe("commands", () => {
  const serving = { name: "reviews", repository: "/data/it's here", gpu: false };

  test("start the server on the repository, with GPUs where the target needs them", () => {
    expect(startCommand(serving)).toMatch(
      /^docker run --rm -p 8000:8000 .* -v '\/data\/it'\\''s here:\/models:ro' \S+ tritonserver --model-repository=\/models$/,
    );
    expect(startCommand({ ...serving, gpu: true })).toContain(" --gpus=all ");
  });

  test("ask for a prediction with values of the right number and type", () => {
    const { tensors, dimsOf } = configured(encoder);
    const request = requestCommand(serving, tensors.inputs, dimsOf);
    const [, body = ""] = /-d '(.*)'$/.exec(request) ?? [];
    expect(JSON.parse(body)).toEqual({
      inputs: ["input_ids", "attention_mask"].map((name) => ({
        name,
        datatype: "INT64",
        shape: [1, 4],
        data: [1, 1, 1, 1],
      })),
    });
  });

  test("ask for the configuration where a request would be no line to type", () => {
    const large = configured((b) =>
      b.output(b.op("y", "Relu", [b.input("x", ["n", 3, 224, 224])])),
    );
    expect(requestCommand(serving, large.tensors.inputs, large.dimsOf)).toBe(
      "curl localhost:8000/v2/models/reviews/config",
    );
  });
});
