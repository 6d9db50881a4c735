// How the command line writes the library's options: `--weight-bits` for weightBits, `--no-check` for check: false.

/** Flags that are shorter than the option's name; the whole name is a flag as well. */
export const SHORT_FLAGS: Readonly<Record<string, string>> = {
  evaluate: "--eval",
  evaluateEvery: "--eval-every",
  rate: "--lr",
};

/** What is no option there but an argument. */
const ARGUMENTS: Readonly<Record<string, string>> = { model: "<model>", models: "<models...>" };

/** The flag of an option, with a value where one is given. */
export function flagOf(option: string, value?: string): string {
  const [name = ""] = option.split(".");
  if (ARGUMENTS[name] !== undefined) return ARGUMENTS[name];
  const long = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  if (value === "false") return `--no-${long}`;
  const flag = SHORT_FLAGS[name] ?? `--${long}`;
  return value === undefined || value === "true" ? flag : `${flag} ${value}`;
}
