// How likely a model finds the tokens of a text: hidden ones from both sides (masked), or each from those before it (causal).
import { dataErrorAt } from "../data/records.js";
import type { Encoded } from "../data/tokenize.js";
import { TaskError } from "../errors.js";
import { countsOf, measureOfSums } from "./measure.js";
import { argmax } from "./metrics.js";
import { inputsOf, onlyRow, outputOf, TASKS, textRecord, type TaskName } from "./read.js";
import type { Task } from "./task.js";

/** What the model made of the tokens of a text that count. */
export interface Likelihood {
  /** Sum of −ln of the probability of each. */
  readonly loss: number;
  readonly tokens: number;
  /** The token that the model finds likeliest at each place. */
  readonly likeliest: Int32Array;
  /** Places at which that is the text's own. */
  readonly right: number;
}

/** Share of a text's tokens that are hidden, as models are trained. */
const HIDDEN = 0.15;

type Masked = Encoded & { readonly hidden: ReadonlyMap<number, number> };

/** Perplexity of hidden tokens. Which ones are hidden follows from the text alone, so that models are asked the same. */
export function maskedLanguageModelling(): Task<Likelihood, undefined> {
  const name = "masked-language-modelling";
  return {
    ...modelling(name),
    rows(record, tokenizer, longest) {
      const { maskId } = tokenizer;
      if (maskId === undefined)
        throw new TaskError(`For ${name} the tokenizer must name its mask_token`, TASKS);
      const encoded = tokenizer.encode(textRecord(record, name), longest);
      const hidden = new Map(hiddenPlaces(encoded).map((i) => [i, encoded.ids[i] ?? 0]));
      const ids = encoded.ids.map((id, i) => (hidden.has(i) ? maskId : id));
      return [{ ...encoded, ids, hidden } satisfies Masked];
    },
    predict(rows) {
      const row = onlyRow(rows);
      const { encoded } = row;
      if (encoded === undefined || !("hidden" in encoded))
        throw new Error("internal: no hidden tokens to predict");
      return likelihood(outputOf(row, ["logits"], 2, name), [...(encoded as Masked).hidden]);
    },
  };
}

/** Perplexity of each token after the first. */
export function causalLanguageModelling(): Task<Likelihood, undefined> {
  const name = "causal-language-modelling";
  return {
    ...modelling(name),
    predict(rows) {
      const row = onlyRow(rows);
      const { ids = [] } = row.encoded ?? {};
      const next = ids.slice(1).map((id, i) => [i, id] as const);
      return likelihood(outputOf(row, ["logits"], 2, name), next);
    },
  };
}

function modelling(name: TaskName): Omit<Task<Likelihood, undefined>, "rows" | "predict"> {
  return {
    name,
    unlabelled: true,
    inputs(record) {
      if ("inputs" in record)
        throw dataErrorAt(record.place, `ready inputs for ${name}`, 'a "text"');
      return inputsOf(record, name);
    },
    reference: () => undefined,
    measures(scored) {
      const counts = countsOf(scored, 3, ({ prediction: { loss, tokens, right } }) => [
        loss,
        tokens,
        right,
      ]);
      return [
        measureOfSums(
          "perplexity",
          counts,
          3,
          ([loss = 0, tokens = 0]) => Math.exp(loss / tokens),
          "lower",
        ),
        measureOfSums("accuracy", counts, 3, ([, tokens = 0, right = 0]) => right / tokens),
      ];
    },
    agreement(left, right) {
      let [equal, of] = [0, 0];
      for (const [i, { likeliest }] of left.entries()) {
        of += likeliest.length;
        equal += likeliest.filter((id, k) => id === right[i]?.likeliest[k]).length;
      }
      return { equal, of, unit: "tokens" };
    },
  };
}

/** Of the logits [tokens, vocabulary] at places, for the id that belongs there. */
function likelihood(
  { data, dims }: { readonly data: Float32Array; readonly dims: readonly number[] },
  wanted: readonly (readonly [place: number, id: number])[],
): Likelihood {
  const [, width = 0] = dims;
  const likeliest = new Int32Array(wanted.length);
  let [loss, right] = [0, 0];
  for (const [k, [place, id]] of wanted.entries()) {
    const logits = data.subarray(place * width, (place + 1) * width);
    if (id >= width)
      throw new TaskError(
        `The tokenizer has a token ${id}, the model gives ${width} logits`,
        TASKS,
      );
    const top = argmax(logits);
    likeliest[k] = top;
    if (top === id) right++;
    const most = logits[top] ?? NaN;
    let sum = 0;
    for (let i = 0; i < width; i++) sum += Math.exp((logits[i] ?? NaN) - most);
    loss += Math.log(sum) - ((logits[id] ?? NaN) - most);
  }
  return { loss, tokens: wanted.length, likeliest, right };
}

/** A fixed choice: each of the text's own tokens is drawn by a hash of the text and its place; the one of the smallest hash always is. */
function hiddenPlaces({ ids, own: [start, end] }: Encoded): number[] {
  let seed = 0x811c9dc5;
  for (const id of ids) seed = Math.imul(seed ^ id, 0x01000193);
  const places = Array.from({ length: end - start }, (_, i) => ({
    place: start + i,
    key: scrambled(seed + i) / 2 ** 32,
  }));
  const drawn = places.filter(({ key }) => key < HIDDEN);
  const least = places.reduce((a, b) => (b.key < a.key ? b : a), places[0] ?? { place: 0, key: 1 });
  const chosen = drawn.length > 0 || places.length === 0 ? drawn : [least];
  return chosen.map(({ place }) => place);
}

/** The finishing step of MurmurHash3. */
function scrambled(x: number): number {
  let h = x | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
