// A chart of lines over steps as inline SVG: it stretches to any width, its numbers stand beside it and do not.
import { html, NOTHING, type Html } from "./html.js";
import type { Tone } from "./charts.js";

export interface Line {
  readonly tone: Tone;
  /** From left to right. */
  readonly points: readonly { readonly step: number; readonly value: number }[];
}

const [WIDTH, HEIGHT, EDGE] = [1000, 160, 8];

/** Lines on one scale, the least and the most value and step written at its ends. Points that are no numbers are left out. */
export function lineChart(
  label: string,
  lines: readonly Line[],
  write: (value: number) => string,
): Html {
  const drawn = lines.map(({ tone, points }) => ({
    tone,
    points: points.filter(({ value }) => Math.abs(value) < 1e150),
  }));
  const all = drawn.flatMap(({ points }) => points);
  if (all.length < 2) return NOTHING;
  const [left, right] = ends(all.map(({ step }) => step));
  const [least, most] = ends(all.map(({ value }) => value));
  const x = (step: number) => (((step - left) / (right - left || 1)) * WIDTH).toFixed(1);
  const y = (value: number) =>
    (EDGE + ((most - value) / (most - least || 1)) * (HEIGHT - 2 * EDGE)).toFixed(1);
  const paths = drawn.map(({ tone, points }) => {
    const path = points.map(({ step, value }) => `${x(step)} ${y(value)}`).join("L");
    return html`<path class="line ${tone}" d="M${path}" />`;
  });
  return html`<figure class="lines">
    <span>${write(most)}</span>
    <svg
      role="img"
      aria-label="${label}"
      viewBox="0 0 ${WIDTH} ${HEIGHT}"
      preserveAspectRatio="none"
    >
      <path class="grid" d="M0 ${y(most)}H${WIDTH}M0 ${y(least)}H${WIDTH}" />
      ${paths}
    </svg>
    <span>${write(least)}</span>
    <figcaption><span>step ${left}</span><span>step ${right}</span></figcaption>
  </figure>`;
}

function ends(values: readonly number[]): [least: number, most: number] {
  return values.reduce<[number, number]>(
    ([least, most], value) => [Math.min(least, value), Math.max(most, value)],
    [Infinity, -Infinity],
  );
}
