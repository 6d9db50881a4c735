// Any number of classes for a text: those whose probability is above one half.
import { LabelError } from "../errors.js";
import { placeOf, type DataRecord, type Label } from "../data/records.js";
import { countsOf, measureOfSums, measuresOfCounts, shareOf } from "./measure.js";
import { classOf, inputsOf, known, onlyRow, outputOf, requireClasses, textRecord } from "./read.js";
import { equalRows, type Scored, type Task } from "./task.js";

const NAME = "multi-label-classification";

/** Per class, whether the text has it. */
export type Flags = readonly boolean[];

/** `labels`: the names of the classes by number, empty where the model has none. */
export function multiLabelClassification(labels: readonly string[]): Task<Flags, Flags> {
  return {
    name: NAME,
    inputs: (record) => inputsOf(record, NAME),
    predict(rows) {
      const { data } = outputOf(onlyRow(rows), ["logits"], 1, NAME);
      requireClasses(data.length, labels);
      return Array.from(data, (logit) => logit > 0);
    },
    reference: (record) => flagsOf(record, labels),
    measures(scored) {
      const all = scored.map(reached);
      const classes = Math.max(0, ...all.slice(0, 1).map(({ prediction }) => prediction.length));
      const micro = countsOf(all, 3, (row) =>
        row.prediction.reduce((sums, _, k) => added(sums, countsAt(row, k)), [
          0, 0, 0,
        ] as readonly number[]),
      );
      const perClass = countsOf(all, 3 * classes, (row) =>
        Array.from({ length: classes }, (_, k) => countsAt(row, k)).flat(),
      );
      const exact = Uint8Array.from(all, (row) => (same(row.prediction, row.reference) ? 1 : 0));
      return [
        ...measuresOfCounts(micro, ["f1-micro", "precision-micro", "recall-micro"]),
        measureOfSums("f1-macro", perClass, 3 * classes, (sums) => {
          let sum = 0;
          for (let k = 0; k < classes; k++) {
            const [tp = 0, fp = 0, fn = 0] = sums.subarray(3 * k);
            sum += tp === 0 ? 0 : (2 * tp) / (2 * tp + fp + fn);
          }
          return sum / classes;
        }),
        shareOf("exact-match", exact),
      ];
    },
    agreement: (left, right) => equalRows(left, right, same),
  };
}

type Row = Scored<Flags, Flags>;

/** Labels by number may end before the last class. */
function reached({ prediction, reference }: Row): Row {
  return { prediction, reference: prediction.map((_, k) => reference[k] === true) };
}

function countsAt({ prediction, reference }: Row, k: number): readonly number[] {
  const [said, right] = [prediction[k] === true, reference[k] === true];
  return [said && right ? 1 : 0, said && !right ? 1 : 0, !said && right ? 1 : 0];
}

function added(a: readonly number[], b: readonly number[]): readonly number[] {
  return a.map((value, i) => value + (b[i] ?? 0));
}

function same(a: Flags, b: Flags): boolean {
  return a.every((flag, k) => flag === (b[k] === true));
}

/** A list of names or numbers, a 0 or 1 for each class, or one text with commas, bars or semicolons between names. */
function flagsOf(record: DataRecord, labels: readonly string[]): Flags {
  const { label, labels: list } = textRecord(record, NAME);
  const given = list ?? (label === undefined ? undefined : namesIn(label, labels));
  if (given === undefined) throw new LabelError(label, placeOf(record), known(labels));
  const isFlags = given.length === labels.length && given.every((each) => each === 0 || each === 1);
  if (isFlags) return given.map((each) => each === 1);
  const classes = given.map((each) => classOf(each, labels, record));
  const size = Math.max(labels.length, ...classes.map((k) => k + 1));
  return Array.from({ length: size }, (_, k) => classes.includes(k));
}

function namesIn(label: Label, labels: readonly string[]): readonly Label[] {
  if (typeof label === "number" || labels.includes(label)) return [label];
  return label
    .split(/[,;|]/)
    .map((name) => name.trim())
    .filter((name) => name !== "");
}
