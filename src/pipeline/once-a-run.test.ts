// Data and the float model once a run: how often files are parsed, tokenizers built, sessions loaded, rows answered by the float model.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { buildModel, bytesOf, noise, type Builder } from "../../test/build.js";
import { quantize, train, type QuantizeOptions } from "../node.js";
import { ortNode } from "../runtime/ort-node.js";
import type { Session } from "../runtime/runtime.js";

const seen = vi.hoisted(() => ({ parsed: [] as string[], tokenizers: 0, written: [] as string[] }));

vi.mock("../data/sources.js", async (original) => {
  const { FORMATS } = await original<typeof import("../data/sources.js")>();
  const counted = Object.entries(FORMATS).map(([ending, format]) => [
    ending,
    (...args: Parameters<typeof format>) => {
      seen.parsed.push(args[1]);
      return format(...args);
    },
  ]);
  return { FORMATS: Object.fromEntries(counted) as typeof FORMATS };
});

vi.mock("../data/tokenize.js", async (original) => {
  const module = await original<typeof import("../data/tokenize.js")>();
  return {
    ...module,
    createTokenizer(...args: Parameters<typeof module.createTokenizer>) {
      seen.tokenizers++;
      return module.createTokenizer(...args);
    },
  };
});

vi.mock("../onnx/files.js", async (original) => {
  const module = await original<typeof import("../onnx/files.js")>();
  return {
    ...module,
    writeModelFile(...args: Parameters<typeof module.writeModelFile>) {
      seen.written.push(args[0]);
      return module.writeModelFile(...args);
    },
  };
});

const folder = mkdtempSync(join(tmpdir(), "octavo-once-"));
const at = (...names: string[]) => join(folder, ...names);
const demo = fileURLToPath(new URL("../../examples/demo-reviews", import.meta.url));
afterAll(() => rmSync(folder, { recursive: true }));

const WIDTH = 32;
const WORDS = 8192;

/** Words, two feed-forward blocks with norms, the mean of all tokens, two classes. */
function classifier(b: Builder): void {
  const ids = b.input("input_ids", ["batch", "length"], "int64");
  let seed = 1;
  const weight = (name: string, rows: number, cols: number) =>
    b.float(
      name,
      [...noise(rows * cols, ++seed)].map((v) => v / 2),
      [rows, cols],
    );
  const norm = (name: string, x: ReturnType<Builder["op"]>) =>
    b.op(name, "LayerNormalization", [
      x,
      b.float(`${name}.weight`, Array<number>(WIDTH).fill(1)),
      b.float(`${name}.bias`, Array<number>(WIDTH).fill(0)),
    ]);
  let x = norm("first", b.op("rows", "Gather", [weight("words.weight", WORDS, WIDTH), ids]));
  for (const name of ["a", "b"]) {
    const up = b.op(`${name}.up`, "MatMul", [x, weight(`${name}.up.weight`, WIDTH, 64)]);
    const act = b.op(`${name}.act`, "Relu", [up]);
    const down = b.op(`${name}.down`, "MatMul", [act, weight(`${name}.down.weight`, 64, WIDTH)]);
    x = norm(name, b.op(`${name}.add`, "Add", [down, x]));
  }
  const mean = b.op("mean", "ReduceMean", [x, b.int("axes", [1])], { keepdims: 0 });
  b.output(b.op("logits", "MatMul", [mean, weight("classifier.weight", WIDTH, 2)]));
}

beforeAll(() => {
  cpSync(demo, at("model"), { recursive: true, filter: (name) => !name.endsWith(".onnx") });
  writeFileSync(at("model", "model.onnx"), bytesOf(buildModel(classifier)));
  const [head = "", ...lines] = readFileSync(join(demo, "reviews.tsv"), "utf8").trim().split("\n");
  const some = [...new Set(lines)];
  writeFileSync(at("train.tsv"), [head, ...some.slice(0, 96)].join("\n"));
  writeFileSync(at("dev.tsv"), [head, ...some.slice(200, 240)].join("\n"));
});

let sessions: { readonly outputs: number; readonly rows: Map<string, number> }[] = [];

beforeEach(() => {
  [seen.parsed, seen.written, seen.tokenizers, sessions] = [[], [], 0, []];
  const load = ortNode.load.bind(ortNode);
  const spy = vi.spyOn(ortNode, "load").mockImplementation(async (...args) => {
    const session = await load(...args);
    // Once more by the CPU's own sums, where these saturate; not elsewhere.
    if (args[1]?.integerSums === "native") return session;
    const rows = new Map<string, number>();
    sessions.push({ outputs: session.outputs.length, rows });
    return counted(session, rows);
  });
  return () => spy.mockRestore();
});

/** Counts each row of ids, padding left out. */
function counted(session: Session, rows: Map<string, number>): Session {
  return {
    inputs: session.inputs,
    outputs: session.outputs,
    release: () => session.release(),
    run(feeds, options) {
      const { data, dims: [batch = 0, length = 0] = [] } = feeds["input_ids"] ?? {};
      const ids = Array.from(data ?? [], Number);
      for (let b = 0; b < batch; b++) {
        const row = ids
          .slice(b * length, (b + 1) * length)
          .filter((id) => id !== 0)
          .join(" ");
        rows.set(row, (rows.get(row) ?? 0) + 1);
      }
      return session.run(feeds, options);
    },
  };
}

const paths = () => seen.parsed.map((path) => path.slice(folder.length + 1)).toSorted();
const temporary = () => seen.written.filter((path) => !path.startsWith(folder));

const DATA = at("train.tsv");
const DEV = at("dev.tsv");
const STATIC: QuantizeOptions = { mode: "static", data: DATA, samples: 32, force: true };
const QAT: QuantizeOptions = {
  mode: "qat",
  data: DATA,
  samples: 32,
  loss: "distill",
  trainSteps: 20,
  batchSize: 8,
  evaluateEvery: 2,
  force: true,
};

test("static mode parses its data once, builds one tokenizer, loads five sessions and writes two temporary models", async () => {
  const { report } = await quantize(at("model"), { ...STATIC, output: at("static.onnx") });
  expect(report.check?.snrDb).toBeGreaterThan(10);
  expect(report.clipped?.length).toBeGreaterThan(0);
  expect(paths()).toEqual(["train.tsv"]);
  expect(seen.tokenizers).toBe(1);
  expect(sessions.length).toBeLessThanOrEqual(5);
  expect(temporary().length).toBeLessThanOrEqual(2);
});

test("scores on another file add no session and no tokenizer", async () => {
  const options = { ...STATIC, output: at("scored.onnx"), evaluate: DEV };
  const { report } = await quantize(at("model"), options);
  expect(report.evaluation?.rows).toBe(40);
  expect(paths()).toEqual(["dev.tsv", "train.tsv"]);
  expect(seen.tokenizers).toBe(1);
  expect(sessions.length).toBeLessThanOrEqual(5);
});

test("QAT parses each file once, builds one tokenizer, and loads seven sessions", async () => {
  const options = { ...QAT, output: at("qat.onnx"), evaluate: DEV };
  const { report } = await quantize(at("model"), options);
  expect(report.training?.scores.length).toBeGreaterThan(5);
  expect(report.evaluation?.rows).toBe(40);
  expect(report.check).toBeDefined();
  expect(paths()).toEqual(["dev.tsv", "train.tsv"]);
  expect(seen.tokenizers).toBe(1);
  expect(sessions.length).toBeLessThanOrEqual(7);
});

test.each([
  ["distill", "other data", DEV],
  ["both", "other data", DEV],
  ["distill", "what is held out", undefined],
] as const)(
  "the float model answers each row once: --loss %s, scored on %s",
  async (loss, _, evaluate) => {
    const output = at("taught.onnx");
    await quantize(at("model"), { ...QAT, output, loss, evaluate, check: false });
    // It is the one that gives its hidden states, too; of the sessions that follow it none reads the rows in float.
    const teachers = sessions.filter(({ outputs, rows }) => outputs === 4 && rows.size > 0);
    expect(teachers).toHaveLength(1);
    const counts = [...(teachers[0]?.rows.values() ?? [])];
    expect(counts).toHaveLength(evaluate === undefined ? 96 : 136);
    expect(Math.max(...counts)).toBe(1);
  },
);

test("train reads its files once, and asks its teacher about each row once in three epochs", async () => {
  const options = { data: DATA, evaluate: DEV, epochs: 3, batchSize: 8, output: at("tuned.onnx") };
  const teacher = at("model", "model.onnx");
  await train(at("model"), { ...options, teacher, force: true });
  expect(paths()).toEqual(["dev.tsv", "train.tsv"]);
  expect(seen.tokenizers).toBe(1);
  const [asked] = sessions;
  expect([...(asked?.rows.values() ?? [])]).toEqual(Array(96).fill(1));
});
