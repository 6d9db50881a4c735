// onnxruntime-web's WebAssembly build (transformers.js, device "wasm"): the same rewrites and kernels as on CPUs, so the same forms gain.
import { cpu } from "./cpu.js";
import type { Target } from "./target.js";

/**
 * The graph that onnxruntime-web 1.30 makes of a quantized model has, operator by operator, what onnxruntime on a CPU makes of it. Signed and unsigned
 * codes are equally fast there, dynamic and static mode too, and its products do not saturate: nothing has to differ from target `cpu`, its lint neither.
 */
export const web: Target = {
  ...cpu,
  runsInHost: false,
  name: "web",
  about: "onnxruntime-web, WebAssembly (browsers, transformers.js)",
};
