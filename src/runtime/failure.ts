// What a runtime says when it fails, as one kind of error: onnxruntime tells the node only within its message.
import { RuntimeFailedError } from "../errors.js";

/** The forms in which onnxruntime names a node, in the order in which they are tried. */
const NODE_IN_MESSAGE: readonly RegExp[] = [
  /Non-zero status code returned while running \S+ node\. Name:'([^']*)'/,
  /Could not find an implementation for \S+ node with name '([^']*)'/,
  /\bNode \(([^)]*)\) Op \(/,
  /\bNode:\s?(\S+) /,
  /\bin node \(([^)]*)\)/,
  /\bnode with name '([^']*)'/,
  /\bnode name: '?([^'\s]+)'?/i,
  /\bNode [Nn]ame:\s?'?([^'\s,]+)'?/,
];

/** The node that a runtime's message names; undefined where it names none. */
function nodeNamedIn(message: string): string | undefined {
  for (const pattern of NODE_IN_MESSAGE) {
    const name = pattern.exec(message)?.[1];
    if (name !== undefined && name !== "") return name;
  }
  return undefined;
}

/** An error thrown by a runtime's library as Octavo's own. `path`: the model's file, where it has one. */
export function runtimeFailure(
  stage: "load" | "run",
  cause: unknown,
  path?: string,
): RuntimeFailedError {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new RuntimeFailedError(stage, message.trim(), nodeNamedIn(message), path, { cause });
}
