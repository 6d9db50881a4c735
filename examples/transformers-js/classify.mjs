// A client of what octavo wrote: transformers.js loads the model's folder from the disk and classifies sentences, a JSON line for each.
// `npm ci`, then `node classify.mjs ../demo-reviews [--dtype q8] < sentences.txt`; octavo quantize writes what q8, int8 and q4 load.
import { basename, dirname, resolve, sep } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { env, pipeline } from "@huggingface/transformers";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { dtype: { type: "string", default: "q8" } },
});
const [folder] = positionals;
if (folder === undefined) {
  console.error("node classify.mjs <model folder> [--dtype q8|int8|q4|fp32] < sentences.txt");
  process.exit(2);
}

// Nothing is downloaded: a model is a folder below localModelPath, q8 its onnx/model_quantized.onnx.
env.allowRemoteModels = false;
env.localModelPath = dirname(resolve(folder)) + sep;
const classify = await pipeline("text-classification", basename(resolve(folder)), {
  dtype: values.dtype,
  device: "cpu",
});

for await (const text of createInterface({ input: process.stdin })) {
  if (text.trim() === "") continue;
  const [{ label, score }] = await classify(text);
  console.log(JSON.stringify({ label, score, text }));
}
await classify.dispose();
