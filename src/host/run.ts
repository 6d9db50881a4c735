// What the steps of one run share: the host, the model that was named, and the data, which is read once.
import { RunData } from "../data/run-data.js";
import type { ColumnOptions } from "../data/columns.js";
import type { Host, OpenedModel } from "./host.js";

export interface Run {
  readonly host: Host;
  readonly file: OpenedModel;
  readonly data: RunData;
}

/** Opens the model a user names, works with it and closes it. `columns`: those of labels, as `RunData` takes them. Throws what opening throws. */
export async function withRun<T>(
  host: Host,
  model: string,
  work: (run: Run) => Promise<T>,
  columns?: Pick<ColumnOptions, "label" | "answers">,
): Promise<T> {
  const file = host.open(model);
  try {
    return await work({ host, file, data: new RunData(host, columns) });
  } finally {
    file.close();
  }
}
