// `npm run docs`: writes what is generated in docs/, the reference of the command line and the pictures of THEORY.md.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pictures } from "./pictures.js";
import { reference } from "./reference.js";

const docs = fileURLToPath(new URL("../docs", import.meta.url));
writeFileSync(join(docs, "REFERENCE.md"), reference());
mkdirSync(join(docs, "pictures"), { recursive: true });
for (const [name, svg] of Object.entries(await pictures()))
  writeFileSync(join(docs, "pictures", `${name}.svg`), svg);
