// Checks the pure functions of dashboard.js; test_page.py runs it with node.
"use strict";

const assert = require("node:assert/strict");
const page = require("../../frontend/dashboard.js");

// Words and figures.
assert.equal(page.dateLabel("2024-03"), "Mar 2024");
assert.equal(page.dateLabel("2024-03-09"), "9 Mar 2024");
assert.equal(page.dateLabel("2024-13"), "2024-13");
assert.equal(page.dateLabel(null), "–");
assert.equal(page.columnLabel("order_count"), "Orders");
assert.equal(page.columnLabel("gross_cents"), "Gross");
assert.equal(page.columnLabel("aov_cents"), "AOV");

const euro = page.makeFormats("EUR");
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
assert.equal(page.makeFormats(null).money(123456), "1,234.56");
assert.equal(page.makeFormats("not a code").money(123456), "1,234.56");
assert.equal(euro.money(null), "–");

// Colours and scales.
assert.equal(page.heatStep(0, [0, 9]), 0);
assert.equal(page.heatStep(9, [0, 9]), page.HEAT_STEPS - 1);
assert.equal(page.heatStep(-5, [0, 9]), 0);
assert.equal(page.heatStep(99, [0, 9]), page.HEAT_STEPS - 1);
assert.equal(page.heatStep(3, [3, 3]), 4);
assert.deepEqual(page.colourDomain([]), [0, 0]);
assert.deepEqual(page.colourDomain([5, null, undefined]), [5, 5]);
assert.deepEqual(page.colourDomain([...Array(101).keys()]), [5, 95]);
assert.deepEqual(page.niceTicks(0, 86, 4), [0, 25, 50, 75, 100]);
assert.deepEqual(page.niceTicks(-10, 30, 4), [-10, 0, 10, 20, 30]);
assert.deepEqual(page.niceTicks(0, 0, 4), [0]);
assert.deepEqual(page.stackSpans([5, 2, -3, null]), [[0, 5], [5, 7], [0, -3], [7, 7]]);

// Cohorts, and the word in the address.
const cells = [
  { cohort_month: "2024-02", months_since: 0 }, { cohort_month: "2024-01", months_since: 0 },
  { cohort_month: "2024-01", months_since: 1 }];
assert.deepEqual(
  page.cohortRows([{ cohort_month: "2024-01" }, { cohort_month: "2024-02" }], cells),
  [[cells[1], cells[2]], [cells[0]]]);
assert.equal(page.metricFromHash("#metric=aov", page.METRICS).column, "aov_cents");
assert.equal(page.metricFromHash("#x=1&metric=retention", page.METRICS).key, "retention");
assert.equal(page.metricFromHash("#metric=nothing", page.METRICS), undefined);
assert.equal(page.metricFromHash("", page.METRICS), undefined);

// What is said of a file.
assert.deepEqual(page.readDocument('{"schema_version": "1.4"}'),
  { document: { schema_version: "1.4" } });
assert.match(page.readDocument("<html>").fault, /is not JSON/);
assert.match(page.readDocument("[]").fault, /holds no results/);
assert.match(page.readDocument("{}").fault, /schema version none/);
assert.match(page.readDocument('{"schema_version": "10.0"}').fault, /version 10\.0; .* 1\.x/);
const of = (sha256) => ({ database: { sha256 } });
assert.equal(page.mismatchNotice(of("a"), of("a")), null);
assert.equal(page.mismatchNotice(of("a"), undefined), null);
assert.deepEqual(page.mismatchNotice(of("a"), of("b")).commands,
  ["python ingest.py --report", "python run_query.py"]);
assert.match(page.emptyNotice("query", { cohorts: [] }).text, /query_result\.json is empty/);
assert.equal(page.emptyNotice("report", { kpis: { order_count: 1 } }), null);

// Keys of broken rows: the key's columns only, three rows, and a sign that there are more.
assert.equal(page.sampleWords({
  columns: ["order_id", "total_cents"], key: ["order_id"], count: 9,
  sample: [[1, 10], [2, 20], [3, 30], [4, 40]],
}), "order_id 1; order_id 2; order_id 3; …");
assert.equal(page.sampleWords({ columns: ["sku"], sample: [[null]], count: 1 }), "sku –");
assert.equal(page.sampleWords({ count: null, note: "too large" }), "too large");
assert.equal(page.sampleWords({ count: 0 }), "");
