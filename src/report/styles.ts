// How the page looks: by day, in the dark, on a phone and on paper. Nothing is loaded: fonts are the system's.

export const STYLES = `
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ground: #f6f7f9; --ink: #17202e; --soft: #5b6779; --line: #e3e7ed; --track: #edf0f4;
  --float: #8b98ab; --int8: #2f6fed; --good: #14804a; --warn: #9a5b00; --warn-ground: #fff6e5; --warn-line: #f2d08b;
  --a: #2f6fed; --b: #12a594; --c: #8e5bd9; --d: #e0823d; --e: #8b98ab;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #161b24; --ground: #0e1219; --ink: #e6eaf1; --soft: #9aa6b8; --line: #28303d; --track: #212936;
    --float: #76849a; --int8: #6ea0ff; --good: #4cc38a; --warn: #f0b757; --warn-ground: #2a2110; --warn-line: #57431a;
    --a: #6ea0ff; --b: #3fc9b8; --c: #b38cf2; --d: #f0a063; --e: #76849a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  -webkit-text-size-adjust: 100%;
}
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
header p { color: var(--soft); margin: .25rem 0 0; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; letter-spacing: -.01em; }
h2 { font-size: 1.15rem; margin: 0 0 .25rem; }
h3 { font-size: .95rem; margin: 1.25rem 0 .25rem; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 12px; padding: 1.25rem; margin-top: 1rem; }
section > p { color: var(--soft); margin: 0 0 1rem; max-width: 46rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); gap: .75rem; margin-top: 1.25rem; }
.card { background: var(--paper); border: 1px solid var(--line); border-radius: 12px; padding: 1rem; }
.card span { display: block; color: var(--soft); font-size: .85rem; overflow-wrap: anywhere; }
.card strong { display: block; font-size: 1.7rem; line-height: 1.25; letter-spacing: -.02em; font-variant-numeric: tabular-nums; }
.warnings { background: var(--warn-ground); border-color: var(--warn-line); }
.warnings h2 { color: var(--warn); }
.warnings ul { margin: .5rem 0 0; padding-left: 1.2rem; overflow-wrap: anywhere; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; padding: 0; margin: .5rem 0; list-style: none; font-size: .85rem; color: var(--soft); }
.legend i { display: inline-block; width: .7rem; height: .7rem; border-radius: 3px; margin-right: .4rem; }
svg { display: block; overflow: visible; margin: .5rem 0; }
svg text { fill: var(--ink); font-size: 13px; }
svg .label { fill: var(--soft); }
svg .value { font-variant-numeric: tabular-nums; font-weight: 600; }
svg .end { text-anchor: end; }
svg .heading { font-weight: 600; font-size: 14px; }
svg .axis { fill: var(--soft); font-size: 11px; font-weight: 400; }
svg .grid { stroke: var(--line); }
svg .track { fill: var(--track); }
svg .span { stroke: var(--ink); stroke-width: 1.5; opacity: .7; }
svg .interval { stroke-width: 3; stroke-linecap: round; opacity: .55; }
svg .band { fill: var(--track); }
svg .edge { fill: none; stroke: var(--d); stroke-width: 2; vector-effect: non-scaling-stroke; }
TONES
.histogram { width: 100%; height: 4.5rem; margin: .35rem 0 .15rem; }
.ranges { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: 1rem; margin: 1rem 0; align-items: end; }
.ranges figure { margin: 0; min-width: 0; }
.ranges figcaption { font-size: .8rem; overflow-wrap: anywhere; line-height: 1.35; }
.ranges p { display: flex; justify-content: space-between; gap: .5rem; margin: 0; font-size: .72rem; color: var(--soft); font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; margin-top: .75rem; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); font-size: .8rem; padding-bottom: .35rem; }
th { font-weight: 600; color: var(--soft); font-size: .8rem; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th:last-child, td:last-child { padding-right: 0; }
.figure { text-align: right; white-space: nowrap; }
td.name { overflow-wrap: anywhere; min-width: 11rem; }
.short { white-space: nowrap; }
td.text { min-width: 9rem; }
.better { color: var(--good); }
.lines { margin: .5rem 0; font-size: .8rem; color: var(--soft); }
.lines svg { display: block; width: 100%; height: 10rem; }
.lines .line { fill: none; stroke-width: 2; vector-effect: non-scaling-stroke; }
.lines .grid { stroke: var(--line); vector-effect: non-scaling-stroke; }
.lines figcaption { display: flex; justify-content: space-between; }
details { margin-top: .75rem; }
summary { cursor: pointer; color: var(--soft); font-size: .9rem; }
pre { background: var(--ground); border: 1px solid var(--line); border-radius: 8px; padding: .75rem; margin: .5rem 0; white-space: pre-wrap; overflow-wrap: anywhere; font-size: .85rem; }
footer { color: var(--soft); font-size: .8rem; margin-top: 1.5rem; }
@media (max-width: 34rem) {
  main { padding: 1.25rem .75rem 3rem; }
  section { padding: 1rem; }
  .cards { grid-template-columns: 1fr 1fr; }
  .card { padding: .8rem; }
  .card strong { font-size: 1.35rem; }
  .ranges { grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); }
}
@media screen and (max-width: 34rem) {
  .wide, .wide caption, .wide tbody, .wide tr { display: block; }
  .wide thead { display: none; }
  .wide tr { border-bottom: 1px solid var(--line); padding: .6rem 0; }
  .wide td { display: flex; justify-content: space-between; gap: 1rem; border: 0; padding: .1rem 0; text-align: right; min-width: 0; white-space: normal; }
  .wide td::before { content: attr(data-title); color: var(--soft); font-size: .8rem; flex: none; }
  .wide td:empty { display: none; }
  .wide td.name { display: block; text-align: left; font-weight: 600; }
  .wide td.name::before { content: none; }
}
@media print {
  :root {
    --paper: #fff; --ground: #fff; --ink: #000; --soft: #444; --line: #ccc; --track: #eee; --float: #8b98ab; --int8: #2f6fed;
    --good: #14804a; --warn: #7a4800; --warn-ground: #fff; --warn-line: #999;
    --a: #2f6fed; --b: #12a594; --c: #8e5bd9; --d: #e0823d; --e: #8b98ab;
  }
  body { font-size: 11pt; -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  main { max-width: none; padding: 0; }
  section { border: 0; border-top: 1px solid var(--line); border-radius: 0; padding: 1rem 0; }
  .cards, .card, figure, tr, svg { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  .scroll { overflow: visible; }
  td.name { min-width: 0; }
  details::details-content { content-visibility: visible; display: block; }
}
`.replace(
  "TONES",
  ["float", "int8", "a", "b", "c", "d", "e"]
    .map(
      (tone) =>
        `.${tone} { fill: var(--${tone}); } i.${tone} { background: var(--${tone}); } .interval.${tone}, .line.${tone} { stroke: var(--${tone}); }`,
    )
    .join("\n"),
);
