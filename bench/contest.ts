// Octavo beside the best peer, figure by figure: who is better is said in each row, whoever it is.
import type { Column } from "../src/report/table.js";
import { figure, type BenchTable } from "./bench.js";
import type { Best } from "./peer-results.js";

export interface Contest {
  readonly subject: string;
  /** NaN where Octavo failed; undefined where it was not measured. */
  readonly ours: number | undefined;
  readonly peer: Best | undefined;
}

export interface Discipline {
  readonly title: string;
  readonly better: "more" | "less";
  /** Differences up to this are ties. */
  readonly slack: number;
}

/** The name of the winner: Octavo, the peer's, `tie`, or a dash where one side has no figure. */
export function winner({ ours, peer }: Contest, { better, slack }: Discipline): string {
  if (ours === undefined || peer === undefined) return "–";
  if (Number.isNaN(ours)) return peer.name;
  const gain = better === "more" ? ours - peer.value : peer.value - ours;
  if (Math.abs(gain) <= slack) return "tie";
  return gain > 0 ? "Octavo" : peer.name;
}

const COLUMNS: readonly Column[] = [
  { title: "" },
  { title: "Octavo", align: "right" },
  { title: "best peer", align: "right" },
  { title: "which" },
  { title: "better" },
];

export function contestTable(discipline: Discipline, contests: readonly Contest[]): BenchTable {
  const shown = (value: number | undefined) =>
    value === undefined ? "–" : Number.isNaN(value) ? "fails" : figure(value);
  const won = contests.map((contest) => winner(contest, discipline));
  const peers = won.filter((name) => !["Octavo", "tie", "–"].includes(name)).length;
  const count = (name: string) => won.filter((one) => one === name).length;
  const score = `Octavo ${count("Octavo")}, ties ${count("tie")}, peers ${peers}`;
  return {
    title: `${discipline.title} (${discipline.better} is better): ${score}`,
    columns: COLUMNS,
    rows: contests.map((contest, i) => [
      contest.subject,
      shown(contest.ours),
      shown(contest.peer?.value),
      contest.peer?.name ?? "–",
      won[i] ?? "–",
    ]),
  };
}
