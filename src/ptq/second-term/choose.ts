// Which activations are worth a second term: those that cost most when they alone are in 8 bits, as many as a share of all multiplications allows.
import type { LinearSite } from "../../quant/sites.js";
import { WORTHWHILE } from "./defaults.js";

export interface Candidate {
  /** Sites that read the activation. */
  readonly sites: readonly LinearSite[];
  /** Noise at the output, with this activation alone in 8 bits. */
  readonly noise: number;
}

/**
 * Chosen candidates in order of their noise. `extra` is the share of all products' multiplications that their second terms may take (per position,
 * K · N each); a candidate that does not fit any more is passed over for a smaller one.
 */
export function worthSecondTerms(
  candidates: readonly Candidate[],
  all: readonly LinearSite[],
  extra: number,
): Candidate[] {
  const total = candidates.reduce((sum, { noise }) => sum + noise, 0);
  let left = extra * multiplications(all);
  const chosen: Candidate[] = [];
  for (const candidate of candidates.toSorted((a, b) => b.noise - a.noise)) {
    if (!(candidate.noise > WORTHWHILE * total)) break;
    const cost = multiplications(candidate.sites);
    if (cost > left) continue;
    left -= cost;
    chosen.push(candidate);
  }
  return chosen;
}

function multiplications(sites: readonly LinearSite[]): number {
  return sites.reduce((sum, { weight }) => sum + weight.rows * weight.cols, 0);
}
