// Patterns of names, as options have them.

/** `*` is any text, everything else itself. */
export function globOf(pattern: string): RegExp {
  const literal = pattern.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${literal.join(".*")}$`);
}
