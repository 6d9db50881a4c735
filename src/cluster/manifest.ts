// Calibration on a cluster: the same command in shards, written down for Kubernetes or Slurm, with the merge of their files. Pure text.
import { OptionError } from "../errors.js";
import type { CalibrateOptions } from "../options/calibrate.js";

export type ManifestKind = "kubernetes" | "slurm";

export interface ManifestOptions extends Omit<CalibrateOptions, "output"> {
  readonly shards: number;
  /** Where the merged statistics go on the cluster; default `stats.json`. Those of shards go beside it. */
  readonly output?: string | undefined;
}

/** More indexes than an Indexed Job admits (100,000) are no array that anyone runs. */
const MOST_SHARDS = 100_000;
/** Control characters, and what YAML or a shell takes as the end of a line. */
const CONTROL = /[\p{Cc}\u2028\u2029]/u;
const IMAGE = "registry.example/octavo:latest";
const CLAIM = "octavo-work";
const FOLDER = "/work";

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
  const facts = { run: [...run, "--shards", String(shards)], output, shards };
  return kind === "kubernetes" ? kubernetes(facts) : slurm(facts);
}

interface Facts {
  /** `octavo` and its arguments, all but the output. */
  readonly run: readonly string[];
  readonly output: string;
  readonly shards: number;
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
 * `$(NAME)` is expanded by Kubernetes, and a dollar that stands for itself is doubled.
 */
function kubernetes({ run, output, shards }: Facts): string {
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
  return `# Calibrates in ${shards} shards, then merges their files. Replace the image (one that has octavo: npm install --global octavo) and the
# claim of the volume, which holds the model and the data; relative paths are in it. A pod that is ended begins where it was.
#
#   kubectl apply -f THIS_FILE
#   kubectl wait --for=condition=complete --timeout=-1s job/octavo-calibrate
#   kubectl patch job/octavo-merge --type=merge --patch '{"spec":{"suspend":false}}'
${job("octavo-calibrate", shard, [
  "completionMode: Indexed",
  `completions: ${shards}`,
  `parallelism: ${shards}`,
  `backoffLimit: ${Math.max(6, shards)}`,
])}---
${job("octavo-merge", merge, ["suspend: true", "backoffLimit: 2"])}`;
}

function job(name: string, command: readonly string[], spec: readonly string[]): string {
  return `apiVersion: batch/v1
kind: Job
metadata:
  name: ${name}
spec:
${spec.map((line) => `  ${line}\n`).join("")}  template:
    spec:
      restartPolicy: OnFailure
      containers:
        - name: octavo
          image: ${IMAGE}
          workingDir: ${FOLDER}
          command:
${command.map((word) => `            - ${JSON.stringify(word)}\n`).join("")}          resources:
            requests: { cpu: "2", memory: 2Gi }
          volumeMounts:
            - { name: work, mountPath: ${FOLDER} }
      volumes:
        - name: work
          persistentVolumeClaim: { claimName: ${CLAIM} }
`;
}

/** One script for both jobs: a script that is submitted is copied, and cannot name another beside it. */
function slurm({ run, output, shards }: Facts): string {
  const command = run.map(shellWord).join(" ");
  const all = `${shellWord(shardFile(output, ""))}{0..${shards - 1}}`;
  return `#!/bin/bash
#SBATCH --job-name=octavo-calibrate
#SBATCH --array=0-${shards - 1}
#SBATCH --cpus-per-task=2
#SBATCH --mem=2G
#SBATCH --output=octavo-calibrate-%A_%a.log
#
# Calibrates in ${shards} shards, then merges their files. Paths are as seen from where it is submitted, on a file system that all nodes share:
#
#   shards=$(sbatch --parsable THIS_FILE)
#   sbatch --dependency=afterok:$shards --array=0 THIS_FILE merge
#
# A shard that was ended begins where it was, when its task is submitted again (--array=7).
set -euo pipefail

if [ "\${1:-}" = merge ]; then
  exec octavo calibrate --output ${shellWord(output)} --force --merge ${all}
fi
# Counted from 0, also where only a part of the array is submitted.
export SLURM_ARRAY_TASK_MIN=0
exec ${command} --output ${shellWord(shardFile(output, ""))}"$SLURM_ARRAY_TASK_ID" --force
`;
}

function shellWord(text: string): string {
  return /^[\w./=:@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
