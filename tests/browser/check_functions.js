// Checks the pure functions of dashboard.js: node --test check_functions.js
"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");
const page = require("./page_functions.js");

// Values made in the page's own context have other prototypes than those made here.
const same = (found, expected) => assert.deepEqual(JSON.parse(JSON.stringify(found)), expected);

const euro = page.makeFormats("EUR", "en-US");
const plain = page.makeFormats(null, "en-US");

test("dates are written as the reader writes them, and others are left alone", () => {
  assert.equal(euro.date("2024-03"), "Mar 2024");
  assert.equal(euro.date("2024-03-09"), "Mar 9, 2024");
  assert.equal(euro.date("2024-13"), "2024-13");
  assert.equal(euro.date("2024-Q1"), "2024-Q1");
  assert.equal(euro.date(null), "–");
  assert.equal(page.makeFormats("EUR", "de-DE").date("2024-03-09"), "9. März 2024");
});

test("every locale writes its own figures", () => {
  assert.equal(page.makeFormats("EUR", "de-DE").money(123456), "1.234,56\u00a0€");
  assert.equal(page.makeFormats("EUR", "de-DE").percent(0.1234), "12,3\u00a0%");
  assert.equal(page.makeFormats("JPY", "ja-JP").count(1234567), "1,234,567");
  assert.equal(page.makeFormats(null, "de-DE").weekday(0), "Mo");
  assert.equal(page.makeFormats(null, "de-DE").country("FR"), "Frankreich");
});

test("a column's name tells its unit", () => {
  assert.equal(page.formatValue("net_cents", 123456, euro), "€1,234.56");
  assert.equal(page.formatValue("net_cents", -5, euro), "-€0.05");
  assert.equal(page.formatValue("aov_cents", 6542.17, euro), "€65.42");
  assert.equal(page.formatValue("retention", 0.1234, euro), "12.3%");
  assert.equal(page.formatValue("net_share", 0, euro), "0.0%");
  assert.equal(page.formatValue("order_count", 1234, euro), "1,234");
  assert.equal(page.formatValue("order_id", 1234, euro), "1234");
  assert.equal(page.formatValue("order_count", null, euro), "–");
  assert.equal(page.formatValue("country_code", "DE", euro), "Germany");
  assert.equal(page.formatValue("country_code", "??", euro), "??");
  assert.equal(page.formatValue("weekday", 0, euro), "Mon");
  assert.equal(page.formatValue("method", "credit_card", euro), "credit card");
  assert.equal(page.formatValue("sku", "A_1", euro), "A_1");
  assert.equal(page.formatValue("month", "2024-03", euro), "Mar 2024");
  assert.equal(plain.money(123456), "1,234.56");
  assert.equal(plain.money(100), "1.00");
  assert.equal(page.makeFormats("not a code", "en-US").money(123456), "1,234.56");
  assert.equal(euro.money(null), "–");
  assert.equal(euro.moneyWhole(123456), "€1,235");
  assert.equal(euro.moneyShort(8000000), "€80K");
  assert.equal(euro.change(0.1), "+10.0%");
});

test("a column has a name in words", () => {
  for (const [column, words] of Object.entries({
    order_count: "Orders", gross_cents: "Gross", aov_cents: "AOV", net_share: "Share",
    returning_share: "Returning share", placed_count: "Placed", pending_count: "Pending",
    partially_returned_count: "Partially returned", country_code: "Country",
    product_name: "Product", charged_cents: "Charged", months_since: "Months since",
  })) assert.equal(page.columnLabel(column), words);
});

test("an interval is told only where it is known", () => {
  assert.equal(page.between(100, 200, plain.money), "95% 1.00 to 2.00");
  assert.equal(page.between(null, null, plain.money), "");
});

test("CSV keeps figures as they are and disarms formulas", () => {
  assert.equal(page.toCsv([
    { month: "2024-01", net_cents: -5, note: null },
    { month: '=1+"1"', net_cents: 1.5, note: "a\nb" },
  ]), '"month","net_cents","note"\n"2024-01",-5,\n"\'=1+""1""",1.5,"a\nb"\n');
  assert.equal(page.toCsv([]), "\n");
});

test("colours and scales fit their values", () => {
  assert.equal(page.heatStep(0, [0, 9]), 0);
  assert.equal(page.heatStep(9, [0, 9]), page.HEAT_STEPS - 1);
  assert.equal(page.heatStep(-5, [0, 9]), 0);
  assert.equal(page.heatStep(99, [0, 9]), page.HEAT_STEPS - 1);
  assert.equal(page.heatStep(3, [3, 3]), 3);
  same(page.colourDomain([]), [0, 0]);
  same(page.colourDomain([5, null, undefined]), [5, 5]);
  same(page.colourDomain([...Array(101).keys()]), [5, 95]);
  same(page.niceTicks(0, 86, 4), [0, 25, 50, 75, 100]);
  same(page.niceTicks(-10, 30, 4), [-10, 0, 10, 20, 30]);
  same(page.niceTicks(0, 0, 4), [0]);
  same(page.stackSpans([5, 2, -3, null]), [[0, 5], [5, 7], [0, -3], [7, 7]]);
});

test("each scale spans its own cells, without running months and the first 100 %", () => {
  const cell = (cohort_month, months_since, retention, is_complete = 1) => (
    { cohort_month, months_since, retention, is_complete });
  const cells = [cell("a", 0, 1), cell("a", 1, 0.2), cell("a", 2, 0.1), cell("b", 0, 1),
    cell("b", 1, 0.4), cell("b", 2, 0.9, 0)];
  const retention = { key: "retention", column: "retention" };
  same(page.scaleDomains(retention, "table", cells)(cells[1]), [0.1, 0.4]);
  same(page.scaleDomains(retention, "month", cells)(cells[1]), [0.2, 0.4]);
  same(page.scaleDomains(retention, "cohort", cells)(cells[1]), [0.1, 0.2]);
  same(page.scaleDomains(retention, "cohort", cells)(cells[5]), [0.4, 0.4]);
  same(page.scaleDomains({ key: "net", column: "retention" }, "month", cells)(cells[0]), [1, 1]);
});

test("cells find their cohort and their age", () => {
  const cells = [
    { cohort_month: "2024-02", months_since: 0 }, { cohort_month: "2024-01", months_since: 0 },
    { cohort_month: "2024-01", months_since: 1 }];
  same(page.cohortRows([{ cohort_month: "2024-01" }, { cohort_month: "2024-02" }], cells),
    [[cells[1], cells[2]], [cells[0]]]);
});

test("sorting leaves those without a value last", () => {
  const items = [{ v: 2 }, {}, { v: 3 }, { v: null }, { v: 1 }];
  const order = (isDown) => page.sortBy(items, ({ v }) => v, isDown).map(({ v }) => v ?? "-");
  same(order(false), [1, 2, 3, "-", "-"]);
  same(order(true), [3, 2, 1, "-", "-"]);
});

test("an address is read as far as its words are known", () => {
  const known = { cohort: ["2025-03"], metric: page.METRICS.map(({ key }) => key) };
  same(page.readAddress("#cohort=2025-03&metric=aov", known), { cohort: "2025-03", metric: "aov" });
  same(page.readAddress("#x=1&metric=retention", known), { metric: "retention" });
  same(page.readAddress("#metric=nothing&cohort=1999-01", known), {});
  same(page.readAddress("#checks", known), {});
  same(page.readAddress("", known), {});
});

test("keys lead from place to place", () => {
  same(page.movePlace("ArrowLeft", [3, 2], 9), [2, 2]);
  same(page.movePlace("ArrowDown", [3, 2], 9), [3, 3]);
  same(page.movePlace("End", [3, 2], 9), [8, 2]);
  assert.equal(page.movePlace("x", [3, 2], 9), undefined);
});

test("a file is read, or its fault is told", () => {
  same(page.readDocument('{"schema_version": "1.4"}'), { document: { schema_version: "1.4" } });
  assert.match(page.readDocument("<html>").fault, /is not JSON/);
  assert.match(page.readDocument("[]").fault, /holds no results/);
  assert.match(page.readDocument("null").fault, /holds no results/);
  assert.match(page.readDocument("{}").fault, /schema version none/);
  assert.match(page.readDocument('{"schema_version": "10.0"}').fault, /version 10\.0; .* 1\.x/);
});

test("files belong together when they tell of the same rows", () => {
  const of = (content_sha256) => ({ dataset: { content_sha256 } });
  assert.equal(page.belongTogether(of("a"), of("a")), true);
  assert.equal(page.belongTogether(of("a"), of("b")), false);
  assert.equal(page.belongTogether(of("a"), undefined), undefined);
  assert.equal(page.isEmpty({ cohorts: [] }), true);
  assert.equal(page.isEmpty({ kpis: { order_count: 0 } }), true);
  assert.equal(page.isEmpty({ kpis: { order_count: 1 } }), false);
});

test("broken rows are told by their keys, three at most, and that there are more", () => {
  assert.equal(page.sampleWords({
    columns: ["order_id", "total_cents"], key: ["order_id"], count: 9,
    sample: [[1, 10], [2, 20], [3, 30], [4, 40]],
  }), "order_id 1; order_id 2; order_id 3; …");
  assert.equal(page.sampleWords({ columns: ["sku"], sample: [[null]], count: 1 }), "sku –");
  assert.equal(page.sampleWords({ count: null, note: "too large" }), "too large");
  assert.equal(page.sampleWords({ count: 0 }), "");
});
