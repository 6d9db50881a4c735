// Writes WebAssembly in memory, as far as the update loops need it: one memory, functions over pointers and floats, 128-bit vectors.
// Instructions are lists of bytes. https://webassembly.github.io/spec/core/binary/

export type Code = readonly number[];

/** Unsigned LEB128. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low + 128 : low);
  } while (rest > 0);
  return bytes;
}

function list(items: readonly Code[]): number[] {
  return [...unsigned(items.length), ...items.flat()];
}

function text(name: string): number[] {
  return list(Array.from(new TextEncoder().encode(name), (byte) => [byte]));
}

function sized(bytes: Code): number[] {
  return [...unsigned(bytes.length), ...bytes];
}

const simd = (code: number): Code => [0xfd, ...unsigned(code)];

export const TYPES = { i32: 0x7f, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;
export type Type = keyof typeof TYPES;

const ALIGNED_16 = [4, 0];

/** Instructions by their names in the specification. */
export const OPS = {
  "f64.add": [0xa0],
  "v128.load": [...simd(0x00), ...ALIGNED_16],
  "v128.store": [...simd(0x0b), ...ALIGNED_16],
  "f32x4.splat": simd(0x13),
  "f32x4.sqrt": simd(0xe3),
  "f32x4.add": simd(0xe4),
  "f32x4.sub": simd(0xe5),
  "f32x4.mul": simd(0xe6),
  "f32x4.div": simd(0xe7),
  "f64x2.promote_low_f32x4": simd(0x5f),
  "f64x2.add": simd(0xf0),
  "f64x2.mul": simd(0xf2),
  "f64x2.extract_lane 0": [...simd(0x21), 0],
  "f64x2.extract_lane 1": [...simd(0x21), 1],
  // The upper half in both halves.
  "i8x16.shuffle high": [...simd(0x0d), ...Array.from({ length: 16 }, (_, i) => 8 + (i % 8))],
} as const satisfies Readonly<Record<string, Code>>;

export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number): Code => [0x21, ...unsigned(local)];
export const tee = (local: number): Code => [0x22, ...unsigned(local)];

/** Moves a pointer by 16 bytes and leaves it on the stack. */
const advance = (pointer: number): Code => [...get(pointer), 0x41, 16, 0x6a, ...tee(pointer)];

const [LOOP, NO_RESULT, BRANCH_IF, LESS, DROP, END] = [0x03, 0x40, 0x0d, 0x49, 0x1a, 0x0b];

/** Runs `body`, at least once, for the vectors from the first of `pointers` up to the local `end`; all pointers move along. */
export function eachVector(pointers: readonly number[], end: number, body: Code): Code {
  const [first = 0, ...others] = pointers;
  return [
    LOOP,
    NO_RESULT,
    ...body,
    ...others.flatMap((pointer) => [...advance(pointer), DROP]),
    ...advance(first),
    ...get(end),
    LESS,
    BRANCH_IF,
    0,
    END,
  ];
}

export interface Function {
  readonly parameters: readonly Type[];
  readonly result?: Type;
  /** Vectors that it keeps, numbered after its parameters. */
  readonly vectors: number;
  readonly code: Code;
}

/** "\0asm" and the format's version. */
const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

/** A module that exports `functions` by their names and works on the memory that it is given as `memory`. */
export function assemble(functions: Readonly<Record<string, Function>>): Uint8Array<ArrayBuffer> {
  const all = Object.entries(functions);
  const section = (id: number, content: Code): number[] => [id, ...sized(content)];
  const types = all.map(([, { parameters, result }]) => [
    0x60,
    ...list(parameters.map((type) => [TYPES[type]])),
    ...list(result === undefined ? [] : [[TYPES[result]]]),
  ]);
  const memory = [...text(""), ...text("memory"), 0x02, 0x00, ...unsigned(0)];
  const codes = all.map(([, { vectors, code }]) =>
    sized([...list([[...unsigned(vectors), TYPES.v128]]), ...code, END]),
  );
  return Uint8Array.from([
    ...MAGIC,
    ...section(1, list(types)),
    ...section(2, list([memory])),
    ...section(3, list(all.map((_, i) => unsigned(i)))),
    ...section(7, list(all.map(([name], i) => [...text(name), 0x00, ...unsigned(i)]))),
    ...section(10, list(codes)),
  ]);
}
