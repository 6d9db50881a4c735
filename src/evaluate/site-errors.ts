// The error at each site of two models: both run from their inputs, their products' results taken out as outputs and held against each other.
import { detectMask, rowMask, addObservers, type Masked } from "../calibrate/observers.js";
import type { Model } from "../graph/model.js";
import { maskInput } from "../inputs/mask.js";
import { splitOutliers } from "../plan/outliers.js";
import { inferTypes } from "../ops/infer.js";
import { quantizedForm } from "../quant/already.js";
import { findSites } from "../quant/sites.js";
import type { OnProgress } from "../report/progress.js";
import type { SiteErrorReport } from "../report/report.js";
import type { Feeds, RuntimeTensor, Session } from "../runtime/runtime.js";
import { floatTarget } from "../targets/all.js";
import type { Host, OpenedModel } from "../host/host.js";
import { withTemporarySession } from "../host/sessions.js";
import { matchProducts, productsOf, type MatchedProduct, type Product } from "./match-products.js";
import { noiseSums, realsOf, type NoiseSums } from "./snr.js";
import { prepare } from "../plan/prepare.js";
import { readGraph } from "../host/read-graph.js";

/** What both models are fed: the feeds of each, and which of batch × length count. */
export interface FeedPair {
  readonly reference: Feeds;
  readonly candidate: Feeds;
  readonly mask?: { readonly dims: readonly [number, number]; readonly data: Uint8Array };
}

export interface SiteErrors {
  /** The furthest fall first. */
  readonly sites: readonly SiteErrorReport[];
  readonly unmatched: readonly string[];
}

export interface SiteErrorOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress: OnProgress;
}

interface Site extends MatchedProduct {
  readonly masked: Masked;
  readonly sums: NoiseSums;
  /** Undefined until the tensors of both have been seen, false where they do not fit. */
  fits?: boolean;
}

/** Throws RuntimeFailedError, and the reason of an abort. */
export async function siteErrors(
  host: Host,
  reference: OpenedModel,
  candidate: OpenedModel,
  feeds: readonly FeedPair[],
  { signal, onProgress }: SiteErrorOptions,
): Promise<SiteErrors> {
  const right = readGraph(candidate);
  const left = referenceGraph(reference, productsOf(right));
  const { sites, lost } = matchedSites(left, right);
  await withTemporarySession(host, left, reference.external, (one) =>
    withTemporarySession(host, right, candidate.external, async (other) => {
      for (const [i, feed] of feeds.entries()) {
        signal?.throwIfAborted();
        await addRun({ reference: one, candidate: other }, sites, feed);
        onProgress({ step: "comparing sites", done: i + 1, total: feeds.length, unit: "batches" });
      }
    }),
  );
  const reports = withFalls(sites.filter(({ fits }) => fits === true).map(reportOf));
  const misfits = sites.filter(({ fits }) => fits !== true).map((site) => site.reference.name);
  return {
    sites: reports.toSorted((a, b) => b.fallDb - a.fallDb || a.snrDb - b.snrDb),
    unmatched: [...lost, ...misfits],
  };
}

/** The sites that both graphs have, which get their products' results as outputs; and those that are lost on the way. */
function matchedSites(
  left: Model,
  right: Model,
): { readonly sites: readonly Site[]; readonly lost: ReadonlySet<string> } {
  const { pairs, unmatched } = matchProducts(productsOf(left), productsOf(right));
  const lost = new Set<string>(unmatched.map(({ name }) => name));
  for (const [model, side] of [
    [left, "reference"],
    [right, "candidate"],
  ] as const) {
    const unobserved = new Set(
      addObservers(
        model,
        pairs.map((p) => p[side].value.name),
      ).map((u) => u.name),
    );
    for (const p of pairs) if (unobserved.has(p[side].value.name)) lost.add(p.reference.name);
  }
  const maskShape = maskInput(left.graph);
  const sites = pairs
    .filter((pair) => !lost.has(pair.reference.name))
    .map((pair): Site => ({
      ...pair,
      masked: detectMask(pair.reference.value.shape, maskShape?.shape),
      sums: noiseSums(),
    }));
  return { sites, lost };
}

/**
 * The reference as it is compared. Where Octavo set outlier channels of the candidate apart, so are those of the float reference: it follows from
 * the weights alone, and without it the rest of a block would have no counterpart.
 */
function referenceGraph(file: OpenedModel, theirs: readonly Product[]): Model {
  const model = readGraph(file);
  const apart = theirs.some(({ name }) => name.endsWith(".outliers"));
  if (!apart || quantizedForm(model) !== undefined) return model;
  prepare(model, floatTarget("cpu"));
  if (splitOutliers(model, findSites(model)) > 0) {
    model.graph.sort();
    inferTypes(model);
  }
  return model;
}

interface Sessions {
  readonly reference: Session;
  readonly candidate: Session;
}

async function addRun(sessions: Sessions, sites: readonly Site[], feed: FeedPair): Promise<void> {
  const run = (side: "reference" | "candidate") =>
    sessions[side].run(feed[side], {
      outputs: [...new Set(sites.map((site) => site[side].value.name))],
    });
  const left = await run("reference");
  const right = await run("candidate");
  for (const site of sites) {
    const a = left[site.reference.value.name];
    const b = right[site.candidate.value.name];
    if (a === undefined || b === undefined) throw new Error("internal: an observer gave nothing");
    site.fits = (site.fits ?? true) && added(site, a, b, feed.mask);
  }
}

function added(
  { sums, masked }: Site,
  a: RuntimeTensor,
  b: RuntimeTensor,
  mask: FeedPair["mask"],
): boolean {
  const [left, right] = [realsOf(a), realsOf(b)];
  if (left === undefined || right === undefined || left.length !== right.length) return false;
  const rows = rowMask(masked, a.dims, mask);
  sums.add(left, right, typeof rows === "string" ? undefined : rows);
  return true;
}

/** What 8 bits leave of a tensor at best: before the first error, this counts as none. */
const CLEAN_DB = 45;

/**
 * How far each site lies below the lowest of those before it, in the order of the graph. An error is handed on, and later layers may make it larger: where it
 * first appears the ratio falls furthest.
 */
function withFalls(sites: readonly Omit<SiteErrorReport, "fallDb">[]): SiteErrorReport[] {
  let lowest = CLEAN_DB;
  return sites.map((site) => {
    const ratio = Number.isNaN(site.snrDb)
      ? CLEAN_DB
      : Math.max(-CLEAN_DB, Math.min(CLEAN_DB, site.snrDb));
    const fallDb = lowest - ratio;
    lowest = Math.min(lowest, ratio);
    return { ...site, fallDb };
  });
}

function reportOf({ reference, candidate, matched, sums }: Site): Omit<SiteErrorReport, "fallDb"> {
  return {
    site: reference.name,
    kind: reference.kind,
    shape: reference.shape,
    reference: reference.value.name,
    candidate: candidate.value.name,
    matched,
    snrDb: sums.snrDb(),
    cosine: sums.cosine(),
  };
}
