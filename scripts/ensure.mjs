// Makes a checkout ready to run: installs what package-lock.json names and builds dist, each only where needed. Says nothing otherwise.
// Node built-ins only: it is the first thing that runs in a fresh clone.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const at = (...segments) => join(root, ...segments);
const changed = (path) => statSync(path).mtimeMs;

/** Whether node_modules holds what the lock file names, by npm's own record of what it installed. */
function installed() {
  const [lock, record] = [at("package-lock.json"), at("node_modules", ".package-lock.json")];
  if (!existsSync(record)) return false;
  if (changed(record) >= changed(lock)) return true;
  // A lock file that was written again may say the same.
  const have = packagesOf(record);
  return Object.entries(packagesOf(lock)).every(([path, wanted]) => {
    const found = have[path];
    if (path === "") return true;
    // Other platforms' packages are in the lock file only.
    if (found === undefined) return wanted.optional === true || wanted.devOptional === true;
    return found.version === wanted.version && found.integrity === wanted.integrity;
  });
}

function packagesOf(path) {
  return JSON.parse(readFileSync(path, "utf8")).packages;
}

/** Whether dist is newer than all it is made from. Folders count: theirs is the time of the last deletion. */
function built() {
  const main = at("dist", "cli", "main.js");
  if (!existsSync(main)) return false;
  const entries = readdirSync(at("src"), { recursive: true, encoding: "utf8" });
  const sources = entries
    .filter((name) => !name.endsWith(".test.ts"))
    .map((name) => at("src", name));
  const others = ["src", "tsconfig.json", "tsconfig.build.json", "scripts/build.mjs"].map((name) =>
    at(name),
  );
  return [...sources, ...others].every((path) => changed(path) <= changed(main));
}

/** Runs a step with its output on stderr, so that stdout belongs to the command that follows. */
function step(what, command, args, options = {}) {
  console.error(what);
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ["ignore", 2, 2],
    ...options,
  });
  if (status === 0) return;
  if (error) console.error(error.message);
  process.exit(status ?? 1);
}

function install() {
  const args = ["ci", "--include=dev", "--no-fund", "--no-audit"];
  // The npm that runs this script, where one does.
  const npm = process.env.npm_execpath;
  if (npm?.endsWith("npm-cli.js"))
    step("Installing dependencies (npm ci)…", process.execPath, [npm, ...args]);
  else
    step("Installing dependencies (npm ci)…", "npm", args, { shell: process.platform === "win32" });
}

if (!installed()) install();
if (!built()) step("Building…", process.execPath, [at("scripts", "build.mjs")]);
