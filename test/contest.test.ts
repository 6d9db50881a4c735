// The benchmark's table over peers says in each row who is better, Octavo or not, from the figures alone.
import { describe, expect, test } from "vitest";
import { resultMarkdown } from "../bench/bench.js";
import { contestTable, winner } from "../bench/contest.js";
import { bestPeer, inEither, type PeerResults } from "../bench/peer-results.js";
import { tablesOf } from "../bench/side-by-side.js";

const closeness = { title: "SNR", better: "more", slack: 0.3 } as const;
const cost = { title: "seconds", better: "less", slack: 0 } as const;

describe("the winner", () => {
  test.each([
    [30, 25, closeness, "Octavo"],
    [25, 30, closeness, "nncf"],
    [30, 30.2, closeness, "tie"],
    [2, 3, cost, "Octavo"],
    [3, 2, cost, "nncf"],
    [NaN, 2, cost, "nncf"],
  ] as const)("of %d and %d", (ours, value, discipline, expected) => {
    expect(winner({ subject: "m", ours, peer: { name: "nncf", value } }, discipline)).toBe(
      expected,
    );
  });

  test("is nobody where one side has no figure", () => {
    expect(winner({ subject: "m", ours: 1, peer: undefined }, cost)).toBe("–");
    expect(winner({ subject: "m", ours: undefined, peer: { name: "x", value: 1 } }, cost)).toBe(
      "–",
    );
  });
});

const peers: PeerResults = {
  models: {
    m: {
      float: { ok: true, size_mb: 100 },
      "ort-dynamic": { ok: false, cpu_s: 1 },
      "inc-dynamic": { ok: true, size_mb: 30, cpu_s: 9, ort: { value: 0.9, snr: 20 } },
      nncf: {
        ok: true,
        size_mb: 26,
        cpu_s: 20,
        ort: { value: 0.8, snr: 25 },
        openvino: { value: 0.81, snr: 26 },
      },
    },
  },
  zoo: { g: { nncf: { ok: true, snr: 40 }, "ort-dynamic": { ok: false } } },
  latency: { m: { float: { "ort-1": { "1x32": 10 } }, "inc-dynamic": { "ort-1": { "1x32": 4 } } } },
};

test("the best peer is one that works, of the mode, in its better runtime", () => {
  const { m } = peers.models;
  expect(bestPeer(m, "dynamic", (row) => row.cpu_s, "less")).toEqual({
    name: "inc-dynamic",
    value: 9,
  });
  const snr = bestPeer(m, "static", (row) => inEither(row, (s) => s.snr), "more");
  expect(snr).toEqual({ name: "nncf", value: 26 });
  expect(bestPeer(undefined, "any", (row) => row.snr, "more")).toBeUndefined();
});

describe("the tables", () => {
  const quantizedModel = {
    model: "m",
    mode: "dynamic",
    cpuSeconds: 2,
    peakMb: 100,
    share: 0.26,
    score: 0.85,
    snrDb: 24,
    faster: [2],
  } as const;
  const tables = tablesOf([quantizedModel], [{ graph: "g", snrDb: NaN }], peers);
  const row = (title: string, subject: string) =>
    tables.find((one) => one.title.startsWith(title))?.rows.find(([first]) => first === subject);

  test("name the peer where it wins, and count that in the title", () => {
    expect(row("Score", "m, dynamic")).toEqual([
      "m, dynamic",
      "0.850",
      "0.900",
      "inc-dynamic",
      "inc-dynamic",
    ]);
    expect(tables.find((one) => one.title.startsWith("Score"))?.title).toContain(
      "Octavo 0, ties 0, peers 1",
    );
    expect(row("Times as fast", "m, dynamic, 1 × 32")?.slice(1)).toEqual([
      "2",
      "2.50",
      "inc-dynamic",
      "inc-dynamic",
    ]);
  });

  test("name Octavo where it wins", () => {
    expect(row("Signal", "m, dynamic")?.at(-1)).toBe("Octavo");
    expect(row("CPU", "m, dynamic")?.at(-1)).toBe("Octavo");
  });

  test("show a failure of Octavo as one, and count what each tool quantizes", () => {
    expect(row("Zoo", "g")).toEqual(["g", "fails", "40", "nncf", "nncf"]);
    expect(row("Models and graphs", "zoo (1)")).toEqual(["zoo (1)", "0", "1", "nncf", "nncf"]);
  });

  test("are there without peers, too", () => {
    const [first] = tablesOf([quantizedModel], [], undefined);
    expect(first?.rows).toEqual([["m, dynamic", "24", "–", "–", "–"]]);
  });

  test("become a page with machine, versions and date on top", () => {
    const table = contestTable(cost, [{ subject: "a | b", ours: 1, peer: undefined }]);
    const page = resultMarkdown("all", { tables: [table], bars: [], notes: ["a note"], data: {} }, [
      ["date", "2026-01-02"],
    ]);
    expect(page).toBe(
      "# all\n\n- date: 2026-01-02\n\n## seconds (less is better): Octavo 0, ties 0, peers 0\n\n" +
        "|  | Octavo | best peer | which | better |\n| --- | --: | --: | --- | --- |\n| a \\| b | 1 | – | – | – |\n\n- a note\n",
    );
  });
});
