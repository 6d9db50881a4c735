import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fixtureJson } from "../../test/fixture.js";
import {
  bfloat16ToFloat32,
  encodeFloat,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
  floatTable,
  type SmallFloat,
} from "./float.js";

interface Oracle {
  values?: (number | string)[];
  samples?: (number | string)[];
  codes?: number[];
}

// What ml_dtypes says.
const oracle = fixtureJson("onnx/floats.json") as Record<SmallFloat | "float8e8m0", Oracle>;
const formats = (Object.keys(oracle) as (keyof typeof oracle)[]).filter(
  (name): name is SmallFloat => name !== "float8e8m0",
);
const narrow = formats.filter((name) => oracle[name].values !== undefined);

const number = (value: number | string): number =>
  value === "inf" ? Infinity : value === "-inf" ? -Infinity : Number(value);

test.each([...narrow, "float8e8m0"] as const)("%s: every code has its value", (name) => {
  const values = oracle[name].values?.map(number) ?? [];
  expect(Array.from(floatTable(name))).toEqual(values);
});

test.each(formats)("%s: numbers become the code that ml_dtypes gives them", (name) => {
  const { samples = [], codes } = oracle[name];
  const saturate = name.startsWith("float4") || name.startsWith("float6");
  expect(samples.map((value) => encodeFloat(name, number(value), saturate))).toEqual(codes);
});

test.each(formats)("%s: the value of every code is encoded as that code", (name) => {
  const table = floatTable(name);
  for (let code = 0; code < table.length; code++) {
    const value = table[code] ?? 0;
    const back = encodeFloat(name, value, false);
    if (Number.isNaN(value)) expect(table[back]).toBeNaN();
    else expect(back).toBe(code);
  }
});

test.each(formats)(
  "%s: between two neighbours the nearest wins, at the middle the even",
  (name) => {
    const table = floatTable(name);
    const half = table.length / 2;
    for (let code = 0; code + 1 < half; code++) {
      const low = table[code] ?? 0;
      const high = table[code + 1] ?? 0;
      if (!Number.isFinite(high)) break;
      const middle = (low + high) / 2;
      const even = code % 2 === 0 ? code : code + 1;
      const steps: [number, number][] = [
        [middle, even],
        [middle - (high - low) / 2 ** 20, code],
        [middle + (high - low) / 2 ** 20, code + 1],
      ];
      for (const [value, expected] of steps) {
        if (encodeFloat(name, value, false) !== expected)
          expect.fail(`${value} became ${encodeFloat(name, value, false)}, not ${expected}`);
        const negative = encodeFloat(name, -value, false);
        if (table[negative] !== -(table[expected] ?? 0) && expected !== 0)
          expect.fail(`${-value} became ${negative}`);
      }
    }
  },
);

describe("out of range, by the table of ONNX Cast", () => {
  const rows: [SmallFloat, number, number, number][] = [
    // format, largest, code of infinity and of what rounds beyond when it does not saturate, its negative
    ["float8e4m3fn", 448, 0x7f, 0xff],
    ["float8e4m3fnuz", 240, 0x80, 0x80],
    ["float8e5m2", 57344, 0x7c, 0xfc],
    ["float8e5m2fnuz", 57344, 0x80, 0x80],
    ["float16", 65504, 0x7c00, 0xfc00],
    ["bfloat16", 3.3895313892515355e38, 0x7f80, 0xff80],
    ["float6e2m3", 7.5, 0x1f, 0x3f],
    ["float6e3m2", 28, 0x1f, 0x3f],
    ["float4e2m1", 6, 7, 15],
  ];
  test.each(rows)("%s", (name, largest, above, below) => {
    const table = floatTable(name);
    const top = encodeFloat(name, largest, true);
    const bottom = encodeFloat(name, -largest, true);
    expect(table[top]).toBe(largest);
    for (const beyond of [largest * 1.25, Infinity]) {
      expect(encodeFloat(name, beyond, true)).toBe(top);
      expect(encodeFloat(name, -beyond, true)).toBe(bottom);
      expect(encodeFloat(name, beyond, false)).toBe(above);
      expect(encodeFloat(name, -beyond, false)).toBe(below);
    }
    const nan = table[encodeFloat(name, NaN, true)];
    expect(nan).toBe(/float[46]/.test(name) ? largest : NaN);
    expect(Object.is(table[encodeFloat(name, -0, true)], -0)).toBe(!name.endsWith("fnuz"));
  });
});

describe("float16 and bfloat16 in bulk", () => {
  const bulk = {
    float16: { encode: float32ToFloat16, decode: float16ToFloat32 },
    bfloat16: { encode: float32ToBfloat16, decode: bfloat16ToFloat32 },
  } as const;
  const names = ["float16", "bfloat16"] as const;

  test.each(names)("%s: all 65,536 codes come back as they were, NaN as NaN", (name) => {
    const { encode, decode } = bulk[name];
    const codes = Uint16Array.from({ length: 65_536 }, (_, code) => code);
    const values = decode(codes);
    expect(values.every((value, code) => Object.is(value, floatTable(name)[code]))).toBe(true);
    const back = encode(values);
    const bad = codes.filter((code) => !Number.isNaN(values[code]) && back[code] !== code);
    expect([...bad]).toEqual([]);
    expect(decode(back).every((value, code) => Object.is(value, values[code]))).toBe(true);
  });

  test.each(names)("%s: the fast way is the exact way, at every middle and beside it", (name) => {
    const table = floatTable(name);
    const values: number[] = [];
    for (let code = 0; code < 65_535; code++) {
      const middle = ((table[code] ?? 0) + (table[code + 1] ?? 0)) / 2;
      values.push(middle, middle * (1 + 2 ** -22), middle * (1 - 2 ** -22));
    }
    const floats = Float32Array.from(values);
    const codes = bulk[name].encode(floats);
    const wrong = floats.findIndex((value, i) => {
      const exact = encodeFloat(name, value, false);
      return Number.isNaN(value) ? !Number.isNaN(table[codes[i] ?? 0]) : exact !== codes[i];
    });
    expect(wrong).toBe(-1);
  });

  test.each(names)("%s: the fast way is the exact way, for any float", (name) => {
    const anyFloat = fc.integer().map((bits) => new Float32Array(Int32Array.of(bits).buffer));
    fc.assert(
      fc.property(anyFloat, (value) => {
        const [code = 0] = bulk[name].encode(value);
        const exact = encodeFloat(name, value[0] ?? 0, false);
        expect(floatTable(name)[code]).toBe(floatTable(name)[exact]);
      }),
      { numRuns: 5000 },
    );
  });
});
