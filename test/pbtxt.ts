// Reads protobuf's text format into plain data, by its published grammar: what a server would see of a configuration.

export type Fields = Map<string, (string | number | Fields | Uint8Array)[]>;

/** Fields by name, repeated ones in order; strings as the bytes they stand for. Throws at the first character that does not fit. */
export function parsePbtxt(text: string): Fields {
  const tokens = text.matchAll(
    /\s+|#.*|(?<token>"(?:[^"\\\n]|\\.)*"|[A-Za-z_]\w*|-?\d+|[{}[\]:,])|(?<bad>.)/g,
  );
  const left: string[] = [];
  for (const { groups = {}, index } of tokens) {
    if (groups["bad"] !== undefined) throw new Error(`at ${index}: ${groups["bad"]}`);
    if (groups["token"] !== undefined) left.push(groups["token"]);
  }
  left.reverse();
  return message(left, undefined);
}

function message(left: string[], end: string | undefined): Fields {
  const fields: Fields = new Map();
  for (let name = left.pop(); name !== end; name = left.pop()) {
    if (name === undefined || !/^[A-Za-z_]/.test(name)) throw new Error(`no field: ${name}`);
    const values = fields.get(name) ?? [];
    fields.set(name, values);
    const mark = left.pop();
    if (mark === "{") values.push(message(left, "}"));
    else if (mark === ":" && left.at(-1) === "[") values.push(...list(left));
    else if (mark === ":") values.push(scalar(left.pop()));
    else throw new Error(`after ${name}: ${mark}`);
  }
  return fields;
}

function list(left: string[]): (string | number | Uint8Array)[] {
  left.pop();
  const values: (string | number | Uint8Array)[] = [];
  if (left.at(-1) === "]") return (left.pop(), values);
  for (;;) {
    values.push(scalar(left.pop()));
    const mark = left.pop();
    if (mark === "]") return values;
    if (mark !== ",") throw new Error(`in a list: ${mark}`);
  }
}

function scalar(token = ""): string | number | Uint8Array {
  if (token.startsWith('"')) return unescaped(token.slice(1, -1));
  if (/^-?\d+$/.test(token)) return Number(token);
  if (/^[A-Za-z_]\w*$/.test(token)) return token;
  throw new Error(`no value: ${token}`);
}

function unescaped(text: string): Uint8Array {
  const bytes = [...text.matchAll(/\\([0-7]{3})|\\(["\\])|([^\\])/gu)].flatMap(
    ([, octal, mark, plain = ""]) =>
      octal === undefined
        ? [...new TextEncoder().encode(mark ?? plain)]
        : [Number.parseInt(octal, 8)],
  );
  return Uint8Array.from(bytes);
}

/** The one value of a field as a string. */
export function stringOf(fields: Fields | undefined, name: string): string {
  const [value] = fields?.get(name) ?? [];
  if (value instanceof Map) throw new Error(`${name} is a message`);
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : String(value);
}

/** The messages of a field. */
export function messagesOf(fields: Fields | undefined, name: string): Fields[] {
  return (fields?.get(name) ?? []).filter((value) => value instanceof Map);
}
