// The program `octavo` around its commands: name, version, help. It loads no command.
import { Command, type OutputConfiguration } from "commander";
import { styleFor } from "../report/style.js";
import type { Io } from "./io.js";
import { ABOUT, EXAMPLES, HELP_COMMAND, HELP_OPTION, VERSION_OPTION } from "./overview.js";
import { version } from "./version.js";

export function programWith(commands: readonly Command[]): Command {
  const program = new Command("octavo")
    .description(ABOUT)
    .version(version(), ...VERSION_OPTION)
    .helpOption(...HELP_OPTION)
    .helpCommand(...HELP_COMMAND)
    .addHelpText("after", EXAMPLES)
    .showSuggestionAfterError();
  for (const command of commands) program.addCommand(command);
  return program;
}

/** Where help goes, and how wide it is. */
export function helpOutput(io: Io): OutputConfiguration {
  return {
    writeOut: (text) => void io.stdout.write(text),
    getOutHelpWidth: () => styleFor(io.stdout).width,
    getErrHelpWidth: () => styleFor(io.stderr).width,
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  };
}
