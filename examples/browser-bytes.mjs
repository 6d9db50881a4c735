// The core as a page or a worker uses it: bytes in, bytes out; no file is written, no runtime is loaded.
// Node stands in for the page here: `node examples/browser-bytes.mjs [model.onnx]`.
import { readFile } from "node:fs/promises";
import { quantizeBytes } from "octavo";

const file = process.argv[2] ?? new URL("demo-reviews/onnx/model.onnx", import.meta.url);
// In a page: new Uint8Array(await (await fetch("model.onnx")).arrayBuffer())
const model = new Uint8Array(await readFile(file));

const { bytes, plan, sites } = quantizeBytes(model, { exclude: ["*pooler*"] });

console.log(`${model.length} bytes → ${bytes.length} bytes`);
console.log(
  `${sites.filter((site) => site.runs === "int8").length} of ${sites.length} sites in INT8`,
);
console.log(`plan for --mode ${plan.mode} --target ${plan.target}`);
// In a page: await ort.InferenceSession.create(bytes)
