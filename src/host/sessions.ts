// What is opened is closed again, whatever the work in between throws: sessions, temporary models, the files of a model that is being written.
import { exportModel } from "../graph/export.js";
import type { Model } from "../graph/model.js";
import type { ExternalData } from "../onnx/external.js";
import type { ModelSource, Session, SessionOptions } from "../runtime/runtime.js";
import type { Host } from "./host.js";

/** Idle threads of one session would slow down the others. */
const DEFAULTS: SessionOptions = { spinning: "running" };

/** Loads a model, works with its session and releases it. Throws RuntimeFailedError, and what `work` throws. */
export async function withSession<T>(
  { runtime }: Pick<Host, "runtime">,
  model: ModelSource,
  work: (session: Session) => Promise<T>,
  options: SessionOptions = {},
): Promise<T> {
  const session = await runtime.load(model, { ...DEFAULTS, ...options });
  try {
    return await work(session);
  } finally {
    await session.release();
  }
}

/** The same with several models at once, their sessions in the order of the models. */
export async function withSessions<T>(
  host: Pick<Host, "runtime">,
  [first, ...others]: readonly ModelSource[],
  work: (sessions: readonly Session[]) => Promise<T>,
  options: SessionOptions = {},
): Promise<T> {
  if (first === undefined) return work([]);
  return withSession(
    host,
    first,
    (session) => withSessions(host, others, (rest) => work([session, ...rest]), options),
    options,
  );
}

/** A graph as a file of its own while `work` lasts. */
export async function withTemporary<T>(
  host: Pick<Host, "writeTemporary">,
  model: Model,
  external: ExternalData,
  work: (path: string) => Promise<T>,
): Promise<T> {
  const temporary = host.writeTemporary(exportModel(model), external);
  try {
    return await work(temporary.path);
  } finally {
    temporary.release();
  }
}

/** A graph in a session of its own, by way of a temporary file. */
export function withTemporarySession<T>(
  host: Pick<Host, "runtime" | "writeTemporary">,
  model: Model,
  external: ExternalData,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  return withTemporary(host, model, external, (path) => withSession(host, path, work));
}

/** Takes files away again where what follows fails. */
export async function undoOnFailure<T>(
  host: Pick<Host, "remove">,
  files: readonly string[],
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    host.remove(files);
    throw error;
  }
}
