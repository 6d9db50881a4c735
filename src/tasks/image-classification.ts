// One class for an image, whose pixels the data has ready: {"inputs": {"pixel_values": [[[…]]]}, "label": "cat"}.
import { dataErrorAt } from "../data/records.js";
import { classifying, type Classification } from "./classify.js";
import { classOf } from "./read.js";
import type { Task } from "./task.js";

const NAME = "image-classification";

/** `labels`: the names of the classes by number, empty where the model has none. */
export function imageClassification(labels: readonly string[]): Task<Classification, number> {
  return {
    ...classifying(NAME, labels),
    inputs(record) {
      if ("inputs" in record) return [];
      throw dataErrorAt(
        record.place,
        `text for ${NAME}`,
        'ready inputs, {"inputs": {"pixel_values": …}}',
      );
    },
    reference: (record) => classOf("inputs" in record ? record.label : undefined, labels, record),
  };
}
