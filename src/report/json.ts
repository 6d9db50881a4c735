// Reports as JSON, which has no infinities.

/** How a ratio without any signal stands in JSON. */
export const NO_SIGNAL = "no signal";

/** Infinity is null, a ratio without any signal (−Infinity, NaN) is told as text. */
export function reportJson(report: object): string {
  return JSON.stringify(
    report,
    (_, value: unknown) =>
      value === -Infinity || (typeof value === "number" && Number.isNaN(value)) ? NO_SIGNAL : value,
    2,
  );
}
