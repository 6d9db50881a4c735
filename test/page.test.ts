// The report's page in a real browser: nothing is asked of the network, nothing is said on the console, nothing is wider than the screen.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium, type Browser, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { reportPage } from "../src/report/page.js";
import { benchmarkReport, compareReport, evaluateReport, quantizeReport } from "./reports.js";

/** Where the Debian package and others put it; CHROMIUM names another place. */
const CHROMIUM = [process.env["CHROMIUM"], "/usr/bin/chromium", "/usr/bin/chromium-browser"].find(
  (path) => path !== undefined && existsSync(path),
);
const EVIL = `<script>document.title = "taken"</script><img src=x onerror="document.title='taken'">`;

const skipped = CHROMIUM === undefined ? " (skipped: no Chromium; apt-get install chromium)" : "";

describe.skipIf(CHROMIUM === undefined)(`the page in Chromium${skipped}`, () => {
  let folder = "";
  let address = "";
  let browser: Browser;
  const pages: Page[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "octavo-page-"));
    const path = join(folder, "report.html");
    const reports = [
      quantizeReport({ warnings: [EVIL], model: `a/${EVIL}`, output: `a/${EVIL}/model.onnx` }),
      evaluateReport(),
      compareReport(),
      benchmarkReport(),
    ];
    writeFileSync(path, reportPage(reports));
    address = pathToFileURL(path).href;
    // As root, as in containers, it runs without its sandbox or not at all.
    browser = await chromium.launch({
      executablePath: CHROMIUM ?? "",
      args: ["--no-sandbox", "--disable-dev-shm-usage"],
      env: { ...process.env, HOME: folder },
    });
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function open(width: number, scheme: "light" | "dark") {
    const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme: scheme });
    pages.push(page);
    const said: string[] = [];
    const asked: string[] = [];
    page.on("console", (message) => said.push(message.text()));
    page.on("pageerror", (error) => said.push(error.message));
    page.on("request", (request) => asked.push(request.url()));
    await page.goto(address);
    return { page, said, asked };
  }

  /** `rgb(…)` of the ground as numbers. */
  const ground = async (page: Page) => {
    const color = await page.evaluate("getComputedStyle(document.body).backgroundColor");
    return [...String(color).matchAll(/\d+/g)].map(Number);
  };

  test.each([
    ["a desk, by day", 1200, "light"],
    ["a desk, in the dark", 1200, "dark"],
    ["a phone", 360, "light"],
  ] as const)("on %s", async (_, width, scheme) => {
    const { page, said, asked } = await open(width, scheme);
    expect(said).toEqual([]);
    expect(asked.filter((url) => url !== address && !url.startsWith("data:"))).toEqual([]);
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(width);
    expect(await page.title()).not.toBe("taken");
    expect(await page.locator("script, img").count()).toBe(0);
    for (const section of await page.locator("section:has(svg)").all())
      expect(await section.locator("table").count()).toBeGreaterThan(0);
    // Each chart is drawn, and no letters of one stand outside of it.
    for (const chart of await page.locator("svg:not(details svg)").all()) {
      const box = await chart.boundingBox();
      expect(box?.width).toBeGreaterThan(80);
      expect(box?.height).toBeGreaterThan(20);
    }
    const dark = (await ground(page)).every((part) => part < 64);
    expect(dark).toBe(scheme === "dark");
    expect((await page.screenshot({ fullPage: true })).length).toBeGreaterThan(20_000);
  });

  test("on paper: black on white also at night, what is folded is shown", async () => {
    const { page } = await open(1000, "dark");
    const table = page.locator("details table").first();
    expect(await table.isVisible()).toBe(false);
    await page.emulateMedia({ media: "print" });
    expect(await ground(page)).toEqual([255, 255, 255]);
    expect((await page.pdf()).length).toBeGreaterThan(10_000);
    expect(await table.isVisible()).toBe(true);
    expect((await table.boundingBox())?.height).toBeGreaterThan(20);
  });
});
