// Polynomials with whole coefficients over names, Min, Max and floor quotients: what symbolic dims are made of. Names stand for sizes, hence
// for whole numbers >= 0, which is what decides signs here.

/** A factor that arithmetic does not look into. */
export interface Atom {
  readonly text: string;
  readonly kind: "name" | "min" | "max" | "quotient";
  readonly args: readonly Poly[];
}

export interface Term {
  readonly coefficient: number;
  /** Sorted by text; repeated for powers. */
  readonly atoms: readonly Atom[];
}

/** Terms by the text of their atoms ("" is the constant); no zero coefficients. */
export type Poly = ReadonlyMap<string, Term>;

// Beyond these an expression is no help to anybody, and a hostile file could make them grow without end.
export const MAX_TERMS = 24;

const keyOf = (atoms: readonly Atom[]): string => atoms.map((a) => a.text).join("*");
export const ZERO: Poly = new Map();

export function constant(n: number): Poly {
  return n === 0 ? ZERO : new Map([["", { coefficient: n, atoms: [] }]]);
}

export function fromAtom(atom: Atom): Poly {
  return new Map([[atom.text, { coefficient: 1, atoms: [atom] }]]);
}

/** The number a polynomial is, where it is one. */
export function numberOf(p: Poly): number | undefined {
  if (p.size === 0) return 0;
  return p.size === 1 ? p.get("")?.coefficient : undefined;
}

export function combine(a: Poly, b: Poly, sign: 1 | -1): Poly {
  const sum = new Map(a);
  for (const [key, term] of b) {
    const coefficient = (sum.get(key)?.coefficient ?? 0) + sign * term.coefficient;
    if (coefficient === 0) sum.delete(key);
    else sum.set(key, { coefficient, atoms: term.atoms });
  }
  return sum;
}

function timesTerm(p: Poly, by: Term): Poly {
  const product = new Map<string, Term>();
  for (const term of p.values()) {
    const atoms = [...term.atoms, ...by.atoms].toSorted((x, y) => order(x.text, y.text));
    product.set(keyOf(atoms), { coefficient: term.coefficient * by.coefficient, atoms });
  }
  return product;
}

export function times(a: Poly, b: Poly): Poly {
  let product: Poly = ZERO;
  for (const term of b.values()) product = combine(product, timesTerm(a, term), 1);
  return product;
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** a / b where b divides a as a polynomial. */
export function exactQuotient(a: Poly, b: Poly): Poly | undefined {
  const lead = leading(b);
  if (lead === undefined) return undefined;
  let rest = a;
  let quotient: Poly = ZERO;
  for (let step = 0; rest.size > 0; step++) {
    const top = leading(rest);
    const part = top && termQuotient(top, lead);
    if (part === undefined || step > MAX_TERMS) return undefined;
    const piece: Poly = new Map([[keyOf(part.atoms), part]]);
    quotient = combine(quotient, piece, 1);
    rest = combine(rest, times(b, piece), -1);
  }
  return quotient;
}

/** The greatest term: by degree, then lexicographically; compatible with products, as division needs it. */
function leading(p: Poly): Term | undefined {
  let best: Term | undefined;
  for (const term of p.values()) if (best === undefined || isGreater(term, best)) best = term;
  return best;
}

function isGreater(a: Term, b: Term): boolean {
  if (a.atoms.length !== b.atoms.length) return a.atoms.length > b.atoms.length;
  for (const [i, atom] of a.atoms.entries()) {
    const c = order(atom.text, b.atoms[i]?.text ?? "");
    if (c !== 0) return c < 0;
  }
  return false;
}

function termQuotient(a: Term, b: Term): Term | undefined {
  const coefficient = a.coefficient / b.coefficient;
  if (!Number.isInteger(coefficient)) return undefined;
  const atoms = [...a.atoms];
  for (const atom of b.atoms) {
    const at = atoms.findIndex((x) => x.text === atom.text);
    if (at < 0) return undefined;
    atoms.splice(at, 1);
  }
  return { coefficient, atoms };
}

function gcd(a: number, b: number): number {
  return b === 0 ? Math.abs(a) : gcd(b, a % b);
}

/** The factor that all terms share: the gcd of the coefficients and the common atoms. */
function commonFactor(polys: readonly Poly[]): Term {
  let coefficient = 0;
  let shared: readonly Atom[] | undefined;
  for (const p of polys)
    for (const term of p.values()) {
      coefficient = gcd(coefficient, term.coefficient);
      const left = [...term.atoms];
      shared = (shared ?? term.atoms).filter((atom) => {
        const at = left.findIndex((x) => x.text === atom.text);
        if (at >= 0) left.splice(at, 1);
        return at >= 0;
      });
    }
  return { coefficient: coefficient || 1, atoms: shared ?? [] };
}

export function floorQuotient(a: Poly, b: Poly): Poly | undefined {
  if (b.size === 0) return undefined;
  const exact = exactQuotient(a, b);
  if (exact !== undefined) return exact;
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== undefined && y !== undefined) return constant(Math.floor(x / y));
  // Whole multiples of the divisor leave the floor: (4*s+3)//4 = s + 3//4.
  const whole = new Map<string, Term>();
  const rest = new Map<string, Term>();
  for (const [key, term] of a)
    (y !== undefined && key !== "" && term.coefficient % y === 0 ? whole : rest).set(key, term);
  if (y !== undefined && whole.size > 0) {
    const inner = floorQuotient(rest, b);
    return inner && combine(exactQuotient(whole, b) ?? ZERO, inner, 1);
  }
  if (!isNonNegative(b, 0)) return undefined;
  const factor = commonFactor([a, b]);
  const by: Poly = new Map([[keyOf(factor.atoms), factor]]);
  const args = [exactQuotient(a, by) ?? a, exactQuotient(b, by) ?? b];
  const text = `(${args.map(bracketed).join("//")})`;
  return fromAtom({ text, kind: "quotient", args });
}

export function extreme(kind: "min" | "max", polys: readonly Poly[]): Poly {
  const flat = polys.flatMap((p) => {
    const [term] = p.values();
    const atom = term?.atoms[0];
    const lone = p.size === 1 && term?.coefficient === 1 && term.atoms.length === 1;
    return lone && atom?.kind === kind ? atom.args : [p];
  });
  const kept: Poly[] = [];
  for (const p of flat) {
    const loses = (a: Poly, b: Poly) =>
      isNonNegative(kind === "min" ? combine(a, b, -1) : combine(b, a, -1), 0);
    if (kept.some((k) => loses(p, k))) continue;
    for (let i = kept.length - 1; i >= 0; i--) if (loses(kept[i] ?? ZERO, p)) kept.splice(i, 1);
    kept.push(p);
  }
  const [only] = kept;
  if (kept.length === 1 && only !== undefined) return only;
  const rank = (p: Poly) => (numberOf(p) === undefined ? 1 : 0);
  const args = kept.toSorted((p, q) => rank(p) - rank(q) || order(textOf(p), textOf(q)));
  const name = kind === "min" ? "Min" : "Max";
  return fromAtom({ text: `${name}(${args.map(textOf).join(", ")})`, kind, args });
}

/** Whether a polynomial is surely >= 0. */
export function isNonNegative(p: Poly, depth: number): boolean {
  let negative: Term | undefined;
  let weak: Term | undefined;
  for (const term of p.values()) {
    if (term.coefficient < 0) negative ??= term;
    if (!term.atoms.every((atom) => atomIsNonNegative(atom, depth))) weak ??= term;
  }
  if (negative === undefined && weak === undefined) return true;
  if (depth > 3) return false;
  // Bounds: Min(x, y) <= x and y; x//y <= x for x >= 0; Max(x, y) >= x and y. Each is tried in place of its atom.
  for (const term of p.values()) {
    const [atom] = term.atoms;
    if (atom === undefined || term.atoms.length !== 1) continue;
    const up = term.coefficient < 0;
    let bounds: readonly Poly[] = [];
    if (up && atom.kind === "min") bounds = atom.args;
    if (!up && atom.kind === "max") bounds = atom.args;
    if (up && atom.kind === "quotient" && atomIsNonNegative(atom, depth))
      bounds = atom.args.slice(0, 1);
    for (const bound of bounds) {
      const rest = new Map(p);
      rest.delete(atom.text);
      const by = combine(rest, times(bound, constant(term.coefficient)), 1);
      if (isNonNegative(by, depth + 1)) return true;
    }
  }
  return false;
}

function atomIsNonNegative(atom: Atom, depth: number): boolean {
  if (atom.kind === "name") return true;
  if (depth > 3) return false;
  const check = (p: Poly) => isNonNegative(p, depth + 1);
  return atom.kind === "max" ? atom.args.some(check) : atom.args.every(check);
}

// Text.

export function textOf(p: Poly): string {
  if (p.size === 0) return "0";
  const terms = [...p.values()].toSorted(
    (a, b) =>
      Number(a.coefficient < 0) - Number(b.coefficient < 0) ||
      b.atoms.length - a.atoms.length ||
      order(keyOf(a.atoms), keyOf(b.atoms)),
  );
  let text = "";
  for (const { coefficient, atoms } of terms) {
    const size = Math.abs(coefficient);
    const sign = coefficient < 0 ? "-" : text === "" ? "" : "+";
    const factors = size === 1 && atoms.length > 0 ? [] : [String(size)];
    text += sign + [...factors, ...atoms.map((a) => a.text)].join("*");
  }
  return text;
}

function bracketed(p: Poly): string {
  const [term] = p.values();
  const single = p.size === 0 || (p.size === 1 && term !== undefined && isSimple(term));
  return single ? textOf(p) : `(${textOf(p)})`;
}

const isSimple = (t: Term): boolean =>
  t.coefficient > 0 && t.atoms.length + (t.coefficient === 1 ? 0 : 1) <= 1;

export const PLAIN_NAME = /^[\p{L}_?][\p{L}\p{N}_.?:]*$/u;

export function nameAtom(name: string): Atom {
  const text = PLAIN_NAME.test(name) ? name : `\`${name.replaceAll("`", "``")}\``;
  return { text, kind: "name", args: [] };
}
