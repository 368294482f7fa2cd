// Opens the page in a real Chromium and checks what a reader sees.
// node check_page.js '{"modules", "chromium", "url", "resultsDir", "staticUrl", "fileUrl"}'
// prints one JSON line per check: {"name", "fault"}.  test_page.py starts it.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { createRequire } = require("node:module");
const page = require("../../frontend/dashboard.js");
const { makeQueryResult, makeReport, SHOPS } = require("./sample_results.js");

const settings = JSON.parse(process.argv[2]);
const puppeteer = createRequire(`${settings.modules}/`)("puppeteer-core");

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

let browser;

// Puts the two result files in place: a document, a text, or null for none.
function putResults(report, query) {
  for (const [name, content] of [["report.json", report], ["query_result.json", query]]) {
    const file = path.join(settings.resultsDir, name);
    fs.rmSync(file, { force: true });
    if (content === null) continue;
    fs.writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
  }
}

// Opens an address in a fresh tab; returns the tab, with its complaints and requests.
async function open(url, { width = 1440, dark = false } = {}) {
  const tab = await browser.newPage();
  const seen = { complaints: [], requests: [] };
  tab.on("console", (message) => {
    if (["error", "warn"].includes(message.type())) seen.complaints.push(message.text());
  });
  tab.on("pageerror", (error) => seen.complaints.push(String(error)));
  tab.on("request", (request) => seen.requests.push(request.url()));
  await tab.setViewport({ width, height: 900 });
  await tab.emulateMediaFeatures([
    { name: "prefers-color-scheme", value: dark ? "dark" : "light" }]);
  await tab.goto(url);
  await tab.waitForSelector("body[data-ready]");
  return { tab, seen };
}

const textOf = (tab, selector) => tab.$eval(selector, (node) => node.innerText);
const isShown = (tab, selector) => tab.$eval(selector, (node) => node.offsetParent !== null);
const realistic = () => [makeReport(SHOPS.realistic), makeQueryResult(SHOPS.realistic)];

async function expectWords(tab, words) {
  const notices = await textOf(tab, "#notices");
  for (const word of words) assert.ok(notices.includes(word), `no "${word}" in "${notices}"`);
}

const checks = {
  async no_complaint_and_no_request_elsewhere() {
    putResults(...realistic());
    const { tab, seen } = await open(settings.url);
    assert.deepEqual(seen.complaints, []);
    const home = new URL(settings.url).origin;
    const elsewhere = seen.requests.filter(
      (url) => !url.startsWith("data:") && new URL(url).origin !== home);
    assert.deepEqual(elsewhere, []);
    assert.ok(seen.requests.length <= 6, seen.requests.join(" "));
    assert.equal(await textOf(tab, "#notices"), "");
  },

  async every_key_figure_is_the_one_in_the_json() {
    const [report, query] = realistic();
    putResults(report, query);
    const { tab } = await open(settings.url);
    const values = await tab.$$eval("#kpis data", (nodes) => nodes.map((n) => Number(n.value)));
    const { kpis } = report;
    assert.deepEqual(values, [kpis.revenue_cents, kpis.order_count, kpis.customer_count,
      kpis.aov_cents, kpis.repeat_rate, query.summary.clv_12m_cents]);
    assert.match(await textOf(tab, "#kpis"), /€65\.42/);
    assert.match(await textOf(tab, "#kpis"), /31\.3%/);
    assert.match(await textOf(tab, "#as-of"), /14 Dec 2024/);
    assert.match(await textOf(tab, "#verdict"), /with warnings/);
  },

  async every_metric_shows_the_cells_of_the_json() {
    const [report, query] = realistic();
    putResults(report, query);
    const { tab, seen } = await open(settings.url);
    const formats = page.makeFormats(null);
    const [first, ...others] = page.METRICS;
    for (const { key, column } of [...others, first]) {
      await tab.click(`#metrics input[value=${key}]`);
      const shown = await tab.$$eval("#cohort-table tbody tr", (rows) => rows.map(
        (row) => [...row.cells].slice(2).map((cell) => cell.firstChild.data)));
      const expected = query.cohorts.map(({ cohort_month }) => query.cells
        .filter((cell) => cell.cohort_month === cohort_month)
        .map((cell) => page.formatValue(column, cell[column], formats)));
      assert.deepEqual(shown, expected, key);
      assert.equal(new URL(tab.url()).hash, `#metric=${key}`);
    }
    assert.deepEqual(seen.complaints, []);
  },

  async running_months_are_marked_and_future_months_are_empty() {
    const [report, query] = realistic();
    putResults(report, query);
    const { tab } = await open(settings.url);
    const marked = await tab.$$eval("#cohort-table .running", (nodes) => nodes.map(
      (node) => node.textContent.endsWith("still running")));
    assert.deepEqual(marked, Array(24).fill(true));
    const lengths = await tab.$$eval("#cohort-table tbody tr", (rows) => rows.map(
      (row) => [...row.cells].slice(2).filter((cell) => cell.textContent).length));
    assert.deepEqual(lengths, Array.from({ length: 24 }, (_, n) => 24 - n));
  },

  async the_cohort_table_is_named_for_a_screen_reader() {
    putResults(...realistic());
    const { tab } = await open(settings.url);
    const table = await tab.$eval("#cohort-table table", (node) => ({
      caption: node.caption.textContent,
      unscoped: node.querySelectorAll("th:not([scope])").length,
      averages: node.tFoot.rows[0].cells[2].textContent,
      counts: node.tFoot.rows[1].cells[2].textContent,
    }));
    assert.deepEqual(table, {
      caption: "Retention by cohort and months since the first order",
      unscoped: 0, averages: "100.0%", counts: "23",
    });
  },

  async the_address_chooses_the_metric() {
    putResults(...realistic());
    const { tab } = await open(`${settings.url}#metric=aov`);
    assert.ok(await tab.$eval("input[value=aov]", (input) => input.checked));
    await tab.evaluate(() => { location.hash = "#metric=orders"; });
    await tab.waitForSelector("input[value=orders]:checked");
  },

  async charts_and_cells_answer_the_keyboard() {
    const [report, query] = realistic();
    putResults(report, query);
    const { tab } = await open(settings.url);
    await tab.focus("#revenue .plot");
    await tab.keyboard.press("Home");
    assert.match(await textOf(tab, "#revenue .readout"), /^Jan 2023: net €/);
    await tab.focus("#curves .plot");
    await tab.keyboard.press("ArrowUp");
    assert.match(await textOf(tab, "#curves .readout"), /^Cohort Dec 2024 /);
    await tab.focus("#hours .plot");
    await tab.keyboard.press("Home");
    const first = report.trends.weekday_by_hour.rows[0].order_count;
    assert.match(await textOf(tab, "#hours .readout"), new RegExp(`Mon, .* ${first} orders`));
    await tab.focus("#cohort-table");
    await tab.keyboard.press("ArrowDown");
    assert.match(await textOf(tab, "#cohorts .readout"), /^Cohort Feb 2023, month 0: Ret/);
  },

  async folded_tables_hold_every_row() {
    const [report, query] = realistic();
    putResults(report, query);
    const { tab } = await open(settings.url);
    await tab.click("#revenue summary");
    await tab.waitForSelector("#revenue tbody tr");
    const cells = await tab.$$eval("#revenue tbody tr", (rows) => rows.map(
      (row) => row.cells[4].textContent));
    const formats = page.makeFormats("EUR");
    assert.deepEqual(cells, report.trends.revenue_by_month.rows.map(
      (row) => formats.money(row.net_cents)));
  },

  async failing_checks_are_named_with_their_keys() {
    const report = makeReport(SHOPS.realistic);
    Object.assign(report.verdict, { status: "fail", text: "Not sound." });
    Object.assign(report.checks[0], { status: "fail", count: 1234, sample: [[7], [8], [9]] });
    putResults(report, makeQueryResult(SHOPS.realistic));
    const { tab } = await open(settings.url);
    assert.match(await textOf(tab, "#verdict"), /not sound/);
    const first = await tab.$$eval("#checks tbody tr:first-child > *", (cells) => cells.map(
      (cell) => cell.textContent));
    assert.deepEqual(first, ["items make the subtotal", "fail", "error", "1,234",
      "order_id 7; order_id 8; order_id 9; …"]);
  },

  async a_missing_file_is_named_and_leaves_the_other_alone() {
    const [report, query] = realistic();
    putResults(null, query);
    let { tab } = await open(settings.url);
    await expectWords(tab, ["report.json is missing", "python ingest.py --report"]);
    assert.equal(await isShown(tab, "#cohorts"), true);
    assert.equal(await isShown(tab, "#revenue"), false);
    putResults(report, null);
    ({ tab } = await open(settings.url));
    await expectWords(tab, ["query_result.json is missing", "python run_query.py"]);
    assert.equal(await isShown(tab, "#cohorts"), false);
    assert.equal(await isShown(tab, "#revenue"), true);
    putResults(null, null);
    ({ tab } = await open(settings.url));
    await expectWords(tab, ["report.json is missing", "query_result.json is missing",
      "python generate_data.py --generate", "python ingest.py --ingest"]);
    assert.equal(await isShown(tab, "#kpis"), false);
  },

  async a_file_that_is_not_json_is_named() {
    for (const text of ["<!DOCTYPE html>", "", '{"schema_version": "1.0", "kpis"']) {
      putResults(text, makeQueryResult(SHOPS.realistic));
      const { tab } = await open(settings.url);
      await expectWords(tab, ["report.json is not JSON", "python ingest.py --report"]);
      assert.equal(await isShown(tab, "#cohorts"), true);
      await tab.close();
    }
    putResults("[]", "null");
    const { tab } = await open(settings.url);
    await expectWords(tab, ["report.json holds no results", "query_result.json holds no"]);
  },

  async a_later_schema_version_is_refused() {
    const [report, query] = realistic();
    putResults(report, { ...query, schema_version: "2.0" });
    const { tab } = await open(settings.url);
    await expectWords(tab, ["query_result.json has schema version 2.0", "reads 1.x"]);
    assert.equal(await isShown(tab, "#cohorts"), false);
    assert.equal(await isShown(tab, "#revenue"), true);
  },

  async a_later_minor_version_is_read() {
    const [report, query] = realistic();
    putResults({ ...report, schema_version: "1.7" }, query);
    const { tab } = await open(settings.url);
    assert.equal(await textOf(tab, "#notices"), "");
    assert.equal(await isShown(tab, "#revenue"), true);
  },

  async a_file_of_another_shape_is_named_and_harms_no_other() {
    const [report, query] = realistic();
    for (const change of [{ cohorts: "none" }, { cohorts: [null] }, { cells: true }]) {
      putResults(report, { ...query, ...change });
      const { tab } = await open(settings.url);
      await expectWords(tab, ["query_result.json cannot be drawn", "python run_query.py"]);
      assert.equal(await isShown(tab, "#cohorts"), false);
      assert.equal(await isShown(tab, "#revenue"), true);
      await tab.close();
    }
  },

  async files_of_two_databases_are_told_apart() {
    const [report, query] = realistic();
    query.database.sha256 = "9".repeat(64);
    putResults(report, query);
    const { tab } = await open(settings.url);
    await expectWords(tab, ["different databases", "python ingest.py --report",
      "python run_query.py"]);
    assert.equal(await isShown(tab, "#cohorts"), true);
    assert.equal(await isShown(tab, "#revenue"), true);
  },

  async empty_results_say_so() {
    const [report, query] = realistic();
    for (const key of Object.keys(report.kpis)) report.kpis[key] = null;
    report.kpis.order_count = 0;
    for (const trend of Object.values(report.trends)) trend.rows = [];
    Object.assign(query, { as_of: null, cohorts: [], cells: [], average: [] });
    query.summary = { cohort_count: 0, customer_count: 0, clv_12m_cents: null };
    putResults({ ...report, as_of: null, currency: null }, query);
    const { tab, seen } = await open(settings.url);
    await expectWords(tab, ["report.json is empty", "query_result.json is empty",
      "python ingest.py --ingest"]);
    assert.equal(await isShown(tab, "#cohorts"), false);
    assert.equal(await isShown(tab, "#revenue"), false);
    assert.equal(await isShown(tab, "#checks"), true);
    assert.deepEqual(seen.complaints, []);
  },

  async missing_trends_break_nothing() {
    const [report, query] = realistic();
    for (const name of Object.keys(report.trends)) {
      const trends = { ...report.trends };
      delete trends[name];
      putResults({ ...report, trends }, query);
      const { tab, seen } = await open(settings.url);
      assert.deepEqual(seen.complaints, [], name);
      assert.equal(await textOf(tab, "#notices"), "", name);
      assert.equal(await isShown(tab, "#checks"), true, name);
      assert.equal((await tab.$$("section .notice")).length, 0, name);
      await tab.close();
    }
    putResults({ schema_version: "1.0" }, { schema_version: "1.0" });
    const { seen } = await open(settings.url);
    assert.deepEqual(seen.complaints, []);
  },

  async a_shop_without_currency_shows_plain_numbers() {
    const [report, query] = realistic();
    putResults({ ...report, currency: null }, { ...query, currency: "no such money" });
    const { tab, seen } = await open(settings.url);
    assert.match(await textOf(tab, "#kpis"), /\b65\.42\b/);
    assert.doesNotMatch(await tab.$eval("main", (node) => node.innerText), /€/);
    assert.deepEqual(seen.complaints, []);
  },

  async hostile_names_show_as_text() {
    putResults(makeReport({ ...SHOPS.realistic, hostile: true }),
      makeQueryResult(SHOPS.realistic));
    const { tab, seen } = await open(settings.url);
    let alerts = 0;
    tab.on("dialog", (dialog) => { alerts += 1; dialog.dismiss(); });
    assert.match(await textOf(tab, "[data-trend=category_mix]"), /<script>alert\(1\)</);
    assert.match(await textOf(tab, "[data-trend=top_products]"), /<img src=x onerror/);
    assert.match(await textOf(tab, "#checks"), /sku <script>alert\(1\)/);
    assert.equal((await tab.$$("main script, main img")).length, 0);
    assert.equal(alerts, 0);
    assert.deepEqual(seen.complaints, []);
  },

  async without_script_it_says_where_the_figures_are() {
    putResults(...realistic());
    const tab = await browser.newPage();
    await tab.setJavaScriptEnabled(false);
    await tab.goto(settings.url);
    assert.match(await textOf(tab, "main"), /JavaScript, .* report\.md/s);
  },

  async opened_as_a_file_it_says_what_to_run() {
    const { tab, seen } = await open(settings.fileUrl);
    await expectWords(tab, ["opened as a file", "python serve_frontend.py"]);
    assert.equal(await isShown(tab, "#revenue"), false);
    assert.equal(await isShown(tab, "#cohorts"), false);
    assert.deepEqual(seen.complaints, []);
  },

  async a_plain_static_server_shows_the_same_page() {
    putResults(...realistic());
    const { tab } = await open(settings.url);
    const { tab: other, seen } = await open(settings.staticUrl);
    assert.deepEqual(seen.complaints, []);
    assert.equal(await textOf(other, "body"), await textOf(tab, "body"));
  },

  async the_page_stays_light() {
    putResults(...realistic());
    const { tab } = await open(settings.url);
    const count = await tab.$$eval("*", (nodes) => nodes.length);
    assert.ok(count <= 1000, `${count} nodes`);
  },

  async nothing_scrolls_sideways_but_tables() {
    for (const shop of ["realistic", "tiny"]) {
      putResults(makeReport(SHOPS[shop]), makeQueryResult(SHOPS[shop]));
      for (const width of [320, 375, 768, 1024, 1920]) {
        const { tab } = await open(settings.url, { width, dark: width === 320 });
        const wide = await tab.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= width, `${shop}: ${wide} at ${width}`);
        await tab.close();
      }
    }
  },

  async paper_gets_the_folded_tables_too() {
    putResults(...realistic());
    const { tab } = await open(settings.url);
    await tab.pdf();
    const folds = await tab.$$eval("details", (nodes) => nodes.map(
      (node) => [node.childElementCount, node.open]));
    assert.ok(folds.length > 5);
    assert.ok(folds.every(([count, isOpen]) => count === 2 && !isOpen), `${folds}`);
  },

  async small_shops_are_drawn_without_complaint() {
    for (const months of [1, 2, 3, 13]) {
      const shop = { months, first: "2024-01", scale: 1 };
      putResults(makeReport(shop), makeQueryResult(shop));
      const { tab, seen } = await open(settings.url);
      assert.deepEqual(seen.complaints, [], `${months} months`);
      assert.equal((await tab.$$("section .notice")).length, 0);
      const drawn = await tab.$eval("main", (node) => node.outerHTML.includes("NaN"));
      assert.equal(drawn, false, `${months} months: NaN in the page`);
      await tab.close();
    }
  },
};

async function main() {
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), "shop-browser-"));
  browser = await puppeteer.launch({
    executablePath: settings.chromium, headless: true, userDataDir: profile, args: FLAGS,
  });
  try {
    for (const [name, check] of Object.entries(checks)) {
      let fault = null;
      try {
        await check();
      } catch (error) {
        fault = error.stack;
      }
      for (const tab of await browser.pages()) if (tab.url() !== "about:blank") await tab.close();
      process.stdout.write(`${JSON.stringify({ name, fault })}\n`);
    }
  } finally {
    await browser.close();
    fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

main();
