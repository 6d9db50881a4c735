// Arithmetic on symbolic dims, written as canonical text ("batch*seq", "past+seq+1", "(seq//2)", "Min(512, seq)"), so that equal sizes have
// equal text; and the reading of what exporters write ("past_sequence_length + 1", "((s12*s86)//s10)").
import type { Dim } from "../graph/graph.js";
import {
  combine,
  constant,
  exactQuotient,
  extreme,
  floorQuotient,
  fromAtom,
  isNonNegative,
  MAX_TERMS,
  nameAtom,
  numberOf,
  PLAIN_NAME,
  textOf,
  times,
  ZERO,
  type Poly,
} from "./polynomial.js";

// Beyond these an expression is no help to anybody, and a hostile file could make them grow without end.
const MAX_TEXT = 400;
const MAX_DEPTH = 24;
const MAX_CACHE = 20_000;

/** Reads text by the grammar that exporters use; undefined where it is not such an expression. */
function parseExpression(text: string): Poly | undefined {
  const tokens = text.match(
    /\s+|`(?:[^`]|``)*`|\d+|[\p{L}_?][\p{L}\p{N}_.?:]*|\*\*|\/\/|[-+*/%(),]|[^]/gu,
  );
  if (text.length > MAX_TEXT || tokens === null) return undefined;
  const list = tokens.filter((t) => t.trim() !== "");
  let at = 0;
  const take = (token: string): boolean => list[at] === token && ++at > 0;

  const sum = (depth: number): Poly | undefined => {
    let left = take("-") ? minus(product(depth)) : product(depth);
    while (left !== undefined) {
      const sign = take("+") ? 1 : take("-") ? -1 : undefined;
      if (sign === undefined) return left;
      const right = product(depth);
      left = right && combine(left, right, sign);
    }
    return undefined;
  };
  const minus = (p: Poly | undefined) => p && combine(ZERO, p, -1);
  const product = (depth: number): Poly | undefined => {
    let left = power(depth);
    while (left !== undefined) {
      const kind = ["*", "//", "/", "%"].find(take);
      if (kind === undefined) return left;
      const right = power(depth);
      if (right === undefined) return undefined;
      if (kind === "*") left = left.size * right.size > MAX_TERMS ? undefined : times(left, right);
      else if (kind === "%") left = remainder(left, right);
      else left = floorQuotient(left, right);
    }
    return undefined;
  };
  const power = (depth: number): Poly | undefined => {
    const base = primary(depth + 1);
    if (base === undefined || !take("**")) return base;
    const exponent = Number(list[at++]);
    if (!Number.isInteger(exponent) || exponent > 4 || base.size > 2) return undefined;
    return Array.from({ length: exponent }).reduce<Poly>((p) => times(p, base), constant(1));
  };
  const primary = (depth: number): Poly | undefined => {
    const token = list[at++];
    if (token === undefined || depth > MAX_DEPTH) return undefined;
    if (/^\d/.test(token)) {
      const n = Number(token);
      return Number.isSafeInteger(n) ? constant(n) : undefined;
    }
    if (token === "(") {
      const inner = sum(depth + 1);
      return take(")") ? inner : undefined;
    }
    if (token.startsWith("`")) return fromAtom(nameAtom(token.slice(1, -1).replaceAll("``", "`")));
    if (!PLAIN_NAME.test(token)) return undefined;
    if (!take("(")) return fromAtom(nameAtom(token));
    const args: Poly[] = [];
    do {
      const arg = sum(depth + 1);
      if (arg === undefined || args.length > 8) return undefined;
      args.push(arg);
    } while (take(","));
    return take(")") ? call(token.toLowerCase(), args) : undefined;
  };
  const whole = sum(0);
  return at === list.length ? whole : undefined;
}

function call(name: string, args: readonly Poly[]): Poly | undefined {
  const [a, b] = args;
  if (name === "min" || name === "max") return extreme(name, args);
  if (a === undefined) return undefined;
  // floor(a/b) as sympy prints it; the quotient inside is a floor already.
  if (name === "floor" && args.length === 1) return a;
  if (name === "floordiv" && b !== undefined) return floorQuotient(a, b);
  if (name === "mod" && b !== undefined) return remainder(a, b);
  return undefined;
}

function remainder(a: Poly, b: Poly): Poly | undefined {
  const quotient = floorQuotient(a, b);
  return quotient && combine(a, times(quotient, b), -1);
}

const cache = new Map<string, Poly>();

function polyOf(dim: Dim): Poly | undefined {
  if (dim === null) return undefined;
  if (typeof dim === "number") return Number.isSafeInteger(dim) ? constant(dim) : undefined;
  let poly = cache.get(dim);
  if (poly === undefined) {
    poly = parseExpression(dim) ?? fromAtom(nameAtom(dim));
    remember(dim, poly);
  }
  return poly;
}

function remember(text: string, poly: Poly): void {
  if (cache.size > MAX_CACHE) cache.clear();
  cache.set(text, poly);
}

function dimOf(p: Poly | undefined): Dim {
  if (p === undefined || p.size > MAX_TERMS) return null;
  for (const term of p.values()) if (!Number.isSafeInteger(term.coefficient)) return null;
  const n = numberOf(p);
  if (n !== undefined) return n;
  const text = textOf(p);
  if (text.length > MAX_TEXT) return null;
  remember(text, p);
  return text;
}

function lift(f: (a: Poly, b: Poly) => Poly | undefined): (a: Dim, b: Dim) => Dim {
  return (a, b) => {
    const [p, q] = [polyOf(a), polyOf(b)];
    return p === undefined || q === undefined ? null : dimOf(f(p, q));
  };
}

export const addDims = lift((a, b) => combine(a, b, 1));
export const subtractDims = lift((a, b) => combine(a, b, -1));
const product = lift((a, b) => (a.size * b.size > MAX_TERMS ? undefined : times(a, b)));

/** a * b; 0 times anything is 0. */
export function multiplyDims(a: Dim, b: Dim): Dim {
  return a === 0 || b === 0 ? 0 : product(a, b);
}

/** The quotient where b divides a as a polynomial, for every value of the symbols; null otherwise. */
export const divideExactly = lift((a, b) => exactQuotient(a, b));

/** floor(a / b), also where it stays an expression; null where b may be negative or is 0. */
export const floorDivideDims = lift(floorQuotient);

/** The quotient truncated towards zero, as integer `Div` has it. */
export const truncateDivideDims = lift((a, b) => {
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== undefined && y !== undefined)
    return y === 0 ? undefined : constant(Math.trunc(x / y) + 0);
  const exact = exactQuotient(a, b);
  if (exact !== undefined) return exact;
  return isNonNegative(a, 0) && isNonNegative(b, 0) ? floorQuotient(a, b) : undefined;
});

/** a - b * floor(a / b). */
export const moduloDims = lift(remainder);
export const minDims = lift((a, b) => extreme("min", [a, b]));
export const maxDims = lift((a, b) => extreme("max", [a, b]));

/** The product of dims; 1 for none. */
export function productOf(dims: readonly Dim[]): Dim {
  return dims.reduce<Dim>(multiplyDims, 1);
}

/** Whether two sizes are surely equal (true), surely different (false), or neither. */
export function equalDims(a: Dim, b: Dim): boolean | undefined {
  const [p, q] = [polyOf(a), polyOf(b)];
  if (p === undefined || q === undefined) return undefined;
  const difference = combine(p, q, -1);
  if (difference.size === 0) return true;
  const one = constant(1);
  const apart =
    isNonNegative(combine(difference, one, -1), 0) ||
    isNonNegative(combine(combine(q, p, -1), one, -1), 0);
  return apart ? false : undefined;
}

/** Whether a < b surely holds (true), surely does not (false), or neither. */
export function lessDims(a: Dim, b: Dim): boolean | undefined {
  const [p, q] = [polyOf(a), polyOf(b)];
  if (p === undefined || q === undefined) return undefined;
  if (isNonNegative(combine(combine(q, p, -1), constant(1), -1), 0)) return true;
  return isNonNegative(combine(p, q, -1), 0) ? false : undefined;
}

/** Whether a dim is surely >= 0. */
export function isNonNegativeDim(dim: Dim): boolean {
  const p = polyOf(dim);
  return p !== undefined && isNonNegative(p, 0);
}

/** The names in an expression; undefined where the text is no expression but one name that happens to hold other characters. */
export function namesIn(text: string): Set<string> | undefined {
  const poly = parseExpression(text);
  if (poly === undefined) return undefined;
  const names = new Set<string>();
  const walk = (p: Poly): void => {
    for (const term of p.values())
      for (const atom of term.atoms) {
        if (atom.kind === "name") names.add(unquoted(atom.text));
        atom.args.forEach(walk);
      }
  };
  walk(poly);
  return names;
}

/** The number that a dim is for given sizes of its names; undefined where a name has none, or it is no whole number >= 0. */
export function sizeOfDim(dim: Dim, sizes: ReadonlyMap<string, number>): number | undefined {
  if (typeof dim === "string" && sizes.has(dim)) return sizes.get(dim);
  const poly = polyOf(dim);
  const size = poly && valueOf(poly, sizes);
  return size !== undefined && Number.isSafeInteger(size) && size >= 0 ? size : undefined;
}

function valueOf(poly: Poly, sizes: ReadonlyMap<string, number>): number | undefined {
  let sum = 0;
  for (const { coefficient, atoms } of poly.values()) {
    let term = coefficient;
    for (const { kind, text, args } of atoms) {
      const values = args.map((arg) => valueOf(arg, sizes) ?? Number.NaN);
      const [a = Number.NaN, b = Number.NaN] = values;
      if (kind === "name") term *= sizes.get(unquoted(text)) ?? Number.NaN;
      else term *= kind === "quotient" ? Math.floor(a / b) : Math[kind](...values);
    }
    sum += term;
  }
  return Number.isFinite(sum) ? sum : undefined;
}

/** A name as a dim that arithmetic takes for one symbol, whatever characters it has. */
export function symbolNamed(name: string): string {
  return nameAtom(name).text;
}

/** A dim as files and people write it: a lone quoted name without its quotes. */
export function displayDim(dim: Dim): Dim {
  return typeof dim === "string" ? unquoted(dim) : dim;
}

function unquoted(text: string): string {
  return /^`(?:[^`]|``)*`$/.test(text) ? text.slice(1, -1).replaceAll("``", "`") : text;
}
