// The command line: parses, runs one command, turns whatever happens into output and an exit status. Only parsing is loaded at the start.
import { CommanderError, type Command } from "commander";
import { OctavoError, OptionError } from "../errors.js";
import { flagOf } from "../options/spelling.js";
import { styleFor } from "../report/style.js";
import { benchmarkCommand } from "./benchmark.js";
import { calibrateCommand } from "./calibrate.js";
import { compareCommand } from "./compare.js";
import { demoCommand } from "./demo.js";
import { evaluateCommand } from "./evaluate.js";
import { exportTritonCommand } from "./export-triton.js";
import { inspectCommand } from "./inspect.js";
import { Interrupted, type Io } from "./io.js";
import { optimizeCommand } from "./optimize.js";
import { helpOutput, programWith } from "./program.js";
import { quantizeCommand } from "./quantize.js";
import { reportCommand } from "./report.js";
import { trainCommand } from "./train.js";

/** Exit statuses: part of the contract. */
const DONE = 0;
const FAILED = 1;
const WRONG_USAGE = 2;
/** As shells count SIGINT. */
export const INTERRUPTED = 130;

const COMMANDS = [
  quantizeCommand,
  calibrateCommand,
  evaluateCommand,
  compareCommand,
  inspectCommand,
  optimizeCommand,
  benchmarkCommand,
  reportCommand,
  trainCommand,
  exportTritonCommand,
  demoCommand,
];

/** The whole command line as data: the parser, help and docs/REFERENCE.md are made from it. */
export function programOf(io: Io): Command {
  return programWith(COMMANDS.map((make) => make(io)));
}

/** Runs `octavo` with arguments; resolves to the exit status. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  // Errors of the parser are printed at the end, in the form that was asked for.
  let complaint = "";
  const program = programOf(io);
  for (const command of [program, ...program.commands])
    command.exitOverride().configureOutput({
      ...helpOutput(io),
      writeErr: (text) => void (complaint += text),
    });
  const has = (name: string) => args.slice(0, endOfOptions(args)).includes(name);
  const reporter = { json: has("--json"), verbose: has("--verbose") };
  try {
    await program.parseAsync([...args], { from: "user" });
    return DONE;
  } catch (error) {
    if (error instanceof Interrupted) return ended(error, reporter, io);
    if (!(error instanceof CommanderError)) return failed(error, reporter, io);
    if (error.exitCode === 0) return DONE;
    // What a command finds wrong after parsing was not printed by the parser.
    return wrongUsage(complaint || `error: ${error.message}`, reporter, io);
  }
}

function endOfOptions(args: readonly string[]): number {
  const at = args.indexOf("--");
  return at < 0 ? args.length : at;
}

interface Reporter {
  readonly json: boolean;
  readonly verbose: boolean;
}

async function wrongUsage(complaint: string, { json }: Reporter, io: Io): Promise<number> {
  const isHelp = !complaint.startsWith("error:");
  const message = isHelp ? "no command was given" : complaint.replace(/^error: /, "").trim();
  if (json) (await import("./present.js")).print(io, { error: { code: "usage", message } });
  else io.stderr.write(isHelp ? complaint : `${errorMark(io)} ${message}\n`);
  return WRONG_USAGE;
}

async function ended({ message }: Interrupted, { json }: Reporter, io: Io): Promise<number> {
  if (json) (await import("./present.js")).print(io, { error: { code: "interrupted", message } });
  else io.stderr.write(`${message}\n`);
  return INTERRUPTED;
}

async function failed(error: unknown, { json, verbose }: Reporter, io: Io): Promise<number> {
  const [{ printable }, { print }] = await Promise.all([
    import("../report/format.js"),
    import("./present.js"),
  ]);
  const shown = error instanceof OptionError ? error.spelled(flagOf) : error;
  const known = shown instanceof OctavoError;
  const message = shown instanceof Error ? shown.message : String(shown);
  if (json)
    print(io, {
      error: known
        ? { name: shown.name, ...shown.toJSON() }
        : { name: "Error", code: "internal", message },
    });
  else {
    io.stderr.write(`${errorMark(io)} ${printable(message)}\n`);
    if (!known)
      io.stderr.write(
        `This should not happen: it is a bug in Octavo${verbose ? "" : " (--verbose shows where)"}.\n`,
      );
  }
  if (verbose) io.stderr.write(`${traceOf(error).split("\n").map(printable).join("\n")}\n`);
  return FAILED;
}

function traceOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const trace = error.stack ?? error.message;
  return error.cause === undefined ? trace : `${trace}\nCaused by ${traceOf(error.cause)}`;
}

function errorMark(io: Io): string {
  const { bold, red } = styleFor(io.stderr, io.env).colors;
  return bold(red("Error:"));
}
