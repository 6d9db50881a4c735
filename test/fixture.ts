// Files of test/fixtures.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export function fixturePath(name: string): string {
  return fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
}

export function fixture(name: string): Uint8Array {
  // Not a Buffer, whose slices are no copies.
  return Uint8Array.from(readFileSync(fixturePath(name)));
}

export function fixtureJson(name: string): unknown {
  return JSON.parse(readFileSync(fixturePath(name), "utf8"));
}
