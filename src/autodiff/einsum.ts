// Gradient of Einsum: another Einsum, with the operand's letters as the result.
import type { Value } from "../graph/graph.js";
import { noGradient } from "./no-gradient.js";
import type { GradientRule } from "./rule.js";

const ANY = "...";

/** The terms of an equation; without "->" the result has the letters that occur once, in order of the alphabet, behind the ellipsis. */
function termsOf(equation: string): { readonly inputs: string[]; readonly output: string } {
  const [left = "", right] = equation.replaceAll(/\s/g, "").split("->");
  const inputs = left.split(",");
  if (right !== undefined) return { inputs, output: right };
  const letters = [...left.replaceAll(ANY, "").replaceAll(",", "")];
  const once = letters.filter((l, i) => letters.indexOf(l) === i && letters.lastIndexOf(l) === i);
  return { inputs, output: (left.includes(ANY) ? ANY : "") + once.toSorted().join("") };
}

const lettersOf = (term: string): string[] => [...term.replaceAll(ANY, "")];

export const einsum: GradientRule = {
  gradient(node, [dy], b) {
    if (dy === undefined) return [];
    const { inputs, output } = termsOf(node.string("equation", ""));
    return node.inputs.map((x, i): Value | undefined => {
      if (!b.wants(x)) return undefined;
      const term = inputs[i] ?? "";
      const own = lettersOf(term);
      if (new Set(own).size < own.length)
        throw noGradient(node, `the diagonal that "${term}" takes has no gradient yet`);
      const others = inputs.filter((_, k) => k !== i);
      const values = node.inputs.filter((_, k) => k !== i);
      const known = new Set([output, ...others].flatMap(lettersOf));
      // Axes that the operator only sums over come back by broadcasting.
      const missing = own.filter((letter) => !known.has(letter));
      const around = [output, ...others].some((other) => other.includes(ANY));
      if (missing.length > 0 && around)
        throw noGradient(node, `"${term}" sums an axis beside an ellipsis`);
      if (term.includes(ANY) && !around)
        throw noGradient(node, `"${term}" sums the axes of its ellipsis`);
      const kept = missing.reduce((text, letter) => text.replace(letter, ""), term);
      const result = around && !term.includes(ANY) ? ANY + kept : kept;
      const equation = `${[output, ...others].join()}->${result}`;
      const gradient = b.op("Einsum", [dy, ...values], { equation });
      if (missing.length === 0) return b.sumTo(gradient, x);
      const axes = missing.map((letter) => term.indexOf(letter));
      return b.op("Expand", [b.unsqueeze(gradient, axes), b.shapeOf(x)]);
    });
  },
};
