// The command that does a run again, from the options it was given: what is as by default is left out.

/** Options that are no part of what is done. */
const LEFT_OUT = new Set(["onProgress", "onCheckpoint", "signal", "json", "verbose"]);

/** Options that the command line calls otherwise than the library. */
const SHORT: Readonly<Record<string, string>> = {
  output: "-o",
  evaluate: "--eval",
  evaluateEvery: "--eval-every",
  rate: "--lr",
};

/** `octavo quantize ./model --mode static`, quoted for a POSIX shell. */
export function commandLine(
  command: string,
  inputs: readonly string[],
  options: Readonly<Record<string, unknown>>,
  defaults: Readonly<Record<string, unknown>>,
): string {
  const given = Object.entries(options).filter(
    ([name, value]) =>
      !LEFT_OUT.has(name) &&
      value !== undefined &&
      JSON.stringify(value) !== JSON.stringify(defaults[name]),
  );
  const words = given.flatMap(([name, value]) => optionWords(name, value));
  return ["octavo", command, ...inputs, ...words].map(quoted).join(" ");
}

function optionWords(name: string, value: unknown): string[] {
  const option = SHORT[name] ?? `--${kebab(name)}`;
  if (value === true) return [option];
  if (value === false) return [`--no-${kebab(name)}`];
  if (!Array.isArray(value)) return [option, wordOf(value)];
  const list = value.map(wordOf);
  return COMMAS.has(name) ? [option, list.join(",")] : list.flatMap((one) => [option, one]);
}
/** Lists in one word; others repeat their option. */
const COMMAS = new Set(["shapes", "threads"]);

function wordOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
