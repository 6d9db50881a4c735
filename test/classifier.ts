// A small text classifier: what quantize and inspect are tested on.
import { noise, type Builder } from "./build.js";

/** Words, a feed-forward block and a head: what a text classifier is made of. */
export function classifier(b: Builder): void {
  const ids = b.input("input_ids", ["batch", "length"], "int64");
  const weight = (name: string, rows: number, cols: number, seed: number) =>
    b.float(name, [...noise(rows * cols, seed)], [rows, cols]);
  const linear = (name: string, x: Parameters<Builder["op"]>[2][0], rows: number, cols: number) =>
    b.op(`${name}.out`, "Add", [
      b.op(`${name}.product`, "MatMul", [x, weight(`${name}.weight`, rows, cols, rows + cols)]),
      b.float(`${name}.bias`, [...noise(cols, 5)]),
    ]);
  const rows = b.op("rows", "Gather", [weight("words.weight", 400, 32, 1), ids]);
  const wide = b.op("act", "Relu", [linear("layer.0.up", rows, 32, 64)]);
  const out = linear("layer.0.down", wide, 64, 32);
  b.output(linear("head", out, 32, 3));
}
