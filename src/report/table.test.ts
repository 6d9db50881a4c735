import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { styleFor } from "./style.js";
import { shorten, table, wrap, type Column } from "./table.js";

const plain = styleFor({}, {});
const letters = (text: string) => [...text].length;
const linesIn = (text: string) => text.replace(/\n$/, "").split("\n");

/** Words as they stand in names and sentences, letters beyond the basic plane among them. */
const words = fc
  .array(fc.stringMatching(/^[a-z0-9._/€𝄞-]{1,40}$/u), { maxLength: 12 })
  .map((list) => list.join(" "));

describe("table", () => {
  test("columns are as wide as they need, titles are dim, numbers stand on the right", () => {
    const columns: Column[] = [{ title: "site" }, { title: "count", align: "right" }];
    const rows = [
      ["query", "3"],
      ["pooler", "12"],
    ];
    expect(`\n${table(columns, rows, plain, "  ")}`).toMatchInlineSnapshot(`
      "
        site    count
        query       3
        pooler     12
      "
    `);
  });

  test("without titles there is no line for them", () => {
    expect(table([{ title: "" }], [["one"], ["two"]], plain)).toBe("one\ntwo\n");
  });

  test("where room is missing, cells that may wrap give way before cells that may be shortened", () => {
    const columns: Column[] = [
      { title: "", align: "right" },
      { title: "", fit: "shorten" },
      { title: "", fit: "wrap" },
    ];
    const rows = [
      ["12", "encoder.layer.*.attention.self.query", "a product of two activations gains nothing"],
      ["1", "encoder.layer.0.attention.self.relative_attention_bias.and.a.long.tail", "small"],
    ];
    expect(`\n${table(columns, rows, { ...plain, width: 60 })}`).toMatchInlineSnapshot(`
      "
      12  encoder.layer.*.attention.self.query        a product of
                                                      two
                                                      activations
                                                      gains
                                                      nothing
       1  encoder.layer.0.atte…_bias.and.a.long.tail  small
      "
    `);
  });

  test("never exceeds the width, as long as a column can give way", () => {
    const row = fc.tuple(words, words, fc.stringMatching(/^[0-9]{0,6}$/));
    fc.assert(
      fc.property(
        fc.array(row, { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 60, max: 120 }),
        fc.constantFrom("", "  "),
        (rows, width, indent) => {
          const columns: Column[] = [
            { title: "name", fit: "shorten" },
            { title: "why", fit: "wrap" },
            { title: "count", align: "right" },
          ];
          for (const line of linesIn(table(columns, rows, { ...plain, width }, indent)))
            expect(letters(line)).toBeLessThanOrEqual(width);
        },
      ),
    );
  });

  test("loses no letter of a cell that wraps", () => {
    fc.assert(
      fc.property(words, fc.integer({ min: 14, max: 60 }), (text, width) => {
        const printed = table([{ title: "", fit: "wrap" }], [[text]], { ...plain, width });
        expect(printed.replaceAll(/\s/g, "")).toBe(text.replaceAll(/\s/g, ""));
      }),
    );
  });

  test("styles colour the letters, never the space that fills a column", () => {
    const style = (text: string) => `<${text}>`;
    const printed = table(
      [{ title: "" }, { title: "" }],
      [
        [{ text: "a", style }, "x"],
        [{ text: "long", style }, "y"],
      ],
      plain,
    );
    expect(printed).toBe("<a>     x\n<long>  y\n");
  });
});

describe("shorten", () => {
  test("keeps the beginning and the end, where names tell most", () => {
    expect(shorten("encoder.layer.0.attention.self.query", 20)).toBe("encoder.l…self.query");
  });

  test("leaves what fits alone, and is exact where it does not", () => {
    fc.assert(
      fc.property(words, fc.integer({ min: 0, max: 30 }), (text, width) => {
        const short = shorten(text, width);
        if (letters(text) <= width) expect(short).toBe(text);
        else expect(letters(short)).toBe(width);
      }),
    );
  });
});

describe("wrap", () => {
  test("breaks between words, and within a word only where it must", () => {
    expect(wrap("a product of two activations", 12)).toEqual([
      "a product of",
      "two",
      "activations",
    ]);
    expect(wrap("x /a/path/without/a/space", 10)).toEqual(["x", "/a/path/wi", "thout/a/sp", "ace"]);
  });

  test("gives lines no longer than the width, words in order", () => {
    fc.assert(
      fc.property(words, fc.integer({ min: 1, max: 50 }), (text, width) => {
        const lines = wrap(text, width);
        for (const line of lines) expect(letters(line)).toBeLessThanOrEqual(width);
        expect(lines.join("").replaceAll(" ", "")).toBe(text.replaceAll(" ", ""));
      }),
    );
  });
});
