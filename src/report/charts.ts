// Charts as inline SVG. Places are percentages of the width, sizes of letters are not, so that a chart fits a phone and is read there.
import { html, NOTHING, type Html } from "./html.js";

/** Which colour: of the float model, of its quantized model, or one of five kinds of part. */
export type Tone = "float" | "int8" | "a" | "b" | "c" | "d" | "e";

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** The value as it is read. */
  readonly text: string;
  readonly tone: Tone;
  /** What a thin line spans. */
  readonly low?: number;
  readonly high?: number;
}

export interface BarGroup {
  readonly title?: string;
  readonly bars: readonly Bar[];
}

const LETTERS = 14;
const ROW = 38;
const HEADING = 30;

/** Bars from 0 in groups, each group on a scale of its own. Values that are no numbers have no bar. */
export function barChart(label: string, groups: readonly BarGroup[]): Html {
  const ends = (bars: readonly Bar[]) => bars.flatMap(({ value, high }) => [value, high ?? 0]);
  if (!(extent(groups.flatMap(({ bars }) => ends(bars))).most > 0)) return NOTHING;
  let y = 0;
  const drawn = groups.map(({ title, bars }) => {
    const heading = title === undefined ? NOTHING : textAt(0, y + 20, title, "heading");
    y += title === undefined ? 0 : HEADING;
    const { most } = extent(ends(bars));
    const rows = bars.map((bar) => {
      const top = y;
      y += ROW;
      return html`<g>${rowText(top, bar)}${barOf(bar, most, top + 20)}</g>`;
    });
    return html`${heading}${rows}`;
  });
  return svg(label, y, drawn);
}

function barOf({ value, tone, low, high }: Bar, most: number, y: number): Html {
  if (!isDrawn(value) || !(most > 0)) return NOTHING;
  const at = (v: number) => percentOf(Math.max(0, v) / most);
  const span =
    low === undefined || high === undefined || !isDrawn(high - low)
      ? NOTHING
      : html`<line class="span" x1="${at(low)}" x2="${at(high)}" y1="${y + 6}" y2="${y + 6}" />`;
  return html`<rect class="track" width="100%" y="${y}" height="12" rx="3" /><rect
      class="${tone}"
      width="${at(value)}"
      y="${y}"
      height="12"
      rx="3"
    />${span}`;
}

export interface Segment {
  readonly label: string;
  readonly value: number;
  readonly tone: Tone;
}

export interface Stack {
  readonly label: string;
  readonly text: string;
  readonly segments: readonly Segment[];
}

/** Bars of several parts on one scale. */
export function stackChart(label: string, stacks: readonly Stack[]): Html {
  const { most } = extent(stacks.map(({ segments }) => sumOf(segments)));
  if (!(most > 0)) return NOTHING;
  const rows = stacks.map((stack, i) => {
    const top = i * (ROW + 8);
    let before = 0;
    const parts = stack.segments.map((segment) => {
      const value = lengthOf(segment);
      const x = percentOf(before / most);
      before += value;
      return html`<rect
        class="${segment.tone}"
        x="${x}"
        width="${percentOf(value / most)}"
        y="${top + 20}"
        height="20"
        ><title>${segment.label}</title></rect
      >`;
    });
    return html`<g
      >${rowText(top, stack)}<rect
        class="track"
        width="100%"
        y="${top + 20}"
        height="20"
      />${parts}</g
    >`;
  });
  return svg(label, stacks.length * (ROW + 8), rows);
}

function sumOf(segments: readonly Segment[]): number {
  return segments.reduce((sum, segment) => sum + lengthOf(segment), 0);
}

function lengthOf({ value }: Segment): number {
  return isDrawn(value) ? Math.max(0, value) : 0;
}

export interface Estimate {
  readonly label: string;
  readonly text: string;
  readonly value: number;
  /** Ends of its interval, where it has one. */
  readonly low: number | null;
  readonly high: number | null;
  readonly tone: Tone;
}

/** Points with their intervals, on a scale that shows their differences: it does not begin at 0, and its ends are written below it. */
export function intervalChart(
  label: string,
  estimates: readonly Estimate[],
  write: (value: number) => string,
): Html {
  const { least, most } = extent(
    estimates.flatMap(({ value, low, high }) => [value, low ?? value, high ?? value]),
  );
  if (most < least) return NOTHING;
  const room = (most - least) * 0.08 || Math.abs(most) * 0.01 || 1;
  const [from, to] = [least - room, most + room];
  const at = (v: number) => percentOf((v - from) / (to - from));
  const rows = estimates.map((estimate, i) => {
    const { value, low, high, tone } = estimate;
    const y = i * ROW + 26;
    const line =
      low === null || high === null
        ? NOTHING
        : html`<line
            class="interval ${tone}"
            x1="${at(low)}"
            x2="${at(high)}"
            y1="${y}"
            y2="${y}"
          />`;
    const point = isDrawn(value)
      ? html`<circle class="${tone}" cx="${at(value)}" cy="${y}" r="6" />`
      : NOTHING;
    return html`<g
      >${rowText(i * ROW, estimate)}<line
        class="grid"
        x1="0"
        x2="100%"
        y1="${y}"
        y2="${y}"
      />${line}${point}</g
    >`;
  });
  const bottom = estimates.length * ROW + LETTERS;
  const axis = html`${textAt(0, bottom, write(from), "axis")}${textAt(100, bottom, write(to), "axis end")}`;
  return svg(label, bottom + 6, [...rows, axis]);
}

export interface Dot {
  readonly label: string;
  readonly value: number;
  readonly tone: Tone;
}

const PLOT = 200;
/** What is beyond stands at the edge. */
const MOST_SHOWN = 1000;
const MOST_DOTS = 500;

/** One dot for each, of very many the lowest of neighbours, in the order given, over lines of round values. Infinity stands at the top; what is no number stands at the bottom. */
export function dotChart(label: string, all: readonly Dot[], unit: string): Html {
  const dots = thinned(all);
  const { least, most } = extent(
    dots.map(({ value }) => (Math.abs(value) <= MOST_SHOWN ? value : NaN)),
  );
  if (most < least) return NOTHING;
  const step = 10;
  const from = Math.min(0, Math.floor(least / step) * step);
  const to = Math.max(from + step, Math.ceil(most / step) * step);
  const every = step * Math.ceil((to - from) / step / 6);
  const y = (value: number) => 10 + ((to - value) / (to - from)) * (PLOT - 20);
  const lines: Html[] = [];
  for (let at = from; at <= to; at += every) {
    const place = y(at).toFixed(1);
    lines.push(
      html`<line class="grid" x1="0" x2="100%" y1="${place}" y2="${place}" /><text
          class="axis"
          x="0"
          dy="-3"
          y="${place}"
          >${at}${at + every > to ? ` ${unit}` : ""}</text
        >`,
    );
  }
  // Room for the numbers at the left.
  const x = (i: number) => percentOf(0.08 + (0.9 * (i + 0.5)) / dots.length);
  const points = dots.map(({ label: name, value, tone }, i) => {
    const shown = Number.isNaN(value) ? from : Math.min(to, Math.max(from, value));
    return html`<circle class="${tone}" cx="${x(i)}" cy="${y(shown).toFixed(1)}" r="4"
      ><title>${name}</title></circle
    >`;
  });
  return svg(label, PLOT, [...lines, ...points]);
}

function thinned(dots: readonly Dot[]): readonly Dot[] {
  const together = Math.ceil(dots.length / MOST_DOTS);
  if (together <= 1) return dots;
  return Array.from({ length: Math.ceil(dots.length / together) }, (_, i) =>
    dots.slice(i * together, (i + 1) * together).reduce((a, b) => (b.value < a.value ? b : a)),
  );
}

const BINS_HEIGHT = 100;

export interface HistogramOptions {
  /** What the bins span. */
  readonly lowest: number;
  readonly highest: number;
  /** The range that was chosen. */
  readonly min: number;
  readonly max: number;
}

/** Counts in equal bins, drawn as their logarithm because tails matter, with the chosen range as a band. It stretches to any width. */
export function histogramChart(
  label: string,
  counts: readonly number[],
  { lowest, highest, min, max }: HistogramOptions,
): Html {
  const { most } = extent(counts);
  const from = Math.min(lowest, min);
  const to = Math.max(highest, max);
  if (!(most > 0) || !(to > from) || !isDrawn(to - from)) return NOTHING;
  const x = (value: number) => Number((((value - from) / (to - from)) * 1000).toFixed(1));
  const width = (highest - lowest) / counts.length;
  const path = counts
    .map((count, i) => {
      if (!(count > 0) || !isDrawn(count)) return "";
      const [left, right] = [x(lowest + i * width), x(lowest + (i + 1) * width)];
      const height = ((Math.log1p(count) / Math.log1p(most)) * (BINS_HEIGHT - 8)).toFixed(1);
      return `M${left} ${BINS_HEIGHT}v-${height}H${right}V${BINS_HEIGHT}z`;
    })
    .join("");
  const [a, b] = [x(min), x(max)];
  return html`<svg
    class="histogram"
    role="img"
    aria-label="${label}"
    viewBox="0 0 1000 ${BINS_HEIGHT}"
    preserveAspectRatio="none"
  >
    <rect class="band" x="${a}" width="${(b - a).toFixed(1)}" height="${BINS_HEIGHT}" />
    <path class="int8" d="${path}" />
    <path class="edge" d="M${a} 0V${BINS_HEIGHT}M${b} 0V${BINS_HEIGHT}" />
  </svg>`;
}

/** Whether a value is a number that has a place beside others. */
function isDrawn(value: number): boolean {
  return Math.abs(value) < 1e150;
}

/** The least and the most of what is drawn; the least is above the most where nothing is. */
function extent(values: readonly number[]): { readonly least: number; readonly most: number } {
  let [least, most] = [Infinity, -Infinity];
  for (const value of values)
    if (isDrawn(value)) [least, most] = [Math.min(least, value), Math.max(most, value)];
  return { least, most };
}

function svg(label: string, height: number, content: readonly Html[]): Html {
  return html`<svg role="img" aria-label="${label}" width="100%" height="${height}">
    ${content}
  </svg>`;
}

function rowText(top: number, row: { readonly label: string; readonly text: string }): Html {
  return html`${textAt(0, top + LETTERS, row.label, "label")}${textAt(100, top + LETTERS, row.text, "value end")}`;
}

function textAt(x: number, y: number, text: string, kind: string): Html {
  return html`<text class="${kind}" x="${x}%" y="${y}">${text}</text>`;
}

function percentOf(share: number): string {
  const percent = Math.min(100, Math.max(0, share * 100));
  return `${Number(percent.toFixed(2)) || 0}%`;
}
