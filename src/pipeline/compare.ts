// The verb compare: two models on the same inputs, whatever tool made them; predictions, metrics, outputs, and the error at each site.
import { maskOf } from "../data/feeds.js";
import { maskOfFeeds } from "../data/ready-feeds.js";
import type { DataRecord } from "../data/records.js";
import { RuntimeFailedError, TaskError, UnsupportedError } from "../errors.js";
import { parsePlan } from "../quant/plan.js";
import { REPORT_VERSION, type ChangeReport, type CompareReport } from "../report/report.js";
import type { Port, Session } from "../runtime/runtime.js";
import type { OutputRow, Task } from "../tasks/task.js";
import { sensitivitiesOf } from "../ptq/sensitivity/sites.js";
import { checkFeeds } from "../evaluate/check.js";
import {
  changeBetween,
  prepareEvaluation,
  type EvaluationSettings,
  type Prepared,
} from "../evaluate/score.js";
import type { Host, OpenedModel } from "../host/host.js";
import { withRun, type Run } from "../host/run.js";
import { withSessions } from "../host/sessions.js";
import { compareSettings, type CompareOptions } from "../options/compare.js";
import { compareOutputs, outputErrors, type OutputErrors } from "../evaluate/outputs.js";
import { readGraph } from "../host/read-graph.js";
import { feedsFor, rowsFor } from "../evaluate/rows.js";
import { siteErrors, type FeedPair } from "../evaluate/site-errors.js";

type Settings = EvaluationSettings & {
  readonly siteRows: number;
  readonly sensitivity: boolean;
  readonly plan?: string | undefined;
};
type Pair = readonly [reference: Session, candidate: Session];

/** Throws an OctavoError for everything that is the user's to mend; UnsupportedError for models with different inputs or outputs. */
export async function compareModels(
  host: Host,
  reference: string,
  candidate: string,
  options: CompareOptions = {},
): Promise<CompareReport> {
  const { data, ...checked } = compareSettings(options);
  const base = { ...checked, onProgress: checked.onProgress ?? (() => undefined) };
  return withRun(host, reference, (left) =>
    withRun(host, candidate, ({ file: right }) => {
      const settings = data === undefined ? undefined : { ...base, data };
      return compareFiles(left, right, { ...base, data: data ?? [] }, settings);
    }),
  );
}

async function compareFiles(
  run: Run,
  right: OpenedModel,
  settings: Settings,
  onData: Settings | undefined,
): Promise<CompareReport> {
  const { host, file: left } = run;
  const { siteRows, sensitivity, plan, signal, onProgress } = settings;
  // What is wrong with it should not show after all the rest.
  if (sensitivity && plan !== undefined) parsePlan(host.readPlan(plan), plan);
  const prepared = onData && (await prepareOrPlain(run, onData));
  const start = host.now();
  onProgress({ step: "loading", done: 0, total: 0 });
  const errors = outputErrors();
  const ran = await withSessions(host, [left.path, right.path], async (sessions) => {
    const pair = sessions as unknown as Pair;
    requireAlike(left, right, pair);
    const loaded = host.now();
    const found = await ranOn(pair, left, prepared, { settings, errors });
    return { ...found, loaded };
  });
  const { feeds, change } = ran;
  const afterRun = host.now();
  const found =
    siteRows === 0
      ? { sites: [], unmatched: [] }
      : await siteErrors(host, left, right, feeds, { signal, onProgress });
  const sensitivities = sensitivity
    ? await sensitivitiesOf(run, feeds, { ...settings, data: onData?.data })
    : undefined;
  const outputs = errors.reports();
  const ratios = outputs.flatMap(({ snrDb }) => (snrDb === undefined ? [] : [snrDb]));
  return {
    version: REPORT_VERSION,
    command: "compare",
    reference: left.path,
    candidate: right.path,
    bytes: { reference: left.bytes(), candidate: right.bytes() },
    inputs: prepared === undefined ? "synthetic" : "data",
    rows: ran.rows,
    siteRows: siteRows === 0 ? 0 : feeds.reduce((sum, feed) => sum + rowsIn(feed.reference), 0),
    outputs,
    ...(ratios.length === 0 ? {} : { snrDb: Math.min(...ratios) }),
    ...(change === undefined ? {} : { change }),
    sites: found.sites,
    unmatched: found.unmatched,
    ...(sensitivities === undefined ? {} : { sensitivity: sensitivities }),
    seconds: {
      load: ran.loaded - start,
      run: afterRun - ran.loaded,
      sites: host.now() - afterRun,
    },
    warnings: ran.warnings,
  };
}

interface Ran {
  readonly feeds: readonly FeedPair[];
  readonly rows: number;
  readonly change: ChangeReport | undefined;
  readonly warnings: readonly string[];
}

/** Both models over the data, or dummy inputs where there is none; their outputs go into `errors`. */
async function ranOn(
  pair: Pair,
  left: OpenedModel,
  prepared: PreparedPair | undefined,
  { settings, errors }: { readonly settings: Settings; readonly errors: OutputErrors },
): Promise<Ran> {
  if (prepared === undefined) {
    const feeds = await madeUpFeeds(left, pair[0], settings.seed);
    await compareOutputs(pair, feeds, errors, settings.signal);
    const rows = feeds.reduce((sum, { reference: feed }) => sum + rowsIn(feed), 0);
    return { feeds, rows, change: undefined, warnings: [] };
  }
  const { report, warnings } = await changeBetween(pair, prepared, settings, {
    labelled: isLabelled(prepared),
    see: (lists) => addRows(errors, lists),
  });
  return {
    feeds: pairFeeds(pair, prepared, settings),
    rows: prepared.records.length,
    change: prepared.isTask ? report : undefined,
    warnings: [...prepared.warnings, ...warnings],
  };
}

type PreparedPair = Prepared & { readonly isTask: boolean; readonly warnings: readonly string[] };

/** Dummy inputs that the reference runs with: an export may be tied to the shape it was traced with. Throws RuntimeFailedError for none. */
async function madeUpFeeds(
  file: OpenedModel,
  reference: Session,
  seed: number,
): Promise<FeedPair[]> {
  const feeds: FeedPair[] = [];
  let failure: RuntimeFailedError | undefined;
  for (const feed of checkFeeds(readGraph(file), seed))
    try {
      await reference.run(feed);
      feeds.push({ reference: feed, candidate: feed });
    } catch (error) {
      if (!(error instanceof RuntimeFailedError)) throw error;
      failure ??= error;
    }
  if (feeds.length === 0 && failure !== undefined) throw failure;
  return feeds;
}

/** Where no task can be told and none is named, outputs are compared all the same. */
async function prepareOrPlain(run: Run, settings: Settings): Promise<PreparedPair> {
  try {
    return { ...(await prepareEvaluation(run, settings)), isTask: true, warnings: [] };
  } catch (error) {
    if (!(error instanceof TaskError) || settings.task !== undefined) throw error;
    const prepared = await prepareEvaluation(run, settings, PLAIN);
    const warning = `Outputs are compared, not predictions: ${error.message}`;
    return { ...prepared, isTask: false, warnings: [warning] };
  }
}

/** Reads records as they are and predicts nothing. */
const PLAIN: Task<undefined, undefined> = {
  name: "none",
  inputs(record) {
    if ("inputs" in record) return [];
    return ["tokens" in record ? { words: record.tokens } : record];
  },
  predict: () => undefined,
  reference: () => undefined,
  measures: () => [],
  agreement: (left) => ({ equal: left.length, of: left.length, unit: "rows" }),
};

function isLabelled({ task, records, isTask }: PreparedPair): boolean {
  return isTask && (task.unlabelled === true || records.some(hasLabel));
}

function hasLabel(record: DataRecord): boolean {
  return (
    ("label" in record && record.label !== undefined) ||
    ("labels" in record && record.labels !== undefined) ||
    ("answers" in record && record.answers !== undefined)
  );
}

/** Throws UnsupportedError. */
function requireAlike(left: OpenedModel, right: OpenedModel, [a, b]: Pair): void {
  for (const side of ["inputs", "outputs"] as const) {
    const [one, other] = [a[side], b[side]].map((ports) => ports.map(({ name }) => name));
    if (one?.toSorted().join("\n") === other?.toSorted().join("\n")) continue;
    throw new UnsupportedError(
      `Comparing ${left.path} with ${right.path}`,
      `their ${side} differ: ${described(a[side])} against ${described(b[side])}`,
      "Give two forms of one model: a float model and a quantized model of it, with the same names.",
    );
  }
}

function described(ports: readonly Port[]): string {
  return ports.map(({ name, dtype }) => `${name} (${dtype ?? "no tensor"})`).join(", ");
}

/** Rows of one record, padding left out. */
function addRows(errors: OutputErrors, [left = [], right = []]: readonly (readonly OutputRow[])[]) {
  for (const [i, row] of left.entries()) errors.add(tensorsOf(row), tensorsOf(right[i]));
}

function tensorsOf(row: OutputRow | undefined) {
  return Object.fromEntries(
    Object.entries(row?.outputs ?? {}).map(([name, { dims, data }]) => [
      name,
      { dtype: "float32", dims, data } as const,
    ]),
  );
}

/** Rows that the sensitivity of sites is measured on where sites are not compared otherwise. */
const SENSITIVITY_ROWS = 64;

/** Rows for the sites, spread over the data, one by one so that there is no padding. */
function pairFeeds(
  [reference, candidate]: Pair,
  { task, tokenizer, records }: Prepared,
  { siteRows, sensitivity, maxLength }: Settings,
): FeedPair[] {
  const wanted = siteRows === 0 && sensitivity ? SENSITIVITY_ROWS : siteRows;
  if (wanted === 0) return [];
  const count = Math.min(wanted, records.length);
  const some = Array.from(
    { length: count },
    (_, i) => records[Math.floor((i * records.length) / count)],
  ).filter((record) => record !== undefined);
  const { rows } = rowsFor([reference, candidate], tokenizer, task, some, {
    batchSize: 1,
    maxLength,
  });
  return rows.slice(0, Math.max(wanted, count)).map((row): FeedPair => {
    const feeds = feedsFor(reference.inputs, tokenizer, [row]);
    const [batch = 1, length = 1] = Object.values(feeds)[0]?.dims ?? [];
    const data =
      row.encoded === undefined || tokenizer === undefined
        ? maskOfFeeds(feeds)
        : maskOf([row.encoded], batch, length, tokenizer.padding);
    return {
      reference: feeds,
      candidate: feedsFor(candidate.inputs, tokenizer, [row]),
      ...(data?.length === batch * length
        ? { mask: { dims: [batch, length] as const, data } }
        : {}),
    };
  });
}

function rowsIn(feeds: FeedPair["reference"]): number {
  return Object.values(feeds)[0]?.dims[0] ?? 1;
}
