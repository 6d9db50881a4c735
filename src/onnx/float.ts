// Floats narrower than 32 bits: one row per format, exact decoding by table, encoding rounds half to even.
// https://onnx.ai/onnx/technical/float8.html, https://onnx.ai/onnx/technical/float4.html, OCP Microscaling Formats 1.0

interface Format {
  readonly exponentBits: number;
  readonly mantissaBits: number;
  readonly bias: number;
  /**
   * What the codes at the edge mean. `ieee`: the highest exponent is infinity and NaN. `nan`: only all ones is NaN. `negativeZero`: the code
   * of −0 is NaN. `none`: every code is a number.
   */
  readonly specials: "ieee" | "nan" | "negativeZero" | "none";
}

const FORMATS = {
  float16: { exponentBits: 5, mantissaBits: 10, bias: 15, specials: "ieee" },
  bfloat16: { exponentBits: 8, mantissaBits: 7, bias: 127, specials: "ieee" },
  float8e4m3fn: { exponentBits: 4, mantissaBits: 3, bias: 7, specials: "nan" },
  float8e4m3fnuz: { exponentBits: 4, mantissaBits: 3, bias: 8, specials: "negativeZero" },
  float8e5m2: { exponentBits: 5, mantissaBits: 2, bias: 15, specials: "ieee" },
  float8e5m2fnuz: { exponentBits: 5, mantissaBits: 2, bias: 16, specials: "negativeZero" },
  float6e2m3: { exponentBits: 2, mantissaBits: 3, bias: 1, specials: "none" },
  float6e3m2: { exponentBits: 3, mantissaBits: 2, bias: 3, specials: "none" },
  float4e2m1: { exponentBits: 2, mantissaBits: 1, bias: 1, specials: "none" },
} as const satisfies Record<string, Format>;

/** Formats with a sign; `float8e8m0`, a bare power of two, is read only. */
export type SmallFloat = keyof typeof FORMATS;

const tables = new Map<string, Float32Array>();

/** The value of each code of a format, by code. */
export function floatTable(format: SmallFloat | "float8e8m0"): Float32Array {
  let table = tables.get(format);
  if (table === undefined) {
    table =
      format === "float8e8m0"
        ? Float32Array.from({ length: 256 }, (_, code) => (code === 255 ? NaN : 2 ** (code - 127)))
        : decodeAll(FORMATS[format]);
    tables.set(format, table);
  }
  return table;
}

function decodeAll(format: Format): Float32Array {
  const { exponentBits, mantissaBits, bias, specials } = format;
  const half = 1 << (exponentBits + mantissaBits);
  const table = new Float32Array(2 * half);
  const maxExponent = (1 << exponentBits) - 1;
  for (let code = 0; code < half; code++) {
    const exponent = code >> mantissaBits;
    const mantissa = code & ((1 << mantissaBits) - 1);
    let value =
      exponent === 0
        ? mantissa * 2 ** (1 - bias - mantissaBits)
        : (mantissa + (1 << mantissaBits)) * 2 ** (exponent - bias - mantissaBits);
    if (specials === "ieee" && exponent === maxExponent) value = mantissa === 0 ? Infinity : NaN;
    if (specials === "nan" && code === half - 1) value = NaN;
    table[code] = value;
    table[half + code] = -value;
  }
  if (specials === "negativeZero") table[half] = NaN;
  return table;
}

/**
 * The code of the nearest value, ties to even. Beyond the largest finite value: that value with `saturate`, else infinity, or NaN where the
 * format has no infinity (ONNX Cast: 8-bit formats saturate by default, 16-bit formats do not; formats without specials always do).
 */
export function encodeFloat(format: SmallFloat, value: number, saturate: boolean): number {
  const row: Format = FORMATS[format];
  const { exponentBits, mantissaBits, bias, specials } = row;
  const half = 1 << (exponentBits + mantissaBits);
  const sign = value < 0 || Object.is(value, -0) ? half : 0;
  const infinity = ((1 << exponentBits) - 1) << mantissaBits;
  const largest = specials === "ieee" ? infinity - 1 : specials === "nan" ? half - 2 : half - 1;
  if (Number.isNaN(value)) return nan(row, 0, half) ?? largest;
  const code = nearest(Math.abs(value), mantissaBits, 1 - bias);
  if (code > largest) {
    if (saturate || specials === "none") return sign + largest;
    return specials === "ieee" ? sign + infinity : (nan(row, sign, half) ?? largest);
  }
  return code === 0 && specials === "negativeZero" ? 0 : sign + code;
}

function nan({ specials, exponentBits, mantissaBits }: Format, sign: number, half: number) {
  if (specials === "none") return undefined;
  if (specials === "negativeZero") return half;
  const quiet = (((1 << (exponentBits + 1)) - 1) << (mantissaBits - 1)) & (half - 1);
  return sign + (specials === "nan" ? half - 1 : quiet);
}

const scratch = new DataView(new ArrayBuffer(8));

/** Code of a magnitude, without an upper limit; `smallest` is the exponent of the smallest normal number. */
function nearest(magnitude: number, mantissaBits: number, smallest: number): number {
  if (magnitude === Infinity) return Infinity;
  scratch.setFloat64(0, magnitude);
  const exponent = Math.max((scratch.getUint16(0) >> 4) - 1023, smallest);
  // Scaling by a power of two is exact, so the rounding of the quotient is the only one.
  const quotient = magnitude * 2 ** (mantissaBits - exponent);
  const floor = Math.floor(quotient);
  const rest = quotient - floor;
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
  // A quotient that was rounded up to the next power of two carries into the exponent by itself.
  return (exponent - smallest) * 2 ** mantissaBits + rounded;
}

/** Decodes float16, which is given by its bits. */
export function float16ToFloat32(codes: Uint16Array): Float32Array {
  const table = floatTable("float16");
  const out = new Float32Array(codes.length);
  for (let i = 0; i < codes.length; i++) out[i] = table[codes[i] ?? 0] ?? 0;
  return out;
}

/** Bits of the nearest float16 of each value, ties to even; beyond ±65504 (rounded) it is infinity. */
export function float32ToFloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) {
    const b = bits[i] ?? 0;
    const sign = (b >>> 16) & 0x8000;
    const magnitude = b & 0x7fffffff;
    // 0x38800000 is 2^-14, the smallest normal float16; 0x47800000 is 2^16.
    if (magnitude >= 0x47800000) out[i] = sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00);
    else if (magnitude >= 0x38800000)
      out[i] = sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
    else if (magnitude <= 0x33000000) out[i] = sign;
    else {
      // Subnormal: shift the full mantissa down, rounding half to even. The shift is 14 to 24.
      const shift = 126 - (magnitude >>> 23);
      const mantissa = (magnitude & 0x7fffff) | 0x800000;
      const floor = mantissa >>> shift;
      const rest = mantissa & ((1 << shift) - 1);
      const middle = 1 << (shift - 1);
      out[i] = sign | (floor + (rest > middle || (rest === middle && (floor & 1) === 1) ? 1 : 0));
    }
  }
  return out;
}

/** Decodes bfloat16, which is given by its bits. */
export function bfloat16ToFloat32(codes: Uint16Array): Float32Array {
  const bits = new Uint32Array(codes.length);
  for (let i = 0; i < codes.length; i++) bits[i] = (codes[i] ?? 0) << 16;
  return new Float32Array(bits.buffer);
}

/** Bits of the nearest bfloat16 of each value, ties to even. */
export function float32ToBfloat16(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) {
    const b = bits[i] ?? 0;
    out[i] =
      (b & 0x7fffffff) > 0x7f800000 ? (b >>> 16) | 0x40 : (b + 0x7fff + ((b >>> 16) & 1)) >>> 16;
  }
  return out;
}
