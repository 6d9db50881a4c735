import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { escapeHtml, folded, html, htmlTable, NOTHING } from "./html.js";

describe("html", () => {
  test("escapes what is put in, between tags and in attributes, and keeps its own markup", () => {
    const name = `"><script>alert('x')</script>&`;
    expect(html`<b title="${name}">${name}</b>`.markup).toBe(
      `<b title="&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;">&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;</b>`,
    );
    expect(
      html`<p>${html`<i>${1}</i>`}${[html`<b></b>`, "<"]}${undefined}${NOTHING}</p>`.markup,
    ).toBe("<p><i>1</i><b></b>&lt;</p>");
  });

  test("lines of the source are no lines of the page, and words stay apart", () => {
    const template = Object.assign(["\n  <p>\n    one\n    two ", " three\n  </p>\n"], {
      raw: [],
    }) as unknown as TemplateStringsArray;
    expect(html(template, "x").markup).toBe("<p>one two x three</p>");
  });

  test("no text becomes markup, whatever it is", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(escapeHtml(text)).not.toMatch(/[<>"']|&(?!(?:amp|lt|gt|quot|#39);)/);
        expect(escapeHtml(text)).not.toMatch(/[\u202a-\u202e\u2066-\u2069]/);
      }),
    );
  });
});

describe("htmlTable", () => {
  test("has a caption, headings with a scope, and a cell for each figure", () => {
    const { markup } = htmlTable(
      "Sizes",
      [
        { title: "model", name: true },
        { title: "size", figures: true },
      ],
      [["a.b<i>", "1 MB"]],
    );
    expect(markup).toContain("<caption>Sizes</caption>");
    expect(markup).toContain('<th scope="col" class="name">model</th>');
    expect(markup).toMatch(/<td class="name"\s*>a\.<wbr>b&lt;i&gt;<\/td>/);
    expect(markup).toMatch(/<td class="figure"\s*>1 MB<\/td>/);
  });

  test("long ones end, and say so", () => {
    const rows = Array.from({ length: 2000 }, (_, i) => [String(i)]);
    const { markup } = htmlTable("All", [{ title: "n" }], rows);
    expect(markup.match(/<tr>/g)).toHaveLength(301);
    expect(markup).toContain("All; the first 300 of 2000, the others are in the report&#39;s data");
  });

  test("many columns carry their titles for narrow screens", () => {
    const columns = ["a", "b", "c", "d", "e"].map((title) => ({ title }));
    expect(htmlTable("", columns, [["1", "2", "3", "4", "5"]]).markup).toContain('data-title="e"');
    expect(htmlTable("", columns.slice(2), [["1", "2", "3"]]).markup).not.toContain("data-title");
  });
});

test("what is folded away has a summary", () => {
  expect(folded("More <", html`<p>x</p>`).markup).toBe(
    "<details><summary>More &lt;</summary><p>x</p></details>",
  );
});
