// Opens the page in a real Chromium and checks what a reader sees.
// node check_page.js '{"modules", "chromium", "url", "resultsDir", "staticUrl", "fileUrl"}'
// prints one JSON line per check: {"name", "fault"}.  test_page.py starts it.
"use strict";

const assert = require("node:assert/strict");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { createRequire } = require("node:module");
const page = require("./page_functions.js");
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
async function open(url, { width = 1440, dark = false, locale = "en-US" } = {}) {
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
  const devtools = await tab.createCDPSession();
  await devtools.send("Emulation.setLocaleOverride", { locale });
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
      kpis.aov_cents, kpis.repeat_rate, kpis.refund_rate, query.summary.clv_12m_cents,
      query.forecast.total[2].net_cents.forecast]);
    assert.match(await textOf(tab, "#kpis"), /Nov 2024: €[\d,.]+, \+72\.1% on a year before/);
    assert.match(await textOf(tab, "#kpis"), /€65\.42/);
    assert.match(await textOf(tab, "#kpis"), /31\.3%/);
    assert.match(await textOf(tab, "#as-of"), /Dec 14, 2024/);
    assert.match(await textOf(tab, "#verdict"), /with warnings/);
  },

  async every_metric_shows_the_cells_of_the_json() {
    const [report, query] = realistic();
    putResults(report, query);
    const { tab, seen } = await open(settings.url);
    const to = page.makeFormats(null, "en-US");
    const [first, ...others] = page.METRICS;
    for (const { key, column } of [...others, first]) {
      await tab.click(`input[value=${key}]`);
      const shown = await tab.$$eval("#table tbody tr", (rows) => rows.map(
        (row) => [...row.cells].slice(2).map((cell) => cell.textContent)));
      const expected = query.cohorts.map(({ cohort_month }) => query.cells
        .filter((cell) => cell.cohort_month === cohort_month)
        .map((cell) => page.formatValue(column, cell[column], to)));
      assert.deepEqual(shown, expected, key);
      const means = await tab.$$eval("#table tfoot td", (cells) => cells.slice(1).map(
        (cell) => [cell.textContent, cell.dataset.of ?? ""]));
      assert.deepEqual(means, [...query.average.map((row) => (
        [page.formatValue(column, row[column], to), String(row.cohort_count)])), ["", ""]]);
      assert.equal(new URL(tab.url()).hash, `#metric=${key}`);
    }
    assert.deepEqual(seen.complaints, []);
  },

  async each_scale_colours_by_its_own_range() {
    const [report, query] = realistic();
    putResults(report, query);
    const { tab } = await open(settings.url);
    for (const scale of ["month", "cohort", "table"]) {
      await tab.select("#choices select", scale);
      const domainOf = page.scaleDomains(page.METRICS[0], scale, query.cells);
      const shown = await tab.$$eval("#table tbody td[class^=h]", (cells) => cells.map(
        (cell) => cell.className));
      const expected = query.cells.filter((cell) => cell.is_complete && cell.months_since)
        .map((cell) => `h${page.heatStep(cell.retention, domainOf(cell))}`);
      assert.deepEqual(shown, expected, scale);
      assert.equal(new URL(tab.url()).hash, `#scale=${scale}`);
    }
  },

  async headings_sort_by_their_column() {
    const [report, query] = realistic();
    putResults(report, query);
    const { tab } = await open(settings.url);
    const sizes = () => tab.$$eval("#table tbody td:nth-child(2)", (cells) => cells.map(
      (cell) => Number(cell.textContent)));
    const expected = query.cohorts.map((cohort) => cohort.cohort_size).sort((a, b) => b - a);
    await tab.click("#table thead tr th:nth-child(2) button");
    assert.deepEqual(await sizes(), expected);
    assert.equal(await tab.$eval("#table [aria-sort]", (th) => th.ariaSort), "descending");
    await tab.click("#table thead tr th:nth-child(2) button");
    assert.deepEqual(await sizes(), expected.reverse());
    // By the third month, cohorts that have none come last.
    await tab.click("#table thead tr:nth-child(2) th:nth-child(4) button");
    const lengths = await tab.$$eval("#table tbody tr", (rows) => rows.map(
      (row) => row.cells.length));
    assert.deepEqual(lengths.slice(-3).map((n) => n < 6), [true, true, true]);
  },

  async running_months_are_marked_and_future_months_are_empty() {
    const [report, query] = realistic();
    putResults(report, query);
    const { tab } = await open(settings.url);
    // The words are generated content, so the accessibility tree is asked.
    const tree = JSON.stringify(await tab.accessibility.snapshot({ interestingOnly: false }));
    assert.equal(tree.match(/"name":"[^"]*% still running"/g).length, 24);
    assert.equal((await tab.$$("#table .running")).length, 24);
    const lengths = await tab.$$eval("#table tbody tr", (rows) => rows.map(
      (row) => [...row.cells].slice(2).filter((cell) => cell.textContent).length));
    assert.deepEqual(lengths, Array.from({ length: 24 }, (_, n) => 24 - n));
  },

  async the_cohort_table_is_named_for_a_screen_reader() {
    putResults(...realistic());
    const { tab } = await open(settings.url);
    const table = await tab.$eval("#table table", (node) => ({
      caption: node.caption.textContent,
      unscoped: node.querySelectorAll("th:not([scope])").length,
      averages: node.tFoot.rows[0].cells[2].textContent,
      counts: node.tFoot.rows[0].cells[2].dataset.of,
    }));
    assert.deepEqual(table, {
      caption: "Retention by cohort and months since the first order",
      unscoped: 0, averages: "100.0%", counts: "23",
    });
  },

  async the_address_chooses_metric_scale_and_cohort() {
    putResults(...realistic());
    const { tab } = await open(`${settings.url}#cohort=2023-05&metric=aov&scale=month`);
    assert.ok(await tab.$eval("input[value=aov]", (input) => input.checked));
    assert.equal(await tab.$eval("#choices select", (select) => select.value), "month");
    assert.equal(await textOf(tab, "#table [data-chosen] th"), "May 2023");
    assert.match(await textOf(tab, "#curves .readout"), /^Cohort May 2023 /);
    await tab.evaluate(() => { location.hash = "#metric=orders"; });
    await tab.waitForSelector("input[value=orders]:checked");
    await tab.evaluate(() => { location.hash = "#metric=nothing&cohort=<b>"; });
    assert.equal(await isShown(tab, "#cohorts"), true);
  },

  async charts_answer_the_keyboard_alone() {
    const [report, query] = realistic();
    putResults(report, query);
    const { tab } = await open(settings.url);
    const first = report.trends.weekday_by_hour.rows[0].order_count;
    // Every chart is one tab stop; Escape goes back to where it began.
    const stops = [];
    for (let n = 0; n < 60; n += 1) {
      await tab.keyboard.press("Tab");
      const stop = await tab.evaluate(() => {
        const { activeElement: node } = document;
        return node.matches(".plot, #table") && node.closest("section").id;
      });
      if (stop && !stops.includes(stop)) stops.push(stop);
    }
    assert.deepEqual(stops, ["revenue", "customers", "curves", "cohorts", "hours", "orders"]);
    const expected = {
      revenue: ["Home", /^Jan 2023: Net €/], customers: ["Home", /^Jan 2023: Returning/],
      curves: ["ArrowUp", /^Cohort Oct 2023 /], orders: ["End", /^Dec 2024 \(still running\): /],
      hours: ["Home", new RegExp(`^Mon, 0:00 to 1:00: ${first} orders`)],
    };
    for (const [name, [key, words]] of Object.entries(expected)) {
      const readout = `#${name} .readout`;
      const atFirst = await textOf(tab, readout);
      await tab.focus(`#${name} .plot`);
      await tab.keyboard.press(key);
      assert.match(await textOf(tab, readout), words);
      await tab.keyboard.press("Escape");
      assert.equal(await textOf(tab, readout), atFirst);
    }
  },

  async the_cohort_table_answers_the_keyboard_alone() {
    const [report, query] = realistic();
    putResults(report, query);
    const { tab } = await open(settings.url);
    const readout = () => textOf(tab, "#cohorts .readout");
    const atFirst = await readout();
    await tab.focus("#table");
    await tab.keyboard.press("ArrowDown");
    assert.match(await readout(), /^Cohort Jan 2023, month 0: Retention 100\.0%/);
    await tab.keyboard.press("ArrowDown");
    await tab.keyboard.press("ArrowRight");
    assert.match(await readout(), /^Cohort Feb 2023, month 1: Retention .* AOV €/);
    await tab.keyboard.press("Enter");
    assert.equal(new URL(tab.url()).hash, "#cohort=2023-02");
    assert.match(await textOf(tab, "#curves .readout"), /^Cohort Feb 2023 /);
    await tab.keyboard.press("Escape");
    assert.equal(await readout(), atFirst);
    // Up to the headings, and Enter sorts.
    await tab.keyboard.press("ArrowUp");
    await tab.keyboard.press("ArrowLeft");
    assert.equal(await tab.evaluate(() => document.activeElement.textContent), "Customers");
    await tab.keyboard.press("Enter");
    assert.equal(await tab.$eval("#table [aria-sort]", (th) => th.textContent), "Customers");
    assert.equal(await tab.evaluate(() => document.activeElement.textContent), "Customers");
  },

  async pointing_at_a_chart_tells_its_figures() {
    const [report, query] = realistic();
    putResults(report, query);
    const { tab } = await open(settings.url);
    const box = await (await tab.$("#revenue svg")).boundingBox();
    await tab.mouse.move(box.x + 60, box.y + 100);
    const month = report.trends.revenue_by_month.rows[0];
    const to = page.makeFormats("EUR", "en-US");
    assert.match(await textOf(tab, "#revenue .readout"),
      new RegExp(`^Jan 2023: Net ${to.money(month.net_cents)} · .*Orders ${month.order_count}`));
    const cell = await tab.$("#table tbody tr:nth-child(3) td:nth-child(5)");
    await cell.hover();
    assert.match(await textOf(tab, "#cohorts .readout"), /^Cohort Mar 2023, month 2: /);
    await cell.click();
    assert.equal(new URL(tab.url()).hash, "#cohort=2023-03");
  },

  async the_forecast_stands_apart_from_the_facts() {
    const [report, query] = realistic();
    putResults(report, query);
    const { tab } = await open(`${settings.url}#cohort=2024-06`);
    const { horizons } = query.forecast.cohorts.find((one) => one.cohort_month === "2024-06");
    const to = page.makeFormats("EUR", "en-US");
    await tab.focus("#curves .plot");
    await tab.keyboard.press("ArrowRight");
    assert.match(await textOf(tab, "#curves .readout"), new RegExp(
      `forecast for month ${horizons[0].months_since}: `
      + `${to.money(horizons[0].cum_net_per_customer_cents.forecast)}, 95% `));
    assert.match(await textOf(tab, "#curves .legend"), /its forecast, 95% shaded/);
    assert.match(await textOf(tab, "#clv"), /Forecast, not fact/);
    for (const [forecast, words] of [[undefined, /run_query\.py --forecast makes it/],
      [{ is_forecast: true, refused: "Too few." }, /Forecast refused: Too few\./]]) {
      putResults(report, { ...query, forecast });
      const { tab: other, seen } = await open(settings.url);
      assert.match(await textOf(other, "#clv"), words);
      assert.match(await textOf(other, "#kpis"), words);
      assert.doesNotMatch(await textOf(other, "#curves"), /forecast/);
      assert.deepEqual(seen.complaints, []);
    }
  },

  async every_panel_saves_its_rows_as_csv() {
    const [report, query] = realistic();
    putResults(report, query);
    const { tab, seen } = await open(settings.url);
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "shop-downloads-"));
    const devtools = await browser.target().createCDPSession();
    await devtools.send("Browser.setDownloadBehavior", {
      behavior: "allow", downloadPath: folder });
    // A page may save ten files, then the browser asks: two of them share the work.
    for (const button of (await tab.$$(".save")).slice(0, 6)) await button.click();
    const { tab: other } = await open(settings.url);
    for (const button of (await other.$$(".save")).slice(6)) await button.click();
    const names = ["revenue_by_month", "curves", "forecast", "cohorts", "weekday_by_hour",
      "category_mix", "top_products", "countries", "refunds_and_cancellations",
      "payment_methods"].map((name) => `${name}.csv`);
    for (let n = 0; n < 100 && !names.every((name) => fs.existsSync(path.join(folder, name)));
      n += 1) await new Promise((resolve) => { setTimeout(resolve, 50); });
    const saved = fs.readdirSync(folder);
    for (const name of names) assert.ok(saved.includes(name), `${name} in ${saved}`);
    assert.equal(fs.readFileSync(path.join(folder, "cohorts.csv"), "utf8"),
      page.toCsv(query.cells));
    assert.equal(fs.readFileSync(path.join(folder, "revenue_by_month.csv"), "utf8"),
      page.toCsv(report.trends.revenue_by_month.rows));
    fs.rmSync(folder, { recursive: true });
    assert.deepEqual(seen.complaints, []);
  },

  async the_reader_s_locale_writes_figures_and_dates() {
    putResults(...realistic());
    const { tab, seen } = await open(settings.url, { locale: "de-DE" });
    assert.match(await textOf(tab, "#kpis"), /65,42\s€/);
    assert.match(await textOf(tab, "#as-of"), /14\. Dez\. 2024/);
    assert.deepEqual(seen.complaints, []);
  },

  async folded_tables_hold_every_row() {
    const [report, query] = realistic();
    putResults(report, query);
    const { tab } = await open(settings.url);
    await tab.click("#revenue summary");
    await tab.waitForSelector("#revenue tbody tr");
    const cells = await tab.$$eval("#revenue tbody tr", (rows) => rows.map(
      (row) => row.cells[4].textContent));
    const to = page.makeFormats("EUR", "en-US");
    assert.deepEqual(cells, report.trends.revenue_by_month.rows.map(
      (row) => to.money(row.net_cents)));
  },

  async failing_checks_are_named_with_their_keys() {
    const report = makeReport(SHOPS.realistic);
    Object.assign(report.verdict, { status: "fail", text: "Not sound." });
    Object.assign(report.checks[0], { status: "fail", count: 1234, sample: [[7], [8], [9]],
      all_rows: "python ingest.py --rows check_0" });
    putResults(report, makeQueryResult(SHOPS.realistic));
    const { tab } = await open(settings.url);
    assert.match(await textOf(tab, "#verdict"), /not sound/);
    const first = await tab.$$eval("#checks tbody tr:first-child > *", (cells) => cells.map(
      (cell) => cell.textContent));
    assert.deepEqual(first, ["items make the subtotal", "fail", "1,234",
      "order_id 7; order_id 8; order_id 9; …", "python ingest.py --rows check_0"]);
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
    query.dataset.content_sha256 = "9".repeat(64);
    putResults(report, query);
    const { tab } = await open(settings.url);
    await expectWords(tab, ["different data", "python ingest.py --report",
      "python run_query.py"]);
    assert.equal(await isShown(tab, "#cohorts"), true);
    assert.equal(await isShown(tab, "#revenue"), true);
    assert.match(await textOf(tab, "#provenance"), /do not belong together/);
    putResults(report, { ...makeQueryResult(SHOPS.realistic), as_of: "2024-11-30" });
    const { tab: other } = await open(settings.url);
    assert.equal(await textOf(other, "#as-of"), "As of Dec 14, 2024 and Nov 30, 2024");
    assert.match(await textOf(other, "#provenance"), /tell of the same rows/);
  },

  async empty_results_say_so() {
    const [report, query] = realistic();
    for (const key of Object.keys(report.kpis)) report.kpis[key] = null;
    report.kpis.order_count = 0;
    for (const trend of Object.values(report.trends)) trend.rows = [];
    Object.assign(query, { as_of: null, cohorts: [], cells: [], average: [], forecast: undefined });
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

  async sixty_cohorts_stay_usable() {
    const shop = { months: 60, first: "2019-01", scale: 120 };
    putResults(makeReport(shop), makeQueryResult(shop));
    const { tab, seen } = await open(`${settings.url}#cohort=2020-02`);
    assert.equal((await tab.$$("#table tbody tr")).length, 60);
    assert.equal((await tab.$$("#table tbody td")).length, 60 + (60 * 61) / 2);
    await tab.click("input[value=cum_net]");
    await tab.mouse.move(0, 0);
    await tab.focus("#table");
    await tab.keyboard.press("ArrowDown");
    await tab.keyboard.press("End");
    assert.match(await textOf(tab, "#cohorts .readout"), /^Cohort Jan 2019, month 59 \(still/);
    // The table scrolls, its headings stay, and the page itself does not grow sideways.
    const seats = await tab.$eval("#table", (box) => {
      box.scrollTo(300, 500);
      const [of, head, row] = [box, box.querySelector("thead"),
        box.querySelector("tbody tr:nth-child(30) th")].map((n) => n.getBoundingClientRect());
      return [head.top - of.top, row.left - of.left, document.documentElement.scrollWidth];
    });
    assert.ok(seats[0] < 2 && seats[1] < 2 && seats[2] <= 1440, `${seats}`);
    assert.deepEqual(seen.complaints, []);
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
    assert.ok(folds.every(([count, isOpen]) => count === 2 && isOpen), `${folds}`);
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
