// What other quantizers deliver on the same models: figures that their harness wrote into a file, read and asked for the best.
import { existsSync, readFileSync } from "node:fs";
import { shared } from "../test/shared.js";

interface Scored {
  readonly value: number;
  readonly snr?: number;
}

export interface PeerRow {
  readonly ok: boolean;
  readonly size_mb?: number;
  readonly cpu_s?: number;
  readonly peak_mb?: number;
  readonly snr?: number;
  readonly ort?: Scored;
  readonly openvino?: Scored;
}

/** Recipes by name, for each model. `float` is the model itself. */
type Recipes = Readonly<Record<string, PeerRow>>;
/** Milliseconds by runtime and threads (`ort-1`), then by input (`1x32`). */
type Times = Readonly<Record<string, Readonly<Record<string, number>>>>;

export interface PeerResults {
  readonly models: Readonly<Record<string, Recipes>>;
  readonly zoo: Readonly<Record<string, Recipes>>;
  readonly latency: Readonly<Record<string, Readonly<Record<string, Times>>>>;
}

export const NO_RESULTS =
  "No figures of peers: name their file (results.json of the peers' harness) in OCTAVO_PEER_RESULTS.";

/** From the file that OCTAVO_PEER_RESULTS names, or from the material beside the repository; undefined where neither is. */
export function peerResults(): PeerResults | undefined {
  const path = process.env["OCTAVO_PEER_RESULTS"] ?? shared("peers", "results.json");
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as PeerResults) : undefined;
}

export interface Best {
  readonly name: string;
  readonly value: number;
}

export type Mode = "dynamic" | "static";

/** The best recipe of a mode by a figure; recipes that fail or do not have the figure are out. */
export function bestPeer(
  recipes: Recipes | undefined,
  mode: Mode | "any",
  figure: (row: PeerRow) => number | undefined,
  better: "more" | "less",
): Best | undefined {
  const sign = better === "more" ? 1 : -1;
  const all = Object.entries(recipes ?? {}).flatMap(([name, row]): Best[] => {
    const dynamic = name.includes("dynamic");
    if (!row.ok || name === "float" || (mode !== "any" && dynamic !== (mode === "dynamic")))
      return [];
    const value = figure(row);
    return value === undefined || !Number.isFinite(value) ? [] : [{ name, value }];
  });
  return all.toSorted((a, b) => sign * (b.value - a.value) || (a.name < b.name ? -1 : 1))[0];
}

/** The better of what a file gives in onnxruntime and in OpenVINO. */
export function inEither(row: PeerRow, figure: (scored: Scored) => number | undefined) {
  const all = [row.ort, row.openvino].flatMap((scored) => {
    const value = scored === undefined ? undefined : figure(scored);
    return value === undefined ? [] : [value];
  });
  return all.length === 0 ? undefined : Math.max(...all);
}
