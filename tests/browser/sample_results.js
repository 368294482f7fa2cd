// Made-up result files for the browser checks: report.json 2.1, query_result.json 2.2.
// `node sample_results.js FOLDER [SHOP]` writes both, to look at by hand.
"use strict";

const fs = require("node:fs");

const AGES = [3, 6, 12, 24];
const HOSTILE = "<script>alert(1)</script>";
const SHOPS = {
	realistic: { months: 24, first: "2023-01", scale: 120 },
	tiny: { months: 2, first: "2024-11", scale: 2 },
};

// Returns whole numbers from 0 to limit - 1, the same in every run.
function makeDice(seed) {
	let state = seed;
	return (limit) => {
		state = (state * 1103515245 + 12345) % 2147483648;
		return Math.floor((state / 2147483648) * limit);
	};
}

function monthAfter(first, count) {
	const [year, month] = first.split("-").map(Number);
	const index = year * 12 + month - 1 + count;
	return `${Math.floor(index / 12)}-${String((index % 12) + 1).padStart(2, "0")}`;
}

function divide(part, total, digits = 2) {
	return total === 0 ? null : Number((part / total).toFixed(digits));
}

function sum(rows, key) {
	return rows.reduce((total, row) => total + (row[key] ?? 0), 0);
}

function repeat(count, make) {
	return Array.from({ length: count }, (_, index) => make(index));
}

// ---- query_result.json.  The page formats and never computes, so its figures need not add up.

// Returns the cells of one cohort; the last month is incomplete.
function makeCells(cohort, size, last, dice) {
	let [netSoFar, marginSoFar] = [0, 0];
	return repeat(last + 1, (since) => {
		const share = since === 0 ? 1 : 0.22 * Math.exp(-since / 14) * (0.7 + dice(60) / 100);
		const active = Math.round(size * share);
		const orders = active + Math.floor(active / 6);
		const net = orders * (5200 + dice(2600));
		const margin = Math.floor(net * 0.41);
		netSoFar += net;
		marginSoFar += margin;
		return {
			cohort,
			months_since: since,
			period_month: monthAfter(cohort, since),
			cohort_size: size,
			active_customers: active,
			order_count: orders,
			net_cents: net,
			margin_cents: margin,
			is_complete: since === last ? 0 : 1,
			retention: divide(active, size, 6),
			aov_cents: divide(net, orders),
			net_per_customer_cents: divide(net, size),
			cum_net_per_customer_cents: divide(netSoFar, size),
			cum_margin_per_customer_cents: divide(marginSoFar, size),
		};
	});
}

// Returns the average over the cohorts whose month since the first order is complete.
function makeAverageRow(since, cells) {
	const known = cells.filter((cell) => cell.months_since === since && cell.is_complete);
	const size = sum(known, "cohort_size");
	const mean = (key) =>
		divide(
			known.reduce((total, cell) => total + (cell[key] ?? 0) * cell.cohort_size, 0),
			size,
		);
	return {
		months_since: since,
		cohort_count: known.length,
		customer_count: size,
		retention: divide(sum(known, "active_customers"), size, 6),
		aov_cents: mean("aov_cents"),
		net_per_customer_cents: mean("net_per_customer_cents"),
		cum_net_per_customer_cents: mean("cum_net_per_customer_cents"),
		chained_net_per_customer_cents: mean("cum_net_per_customer_cents"),
		cum_margin_per_customer_cents: mean("cum_margin_per_customer_cents"),
	};
}

// Returns a CLV figure with its interval and median; null where cents is null.
function makeClv(months, cents) {
	const times = (factor) => (cents === null ? null : Math.round(cents * factor));
	return {
		months,
		cents,
		low_cents: times(0.9),
		high_cents: times(1.1),
		median_cents: times(0.6),
	};
}

// Returns the CLV of one cohort at each age, from its complete cells.
function makeCohortClv(cells) {
	return AGES.map((months) => {
		const cell = cells.find((one) => one.months_since === months && one.is_complete);
		return makeClv(months, cell?.cum_net_per_customer_cents ?? null);
	});
}

function makeSummary(cohorts, average) {
	return {
		cohort_count: cohorts.length,
		customer_count: sum(cohorts, "cohort_size"),
		large_first_cohort: null,
		clv: AGES.map((months) => {
			const row = average[months];
			const clv = makeClv(months, row?.cum_net_per_customer_cents ?? null);
			return { ...clv, cohort_count: row?.cohort_count ?? 0 };
		}),
	};
}

function makeQueryResult({ months, first, scale, content = "b".repeat(64) }) {
	const dice = makeDice(7);
	const cohorts = [];
	const cells = [];
	for (let start = 0; start < months; start += 1) {
		const cohort = monthAfter(first, start);
		const size = scale + dice(scale);
		const last = months - 1 - start;
		const own = makeCells(cohort, size, last, dice);
		cells.push(...own);
		cohorts.push({
			cohort,
			cohort_size: size,
			last_months_since: last,
			clv: makeCohortClv(own),
		});
	}
	const average = repeat(months - 1, (since) => makeAverageRow(since, cells));
	return {
		schema_version: "2.3",
		as_of: `${monthAfter(first, months - 1)}-14`,
		currency: "EUR",
		currency_digits: 2,
		database: { sha256: "a".repeat(64), bytes: 4812800 },
		dataset: { content_sha256: content },
		options: {
			cohort: "month",
			by: null,
			as_of: null,
			valid_statuses: ["paid"],
			forecast: true,
			omit_first_cohort: false,
		},
		query: { file: "queries/join_query.sql", sha256: "c".repeat(64) },
		cohorts,
		cells,
		average,
		summary: makeSummary(cohorts, average),
		forecast: makeForecast(cohorts, cells),
	};
}

function makeHorizon(months, size) {
	const interval = (factor) => ({
		forecast: factor * 300,
		low: factor * 250,
		high: factor * 350,
	});
	return {
		months,
		days: months * 30,
		purchases: { forecast: (size * months) / 10, low: null, high: null },
		net_cents: interval(size * months),
		net_per_customer_cents: months * 300,
	};
}

function makeCohortForecast({ cohort, cohort_size: size, last_months_since: last }, cells) {
	const { cum_net_per_customer_cents: net } = cells.findLast((cell) => cell.cohort === cohort);
	return {
		cohort,
		cohort_size: size,
		horizons: [3, 6, 12].map((months) => ({
			...makeHorizon(months, size),
			months_since: last + months,
			cum_net_per_customer_cents: {
				forecast: Math.round(net + months * 300),
				low: Math.round(net + months * 250),
				high: Math.round(net + months * 350),
			},
		})),
	};
}

function makeForecast(cohorts, cells) {
	const size = sum(cohorts, "cohort_size");
	return {
		is_forecast: true,
		level: 0.95,
		total: [3, 6, 12].map((months) => makeHorizon(months, size)),
		cohorts: cohorts.map((cohort) => makeCohortForecast(cohort, cells)),
		holdout: {
			days: 365,
			purchases: { forecast: 1570, low: 1480, high: 1660, actual: 1439, error: 0.0911 },
		},
		verdict: {
			status: "good",
			text: "Good: in the holdout the number of purchases was forecast 9% too high.",
		},
	};
}

// ---- report.json

function makeRevenue({ months, first, scale }, dice) {
	return repeat(months, (index) => {
		const orders = Math.round(scale * (3 + index / 3) * (0.85 + dice(30) / 100));
		const gross = orders * (6800 + dice(900));
		const discount = Math.floor(gross * 0.06);
		const refund = Math.floor(gross * 0.04);
		const net = gross - discount - refund;
		return {
			month: monthAfter(first, index),
			gross_cents: gross,
			discount_cents: discount,
			refund_cents: refund,
			net_cents: net,
			order_count: orders,
			aov_cents: divide(net, orders),
			refund_rate: 0.0425,
			returning_share: 0.5556,
			new_customers: Math.round(orders * 0.4),
			returning_customers: Math.round(orders * 0.5),
			is_complete: index === months - 1 ? 0 : 1,
		};
	});
}

function makeChecks(hostile) {
	const titles = ["items make the subtotal", "sign-up before order", "no orphan item"];
	const passed = titles.map((title, index) => ({
		check: `check_${index}`,
		title,
		severity: "error",
		status: "pass",
		count: 0,
		key: ["order_id"],
		columns: ["order_id"],
		sample: [],
		note: null,
	}));
	const warning = {
		check: "price_below_cost",
		title: "Price below cost",
		severity: "warning",
		status: "warn",
		count: 2,
		key: ["product_id", "sku"],
		columns: ["product_id", "sku", "price_cents"],
		note: null,
		sample: [
			[17, hostile ? HOSTILE : "SKU-0017", 990],
			[23, "SKU-0023", 1290],
		],
	};
	const counts = {
		"Users without an order": 724,
		"Products never sold": 4,
		"Lines sold below cost": 12,
	};
	const found = Object.entries(counts).map(([title, count]) => ({
		check: title,
		title,
		severity: "info",
		status: "info",
		count,
		key: ["id"],
		columns: ["id"],
		sample: [[3], [4], [14], [15]],
		note: null,
	}));
	return [...passed, warning, ...found];
}

function makeProductTrends(hostile, dice) {
	const names = ["Home & Kitchen", "Outdoor", "Books", "Électronique", "Toys", "Beauty", "Shoes"];
	const categories = names.map((category, index) => ({
		category: hostile && index === 0 ? HOSTILE : category,
		product_count: 40 - index,
		unit_count: 900 - index * 120,
		gross_cents: 9000000 - index * 1200000 - dice(100000),
		line_discount_cents: 300000 - index * 41000,
		gross_share: 0.3 - index * 0.04,
	}));
	const products = names.map((name, index) => ({
		product_id: index + 1,
		sku: `SKU-${index + 1}`,
		product_name: hostile ? `<img src=x onerror=alert(1)> ${name}` : `${name} set`,
		category: name,
		unit_count: 300 - index * 31,
		gross_cents: 2100000 - index * 230000,
		line_discount_cents: 4200 * index,
	}));
	return {
		category_mix: { title: "Category mix", rows: categories },
		top_products: { title: "Top products", rows: products },
	};
}

function makePaymentTrend() {
	const methods = ["card", "wallet", "bank_transfer", "invoice", "gift_card"];
	return {
		title: "Payment methods",
		rows: methods.map((method, index) => ({
			method,
			charge_count: 1200 - index * 210,
			failed_count: 37 - index * 8,
			charged_cents: 8100000 - index * 1600000,
			refunded_cents: 210000 - index * 40000,
			failure_rate: 0.031 + index * 0.01,
			charged_share: 0.4 - index * 0.1,
		})),
	};
}

function makeCustomerTrends() {
	const countries = ["DE", "FR", "AT", "NL", "IT", "ES"];
	const channels = ["organic", "paid_search", "email", "social", "direct", "referral"];
	const counts = [4100, 1300, 610, 320, 170, 95, 52, 31, 20, 44];
	return {
		countries: {
			title: "Countries",
			rows: countries.map((country_code, index) => ({
				country_code,
				user_count: 900 - index * 110,
				customer_count: 400 - index * 50,
				order_count: 1000 - index * 190,
				net_cents: 5100000 - index * 790000,
				net_share: 0.3 - index * 0.04,
			})),
		},
		channels: {
			title: "Channels",
			rows: channels.map((acquisition_channel, index) => ({
				acquisition_channel,
				user_count: 800 - index * 90,
				customer_count: 500 - index * 70,
				net_cents: 6100000 - index * 890000,
				net_share: 0.3 - index * 0.04,
			})),
		},
		orders_per_customer: {
			title: "Orders per customer",
			rows: counts.map((customer_count, index) => ({
				orders_per_customer: index + 1,
				customer_count,
				customer_share: customer_count / 6742,
			})),
		},
	};
}

function makeHourTrend(scale, dice) {
	const rows = repeat(7 * 24, (index) => {
		const [weekday, hour] = [Math.floor(index / 24), index % 24];
		const curve = 1 + Math.sin(((hour - 9) / 24) * 2 * Math.PI) + (weekday > 4 ? 0.3 : 0);
		return { weekday, hour, order_count: Math.round(scale * curve) + dice(scale) };
	});
	return { title: "Orders by weekday and hour", rows };
}

function makeOrderTrend(revenue, dice) {
	return {
		title: "Refunds and cancellations",
		rows: revenue.map(({ month, order_count, is_complete }) => ({
			month,
			placed_count: order_count + 12,
			pending_count: is_complete ? 0 : 3,
			cancelled_count: dice(12),
			order_count,
			partially_returned_count: dice(5),
			returned_count: dice(9),
			is_complete,
			cancellation_rate: 0.03,
			return_rate: 0.1,
		})),
	};
}

function makeKpis(revenue) {
	return {
		net_cents: sum(revenue, "net_cents"),
		order_count: sum(revenue, "order_count"),
		customer_count: sum(revenue, "new_customers"),
		aov_cents: 6542.17,
		refund_rate: 0.0412,
		repeat_rate: 0.3127,
		last_complete_month: {
			month: revenue.at(-2)?.month,
			change_on_year: { net_cents: 0.721 },
		},
	};
}

const DEFINITIONS = {
	net_cents: "net: gross − discount − refund",
	order_count: "valid: paid, not cancelled",
	customer_count: "users with a valid order",
	aov_cents: "net revenue ÷ valid orders",
	repeat_rate: "repeat customers ÷ customers",
	refund_rate: "refund ÷ sold",
};

function makeProvenance(asOf) {
	return {
		"datapackage.json": { sha256: "d".repeat(64) },
		dataset: { as_of: asOf, content_sha256: "b".repeat(64) },
		generator: { seed: "42", users: "5000", format_version: "1", currency: "EUR" },
		loader: { tool_version: "1.0", python_version: "3.11.7", sqlite_version: "3.40.1" },
		"orders.csv": { bytes: "812345", manifest: "matches", rows: "9120", sha256: "e".repeat(64) },
		"schema.sql": { sha256: "f".repeat(64) },
	};
}

function makeReport({ months, first, scale, hostile = false }) {
	const dice = makeDice(11);
	const asOf = `${monthAfter(first, months - 1)}-14`;
	const revenue = makeRevenue({ months, first, scale }, dice);
	const checks = makeChecks(hostile);
	const tables = ["users", "products", "orders", "order_items", "payments"];
	return {
		schema_version: "2.1",
		as_of: asOf,
		currency: "EUR",
		currency_digits: 2,
		database: { sha256: "a".repeat(64), bytes: 4812800 },
		dataset: { content_sha256: "b".repeat(64) },
		verdict: {
			status: "warn",
			errors: 0,
			warnings: 1,
			checks: checks.length,
			text: "Sound. 7 checks, 0 errors, 1 warning.",
		},
		kpis: makeKpis(revenue),
		definitions: DEFINITIONS,
		checks,
		tables: tables.map((table, index) => ({ table, rows: scale * 10 * (index + 1) })),
		trends: {
			revenue_by_month: { title: "Revenue by month", rows: revenue },
			...makeProductTrends(hostile, dice),
			payment_methods: makePaymentTrend(),
			...makeCustomerTrends(),
			weekday_by_hour: makeHourTrend(scale, dice),
			refunds_and_cancellations: makeOrderTrend(revenue, dice),
		},
		provenance: makeProvenance(asOf),
	};
}

module.exports = { makeQueryResult, makeReport, SHOPS };

if (require.main === module) {
	const [folder, shop = "realistic"] = process.argv.slice(2);
	fs.mkdirSync(folder, { recursive: true });
	fs.writeFileSync(`${folder}/report.json`, JSON.stringify(makeReport(SHOPS[shop])));
	fs.writeFileSync(`${folder}/query_result.json`, JSON.stringify(makeQueryResult(SHOPS[shop])));
}
