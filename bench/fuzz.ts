// Reads damaged models by the million: `tsx bench/fuzz.ts [count] [seed]`.
import { pathToFileURL } from "node:url";
import { fuzz, type FuzzResult } from "../test/fuzz.js";

/** Runs `count` seeded mutations of six models; throws at the first that is neither an error for the user nor a writable model. */
export function run(count = 1_000_000, seed = 1): FuzzResult {
  return fuzz(count, seed);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [count = 1_000_000, seed = 1] = process.argv.slice(2).map(Number);
  console.log(JSON.stringify(run(count, seed)));
}
