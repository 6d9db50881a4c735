// docs/REFERENCE.md from the command line itself: every command with its arguments, options and examples.
import type { Command, Option } from "commander";
import { programOf } from "../src/cli/run.js";

const HEAD = `# Reference

Every command and option of \`octavo\`, written by \`npm run docs\` from the code that parses them. How-tos are in
[HOWTO.md](HOWTO.md).

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
  const options = command.options
    .filter((option) => !option.hidden)
    .map((option) => [`\`${option.flags}\``, meaning(option)]);
  const usage = ["octavo", command.name(), command.usage()].join(" ").trim();
  return [
    `## octavo ${command.name()}\n`,
    `${command.description()}\n`,
    `\`\`\`text\n${usage}\n\`\`\`\n`,
    ...(args.length === 0 ? [] : [table(["argument", ""], args)]),
    table(["option", ""], options),
    `\`\`\`text\n${textAfter(command).trim()}\n\`\`\`\n`,
  ].join("\n");
}

function meaning({ description, argChoices, defaultValue, mandatory, negate }: Option): string {
  const told = defaultValue !== undefined && !negate && typeof defaultValue !== "boolean";
  return [
    description,
    ...(argChoices === undefined ? [] : [argChoices.map((value) => `\`${value}\``).join(", ")]),
    ...(mandatory ? ["required"] : []),
    ...(told ? [`default: \`${String(defaultValue)}\``] : []),
  ].join("; ");
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
