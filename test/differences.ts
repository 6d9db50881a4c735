// Compares decoded messages and tensors field by field, blobs by their content.

/** The paths at which two values differ; empty where they are the same. Absent and undefined are the same, 0 and −0 are not. */
export function differences(a: unknown, b: unknown, path = "", found: string[] = []): string[] {
  if (found.length >= 10 || Object.is(a, b)) return found;
  if (a instanceof Uint8Array && b instanceof Uint8Array) {
    if (Buffer.compare(a, b) !== 0) found.push(`${path}: bytes differ`);
  } else if (isBlob(a) && isBlob(b)) differences(a.read(), b.read(), path, found);
  else if (isObject(a) && isObject(b)) {
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)]))
      differences(a[key], b[key], `${path}.${key}`, found);
  } else found.push(`${path}: ${show(a)} and ${show(b)}`);
  return found;
}

function show(value: unknown): string {
  return isObject(value) ? Object.prototype.toString.call(value) : String(value);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isBlob(value: unknown): value is { read(): Uint8Array } {
  return isObject(value) && typeof value["read"] === "function";
}
