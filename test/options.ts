// Options that are put together while a test runs, so that the compiler does not know their mode.
import type { AnyQuantizeOptions, QuantizeOptions } from "../src/options/quantize.js";

export function ofSomeMode(options: AnyQuantizeOptions): QuantizeOptions {
  return options as QuantizeOptions;
}
