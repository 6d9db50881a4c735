// Builds dist/ from src/, whole or not at all. Node built-ins only: npm runs it as `prepare`.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, renameSync, rmSync, utimesSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");
const main = join("cli", "main.js");

/** TypeScript's compiler as a file, so that no shell and no PATH is needed to run it; undefined where it is not installed. */
function compiler() {
  try {
    const manifest = createRequire(import.meta.url).resolve("typescript/package.json");
    return join(dirname(manifest), "bin", "tsc");
  } catch {
    return undefined;
  }
}

function build() {
  const tsc = compiler();
  if (tsc === undefined) {
    // An install without development tools: what was built before stays.
    console.error("TypeScript is not installed, so dist was not built. Install it with `npm ci`.");
    return existsSync(join(dist, main)) ? 0 : 1;
  }
  const started = new Date();
  // Into a new folder, so that nothing of a deleted source stays, and a command that runs meanwhile finds its files.
  const fresh = join(root, `.dist-${process.pid}`);
  try {
    const args = [tsc, "-p", "tsconfig.build.json", "--outDir", fresh];
    const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" });
    if (status !== 0) return status ?? 1;
    chmodSync(join(fresh, main), 0o755);
    // What changed while it was compiled is newer than the build.
    utimesSync(join(fresh, main), started, started);
    rmSync(dist, { recursive: true, force: true });
    renameSync(fresh, dist);
    return 0;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

process.exitCode = build();
