"use strict";

// The word in the address, the column in the JSON and its meaning.
const METRICS = [
	["retention", "retention", "Share of the cohort with a valid order in that month."],
	["cum_net", CUMULATIVE_NET, "Net revenue per customer to the end of that month."],
	[
		"cum_margin",
		"cum_margin_per_customer_cents",
		"Net revenue minus cost per customer, to the end of that month.",
	],
	["orders", "order_count", "Valid orders of the cohort in that month."],
	["aov", "aov_cents", "Average order value: net revenue per valid order."],
].map(([key, column, note]) => ({ key, column, note }));
const SCALES = { table: "the entire table", month: "each month", cohort: "each cohort" };

function groupCells(cohorts, cells) {
	const rows = new Map(cohorts.map(({ cohort }) => [cohort, []]));
	for (const cell of cells) rows.get(cell.cohort)?.splice(cell.months_since, 1, cell);
	return [...rows.values()];
}

// The first month of retention does not count: its 100 % would make all others pale.
function makeColourDomains({ key, column }, scale, cells) {
	const groupOf = (cell) => ({ month: cell.months_since, cohort: cell.cohort })[scale];
	const groups = new Map();
	for (const cell of cells) {
		if (isIncomplete(cell) || (key === "retention" && cell.months_since === 0)) continue;
		if (!groups.has(groupOf(cell))) groups.set(groupOf(cell), []);
		groups.get(groupOf(cell)).push(cell[column]);
	}
	for (const [name, values] of groups) groups.set(name, colourDomain(values));
	return (cell) => groups.get(groupOf(cell)) ?? [0, 0];
}

function describeCell(cell, columns, formats) {
	const range = formatInterval(cell.retention_low, cell.retention_high, formats.percent);
	return (
		`Cohort ${formats.date(cell.cohort)}, month ${cell.months_since}` +
		`${isIncomplete(cell) ? INCOMPLETE : ""}: ${describeRow(cell, columns, formats)}` +
		(range && ` · Retention ${range}`)
	);
}

function cohortEntries({ column }, scale, cells, domain, formats) {
	const format = (value) => formatValue(column, value, formats);
	const values = cells.map((cell) => cell[column]);
	const within = [
		["h0", "low"],
		["h6", `high, within ${SCALES[scale]}`],
	];
	return [
		...zeroEntry(values, format),
		...(scale === "table" ? heatEntries(domain, format) : within),
		...(cells.some(isIncomplete) ? [["striped", "incomplete month"]] : []),
	];
}

// The line above the table names the unit, that below has the exact figure.
function makeCellFormat({ key, column }, cells, formats) {
	if (key === "retention") return formats.percentFigure;
	if (!isMoney(column)) return (value) => formatValue(column, value, formats);
	const largest = Math.max(...cells.map((cell) => cell[column] ?? 0)) / formats.divisor;
	const { money, moneyWhole, moneyShort } = makeFormats(null, undefined, formats.digits);
	if (largest >= 1e5) return moneyShort;
	return largest >= 100 ? moneyWhole : money;
}

function describeUnit({ key, column }, currency) {
	const unit = isMoney(column) ? currency : key === "retention" && "%";
	return unit ? ` In ${unit}.` : "";
}

function makeCohortTable(choice, cells, domainOf) {
	const { view, shown, metric, order, selection, formats } = choice;
	const months = [...Array(Math.max(...shown.map((row) => row.cells.length))).keys()];
	const format = makeCellFormat(metric, cells, formats);
	const body = shown.map(({ cohort, cells: row }) =>
		makeCohortRow(
			formats.date(cohort.cohort),
			formats.count(cohort.cohort_size),
			row.map((cell) => makeCohortCell(cell, metric, domainOf(cell), format)),
			cohort.cohort === selection.cohort ? { "data-chosen": "" } : {},
		),
	);
	const size = formats.count(view.summary.customer_count);
	const means = months.map((month) => {
		const mean = view.average[month];
		if (!mean) return make("td");
		return make("td", { "data-of": formats.count(mean.cohort_count) }, format(mean[metric.column]));
	});
	const caption = `${columnLabel(metric.column)} by cohort and months since the first order`;
	const table = make(
		"table",
		{ class: "heat" },
		make("caption", {}, caption),
		make("thead", {}, ...makeCohortHead(months, order)),
		make("tbody", {}, ...body),
		make("tfoot", {}, makeCohortRow("Average, of cohorts", size, means)),
	);
	table.style.setProperty("--months", months.length);
	return table;
}

function makeCohortHead(months, order) {
	const heading = (column, words, attributes) => {
		const cell = make("th", { scope: "col", ...attributes });
		if (order.column === String(column)) cell.ariaSort = order.isDown ? "descending" : "ascending";
		return fill(cell, {}, [make("button", { tabindex: -1 }, words)]);
	};
	const group = { scope: "colgroup", colspan: months.length, class: "text" };
	return [
		make(
			"tr",
			{},
			heading("cohort", "Cohort", { rowspan: 2, class: "text" }),
			heading("size", "Customers", { rowspan: 2 }),
			make("th", group, "Months since the first order"),
		),
		make("tr", {}, ...months.map((month) => heading(month, month))),
	];
}

function makeCohortRow(words, size, cells, attributes = {}) {
	const name = make("th", { scope: "row" }, words);
	return make("tr", attributes, name, make("td", {}, size), ...cells);
}

function makeCohortCell(cell, { key, column }, domain, format) {
	const value = cell[column];
	let look = heatLook(value, domain);
	if (key === "retention" && cell.months_since === 0) look = "first-month";
	if (isIncomplete(cell)) look = "incomplete";
	return make("td", isNumber(value) ? { class: look } : {}, format(value));
}
