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

const VERDICTS = new Map([
	["pass", "✓ Data sound"],
	["warn", "! Data sound"],
	["fail", "✕ Data not sound"],
]);
const CHECK_ORDER = ["fail", "warn", "info", "pass"];

async function renderReport(report) {
	const formats = makeDocumentFormats(report);
	const tables = Object.keys(TABLE_COLUMNS).map((name) => {
		const look = name === "top_products" ? "wide" : "";
		return make("section", { "data-trend": name, class: look }, make("h2"));
	});
	find("#hours").after(...tables);
	showVerdict(report.verdict ?? {});
	await drawPanel(find("#kpis dl[data-file=report]"), (list) =>
		renderCards(list, reportCards(report, formats)),
	);
	for (const section of findAll("[data-trend]")) {
		await drawPanel(section, renderTrend, report, formats);
	}
	await drawPanel(find("#checks"), renderChecks, report, formats);
}

function showVerdict({ status, errors, warnings }) {
	if (!VERDICTS.has(status)) return;
	const badge = fill(find("#verdict"), { "data-status": status });
	showWords(badge, () => {
		const counts = [countNoun(errors, "failed check"), countNoun(warnings, "warning")];
		return `${VERDICTS.get(status)}: ${counts.join(", ")}`;
	});
}

function renderCards(list, cards) {
	list.append(
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
			of === "net_cents" ? formats.moneyWhole(amount) : formatValue(of, amount, formats);
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

function renderTrend(section, { trends }, formats) {
	const { rows = [], note, title = "" } = trends?.[section.dataset.trend] ?? {};
	if (!titleOf(section)) find("h2", section).append(title);
	const render = { hours: renderHours, "": renderTopRows }[section.id] ?? renderMonths;
	if (rows.length) return render(section, rows, formats);
	if (note) section.append(make("p", {}, `Not known: ${note}.`));
	return Boolean(note);
}

function renderTopRows(section, rows, formats, chosen = TABLE_COLUMNS[section.dataset.trend]) {
	const columns = chosen.filter((column) => column in rows[0]);
	const brief = { ...formats, money: formats.moneyWhole };
	section.append(makeTable(titleOf(section), rows.slice(0, 10), columns, brief));
	addRows(section, rows, formats);
}

function renderChecks(section, { checks = [], verdict }, formats) {
	const rows = sortBy(checks, ({ status }) => CHECK_ORDER.indexOf(status)).map((check) => ({
		check: check.title ?? check.check,
		result: check.status,
		found: check.count,
		for_example: describeSample(check),
		all_rows: check.all_rows ?? "",
	}));
	const passed = rows.filter(({ result }) => result === "pass");
	const others = rows.filter(({ result }) => result !== "pass");
	section.append(make("strong", {}, verdict?.text ?? "The file contains no verdict."));
	if (others.length) {
		section.append(makeTable("Findings", others, Object.keys(others[0]), formats));
	}
	if (passed.length) {
		const words = `${countNoun(passed.length, "check")} passed`;
		section.append(makeFold(words, passed, formats, "Checks that passed"));
	}
}
