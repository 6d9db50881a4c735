import { describe, expect, expectTypeOf, test } from "vitest";
import * as v from "valibot";
import { optionsOf, optionsOfVerb, VERBS, type Verb } from "../../scripts/option-docs.js";
import { programOf } from "../cli/run.js";
import { OptionError } from "../errors.js";
import { MODES } from "../quant/plan.js";
import { benchmarkSettings } from "./benchmark.js";
import { calibrateSettings } from "./calibrate.js";
import { compareSettings } from "./compare.js";
import { evaluateSettings } from "./evaluate.js";
import { exportTritonSettings } from "./export-triton.js";
import { schemaOf } from "./fields.js";
import { inspectSettings } from "./inspect.js";
import { optimizeSettings } from "./optimize.js";
import { QUANTIZE_TAKEN, quantizeSettings, type AnyQuantizeOptions } from "./quantize.js";
import { reportSettings } from "./report.js";
import { flagOf } from "./spelling.js";
import { trainSettings } from "./train.js";

const verbs = Object.keys(VERBS) as Verb[];

/** The settings of a verb where only what is required is given. */
const BARE: Readonly<Record<Verb, () => object>> = {
  quantize: () => quantizeSettings({}),
  calibrate: () => calibrateSettings({ output: "o" }),
  evaluate: () => evaluateSettings({ data: "d" }),
  compare: () => compareSettings({}),
  inspect: () => inspectSettings({}),
  optimize: () => optimizeSettings({}),
  benchmark: () => benchmarkSettings({}),
  report: () => reportSettings({}),
  train: () => trainSettings({ data: "d" }),
  "export-triton": () => exportTritonSettings({ output: "o" }),
};

/** What the command line has for itself. */
const OWN: Partial<Record<Verb, readonly string[]>> = {
  calibrate: ["shards", "manifest", "statsOutput"],
  inspect: ["all"],
  evaluate: ["questionColumn", "contextColumn"],
  compare: ["questionColumn", "contextColumn"],
  train: ["questionColumn", "contextColumn"],
};
/** What only code can give. */
const IN_CODE = new Set(["onProgress", "signal", "onCheckpoint"]);

const silent = { write: () => undefined };
const { commands } = programOf({ stdout: silent, stderr: silent, env: {} });
const commandOf = (verb: Verb) => commands.find((command) => command.name() === verb);

function refused(options: AnyQuantizeOptions): string {
  try {
    quantizeSettings(options);
  } catch (error) {
    if (error instanceof OptionError) return error.spelled(flagOf).message;
    throw error;
  }
  return "taken";
}

describe.each(verbs)("options of %s", (verb) => {
  test("have a doc comment each, which tells the default or what happens without", () => {
    const docs = [...optionsOfVerb(verb).values()];
    expect(docs.length).toBeGreaterThan(1);
    for (const { name, meaning } of docs) expect(meaning, name).toMatch(/^.{10,}\.$/s);
    const defaults: Readonly<Record<string, unknown>> = VERBS[verb].defaults;
    for (const doc of docs) {
      const value = defaults[doc.name];
      expect(doc.default, doc.name).toBe(value === undefined ? undefined : JSON.stringify(value));
    }
  });

  test("are by default what the one table of defaults says", () =>
    expect(BARE[verb]()).toMatchObject(VERBS[verb].defaults));

  test("are called the same on the command line", () => {
    const flags = commandOf(verb)?.options.map((option) => option.attributeName()) ?? [];
    const own = new Set(["json", "verbose", ...(OWN[verb] ?? [])]);
    const library = [...optionsOfVerb(verb).keys()].filter((name) => !IN_CODE.has(name));
    // Statistics are of one mode.
    const named = library.filter((name) => !(verb === "calibrate" && name === "mode"));
    expect(flags.filter((name) => !own.has(name)).toSorted()).toEqual(named.toSorted());
  });

  test("take the values on the command line that the library takes", () => {
    for (const option of commandOf(verb)?.options ?? []) {
      const name = option.attributeName();
      if (option.argChoices === undefined || OWN[verb]?.includes(name) === true) continue;
      const taken = (value: string) => schemaTakes(verb, name, value);
      expect([name, option.argChoices.filter((value) => !taken(value))]).toEqual([name, []]);
    }
  });
});

/** Whether a value passes as such: that a mode or target does not take it is another thing. */
function schemaTakes(verb: Verb, name: string, value: string): boolean {
  const check: Readonly<Record<Verb, (options: never) => object>> = {
    quantize: quantizeSettings,
    calibrate: calibrateSettings,
    evaluate: evaluateSettings,
    compare: compareSettings,
    inspect: inspectSettings,
    optimize: optimizeSettings,
    benchmark: benchmarkSettings,
    report: reportSettings,
    train: trainSettings,
    "export-triton": exportTritonSettings,
  };
  const more = verb === "train" || verb === "evaluate" ? { data: "d" } : {};
  const output = verb === "calibrate" || verb === "export-triton" ? { output: "o" } : {};
  try {
    check[verb]({ ...more, ...output, [name]: value } as never);
    return true;
  } catch (error) {
    return error instanceof OptionError && /^(given|left out)/.test(error.got);
  }
}

test("a schema that differs from its interface does not compile", () => {
  interface Documented {
    readonly rows?: number | undefined;
  }
  const make = schemaOf<Documented>();
  make({ rows: v.optional(v.number()) });
  // @ts-expect-error: of another type.
  make({ rows: v.optional(v.string()) });
  // @ts-expect-error: required.
  make({ rows: v.number() });
  // @ts-expect-error: missing.
  make({});
  // @ts-expect-error: not documented.
  make({ rows: v.optional(v.number()), more: v.optional(v.number()) });
  expectTypeOf<Documented>().toHaveProperty("rows");
});

test("the modes of the table are those whose interface has the option", () => {
  const names = { dynamic: "DynamicOptions", static: "StaticOptions", qat: "QatOptions" } as const;
  const has = MODES.map((mode) => [mode, new Set(optionsOf(names[mode]).keys())] as const);
  for (const option of optionsOfVerb("quantize").keys()) {
    const modes = has.filter(([, options]) => options.has(option)).map(([mode]) => mode);
    expect([option, QUANTIZE_TAKEN.modes[option] ?? MODES]).toEqual([option, modes]);
  }
});

describe("an option that is not taken is an error that names what takes it", () => {
  const qat = { mode: "qat", data: "train.tsv" } as const;
  test.each<[AnyQuantizeOptions, string]>([
    [
      { trainSteps: 5 },
      "Option --train-steps cannot be given in dynamic mode. Expected --mode qat, which takes it.",
    ],
    [
      { mode: "static", rate: 1 },
      "Option --lr cannot be given in static mode. Expected --mode qat, which takes it.",
    ],
    [
      { range: "mse" },
      "Option --range cannot be given in dynamic mode. Expected --mode static or --mode qat, which take it.",
    ],
    [
      { ...qat, ablation: true },
      "Option --ablation cannot be given in qat mode. Expected --mode dynamic or --mode static, which take it.",
    ],
    [
      { mode: "static", fp16: true },
      "Option --fp16 cannot be given for target cpu. Expected --target tensorrt, which takes it.",
    ],
    [
      { mode: "static", residual: "none" },
      "Option --residual cannot be given for target cpu. Expected --target tensorrt, which takes it.",
    ],
    [
      { mode: "static", target: "tensorrt", accuracy: "high" },
      "Option --accuracy cannot be given for target tensorrt. Expected --target cpu or --target web or --target openvino, which take it.",
    ],
    [
      { weights: "int4", stats: "s.json" },
      "Option --stats cannot be given with weights int4. Expected --weights int8, which takes it.",
    ],
    [
      { weights: "int4", weightBits: 4 },
      "Option --weight-bits cannot be given with weights int4. Expected --weights int8, which takes it.",
    ],
    [
      { blockSize: 32 },
      "Option --block-size cannot be given with weights int8. Expected --weights int4 or --weights int8-only, which take it.",
    ],
    [{ weightBits: 3 }, "Option --weight-bits cannot be 3. Expected >=4."],
    [
      { ablation: true, check: false },
      "Option --ablation cannot be measured without the check. Expected no --no-check.",
    ],
    [
      { mode: "qat" },
      "Option --data cannot be left out in qat mode. Expected a file of texts to train on, with labels or without (--data train.tsv).",
    ],
  ])("%j", (options, message) => expect(refused(options)).toBe(message));

  test("only what was given counts: not defaults, nor flags that are as they are by default", () => {
    expect(refused({ trainSteps: undefined, fp16: false, correct: true })).toBe("taken");
    expect(refused({ ...qat, trainSteps: 5, ablation: false })).toBe("taken");
    expect(refused({ mode: "static", target: "tensorrt", residual: "both", fp16: true })).toBe(
      "taken",
    );
  });

  test("inspect knows the mode that its target takes where none is given", () => {
    expect(inspectSettings({ target: "tensorrt", residual: "both" }).residual).toBe("both");
    expect(() => inspectSettings({ attention: "all" })).toThrow(/given in dynamic mode/);
    expect(() => calibrateSettings({ output: "o", residual: "skip" })).toThrow(/target cpu/);
  });

  test("in code it is spelled as in code", () => {
    expect(() => quantizeSettings({ trainSteps: 5 })).toThrow(
      'Option "trainSteps" cannot be given in dynamic mode. Expected mode: "qat", which takes it.',
    );
  });
});
