// The command that does a run again, from the options it was given: what is as by default is left out.
import { flagOf } from "../options/spelling.js";

/** Options that are no part of what is done. */
const LEFT_OUT = new Set(["onProgress", "onCheckpoint", "signal", "json", "verbose"]);

/** `octavo quantize ./model --mode static`, quoted for a POSIX shell. */
export function commandLine(
  command: string,
  inputs: readonly string[],
  options: object,
  defaults: Readonly<Record<string, unknown>>,
): string {
  const all: Readonly<Record<string, unknown>> = { ...options };
  const given = Object.entries(all).filter(
    ([name, value]) =>
      !LEFT_OUT.has(name) &&
      value !== undefined &&
      JSON.stringify(value) !== JSON.stringify(defaults[name]),
  );
  const words = given.flatMap(([name, value]) => optionWords(name, value));
  return ["octavo", command, ...inputs, ...words].map(quoted).join(" ");
}

function optionWords(name: string, value: unknown): string[] {
  if (typeof value === "boolean") return [flagOf(name, String(value))];
  const option = name === "output" ? "-o" : flagOf(name);
  if (!Array.isArray(value)) return [option, wordOf(value)];
  const list = value.map(wordOf);
  return COMMAS.has(name) ? [option, list.join(",")] : list.flatMap((one) => [option, one]);
}
/** Lists in one word; others repeat their option. */
const COMMAS = new Set(["shapes", "threads"]);

function wordOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
