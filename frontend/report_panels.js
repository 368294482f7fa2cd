"use strict";

// The name, the figure in `kpis`, the column of its trend if it differs, and what that counts.
const KEY_FIGURES = [
	["Net revenue", "net_cents"],
	["Valid orders", "order_count"],
	["Customers", "customer_count", "new_customers", " new"],
	["Average order", "aov_cents"],
	["Repeat rate", "repeat_rate", "returning_share", " of buyers were not new"],
	["Refund rate", "refund_rate"],
];

const TABLE_COLUMNS = {
	orders_per_customer: ["orders_per_customer", "customer_count", "customer_share"],
	category_mix: ["category", "gross_cents", "gross_share"],
	channels: ["acquisition_channel", "net_cents", "net_share"],
	countries: ["country_code", "net_cents", "net_share"],
	top_products: ["product_name", "unit_count", "gross_cents"],
	payment_methods: ["method", "failure_rate", "charged_cents", "charged_share"],
};

const MOST_ROWS = 10;

const VERDICTS = new Map([
	["pass", "✓ Data sound"],
	["warn", "! Data sound, with warnings"],
	["fail", "✕ Data not sound"],
]);
const CHECK_ORDER = ["fail", "warn", "info", "pass"];

async function renderReport(report) {
	const formats = makeDocumentFormats(report);
	const { trends = {} } = report;
	const tables = Object.keys(TABLE_COLUMNS).map((name) => {
		const look = name === "top_products" ? "wide" : "";
		return make("section", { "data-trend": name, class: look }, make("h2"));
	});
	find("#hours").after(...tables);
	const panels = [
		...Object.entries(MONTH_CHARTS).map(([id, { trend }]) => [find(`#${id}`), trend, renderMonths]),
		[find("#hours"), "weekday_by_hour", renderHours],
		...tables.map((section) => [section, section.dataset.trend, renderTopRows]),
	];
	showVerdict(report.verdict?.status);
	await drawPanel(find("#kpis dl[data-file=report]"), (list) =>
		renderCards(list, reportCards(report, formats)),
	);
	for (const [section, name, render] of panels) {
		await drawPanel(section, renderTrend, name, trends[name], render, formats);
	}
	await drawPanel(find("#checks"), renderChecks, report, formats);
}

function showVerdict(status) {
	const badge = find("#verdict");
	badge.dataset.status = VERDICTS.has(status) ? status : "";
	badge.textContent = VERDICTS.get(status) ?? "Data not checked";
}

function renderCards(list, cards) {
	list.replaceChildren(
		...cards.map(({ name, value = "", text, notes, definition, line = [] }) => {
			const figure = make("dd", {}, make("data", { value }, text));
			const known = line.filter(isNumber);
			if (known.length > 1) drawSparkline(figure, known);
			return make(
				"div",
				{},
				make("dt", {}, name, definition ? makeDefinition(name, definition) : ""),
				figure,
				...notes.filter(Boolean).map((note) => make("dd", {}, note)),
			);
		}),
	);
}

function makeDefinition(name, words) {
	const button = make("summary", { "aria-label": `Definition: ${name}` }, "i");
	return make("details", { class: "info" }, button, words);
}

function reportCards({ definitions = {}, kpis = {}, trends = {} }, formats) {
	const months = trends.revenue_by_month?.rows ?? [];
	const complete = months.filter((row) => !isIncomplete(row));
	const changes = kpis.last_complete_month?.change_on_year ?? {};
	return KEY_FIGURES.map(([name, figure, column = figure, words = ""]) => {
		const value = kpis[figure];
		const format = (of, amount) =>
			isMoney(of) && Math.abs(value) >= 10000 * formats.divisor
				? formats.moneyWhole(amount)
				: formatValue(of, amount, formats);
		const { month, [column]: latest } = complete.at(-1) ?? {};
		const onYear = changes[column];
		const change = isNumber(onYear) ? `, ${formats.change(onYear)} year on year` : "";
		return {
			name,
			value,
			text: format(figure, value),
			line: complete.map((row) => row[column]),
			definition: definitions[figure],
			notes: [
				isNumber(latest) && `${formats.date(month)}: ${format(column, latest)}${words}${change}`,
			],
		};
	});
}

function renderTrend(section, name, { rows = [], note, title = "" } = {}, render, formats) {
	if (!titleOf(section)) find("h2", section).append(title);
	if (rows.length) return render(section, rows, formats, name);
	if (note) section.append(make("p", {}, `Not known: ${note}.`));
	return Boolean(note);
}

function renderTopRows(section, rows, formats, name) {
	const known = Object.keys(rows[0]);
	const columns = TABLE_COLUMNS[name]?.filter((column) => known.includes(column)) ?? known;
	const look = { caption: titleOf(section), bar: columns.at(-1), isBrief: true };
	section.append(makeTable(rows.slice(0, MOST_ROWS), columns, formats, look));
	addRows(section, name, rows, formats);
}

function renderChecks(section, { checks = [], verdict }, formats) {
	const rows = sortBy(checks, ({ status }) => CHECK_ORDER.indexOf(status)).map((check) => ({
		check: check.title ?? check.check,
		result: check.status,
		row_count: check.count,
		for_example: describeSample(check),
		all_rows: check.all_rows ?? "",
	}));
	const passed = rows.filter(({ result }) => result === "pass");
	const others = rows.filter(({ result }) => result !== "pass");
	section.append(make("strong", {}, verdict?.text ?? "The file contains no verdict."));
	if (others.length) {
		section.append(makeTable(others, Object.keys(others[0]), formats, { caption: "Findings" }));
	}
	if (passed.length) {
		const words = `${countNoun(passed.length, "check")} passed`;
		section.append(makeFold(words, passed, formats, "Checks that passed"));
	}
}
