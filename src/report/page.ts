// Reports as one HTML page that needs nothing beside it: no script, no network; pure text in, text out.
import { latencySection, memorySection } from "./page-benchmark.js";
import { errorSection, rangeSection } from "./page-errors.js";
import { accuracySection, checkSection, metricCards } from "./page-accuracy.js";
import { layersSection, sizeSection, stepsSection } from "./page-model.js";
import { trainSection } from "./page-train.js";
import { card, pageData, section, type PageData } from "./page-frame.js";
import { bytes, counted, decibels, percent, seconds } from "./format.js";
import { shorten } from "./table.js";
import { html, NOTHING, type Html } from "./html.js";
import { shapeText } from "./benchmark-text.js";
import type { EnvironmentReport } from "./report.js";
import type { PageReport } from "./schema.js";
import { totals } from "./sites.js";
import { STYLES } from "./styles.js";
import { formOf } from "./words.js";

/** The whole document. Of several reports of one command the last counts, but for evaluate. */
export function reportPage(reports: readonly PageReport[]): string {
  const data = pageData(reports);
  const title = titleOf(data);
  // The policy holds what the page promises: that no request leaves it.
  const { markup } = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta
          http-equiv="Content-Security-Policy"
          content="default-src 'none'; style-src 'unsafe-inline'; img-src data:"
        />
        <link rel="icon" href="data:," />
        <title>${title} – Octavo</title>
        <style>
          ${{ markup: STYLES }}
        </style>
      </head>
      <body>
        <main>
          <header>
            <h1>${title}</h1>
            ${subtitle(data)}
          </header>
          ${cards(data)} ${warningsOf(reports)} ${accuracySection(data)} ${trainSection(data)}
          ${sizeSection(data)} ${latencySection(data)} ${memorySection(data)} ${checkSection(data)}
          ${stepsSection(data)} ${errorSection(data)} ${rangeSection(data)} ${layersSection(data)}
          ${reproduceSection(reports)}
          <footer>
            Made by Octavo from its own reports. Figures of time belong to the machine named above.
          </footer>
        </main>
      </body>
    </html> `;
  return markup;
}

function titleOf({ quantize, compare, train, evaluates, benchmark }: PageData): string {
  const path =
    quantize?.output ??
    compare?.candidate ??
    train?.output ??
    evaluates[0]?.model ??
    benchmark?.models.at(-1)?.model ??
    "Nothing";
  return shorten(path.split(/[/\\]/).slice(-3).join("/"), 70);
}

function subtitle({ quantize, compare, train }: PageData): Html {
  if (quantize !== undefined) return html`<p>${formOf(quantize)}. Made from ${quantize.model}.</p>`;
  if (compare === undefined && train !== undefined)
    return html`<p>Trained. Made from ${train.model}.</p>`;
  return compare === undefined ? NOTHING : html`<p>Compared with ${compare.reference}.</p>`;
}

function cards(data: PageData): Html {
  const { quantize, compare, benchmark } = data;
  const size =
    quantize === undefined
      ? compare && { before: compare.bytes.reference, after: compare.bytes.candidate }
      : { before: quantize.bytesBefore, after: quantize.bytesAfter };
  const snr = quantize?.check?.snrDb ?? compare?.snrDb;
  const sites = quantize && totals(quantize.sites);
  const fastest = benchmark?.timings
    .filter(({ model }) => model > 0)
    .toSorted((a, b) => b.batch * b.length - a.batch * a.length || a.threads - b.threads)[0];
  const all = [
    size &&
      card(
        "Size",
        percent(size.after / size.before, 0),
        `${bytes(size.before)} → ${bytes(size.after)}`,
      ),
    ...metricCards(data),
    snr === undefined
      ? undefined
      : card("Signal-to-noise", decibels(snr), "of the outputs, against float"),
    fastest &&
      card(
        "Speed",
        `${fastest.ratio.value.toFixed(2)}×`,
        `at ${shapeText(fastest)}, ${counted(fastest.threads, "thread")}: ${seconds(fastest.median)}`,
      ),
    sites &&
      quantize &&
      card(
        "Sites in 8 bits",
        `${sites.int8 + sites.packed + sites.stored} of ${quantize.sites.length}`,
        sites.float === 0 ? "none left in float" : `${sites.float} left in float`,
      ),
  ].filter((one) => one !== undefined);
  return all.length === 0 ? NOTHING : html`<div class="cards">${all}</div>`;
}

function warningsOf(reports: readonly PageReport[]): Html {
  const warnings = [...new Set(reports.flatMap((report) => report.warnings))];
  if (warnings.length === 0) return NOTHING;
  return html`<section class="warnings">
    <h2>${warnings.length === 1 ? "Warning" : "Warnings"}</h2>
    <ul>
      ${warnings.map((warning) => html`<li>${warning}</li>`)}
    </ul>
  </section>`;
}

function reproduceSection(reports: readonly PageReport[]): Html {
  const commands = reports.flatMap((report) =>
    "commandLine" in report && report.commandLine !== undefined ? [report.commandLine] : [],
  );
  const next = reports.flatMap((report) =>
    "nextCommand" in report && report.nextCommand !== undefined ? [report.nextCommand] : [],
  );
  const machines = reports.flatMap((report) =>
    "environment" in report && report.environment !== undefined ? [report.environment] : [],
  );
  const told = [...new Set(machines.map(environmentText))];
  if (commands.length === 0 && told.length === 0) return NOTHING;
  return section(
    "Again",
    "The commands that made these figures, and where they ran.",
    html`${commands.map((command) => html`<pre>${command}</pre>`)}${next.map(
      (command) =>
        html`<h3>Next, where the GPU is</h3>
          <pre>${command}</pre>`,
    )}${told.map((line) => html`<p>${line}</p>`)}`,
  );
}

function environmentText({ octavo, runtime, node, system, cpu, cores }: EnvironmentReport): string {
  return `Octavo ${octavo}, ${runtime}, Node ${node}, ${system}; ${cpu}, ${counted(cores, "core")}.`;
}
