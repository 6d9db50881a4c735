// Protobuf's text format, as much of it as configurations need: fields with words, strings and messages.

/** A name and what stands behind it. */
export type Field = readonly [name: string, value: Scalar | Message];

export interface Scalar {
  readonly scalar: string;
}

export interface Message {
  /** Its fields, a line each. */
  readonly body: string;
}

/** Numbers, names of enums and lists, as they are. */
export function word(value: string | number): Scalar {
  return { scalar: String(value) };
}

/** A string: printable ASCII as it is, all other bytes of its UTF-8 in octal. */
export function text(value: string): Scalar {
  const bytes = [...new TextEncoder().encode(value)].map((byte) => {
    if (byte === 0x22 || byte === 0x5c) return `\\${String.fromCharCode(byte)}`;
    const printable = byte >= 0x20 && byte < 0x7f;
    return printable ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, "0")}`;
  });
  return { scalar: `"${bytes.join("")}"` };
}

export function message(fields: readonly Field[]): Message {
  return { body: fields.map(([name, value]) => `${name}${spelled(value)}\n`).join("") };
}

function spelled(value: Scalar | Message): string {
  if ("scalar" in value) return `: ${value.scalar}`;
  if (value.body === "") return " { }";
  return ` {\n${value.body.replaceAll(/^(?=.)/gm, "  ")}}`;
}
