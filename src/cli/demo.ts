// octavo demo: the embedded model before and after.
import { Command } from "commander";
import type { CommonOptions, Io } from "./io.js";
import { withCommon } from "./options.js";

export function demoCommand(io: Io): Command {
  const command = new Command("demo")
    .description("Quantize the embedded model and show size, accuracy and speed, before and after.")
    .argument("[sentence...]", "a sentence of your own, to see what both models say of it")
    .addHelpText("after", EXAMPLES)
    .action(async (words: string[], options: CommonOptions) => {
      const [{ runDemo }, { demoText }, { present }] = await Promise.all([
        import("./run-demo.js"),
        import("../report/demo-text.js"),
        import("./present.js"),
      ]);
      const text = words.join(" ").trim();
      const sentence = text === "" ? undefined : text;
      await present(io, options, demoText, (onProgress) => runDemo({ sentence, onProgress }));
    });
  return withCommon(command);
}

const EXAMPLES = `
Examples:
  octavo demo
  octavo demo "The soup was anything but cold."
  npm run demo -- "The soup was anything but cold."     in the repository
`;
