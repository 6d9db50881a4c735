// `npm run bench -- NAME [options]`: measures one thing, prints it, and keeps it in bench/out/: NAME.json, and NAME.md as a page. Without a name: the list.
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { styleFor } from "../src/report/style.js";
import { base } from "./base.js";
import { isMet, resultMarkdown, resultText, type Bench } from "./bench.js";
import { calibration } from "./calibrate.js";
import { defaults } from "./defaults.js";
import { evaluateBench } from "./evaluate.js";
import { run as fuzzRun } from "./fuzz.js";
import { itself } from "./itself.js";
import { large } from "./large.js";
import { latency } from "./latency.js";
import { machine } from "./machine.js";
import { models } from "./models.js";
import { openvino } from "./openvino.js";
import { qat } from "./qat.js";
import { sideBySide } from "./side-by-side.js";
import { statics } from "./static.js";
import { tensorrt } from "./tensorrt.js";
import { training } from "./train.js";
import { zoo } from "./zoo.js";

const fuzz: Bench = {
  name: "fuzz",
  about: "damaged models by the million: each an error for the user or a model, nothing else",
  options: "[COUNT 1000000] [SEED 1]",
  run([count = "1000000", seed = "1"]) {
    const { seconds, ...tally } = fuzzRun(Number(count), Number(seed));
    const rows = Object.entries(tally).map(([what, n]) => [what, String(n)]);
    const columns = [{ title: "" }, { title: "", align: "right" as const }];
    const title = `${count} mutations, seed ${seed}, ${seconds.toFixed(0)} s`;
    return Promise.resolve({
      tables: [{ title, columns, rows }],
      bars: [],
      notes: [],
      data: { ...tally, seconds },
    });
  },
};

const BENCHES: readonly Bench[] = [
  base,
  calibration,
  large,
  latency,
  itself,
  models,
  evaluateBench,
  statics,
  qat,
  defaults,
  tensorrt,
  openvino,
  training,
  zoo,
  sideBySide,
  fuzz,
];

const [name, ...args] = process.argv.slice(2);
const bench = BENCHES.find((one) => one.name === name);
if (bench === undefined) {
  const out = name === undefined ? process.stdout : process.stderr;
  if (name !== undefined) out.write(`There is no bench "${name}".\n\n`);
  out.write("npm run bench -- NAME [options]\n\n");
  for (const { name: each, about, options } of BENCHES)
    out.write(`  ${each.padEnd(9)} ${about}\n            ${options}\n`);
  process.exitCode = name === undefined ? 0 : 2;
} else {
  const before = machine();
  const date = new Date().toISOString();
  const result = await bench.run(args);
  process.stdout.write(resultText(result, styleFor(process.stdout, process.env)));
  const folder = fileURLToPath(new URL("out/", import.meta.url));
  mkdirSync(folder, { recursive: true });
  const { bars, notes, data } = result;
  const judged = bars.map((bar) => ({ ...bar, met: isMet(bar) }));
  const kept = {
    bench: bench.name,
    date,
    machine: before,
    bars: judged,
    notes,
    data,
  };
  writeFileSync(`${folder}${bench.name}.json`, `${JSON.stringify(kept, undefined, 2)}\n`);
  const conditions = [
    [
      "machine",
      `${before.cpu}, ${before.cores} cores, load ${before.load?.toFixed(1)} at the start`,
    ],
    ["software", `Octavo ${before.octavo}, onnxruntime ${before.onnxruntime}, Node ${before.node}`],
    ["date", date.slice(0, 10)],
  ] as const;
  writeFileSync(`${folder}${bench.name}.md`, resultMarkdown(bench.about, result, conditions));
  if (!bars.every(isMet)) process.exitCode = 1;
}
