// Protobuf bytes by hand, for tests that need what no exporter writes.

export type Part = number | string | readonly number[] | Uint8Array;

/** Bytes one after the other; text as UTF-8. */
export function bytes(...parts: readonly Part[]): Uint8Array {
  const pieces = parts.map((part) =>
    typeof part === "number"
      ? [part]
      : typeof part === "string"
        ? new TextEncoder().encode(part)
        : part,
  );
  const out = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

export function varint(value: number | bigint): Uint8Array {
  const out: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) out.push(Number(rest & 127n) | 128);
  out.push(Number(rest));
  return Uint8Array.from(out);
}

/** A field with a varint. */
export function number(field: number, value: number | bigint): Uint8Array {
  return bytes(varint(field * 8), varint(value));
}

/** A field with a length and what follows it. */
export function block(field: number, ...parts: readonly Part[]): Uint8Array {
  const content = bytes(...parts);
  return bytes(varint(field * 8 + 2), varint(content.length), content);
}
