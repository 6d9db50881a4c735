// Calibration on a cluster: the same command in shards, written down for Kubernetes or Slurm, with the merge of their files. Pure text.
import { WINDOW } from "../data/run-batches.js";
import { OptionError } from "../errors.js";
import type { CalibrateOptions } from "../options/calibrate.js";

export type ManifestKind = "kubernetes" | "slurm";

export interface ManifestOptions extends Omit<CalibrateOptions, "output"> {
  readonly shards: number;
  /** Where the merged statistics go on the cluster; default `stats.json`. Those of shards go beside it, so runs of one folder need names of their own. */
  readonly output?: string | undefined;
}

/** More indexes than an Indexed Job admits (100,000) are no array that anyone runs. */
const MOST_SHARDS = 100_000;
/** Control characters, and what YAML or a shell takes as the end of a line. */
const CONTROL = /[\p{Cc}\u2028\u2029]/u;
const IMAGE = "registry.example/octavo:latest";
const CLAIM = "octavo-work";
const FOLDER = "/work";
/** Times that a shard is tried again after it was killed. */
const RETRIES = 3;
/** Tasks of an array that Slurm takes unless its `MaxArraySize` says otherwise. */
const USUAL_ARRAY = 1001;

/**
 * A manifest that calibrates `model` in shards, and merges them. Paths are as the cluster sees them: relative ones are looked up in the volume
 * (Kubernetes), or where the script was submitted (Slurm). Throws OptionError for options that it has no place for, and control characters.
 */
export function calibrationManifest(
  kind: ManifestKind,
  model: string,
  { shards, output = "stats.json", ...options }: ManifestOptions,
): string {
  if (!(Number.isSafeInteger(shards) && shards >= 1 && shards <= MOST_SHARDS))
    throw new OptionError("shards", String(shards), `a whole number from 1 to ${MOST_SHARDS}`);
  const run = calibrateArguments(model, options);
  for (const text of [...run, output])
    if (CONTROL.test(text))
      throw new OptionError("manifest", JSON.stringify(text), "names without control characters");
  const all = options.samples === "all";
  const facts = { run: [...run, "--shards", String(shards)], output, shards, all };
  return kind === "kubernetes" ? kubernetes(facts) : slurm(facts);
}

interface Facts {
  /** `octavo` and its arguments, all but the output. */
  readonly run: readonly string[];
  readonly output: string;
  readonly shards: number;
  /** Of all data, not of a sample. */
  readonly all: boolean;
}

/** More shards than there is work for do no harm, and nothing else. */
function workNote({ shards, all }: Facts): string {
  return all
    ? `# Each takes rows in groups of ${WINDOW}: with less than ${shards * WINDOW} rows some have nothing to do.\n`
    : `# They share one sample of a few batches: more shards than batches have nothing to do (--samples all takes all data).\n`;
}

function calibrateArguments(model: string, options: Omit<ManifestOptions, "shards">): string[] {
  const { data, target, attention, residual, outliers, samples, seed, maxLength } = options;
  if (data === undefined)
    throw new OptionError("data", "left out", "the data as the cluster sees it");
  const texts = typeof data === "string" ? [data] : data;
  const value = (option: string, given: string | number | undefined) =>
    given === undefined ? [] : [option, String(given)];
  return [
    "octavo",
    "calibrate",
    inPlace(model),
    ...texts.flatMap((path) => ["--data", inPlace(path)]),
    ...value("--target", target),
    ...value("--attention", attention),
    ...value("--residual", residual),
    ...(outliers === false ? ["--no-outliers"] : []),
    ...value("--samples", samples),
    ...value("--seed", seed),
    ...value("--max-length", maxLength),
    ...value("--checkpoint-every", options.checkpointEvery),
    ...value("--text-column", options.textColumn),
    ...value("--pair-column", options.pairColumn),
    ...value("--tokens-column", options.tokensColumn),
  ];
}

/** A path that is not taken for an option. */
function inPlace(path: string): string {
  return path.startsWith("-") ? `./${path}` : path;
}

function shardFile(output: string, index: string | number): string {
  return `${output}.shard-${index}`;
}

/**
 * An Indexed Job, and a suspended one for the merge: Kubernetes does not order Jobs by itself. Strings are JSON, which YAML takes as they are;
 * `$(NAME)` is expanded by Kubernetes, and a dollar that stands for itself is doubled. Valid from Kubernetes 1.28 on.
 */
function kubernetes(facts: Facts): string {
  const { run, output, shards } = facts;
  const literal = (text: string) => text.replaceAll("$", "$$$$");
  const shard = [
    ...run.map(literal),
    "--output",
    shardFile(literal(output), "$(JOB_COMPLETION_INDEX)"),
    "--force",
  ];
  const files = Array.from({ length: shards }, (_, i) => shardFile(literal(output), i));
  const merge = [
    "octavo",
    "calibrate",
    "--output",
    literal(output),
    "--force",
    "--merge",
    ...files,
  ];
  const name = `octavo-calibrate-${digestOf([...run, output])}`;
  const ended = `kubectl get job/${name} -o jsonpath='{.status.conditions[*].type}'`;
  return `# Calibrates in ${shards} shards, then merges their files. Replace the image (one that has octavo: npm install --global octavo) and the
# claim of the volume, which holds the model and the data; relative paths are in it. Pods on several nodes write to it: its access mode has to be
# ReadWriteMany, and user 1000 may write. A pod that is evicted or killed begins where it was; an error of octavo's own ends the whole Job.
${workNote(facts)}#
#   kubectl apply -f THIS_FILE
#   until ${ended} | grep -qwE 'Complete|Failed'; do sleep 10; done
#   ${ended} | grep -qw Complete && kubectl patch job/${name}-merge --type=merge --patch '{"spec":{"suspend":false}}'
${job(name, shard, [
  "completionMode: Indexed",
  `completions: ${shards}`,
  `parallelism: ${shards}`,
  `backoffLimitPerIndex: ${RETRIES}`,
  "maxFailedIndexes: 0",
  ...POD_FAILURES,
])}---
${job(`${name}-merge`, merge, ["suspend: true", "backoffLimit: 2", ...POD_FAILURES])}`;
}

/** Octavo ends with 1 for what a user has to mend, with 2 for wrong usage: no other try would end otherwise. */
const POD_FAILURES = [
  "podFailurePolicy:",
  "  rules:",
  "    - action: FailJob",
  "      onExitCodes: { containerName: octavo, operator: In, values: [1, 2] }",
  "    - action: Ignore",
  "      onPodConditions: [{ type: DisruptionTarget }]",
];

/** Eight letters that differ from run to run (FNV-1a): two runs do not take each other's names. */
function digestOf(words: readonly string[]): string {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(words.join("\0")))
    hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, "0");
}

function job(name: string, command: readonly string[], spec: readonly string[]): string {
  return `apiVersion: batch/v1
kind: Job
metadata:
  name: ${name}
spec:
${spec.map((line) => `  ${line}\n`).join("")}  template:
    spec:
      restartPolicy: Never
      securityContext:
        runAsNonRoot: true
        runAsUser: 1000
        fsGroup: 1000
        seccompProfile: { type: RuntimeDefault }
      containers:
        - name: octavo
          image: ${IMAGE}
          workingDir: ${FOLDER}
          command:
${command.map((word) => `            - ${JSON.stringify(word)}\n`).join("")}          resources:
            requests: { cpu: "2", memory: 2Gi }
            limits: { memory: 4Gi }
          securityContext:
            allowPrivilegeEscalation: false
            capabilities: { drop: [ALL] }
          volumeMounts:
            - { name: work, mountPath: ${FOLDER} }
      volumes:
        - name: work
          persistentVolumeClaim: { claimName: ${CLAIM} }
`;
}

/**
 * One script for both jobs: a script that is submitted is copied, and cannot name another beside it. What a signal ended (128 and above: out of
 * memory, a node that went down) is put into the queue again by the script itself.
 */
function slurm(facts: Facts): string {
  const { run, output, shards } = facts;
  const command = run.map(shellWord).join(" ");
  const all = `${shellWord(shardFile(output, ""))}{0..${shards - 1}}`;
  const large =
    shards > USUAL_ARRAY
      ? `# ${shards} tasks are more than Slurm takes by default: scontrol show config | grep MaxArraySize\n`
      : "";
  return `#!/bin/bash
#SBATCH --job-name=octavo-calibrate
#SBATCH --array=0-${shards - 1}
#SBATCH --cpus-per-task=2
#SBATCH --mem=2G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=octavo-calibrate-%A_%a.log
#
# Calibrates in ${shards} shards, then merges their files. Paths are as seen from where it is submitted, on a file system that all nodes share,
# and octavo has to be on PATH there (npm install --global octavo, or a module that is loaded below):
#
#   shards=$(sbatch --parsable THIS_FILE)
#   sbatch --dependency=afterok:$shards --kill-on-invalid-dep=yes --array=0 THIS_FILE merge
#
# A shard that was killed is tried again, at most ${RETRIES} times, and begins where it was. One that failed for good ends the merge, too; once
# the cause is mended, submit that task again (--array=7), and the merge after it: both lines above, with that number.
${workNote(facts)}${large}set -euo pipefail

if ! command -v octavo >/dev/null; then
  echo "octavo is not on PATH on $(hostname): npm install --global octavo, or load its module in this script" >&2
  exit 127
fi

if [ "\${1:-}" = merge ]; then
  exec octavo calibrate --output ${shellWord(output)} --force --merge ${all}
fi
# Counted from 0, also where only a part of the array is submitted.
export SLURM_ARRAY_TASK_MIN=0
status=0
${command} --output ${shellWord(shardFile(output, ""))}"$SLURM_ARRAY_TASK_ID" --force || status=$?
if [ "$status" -ge 128 ] && [ "\${SLURM_RESTART_COUNT:-0}" -lt ${RETRIES} ]; then
  scontrol requeue "\${SLURM_ARRAY_JOB_ID}_\${SLURM_ARRAY_TASK_ID}" && sleep 60
fi
exit "$status"
`;
}

function shellWord(text: string): string {
  return /^[\w./=:@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
