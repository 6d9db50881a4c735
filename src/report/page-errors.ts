// Sections of the page about errors: what rounding costs at each site, the ranges, and what lies outside of them.
import { dotChart, histogramChart, type Dot, type Tone } from "./charts.js";
import { decibels, grouped, percent } from "./format.js";
import { folded, html, htmlTable, nameHtml, NOTHING, type Html } from "./html.js";
import { legend, section, type PageData } from "./page-frame.js";
import type { ActivationReport, ClippedReport, SiteErrorReport } from "./report.js";

/** Histograms that are drawn: the page stays small, whatever the model. */
const MOST_DRAWN = 200;
/** Lines of a table that is shown without asking. */
const WORST = 8;

const KIND_TONES: Readonly<Record<string, Tone>> = {
  linear: "a",
  embedding: "b",
  attention: "c",
  residual: "d",
  convolution: "e",
};

export function errorSection({ compare }: PageData): Html {
  const sites = compare?.sites ?? [];
  if (sites.length === 0) return NOTHING;
  const worst = sites.toSorted((a, b) => a.snrDb - b.snrDb);
  const kinds = [...new Set(sites.map(({ kind }) => kind))];
  const dots = sites
    .toSorted((a, b) => natural(a.site, b.site))
    .map(({ site, kind, snrDb }): Dot => ({
      label: `${site}: ${decibels(snrDb)}`,
      value: snrDb,
      tone: KIND_TONES[kind] ?? "e",
    }));
  return section(
    "Error by site",
    "Signal-to-noise at the output of each site, both models run from their inputs, in the order of names; higher is closer to the float model.",
    html`${dotChart("Signal-to-noise of each site", dots, "dB")}${legend(
      kinds.map((kind) => [KIND_TONES[kind] ?? "e", kind]),
    )}${siteErrors("The sites that are furthest off", worst.slice(0, WORST))}${
      worst.length <= WORST
        ? NOTHING
        : folded(`All ${worst.length} sites`, siteErrors("Every site", worst))
    }`,
  );
}

function siteErrors(caption: string, sites: readonly SiteErrorReport[]): Html {
  return htmlTable(
    caption,
    [
      { title: "site", name: true },
      { title: "kind", short: true },
      { title: "signal-to-noise", figures: true },
      { title: "cosine", figures: true },
    ],
    sites.map(({ site, kind, snrDb, cosine }) => [site, kind, decibels(snrDb), cosine.toFixed(6)]),
  );
}

export function rangeSection({ quantize }: PageData): Html {
  const ranges = quantize?.ranges ?? [];
  const clipped = quantize?.clipped ?? [];
  if (ranges.length === 0) return clipped.length === 0 ? NOTHING : clippedSection(clipped);
  const clippedAt = new Map(
    clipped.map(({ site, operand, share }) => [`${operand} ${site}`, share]),
  );
  const worst = ranges.toSorted((a, b) => a.snrDb - b.snrDb);
  const drawn = new Set(worst.slice(0, MOST_DRAWN));
  const dots = ranges.map(({ name, snrDb }): Dot => ({
    label: `${name}: ${decibels(snrDb)}`,
    value: snrDb,
    tone: "int8",
  }));
  const figures = ranges.filter((range) => drawn.has(range)).map(rangeFigure);
  const omitted = ranges.length - drawn.size;
  return section(
    "Activations and their ranges",
    "What calibration saw of each activation, and the range that its codes span. Error: the values against themselves rounded to 8 bits.",
    html`<h3>Error of each activation, in the order of the model</h3>
      ${dotChart("Signal-to-noise of each activation", dots, "dB")}${rangeTable(
        "The activations that lose most",
        worst.slice(0, WORST),
        clippedAt,
      )}${folded(`All ${ranges.length} activations`, rangeTable("Every activation", ranges, clippedAt))}
      <h3>Values seen, and the range chosen</h3>
      ${legend([
        ["int8", "values, on a logarithmic scale"],
        ["d", "ends of the range"],
      ])}
      <div class="ranges">${figures}</div>
      ${
        omitted === 0
          ? NOTHING
          : html`<p>${omitted} more, which lose less, are in the table alone.</p>`
      }`,
  );
}

function rangeFigure(range: ActivationReport): Html {
  const { sites, lowest, highest, min, max, snrDb, histogram } = range;
  const name = readers(sites);
  const label = `Values of ${name} from ${short(lowest)} to ${short(highest)}, range ${short(min)} to ${short(max)}`;
  return html`<figure>
    <figcaption>${nameHtml(name)}</figcaption>
    ${histogramChart(label, histogram, range)}
    <p>
      <span>${short(Math.min(lowest, min))}</span><span>${decibels(snrDb)}</span
      ><span>${short(Math.max(highest, max))}</span>
    </p>
  </figure> `;
}

function rangeTable(
  caption: string,
  ranges: readonly ActivationReport[],
  clippedAt: ReadonlyMap<string, number>,
): Html {
  return htmlTable(
    caption,
    [
      { title: "read by", name: true },
      { title: "activation", short: true },
      { title: "seen", figures: true },
      { title: "range", figures: true },
      { title: "outside", figures: true },
      ...(clippedAt.size === 0 ? [] : [{ title: "clipped in the check", figures: true }]),
      { title: "signal-to-noise", figures: true },
    ],
    ranges.map(({ name, sites, operand, lowest, highest, min, max, outside, snrDb }) => {
      const shares = sites.flatMap((site) => clippedAt.get(`${operand} ${site}`) ?? []);
      return [
        readers(sites),
        name,
        `${short(lowest)} … ${short(highest)}`,
        `${short(min)} … ${short(max)}`,
        shareText(outside),
        ...(clippedAt.size === 0
          ? []
          : [shares.length === 0 ? "–" : shareText(Math.max(...shares))]),
        decibels(snrDb),
      ];
    }),
  );
}

function clippedSection(clipped: readonly ClippedReport[]): Html {
  return section(
    "Clipped values",
    "Share of what each site reads that lies outside its range, on the rows of the check.",
    htmlTable(
      "Clipped values by site",
      [
        { title: "site", name: true },
        { title: "operand", short: true },
        { title: "clipped", figures: true },
      ],
      clipped.map(({ site, operand, share }) => [
        site,
        operand === "second" ? "second" : "first",
        shareText(share),
      ]),
    ),
  );
}

/** The sites that read an activation, in few words: names of activations tell nobody anything. */
function readers(sites: readonly string[]): string {
  const [first = ""] = sites;
  return sites.length < 2 ? first : `${first} and ${sites.length - 1} more`;
}

/** Small shares as parts of a million. */
function shareText(share: number): string {
  if (share === 0) return "none";
  return share >= 0.001
    ? percent(share, 2)
    : `${grouped(Math.max(1, Math.round(share * 1e6)))} in a million`;
}

/** Three digits. */
function short(value: number): string {
  const size = Math.abs(value);
  const text =
    size !== 0 && (size >= 1e5 || size < 1e-3)
      ? value.toExponential(1)
      : String(Number(value.toPrecision(3)));
  return text.replace("-", "−");
}

/** layer.2 before layer.10. */
function natural(a: string, b: string): number {
  return a.localeCompare(b, "en", { numeric: true });
}
