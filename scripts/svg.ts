// Figures as SVG text: axes, bars, curves and words, with coordinates rounded so that the same data gives the same file.

export const INK = "#334155";
export const FAINT = "#cbd5e1";
export const BLUE = "#2563eb";
export const ORANGE = "#ea580c";
export const GREEN = "#15803d";
export const PURPLE = "#7e22ce";

export function svg(width: number, height: number, parts: readonly string[]): string {
  const style = 'font-family="system-ui, sans-serif" font-size="13"';
  const paper = `<rect width="${width}" height="${height}" rx="6" fill="#ffffff"/>`;
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ${style}>`;
  return `${[head, paper, ...parts].join("\n")}\n</svg>\n`;
}

export interface Look {
  readonly color?: string;
  readonly anchor?: "start" | "middle" | "end";
  readonly bold?: boolean;
  readonly size?: number;
}

export function words(x: number, y: number, text: string, look: Look = {}): string {
  const { color = INK, anchor = "start", bold = false, size = 13 } = look;
  const weight = bold ? ' font-weight="600"' : "";
  return `<text x="${at(x)}" y="${at(y)}" fill="${color}" text-anchor="${anchor}" font-size="${size}"${weight}>${escaped(text)}</text>`;
}

interface Stroke {
  readonly color?: string;
  readonly width?: number;
  readonly dashed?: boolean;
}

export function line(x1: number, y1: number, x2: number, y2: number, stroke: Stroke = {}): string {
  return `<line x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}" ${drawn(stroke)}/>`;
}

export type Point = readonly [x: number, y: number];

export function dots(points: readonly Point[], color: string, radius: number): string {
  const circles = points.map(([x, y]) => `<circle cx="${at(x)}" cy="${at(y)}" r="${radius}"/>`);
  return `<g fill="${color}" fill-opacity="0.5">${circles.join("")}</g>`;
}

/** Bars side by side from `left` on, as one shape; `heights` above `foot`. */
export function bars(
  heights: ArrayLike<number>,
  { left, foot, step, color, opacity = 1 }: BarLook,
): string {
  const wide = Math.max(0.6, step * 0.85);
  const path = Array.from(heights, (height, i) =>
    height < 0.05
      ? ""
      : `M${at(left + i * step)},${at(foot)}v${at(-height)}h${at(wide)}V${at(foot)}`,
  );
  return `<path d="${path.join("")}" fill="${color}" fill-opacity="${opacity}"/>`;
}

interface BarLook {
  readonly left: number;
  readonly foot: number;
  readonly step: number;
  readonly color: string;
  readonly opacity?: number;
}

/** A line through points. */
export function curve(points: readonly Point[], stroke: Stroke = {}): string {
  const path = points.map(([x, y]) => `${at(x)},${at(y)}`).join(" ");
  return `<polyline points="${path}" fill="none" ${drawn(stroke)}/>`;
}

/** A box with a word in it, for graphs of nodes. */
export function node(x: number, y: number, width: number, text: string, color: string): string {
  const frame = `<rect x="${at(x)}" y="${at(y)}" width="${width}" height="28" rx="5" fill="${color}" fill-opacity="0.12" stroke="${color}"/>`;
  return frame + words(x + width / 2, y + 18, text, { anchor: "middle", size: 12 });
}

export function arrow(x1: number, y1: number, x2: number, y2: number, color = INK): string {
  const angle = Math.atan2(y2 - y1, x2 - x1);
  const wing = (turn: number) =>
    `${at(x2 - 7 * Math.cos(angle + turn))},${at(y2 - 7 * Math.sin(angle + turn))}`;
  const head = `<polygon points="${at(x2)},${at(y2)} ${wing(0.4)} ${wing(-0.4)}" fill="${color}"/>`;
  return line(x1, y1, x2, y2, { color }) + head;
}

function drawn({ color = INK, width = 1, dashed = false }: Stroke): string {
  return `stroke="${color}" stroke-width="${width}"${dashed ? ' stroke-dasharray="4 3"' : ""}`;
}

function at(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
