// A model whose answers to rows are kept, so that each row is asked once however often others are held against it.
import type { Port, Session } from "../runtime/runtime.js";
import type { OutputRow } from "../tasks/task.js";
import type { EvaluationRow } from "./rows.js";

/** Bytes of answers that are kept: 128 MiB. */
const MOST_BYTES = 2 ** 27;

export interface KeptOptions {
  /** Outputs that are asked for; default: all. */
  readonly outputs?: readonly string[] | undefined;
  readonly most?: number | undefined;
}

/** Keeps what a session says of rows, up to 128 MiB; of rows beyond, it is asked again each time. Rows are told apart by what they read. */
export class KeptAnswers {
  readonly session: Session;
  readonly asked: readonly string[] | undefined;
  readonly #most: number;
  readonly #rows = new WeakMap<object, OutputRow>();
  #bytes = 0;

  constructor(session: Session, { outputs, most = MOST_BYTES }: KeptOptions = {}) {
    this.session = session;
    this.asked = outputs;
    this.#most = most;
  }

  get inputs(): readonly Port[] {
    return this.session.inputs;
  }

  get outputs(): readonly Port[] {
    return this.session.outputs;
  }

  /** The answers to rows in their order; `ask` is called with those that are not known, if there are such. */
  async to(
    rows: readonly EvaluationRow[],
    ask: (rows: readonly EvaluationRow[]) => Promise<readonly OutputRow[]>,
  ): Promise<OutputRow[]> {
    const unknown = rows.filter((row) => !this.#rows.has(keyOf(row)));
    const said = unknown.length === 0 ? [] : await ask(unknown);
    const fresh = new Map(unknown.map((row, i) => [row, said[i]]));
    for (const [row, answer] of fresh) if (answer !== undefined) this.#keep(row, answer);
    return rows.map((row) => {
      const answer = fresh.get(row) ?? this.#rows.get(keyOf(row));
      if (answer === undefined) throw new Error("internal: a row without its outputs");
      return answer;
    });
  }

  #keep(row: EvaluationRow, answer: OutputRow): void {
    const bytes = Object.values(answer.outputs).reduce((sum, { data }) => sum + data.byteLength, 0);
    if (this.#bytes + bytes > this.#most) return;
    this.#bytes += bytes;
    // Copies: a view would hold the outputs of its whole batch.
    const outputs = Object.entries(answer.outputs).map(([name, { dims, data }]) => [
      name,
      { dims, data: data.slice() },
    ]);
    this.#rows.set(keyOf(row), {
      ...answer,
      outputs: Object.fromEntries(outputs) as OutputRow["outputs"],
    });
  }
}

/** What a row reads: the same object for the same row, whoever made it. */
function keyOf({ encoded, ready }: EvaluationRow): object {
  const key = encoded ?? ready;
  if (key === undefined) throw new Error("internal: a row that reads nothing");
  return key;
}
