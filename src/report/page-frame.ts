// What the sections of the page share: the reports by command, and the frames around what is shown.
import { html, type Html } from "./html.js";
import type {
  BenchmarkReport,
  CompareReport,
  EvaluateReport,
  QuantizeReport,
  TrainReport,
} from "./report.js";
import type { PageReport } from "./schema.js";
import type { Tone } from "./charts.js";

export interface PageData {
  readonly quantize: QuantizeReport | undefined;
  readonly compare: CompareReport | undefined;
  readonly benchmark: BenchmarkReport | undefined;
  readonly evaluates: readonly EvaluateReport[];
  readonly train: TrainReport | undefined;
}

export function pageData(reports: readonly PageReport[]): PageData {
  return {
    quantize: reports.findLast((report) => report.command === "quantize"),
    compare: reports.findLast((report) => report.command === "compare"),
    benchmark: reports.findLast((report) => report.command === "benchmark"),
    evaluates: reports.filter((report) => report.command === "evaluate"),
    train: reports.findLast((report) => report.command === "train"),
  };
}

export function section(title: string, about: string, content: Html): Html {
  return html`<section>
    <h2>${title}</h2>
    <p>${about}</p>
    ${content}
  </section>`;
}

export function card(title: string, figure: string, about: string): Html {
  return html`<div class="card">
    <span>${title}</span><strong>${figure}</strong><span>${about}</span>
  </div>`;
}

export function legend(entries: readonly (readonly [tone: Tone, name: string])[]): Html {
  return html`<ul class="legend">
    ${entries.map(([tone, name]) => html`<li><i class="${tone}"></i>${name}</li>`)}
  </ul>`;
}
