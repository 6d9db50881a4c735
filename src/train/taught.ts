// What a teacher says of the rows that are trained on, kept so that it is asked about each of them once, as far as there is room.
import { firstToken } from "../data/feeds.js";
import type { Padding } from "../data/tokenize.js";
import type { EvaluationRow } from "../evaluate/rows.js";
import type { Feeds, RuntimeTensor, Session } from "../runtime/runtime.js";
import { teacherInput } from "./losses.js";
import type { TaskLoss } from "./rows.js";

/** Bytes of answers that are kept: 256 MiB. */
const MOST_BYTES = 2 ** 28;

/** A batch as the teacher is asked about it: the rows in their order, and what it is fed. */
export interface TaughtBatch {
  readonly rows: readonly EvaluationRow[];
  readonly feeds: Feeds;
  /** As the feeds have it: rows × tokens, padding included. */
  readonly batch: number;
  readonly length: number;
}

export interface TaughtOptions {
  /** Of the first epoch. */
  readonly batches: number;
  /** Batch `index` of the first epoch, and its rows alone. */
  readonly first: (index: number) => TaughtBatch;
  readonly firstRows: (index: number) => readonly EvaluationRow[];
  readonly padding: Padding;
  readonly most?: number | undefined;
}

/** The values of a row by output, without padding. */
type Kept = Readonly<Record<string, Float32Array>>;

/** How an output is laid out in a batch. */
interface Layout {
  readonly name: string;
  /** Behind the axis of the batch, and that of tokens where it has one. */
  readonly rest: readonly number[];
  readonly perToken: boolean;
}

/**
 * A row's answer is always that of the first epoch's batch, whichever batch asks for it, so that a run which is taken up later gives the same
 * bytes as one that was never cut off. Kept are the rows of the first batches that have room (256 MiB); a batch with others is asked again.
 */
export class TaughtRows {
  readonly #teacher: Session;
  readonly #loss: TaskLoss;
  readonly #options: TaughtOptions;
  readonly #kept = new Map<EvaluationRow, Kept>();
  #layouts: readonly Layout[] | undefined;
  /** For each row that is to be kept: its batch in the first epoch. */
  #places: ReadonlyMap<EvaluationRow, number> | undefined;

  constructor(teacher: Session, loss: TaskLoss, options: TaughtOptions) {
    this.#teacher = teacher;
    this.#loss = loss;
    this.#options = options;
  }

  /** The teacher's outputs for batch `index` of an epoch, as the loss is fed them. Throws RuntimeFailedError. */
  async of(batch: TaughtBatch, epoch: number, index: number): Promise<Feeds> {
    if (epoch === 0) return named(await this.#ask(batch, index));
    const { layouts, places } = await this.#plan();
    if (layouts === undefined || !batch.rows.every((row) => places.has(row)))
      return named(await this.#ask(batch));
    for (const row of batch.rows) {
      const place = places.get(row);
      if (place !== undefined && !this.#kept.has(row))
        await this.#ask(this.#options.first(place), place);
    }
    return named(
      Object.fromEntries(layouts.map((layout) => [layout.name, this.#stacked(layout, batch)])),
    );
  }

  /** Asks about a batch; `index`: of the first epoch, of which the rows are kept. */
  async #ask(batch: TaughtBatch, index?: number): Promise<Record<string, RuntimeTensor>> {
    const { outputs, hidden = [] } = this.#loss;
    const said = await this.#teacher.run(batch.feeds, { outputs: [...outputs, ...hidden] });
    if (index === undefined) return said;
    this.#layouts ??= this.#layoutsOf(said, batch);
    const { layouts, places } = await this.#plan();
    if (layouts === undefined) return said;
    for (const [b, row] of batch.rows.entries())
      if (places.get(row) === index && !this.#kept.has(row))
        this.#kept.set(row, this.#cut(said, batch, b));
    return said;
  }

  /** What is kept, and where: it follows from the data alone. */
  async #plan() {
    if (this.#layouts === undefined) await this.#ask(this.#options.first(0), 0);
    const layouts = this.#layouts ?? [];
    this.#places ??= this.#placesFor(layouts);
    return { layouts: layouts.length === 0 ? undefined : layouts, places: this.#places };
  }

  #placesFor(layouts: readonly Layout[]): Map<EvaluationRow, number> {
    const { batches, firstRows, most = MOST_BYTES } = this.#options;
    const places = new Map<EvaluationRow, number>();
    let bytes = 0;
    for (let index = 0; layouts.length > 0 && index < batches; index++) {
      const rows = firstRows(index);
      for (const row of rows)
        for (const { rest, perToken } of layouts)
          bytes += 4 * sizeOf(rest) * (perToken ? tokensOf(row) : 1);
      if (bytes > most) break;
      for (const row of rows) places.set(row, index);
    }
    return places;
  }

  /** None where an output is not of float32, which losses take as it is. */
  #layoutsOf(said: Readonly<Record<string, RuntimeTensor>>, batch: TaughtBatch): Layout[] {
    const spans = this.#loss.terms.flatMap((term) =>
      term.kind === "soft-span" ? [...term.outputs] : [],
    );
    const isText = batch.rows.every(({ encoded }) => encoded !== undefined);
    const layouts = Object.entries(said).map(([name, { data, dims }]): Layout | undefined => {
      const [rows, length, ...rest] = dims;
      if (!(data instanceof Float32Array) || rows !== batch.batch) return undefined;
      const perToken =
        isText && length === batch.length && (dims.length > 2 || spans.includes(name));
      return { name, perToken, rest: perToken ? rest : dims.slice(1) };
    });
    const known = layouts.filter((layout) => layout !== undefined);
    return known.length === layouts.length ? known : [];
  }

  #cut(said: Readonly<Record<string, RuntimeTensor>>, batch: TaughtBatch, b: number): Kept {
    const row = batch.rows[b];
    const values = (this.#layouts ?? []).map(({ name, rest, perToken }) => {
      const data = said[name]?.data;
      if (!(data instanceof Float32Array) || row === undefined)
        throw new Error(`internal: the teacher did not say "${name}"`);
      const size = sizeOf(rest);
      if (!perToken) return [name, data.slice(b * size, (b + 1) * size)] as const;
      const from = (b * batch.length + this.#firstOf(row, batch.length)) * size;
      return [name, data.slice(from, from + tokensOf(row) * size)] as const;
    });
    return Object.fromEntries(values);
  }

  /** Rows in the layout of a batch; 0 at padding, which does not count. Rows that only fill the batch are the last one again. */
  #stacked({ name, rest, perToken }: Layout, { rows, batch, length }: TaughtBatch): RuntimeTensor {
    const size = sizeOf(rest);
    const each = perToken ? length * size : size;
    const data = new Float32Array(batch * each);
    for (let b = 0; b < batch; b++) {
      const row = rows[Math.min(b, rows.length - 1)];
      const values = row && this.#kept.get(row)?.[name];
      if (row === undefined || values === undefined)
        throw new Error("internal: a row that the teacher was not asked about");
      data.set(values, b * each + (perToken ? this.#firstOf(row, length) * size : 0));
    }
    return { dtype: "float32", dims: [batch, ...(perToken ? [length] : []), ...rest], data };
  }

  #firstOf({ encoded }: EvaluationRow, length: number): number {
    return encoded === undefined ? 0 : firstToken(encoded, length, this.#options.padding);
  }
}

function tokensOf({ encoded }: EvaluationRow): number {
  return encoded?.ids.length ?? 0;
}

function sizeOf(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

function named(said: Readonly<Record<string, RuntimeTensor>>): Feeds {
  return Object.fromEntries(
    Object.entries(said).map(([name, tensor]) => [teacherInput(name), tensor]),
  );
}
