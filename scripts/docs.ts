// `npm run docs`: writes what is generated in docs/, the reference of the command line, the table of gradients and the pictures of THEORY.md.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gradients } from "./gradients.js";
import { pictures } from "./pictures.js";
import { reference } from "./reference.js";

const docs = fileURLToPath(new URL("../docs", import.meta.url));
writeFileSync(join(docs, "REFERENCE.md"), reference());
writeFileSync(join(docs, "GRADIENTS.md"), gradients());
mkdirSync(join(docs, "pictures"), { recursive: true });
for (const [name, svg] of Object.entries(await pictures()))
  writeFileSync(join(docs, "pictures", `${name}.svg`), svg);
