// docs/REFERENCE.md from the command line and the library's documented options together: every command with its arguments, options and examples.
import type { Command, Option } from "commander";
import { programOf } from "../src/cli/run.js";
import { QUANTIZE_TAKEN } from "../src/options/quantize.js";
import { targetsOf } from "../src/options/taken.js";
import { isVerb, optionsOfVerb, VERBS, type OptionDoc, type Verb } from "./option-docs.js";

const HEAD = `# Reference

Every command and option of \`octavo\`, on the command line and in the library, written by \`npm run docs\` from the code that
parses and checks them. How-tos are in [HOWTO.md](HOWTO.md).

Every command prints one JSON object with \`--json\`, and ends with status 0 done, 1 failed, 2 wrong usage.
`;

export function reference(): string {
  const silent = { write: () => undefined };
  const { commands } = programOf({ stdout: silent, stderr: silent, env: {} });
  return `${HEAD}\n${commands.map(section).join("\n")}`;
}

function section(command: Command): string {
  const args = command.registeredArguments.map((argument) => [
    `\`${argument.required ? `<${argument.name()}>` : `[${argument.name()}]`}\``,
    argument.description,
  ]);
  const name = command.name();
  const verb = isVerb(name) ? name : undefined;
  const options = command.options
    .filter((option) => !option.hidden)
    .map((option) => row(option, verb));
  const flags = new Set(command.options.map((option) => option.attributeName()));
  const inCode = [...(verb === undefined ? [] : optionsOfVerb(verb).values())]
    .filter((doc) => !flags.has(doc.name))
    .map((doc) => ["", `\`${doc.name}\``, doc.meaning, byDefault(doc, verb)]);
  const usage = ["octavo", name, command.usage()].join(" ").trim();
  return [
    `## octavo ${name}\n`,
    `${command.description()}\n`,
    `\`\`\`text\n${usage}\n\`\`\`\n`,
    ...(args.length === 0 ? [] : [table(["argument", ""], args)]),
    table(["option", "in code", "", "default"], [...options, ...inCode]),
    `\`\`\`text\n${textAfter(command).trim()}\n\`\`\`\n`,
  ].join("\n");
}

/** What the library says of an option, and the command line of those that are its own. */
function row(option: Option, verb: Verb | undefined): string[] {
  const doc = verb && optionsOfVerb(verb).get(option.attributeName());
  const flags = `\`${option.flags}\``;
  if (doc === undefined || verb === undefined) return [flags, "", option.description, ""];
  const choices = option.argChoices?.filter((value) => !doc.meaning.includes(`"${value}"`)) ?? [];
  const values =
    choices.length === 0 ? [] : [`${choices.map((one) => `\`"${one}"\``).join(", ")}.`];
  const meaning = [doc.meaning, ...values, ...(verb === "quantize" ? takenBy(doc.name) : [])].join(
    " ",
  );
  return [flags, `\`${doc.name}\``, meaning, byDefault(doc, verb)];
}

function takenBy(name: string): string[] {
  const modes = QUANTIZE_TAKEN.modes[name];
  const targets = targetsOf(name);
  return [
    ...(modes === undefined ? [] : [`Mode ${modes.join(", ")}.`]),
    ...(targets === undefined ? [] : [`Target ${targets.join(", ")}.`]),
  ];
}

function byDefault({ name, leftOut, required }: OptionDoc, verb: Verb | undefined): string {
  const values: Readonly<Record<string, unknown>> = verb === undefined ? {} : VERBS[verb].defaults;
  const value = values[name];
  if (value !== undefined) return `\`${JSON.stringify(value)}\``;
  return leftOut?.replace(/\.$/, "") ?? (required ? "required" : "");
}

/** What \`addHelpText\` put behind the options. */
function textAfter(command: Command): string {
  let all = "";
  command.configureOutput({ writeOut: (text) => (all += text) });
  command.outputHelp();
  return all.slice(command.helpInformation().length);
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, ...rows].map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = head.map((_, i) => Math.max(3, ...cells.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[], fill: string) =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0, fill)).join(" | ")} |\n`;
  const [first = [], ...others] = cells;
  const rule = head.map(() => "");
  return [line(first, " "), line(rule, "-"), ...others.map((row) => line(row, " "))].join("");
}
