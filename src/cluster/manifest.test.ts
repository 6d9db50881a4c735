import fc from "fast-check";
import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { run } from "../cli/run.js";
import { calibrationManifest } from "./manifest.js";

interface Job {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly template: {
      readonly spec: { readonly containers: readonly { readonly command: readonly string[] }[] };
    };
  };
}

function jobsOf(text: string): Job[] {
  return parseAllDocuments(text).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS() as Job;
  });
}

function commandOf(job: Job | undefined): readonly string[] {
  return job?.spec.template.spec.containers[0]?.command ?? [];
}

/** As Kubernetes expands a command. */
function expanded(word: string): string {
  return word.replaceAll(/\$\$|\$\(JOB_COMPLETION_INDEX\)/g, (found) =>
    found === "$$" ? "$" : "7",
  );
}

test("a Kubernetes manifest is an Indexed Job and a suspended one, with a file for each shard", () => {
  const text = calibrationManifest("kubernetes", "./m", { data: "texts", shards: 3 });
  const [shards, merge] = jobsOf(text);
  expect(shards).toMatchObject({
    apiVersion: "batch/v1",
    kind: "Job",
    spec: { completionMode: "Indexed", completions: 3, parallelism: 3 },
  });
  expect(merge).toMatchObject({ kind: "Job", spec: { suspend: true } });
  expect(commandOf(shards).slice(-3)).toEqual([
    "--output",
    "stats.json.shard-$(JOB_COMPLETION_INDEX)",
    "--force",
  ]);
  expect(commandOf(merge).slice(-3)).toEqual([0, 1, 2].map((i) => `stats.json.shard-${i}`));
  // What the comment says is run names the Jobs that there are.
  for (const job of [shards, merge]) expect(text).toContain(`job/${job?.metadata.name}`);
});

test("a shard of Kubernetes that is killed is tried again, a user's mistake ends the Job, and a run has names of its own", () => {
  const options = { data: "texts", shards: 3, samples: "all" } as const;
  const [shards, merge] = jobsOf(calibrationManifest("kubernetes", "./m", options));
  const rules = [
    { action: "FailJob", onExitCodes: { containerName: "octavo", operator: "In", values: [1, 2] } },
    { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget" }] },
  ];
  const pod = {
    restartPolicy: "Never",
    securityContext: { runAsNonRoot: true },
    containers: [{ resources: { limits: { memory: "4Gi" } } }],
  };
  expect(shards?.spec).toMatchObject({
    backoffLimitPerIndex: 3,
    podFailurePolicy: { rules },
    template: { spec: pod },
  });
  expect(merge?.spec).toMatchObject({ podFailurePolicy: { rules }, template: { spec: pod } });
  const [other] = jobsOf(
    calibrationManifest("kubernetes", "./m", { ...options, output: "b.json" }),
  );
  expect(other?.metadata.name).not.toBe(shards?.metadata.name);
});

test("a task of Slurm that is killed is queued again, one that fails ends the merge, logs are kept", () => {
  const text = calibrationManifest("slurm", "m", {
    data: "texts",
    shards: 1002,
    checkpointEvery: 30,
  });
  for (const line of ["--open-mode=append", "--requeue", "--time=", "--kill-on-invalid-dep=yes"])
    expect(text).toContain(line);
  expect(text).toContain("--checkpoint-every 30");
  expect(text).toContain("MaxArraySize");
  expect(text).toMatch(/"\$status" -ge 128 .*SLURM_RESTART_COUNT:-0}" -lt 3/);
});

test("a manifest repeats what decides the tensors that are listened to", () => {
  const options = { target: "tensorrt", attention: "all", residual: "both" } as const;
  const text = calibrationManifest("slurm", "m", { data: "texts", shards: 2, ...options });
  expect(text).toMatch(/--target'? '?tensorrt.*--attention'? '?all.*--residual'? '?both/);
});

test("paths of all kinds come through a Kubernetes manifest as they are", () => {
  const path = fc.oneof(fc.constantFrom("$(HOME)", "$$x", 'a "b"', "- x: #1", "'"), fc.string());
  fc.assert(
    fc.property(path, path, (model, data) => {
      fc.pre(![model, data].some((text) => text === "" || /[\p{Cc}\u2028\u2029]/u.test(text)));
      const text = calibrationManifest("kubernetes", model, { data, shards: 2 });
      const words = commandOf(jobsOf(text)[0]).map(expanded);
      const named = [model, data].map((name) => (name.startsWith("-") ? `./${name}` : name));
      expect([words[2], words[4]]).toEqual(named);
    }),
  );
});

test("options of the run are those of every shard", () => {
  const options = { samples: "all", outliers: false, maxLength: 64, textColumn: "review" } as const;
  const text = calibrationManifest("slurm", "m", { data: ["a", "b"], shards: 2, ...options });
  expect(text).toContain(
    "octavo calibrate m --data a --data b --no-outliers --samples all --max-length 64 " +
      "--text-column review --shards 2 ",
  );
});

test.each([
  ["without shards", ["--data", "d.jsonl"], 2, /needs --shards/],
  ["without data", ["--shards", "2"], 1, /--data cannot be left out/],
  ["with a shard", ["--shards", "2", "--shard", "1/2", "--data", "d.jsonl"], 2, /neither/],
  ["with a line break in a path", ["--shards", "2", "--data", "a\nb.jsonl"], 1, /control/],
  [
    "for another system",
    ["--shards", "2", "--data", "d.jsonl", "--manifest", "nomad"],
    2,
    /kubernetes, slurm/,
  ],
])("a manifest %s is an error that says what is wrong", async (_, options, expected, message) => {
  let [printed, stderr] = ["", ""];
  const io = {
    stdout: { write: (text: string) => (printed += text) },
    stderr: { write: (text: string) => (stderr += text) },
    env: {},
  };
  const status = await run(["calibrate", "m", "--manifest", "slurm", ...options], io);
  expect([status, printed]).toEqual([expected, ""]);
  expect(stderr).toMatch(message);
});
