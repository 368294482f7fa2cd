// Checks the pure functions of the page: node --test tests/browser/check_functions.js
"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");
const page = require("./page_functions.js");

// Values made in the page's context have other prototypes than those made here.
const assertSame = (found, expected) =>
	assert.deepEqual(JSON.parse(JSON.stringify(found)), expected);

const euro = page.makeFormats("EUR", "en-US");
const plain = page.makeFormats(null, "en-US");

test("dates are formatted for the reader's locale, and other texts stay as they are", () => {
	assert.equal(euro.date("2024-03"), "Mar 2024");
	assert.equal(euro.date("2024-03-09"), "Mar 9, 2024");
	assert.equal(euro.date("2024-13"), "2024-13");
	assert.equal(euro.date("2024-Q1"), "2024-Q1");
	assert.equal(euro.date(null), "–");
	assert.equal(page.makeFormats("EUR", "de-DE").date("2024-03-09"), "9. März 2024");
});

test("figures are formatted for each locale", () => {
	assert.equal(page.makeFormats("EUR", "de-DE").money(123456), "1.234,56\u00a0€");
	assert.equal(page.makeFormats("EUR", "de-DE").percent(0.1234), "12,3\u00a0%");
	assert.equal(page.makeFormats("JPY", "ja-JP").count(1234567), "1,234,567");
	assert.equal(page.makeFormats(null, "de-DE").weekday(0), "Mo");
	assert.equal(page.makeFormats(null, "de-DE").country("FR"), "Frankreich");
});

test("amounts have the digits of their currency", () => {
	const yen = page.makeFormats("JPY", "en-US", 0);
	assert.equal(yen.money(8000), "¥8,000");
	assert.equal(yen.moneyShort(8000000), "¥8M");
	const dinar = page.makeFormats("KWD", "en-US", 3);
	assert.equal(dinar.money(8000), "KWD\u00a08.000");
	assert.equal(dinar.moneyWhole(8000), "KWD\u00a08");
	const show = (digits) =>
		page.makeDocumentFormats({ currency: null, currency_digits: digits }, "en-US").money(12345);
	assert.equal(show(0), "12,345");
	assert.equal(show(3), "12.345");
	for (const odd of [undefined, null, "3", {}]) assert.equal(show(odd), "123.45");
});

test("the name of a column decides how its values are formatted", () => {
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

test("the name of a column becomes a label in words", () => {
	for (const [column, words] of Object.entries({
		order_count: "Orders",
		gross_cents: "Gross",
		aov_cents: "AOV",
		net_share: "Share",
		returning_share: "Returning share",
		placed_count: "Placed",
		pending_count: "Pending",
		partially_returned_count: "Partially returned",
		country_code: "Country",
		product_name: "Product",
		charged_cents: "Charged",
		months_since: "Months since",
		clv_3_months_low_cents: "CLV 3 months low",
	}))
		assert.equal(page.columnLabel(column), words);
});

test("an interval is shown only where it is known", () => {
	assert.equal(page.formatInterval(100, 200, plain.money), "95% 1.00 to 2.00");
	assert.equal(page.formatInterval(null, null, plain.money), "");
});

test("CSV keeps figures as they are and escapes formulas", () => {
	assert.equal(
		page.toCsv([
			{ month: "2024-01", net_cents: -5, note: null },
			{ month: '=1+"1"', net_cents: 1.5, note: "a\nb" },
		]),
		'"month","net_cents","note"\n"2024-01",-5,\n"\'=1+""1""",1.5,"a\nb"\n',
	);
	assert.equal(page.toCsv([]), "\n");
	// A later row can have a column that the first lacks.
	assert.equal(page.toCsv([{ a: 1 }, { a: 2, b: 3 }]), '"a","b"\n1,\n2,3\n');
});

test("colours and scales cover their values", () => {
	assert.equal(page.heatStep(0, [0, 9]), 0);
	assert.equal(page.heatStep(9, [0, 9]), page.HEAT_STEPS - 1);
	assert.equal(page.heatStep(-5, [0, 9]), 0);
	assert.equal(page.heatStep(99, [0, 9]), page.HEAT_STEPS - 1);
	assert.equal(page.heatStep(3, [3, 3]), 3);
	assertSame(page.colourDomain([]), [0, 0]);
	assertSame(page.colourDomain([5, null, undefined]), [5, 5]);
	assertSame(page.colourDomain(Array.from({ length: 101 }, (_, n) => n + 1)), [6, 96]);
	assertSame(page.niceTicks(0, 86, 4), [0, 25, 50, 75, 100]);
	assertSame(page.niceTicks(-10, 30, 4), [-10, 0, 10, 20, 30]);
	assertSame(page.niceTicks(0, 0, 4), [0]);
	assertSame(page.stackSpans([5, 2, -3, null]), [
		[0, 5],
		[5, 7],
		[0, -3],
		[7, 7],
	]);
});

test("zero has a colour of its own, and the others span the values that there are", () => {
	const values = [...Array(161).fill(0), 49, 60];
	assertSame(page.colourDomain(values), [49, 60]);
	assert.equal(page.heatLook(0, [49, 60]), "zero");
	assert.equal(page.heatLook(49, [49, 60]), "h0");
	assert.equal(page.heatLook(60, [49, 60]), `h${page.HEAT_STEPS - 1}`);
	assertSame(page.colourDomain([0, 0, 0]), [0, 0]);
	assert.equal(page.heatLook(0, [0, 0]), "zero");
});

test("each scale covers its own cells, without incomplete months and the first 100 %", () => {
	const cell = (cohort, months_since, retention, is_complete = 1) => ({
		cohort,
		months_since,
		retention,
		is_complete,
	});
	const cells = [
		cell("a", 0, 1),
		cell("a", 1, 0.2),
		cell("a", 2, 0.1),
		cell("b", 0, 1),
		cell("b", 1, 0.4),
		cell("b", 2, 0.9, 0),
	];
	const retention = { key: "retention", column: "retention" };
	assertSame(page.makeColourDomains(retention, "table", cells)(cells[1]), [0.1, 0.4]);
	assertSame(page.makeColourDomains(retention, "month", cells)(cells[1]), [0.2, 0.4]);
	assertSame(page.makeColourDomains(retention, "cohort", cells)(cells[1]), [0.1, 0.2]);
	assertSame(page.makeColourDomains(retention, "cohort", cells)(cells[5]), [0.4, 0.4]);
	assertSame(
		page.makeColourDomains({ key: "net", column: "retention" }, "month", cells)(cells[0]),
		[1, 1],
	);
});

test("cells are grouped by cohort and ordered by month", () => {
	const cells = [
		{ cohort: "2024-02", months_since: 0 },
		{ cohort: "2024-01", months_since: 0 },
		{ cohort: "2024-01", months_since: 1 },
	];
	assertSame(page.groupCells([{ cohort: "2024-01" }, { cohort: "2024-02" }], cells), [
		[cells[1], cells[2]],
		[cells[0]],
	]);
});

test("sorting puts items without a value last", () => {
	const items = [{ v: 2 }, {}, { v: 3 }, { v: null }, { v: 1 }];
	const order = (isDown) => page.sortBy(items, ({ v }) => v, isDown).map(({ v }) => v ?? "-");
	assertSame(order(false), [1, 2, 3, "-", "-"]);
	assertSame(order(true), [3, 2, 1, "-", "-"]);
});

test("only the known words of an address are used", () => {
	const known = { cohort: ["2025-03"], metric: page.METRICS.map(({ key }) => key) };
	assertSame(page.readAddress("#cohort=2025-03&metric=aov", known), {
		cohort: "2025-03",
		metric: "aov",
	});
	assertSame(page.readAddress("#x=1&metric=retention", known), { metric: "retention" });
	assertSame(page.readAddress("#metric=nothing&cohort=1999-01", known), {});
	assertSame(page.readAddress("#checks", known), {});
	assertSame(page.readAddress("", known), {});
});

test("keys move from place to place", () => {
	assertSame(page.movePlace("ArrowLeft", [3, 2], 9), [2, 2]);
	assertSame(page.movePlace("ArrowDown", [3, 2], 9), [3, 3]);
	assertSame(page.movePlace("End", [3, 2], 9), [8, 2]);
	assert.equal(page.movePlace("x", [3, 2], 9), undefined);
});

test("a file is read, or its fault is returned in words", () => {
	assertSame(page.readDocument('{"schema_version": "2.4"}'), {
		document: { schema_version: "2.4" },
	});
	assert.match(page.readDocument("<html>").fault, /is not JSON/);
	assert.match(page.readDocument("[]").fault, /contains no results/);
	assert.match(page.readDocument("null").fault, /contains no results/);
	assert.match(page.readDocument("{}").fault, /schema version none/);
	assert.match(page.readDocument('{"schema_version": "1.2"}').fault, /version 1\.2; .* 2\.x/);
	assert.match(page.readDocument('{"schema_version": "20.0"}').fault, /version 20\.0; .* 2\.x/);
});

test("two files match when they were made from the same rows", () => {
	const of = (content_sha256) => ({ dataset: { content_sha256 } });
	assert.equal(page.haveSameRows(of("a"), of("a")), true);
	assert.equal(page.haveSameRows(of("a"), of("b")), false);
	assert.equal(page.haveSameRows(of("a"), undefined), undefined);
	assert.equal(page.isEmpty({ cohorts: [] }), true);
	assert.equal(page.isEmpty({ kpis: { order_count: 0 } }), true);
	assert.equal(page.isEmpty({ kpis: { order_count: 1 } }), false);
});

test("sample rows are described by their keys, at most three, with a sign that there are more", () => {
	assert.equal(
		page.describeSample({
			columns: ["order_id", "total_cents"],
			key: ["order_id"],
			count: 9,
			sample: [
				[1, 10],
				[2, 20],
				[3, 30],
				[4, 40],
			],
		}),
		"order_id 1; order_id 2; order_id 3; …",
	);
	assert.equal(page.describeSample({ columns: ["sku"], sample: [[null]], count: 1 }), "sku –");
	assert.equal(page.describeSample({ count: null, note: "too large" }), "too large");
	assert.equal(page.describeSample({ count: 0 }), "");
});

test("lists and nested figures become columns of a table", () => {
	assertSame(
		page.flattenRow({
			cohort: "2024-01",
			net_cents: { forecast: 5, low: null },
			purchases: { forecast: 2 },
			clv: [
				{ months: 3, cents: 7, low_cents: 6 },
				{ months: 12, cents: null },
			],
			note: null,
		}),
		{
			cohort: "2024-01",
			net_forecast_cents: 5,
			net_low_cents: null,
			purchases_forecast: 2,
			clv_3_months_cents: 7,
			clv_3_months_low_cents: 6,
			clv_12_months_cents: null,
			note: null,
		},
	);
});

test("the CLV at an age is found by its months", () => {
	const clv = [
		{ months: 3, cents: 5 },
		{ months: 12, cents: 9 },
	];
	assertSame(page.findClv({ clv }, 12), { months: 12, cents: 9 });
	assertSame(page.findClv({ clv }, 24), {});
	assertSame(page.findClv({}, 12), {});
});

test("one thing is singular, and none or several are plural", () => {
	assert.equal(page.countNoun(1, "cohort"), "1 cohort");
	assert.equal(page.countNoun(0, "cohort"), "0 cohorts");
	assert.equal(page.countNoun(2, "cohort"), "2 cohorts");
	assert.equal(page.countNoun(1, "order", plain.count), "1 order");
	assert.equal(page.countNoun(1200, "order", plain.count), "1,200 orders");
});

// Returns a view of cohorts with `lengths` complete months, with or without a forecast.
function makeView(lengths, hasForecast) {
	const cell = (months_since, value) => ({ months_since, cum_net_per_customer_cents: value });
	const cohorts = lengths.map((_, n) => ({ cohort: `cohort ${n}`, cohort_size: 9 }));
	const net = { forecast: 30, low: 20, high: 40 };
	const horizon = { months_since: 40, cum_net_per_customer_cents: net };
	return {
		cohorts,
		rows: lengths.map((length) => Array.from({ length }, (_, month) => cell(month, month))),
		average: Array.from({ length: 20 }, (_, month) => ({
			...cell(month, 1),
			cohort_count: 9 - month,
		})),
		forecast: hasForecast
			? { cohorts: cohorts.map(({ cohort }) => ({ cohort, horizons: [horizon] })) }
			: undefined,
	};
}

test("the curves start at the latest cohort with more than twelve months", () => {
	const curves = page.makeCurves(makeView([14, 13, 12], true));
	assertSame(page.firstCurvePlace(curves, ""), [12, 1]);
	assertSame(page.firstCurvePlace(curves, "cohort 2"), [11, 2]);
	// The axis spans the facts, and the forecast of one cohort.
	assert.equal(page.spanMonths(curves, 1), 41);
	assert.equal(page.spanMonths(curves, 3), 14);
});

test("the curves start at the average where no cohort is older than a year or forecast", () => {
	const young = page.makeCurves(makeView([12, 11], true));
	assertSame(page.firstCurvePlace(young, ""), [4, 2]);
	const unforecast = page.makeCurves(makeView([14, 13], false));
	assertSame(page.firstCurvePlace(unforecast, ""), [4, 2]);
	assert.equal(page.spanMonths(unforecast, 1), 14);
});

test("the average is drawn as far as five cohorts support it", () => {
	const { average, lines } = page.makeCurves(makeView([14, 13], false));
	assertSame(
		average.map((row) => row.cohort_count),
		[9, 8, 7, 6, 5],
	);
	assert.equal(lines.at(-1).length, 5);
});

test("the labels of an axis of months are at least 72 pixels apart", () => {
	assertSame([80, 72, 71, 36, 6, 0.1].map(page.monthsPerLabel), [1, 1, 2, 2, 12, 120]);
});

test("the nearest line is found, and the average where none has the month", () => {
	const lines = [[1, 5], [1, 9], [1]];
	assert.equal(
		page.nearestLine(lines, 1, (value) => Math.abs(value - 8)),
		1,
	);
	assert.equal(
		page.nearestLine(lines, 7, () => 0),
		2,
	);
});

test("the legend of colours names its ends, low first, and zero where it is", () => {
	const words = (scale, values, domain) => {
		const cells = values.map((retention) => ({ retention }));
		const entries = page.cohortEntries({ column: "retention" }, scale, cells, domain, euro);
		return entries.map(([, text]) => text);
	};
	assertSame(words("table", [0.1, 0.4], [0.1, 0.4]), ["10.0% or less", "40.0% or more"]);
	assertSame(words("month", [0.1, 0], [0.1, 0.1]), ["0.0%", "low", "high, within each month"]);
	// No range where there is none.
	assertSame(words("table", [0, 0.4], [0.4, 0.4]), ["0.0%", "40.0%"]);
	assertSame(words("table", [0, 0], [0, 0]), ["0.0%"]);
	assertSame(page.heatEntries([5, 5], euro.count), [["h3", "5"]]);
});

test("an order in the address is a column, with a sign where the largest is first", () => {
	assertSame(page.listOrders(2), [...["cohort", "-cohort", "size", "-size", "0", "-0", "1", "-1"]]);
});

test("an object of a file never becomes text, and its names find no function", () => {
	const { document } = page.readDocument('{"schema_version": "2.0", "a": [{"b": {"c": 1}}]}');
	assert.throws(() => `${document.a[0]}`, /expected text or a number, found an object/);
	assert.throws(() => page.formatValue("status", document.a[0].b, euro), /found an object/);
	assert.equal(document.constructor, undefined);
	assert.equal(page.columnLabel("constructor"), "Constructor");
	assert.equal(page.columnLabel("__proto__"), "  proto  ");
});

test("an address with a name of the language chooses nothing", () => {
	const known = { metric: ["aov"] };
	assertSame(page.readAddress("#constructor=1&__proto__=aov&metric=aov", known), {
		metric: "aov",
	});
});

test("figures beyond the arithmetic lead to no coordinate", () => {
	assert.equal(page.heatStep(1e308, [-1e308, 1e308]), 3);
	assert.equal(page.heatStep(1e308, [0, 5]), page.HEAT_STEPS - 1);
	assertSame(page.stackSpans(["5", 2]), [
		[0, 0],
		[0, 2],
	]);
	assert.throws(() => page.linePath([[0, Number.POSITIVE_INFINITY]]), /do not fit on an axis/);
	assert.throws(() => page.boxPath(0, Number.NaN, 1, 1), /do not fit on an axis/);
});

const clvOf = (...cents) =>
	[3, 12].map((months, n) => ({ months, cents: cents[n] ?? null, low_cents: cents[n] - 1 }));
const horizonsOf = (...ages) =>
	ages.map((months) => ({ months, days: 30, net_cents: { forecast: months, low: 2, high: 20 } }));
const segmented = {
	options: { by: "country" },
	cohorts: ["all"],
	forecast: {
		total: ["all"],
		cohorts: ["all"],
		holdout: "of all",
		segments: [{ segment: "FR", horizons: horizonsOf(3, 12) }],
	},
	segments: [
		{ segment: "DE", cohorts: ["of DE"], summary: { customer_count: 4, clv: clvOf(90) } },
		{ segment: "ES", cohorts: [], summary: { customer_count: 5, clv: clvOf(10, 20) } },
		{ segment: "FR", cohorts: [], summary: { customer_count: 6, clv: clvOf(10, 30) } },
	],
};

test("a segment has its own cohorts and forecast, and the holdout of all", () => {
	const { cohorts, forecast } = page.selectSegment(segmented, "FR");
	assertSame(cohorts, []);
	assertSame([forecast.total[1].months, forecast.cohorts, forecast.holdout], [12, [], "of all"]);
	assert.equal(page.selectSegment(segmented, "ES").forecast.total, undefined);
	for (const name of [undefined, "", "XX"]) {
		assert.equal(page.selectSegment(segmented, name), segmented);
	}
	const { forecast: none } = page.selectSegment({ ...segmented, forecast: undefined }, "DE");
	assert.equal(none, undefined);
});

test("segments are compared by their value at the oldest age that one has", () => {
	const { rows, columns } = page.compareSegments(segmented);
	assertSame(
		rows.map(({ country_code }) => country_code),
		["FR", "ES", "DE"],
	);
	assert.equal(rows[0].customer_count, 6);
	assert.equal(rows[0].clv_12_months_cents, 30);
	assertSame(columns, [
		"country_code",
		"customer_count",
		"clv_3_months_cents",
		"clv_12_months_cents",
		"next_12_months_net_forecast_cents",
	]);
	// The rows, which are saved as CSV, have every figure with its interval.
	const { clv_12_months_low_cents, next_3_months_net_low_cents } = rows[0];
	assertSame([clv_12_months_low_cents, next_3_months_net_low_cents], [29, 2]);
	assert.equal(rows[0].next_12_months_net_high_cents, 20);
	const young = segmented.segments.map((one) => ({
		...one,
		summary: { customer_count: 1, clv: clvOf(one.summary.clv[0].cents) },
	}));
	const { rows: others } = page.compareSegments({ ...segmented, segments: young });
	assert.equal(others[0].country_code, "DE");
});

test("the first free place of three offers the highlighted cohort, once", () => {
	const offers = (selection) =>
		["pin1", "pin2", "pin3"].map((pin) => page.offerPin(selection, pin) || "");
	assertSame(offers({ cohort: "a" }), ["a", "", ""]);
	assertSame(offers({ cohort: "d", pin1: "a", pin3: "c" }), ["", "d", ""]);
	assertSame(offers({ cohort: "d", pin1: "a", pin2: "b", pin3: "c" }), ["", "", ""]);
	assertSame(offers({ cohort: "c", pin3: "c" }), ["", "", ""]);
	assertSame(offers({}), ["", "", ""]);
	assertSame(page.listPinned({ pin1: "", pin3: "c" }), ["c"]);
});
