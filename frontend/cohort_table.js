// Draws the cohort table, which is the heat map.
"use strict";

// The word in the address, the column in the JSON, the name and its meaning.
const METRICS = [
	["retention", "retention", "Retention", "Share of the cohort with a valid order in that month."],
	[
		"cum_net",
		CUMULATIVE_NET,
		"Cumulative net",
		"Net revenue per customer, up to and including that month.",
	],
	[
		"cum_margin",
		"cum_margin_per_customer_cents",
		"Cumulative margin",
		"Net revenue minus cost per customer, up to and including that month.",
	],
	["orders", "order_count", "Orders", "Valid orders of the cohort in that month."],
	["aov", "aov_cents", "AOV", "Average order value: net revenue per valid order."],
].map(([key, column, name, note]) => ({ key, column, name, note }));
const SCALES = { table: "the entire table", month: "each month", cohort: "each cohort" };

// A table of more months shows percentages without their sign.
const MOST_MONTHS_WITH_SIGN = 30;

// Returns the cells of each cohort, by months since its first order.
function groupCells(cohorts, cells) {
	const rows = new Map(cohorts.map(({ cohort }) => [cohort, []]));
	for (const cell of cells) rows.get(cell.cohort)?.splice(cell.months_since, 1, cell);
	return [...rows.values()];
}

// Items without a value come last in both orders.
function sortBy(items, readValue, isDown) {
	const has = (item) => (readValue(item) ?? null) !== null;
	const compare = (a, b) =>
		readValue(a) < readValue(b) ? -1 : Number(readValue(a) > readValue(b));
	return [...items].sort((a, b) => has(b) - has(a) || (isDown ? compare(b, a) : compare(a, b)));
}

// Returns the function from a cell to its range of colours.  Incomplete months do not count,
// nor does the first month of retention: its 100 % would make all others pale.
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

function describeCell(cell, metrics, formats) {
	const range = formatInterval(cell.retention_low, cell.retention_high, formats.percent);
	return (
		`Cohort ${formats.date(cell.cohort)}, month ${cell.months_since}` +
		`${isIncomplete(cell) ? INCOMPLETE : ""}: ${describeRow(cell, metrics, formats)}` +
		(range && ` · Retention ${range}`)
	);
}

// Returns the words at both ends of the legend of colours.
function legendEnds({ column }, scale, domain, formats) {
	if (scale !== "table") return ["low", `high, within ${SCALES[scale]}`];
	const [low, high] = domain.map((value) => formatValue(column, value, formats));
	return [`${low} or less`, `${high} or more`];
}

// The table, which is the heat map.  Pointer and keys move in it, sort it and select a cohort.
// A place is [month, row]; row -1 is the headings, where -2 is the cohort and -1 its size.
class CohortTable {
	constructor(section, metrics, view, { selection, formats, currency }) {
		Object.assign(this, { section, metrics, view, selection, formats, currency });
		[this.holder, this.readout] = [find("#table"), find(".readout", section)];
		this.order = { column: "cohort", isDown: false };
		on(this.holder, {
			pointerover: (event) => this.answerPointer(event),
			click: (event) => this.answerClick(event),
			keydown: (event) => this.answerKey(event),
		});
		this.clear();
		this.update();
	}

	get scale() {
		return this.selection.scale ?? "table";
	}

	get metric() {
		return this.metrics.find(({ key }) => key === this.selection.metric) ?? this.metrics[0];
	}

	get isWide() {
		return this.view.rows[0].length > MOST_MONTHS_WITH_SIGN;
	}

	update() {
		try {
			this.redraw();
		} catch (error) {
			this.holder.replaceChildren(makeFault(error));
		}
	}

	// Draws the table again for the chosen metric, scale, cohort and order.
	redraw() {
		const { metric, section, scale, currency } = this;
		const cells = this.view.rows.flat();
		const domainOf = makeColourDomains(metric, scale, cells);
		this.shown = this.sortCohorts();
		this.holder.replaceChildren(makeCohortTable(this, cells, domainOf));
		find(`input[value=${metric.key}]`, section).checked = true;
		find("select", section).value = scale;
		find(".note", section).textContent = metric.note + describeUnit(metric, this.isWide, currency);
		const ends = legendEnds(metric, scale, domainOf({}), this.formats);
		findAll(".legend > span", section)
			.slice(0, 2)
			.forEach((node, n) => {
				node.textContent = ends[n];
			});
		if (this.place[1] >= 0) this.show(this.place);
	}

	// Returns the cohorts with their cells, in the chosen order.
	sortCohorts() {
		const { order, metric, view } = this;
		const readValue =
			{
				cohort: ({ cohort }) => cohort.cohort,
				size: ({ cohort }) => cohort.cohort_size,
			}[order.column] ?? (({ cells }) => cells[order.column]?.[metric.column]);
		const rows = view.cohorts.map((cohort, n) => ({ cohort, cells: view.rows[n] }));
		return sortBy(rows, readValue, order.isDown);
	}

	sort(column) {
		const { order } = this;
		order.isDown = order.column === column ? !order.isDown : column !== "cohort";
		order.column = column;
		this.update();
	}

	show([month, row]) {
		this.unmark();
		if (row < 0) this.showHeading(month);
		else this.showCell(month, clamp(row, 0, this.shown.length - 1));
	}

	showHeading(month) {
		const headings = findAll("button", this.holder);
		this.place = [clamp(month, -2, headings.length - 3), -1];
		headings[this.place[0] + 2].focus();
	}

	showCell(month, row) {
		const { cells } = this.shown[row];
		this.place = [clamp(month, 0, cells.length - 1), row];
		this.markedNode().setAttribute("data-here", "");
		showWords(this.readout, () => describeCell(cells[this.place[0]], this.metrics, this.formats));
	}

	markedNode() {
		const [month, row] = this.place;
		return find("tbody", this.holder).rows[row].cells[month + 2];
	}

	unmark() {
		find("[data-here]", this.holder)?.removeAttribute("data-here");
	}

	clear() {
		this.unmark();
		this.place = [0, -1];
		this.readout.textContent =
			"Point at a cell or use the arrow keys to read its figures." +
			" Click or press Enter to highlight its cohort in the curves.";
	}

	toggleCohort(row) {
		this.selection.toggleCohort(this.shown[row].cohort.cohort);
	}

	answerPointer(event) {
		const cell = event.target.closest("tbody td");
		if (cell?.cellIndex > 1) this.show([cell.cellIndex - 2, cell.parentNode.sectionRowIndex]);
	}

	answerClick(event) {
		const line = event.target.closest("tbody tr");
		if (line) this.toggleCohort(line.sectionRowIndex);
		const heading = findAll("button", this.holder).indexOf(event.target);
		if (heading < 0) return;
		this.sort(["cohort", "size"][heading] ?? heading - 2);
		this.show([heading - 2, -1]);
	}

	answerKey(event) {
		if (!find("table", this.holder)) return;
		const [, row] = this.place;
		const next = movePlace(event.key, this.place, this.shown[Math.max(0, row)].cells.length);
		if (next) this.follow(next);
		else if (event.key === "Escape") this.clear();
		else if (event.key === "Enter" && row >= 0) this.toggleCohort(row);
		else return;
		event.preventDefault();
	}

	// Shows a place to which a key has led, with the focus, and scrolls to it.
	follow(place) {
		this.show(place);
		if (this.place[1] < 0) return;
		this.holder.focus();
		this.markedNode().scrollIntoView({ block: "nearest", inline: "nearest" });
	}
}

function renderCohorts(section, view, context) {
	const { selection, formats } = context;
	const metrics = METRICS.filter(({ column }) => view.rows[0]?.[0]?.[column] !== undefined);
	if (!metrics.length) return false;
	addChoices(find("#choices"), metrics, selection);
	const table = new CohortTable(section, metrics, view, context);
	selection.onChange(() => table.update());
	addRows(section, "cohorts", view.rows.flat(), formats);
	return true;
}

function addChoices(holder, metrics, selection) {
	const buttons = metrics.map(({ key, name }) =>
		make("label", {}, make("input", { type: "radio", name: "metric", value: key }), name),
	);
	const scales = make(
		"select",
		{},
		...Object.entries(SCALES).map(([value, words]) => make("option", { value }, words)),
	);
	holder.append(
		on(make("fieldset", {}, make("legend", {}, "Show"), ...buttons), {
			change: (event) => selection.choose("metric", event.target.value),
		}),
		make(
			"label",
			{},
			"Colours span ",
			on(scales, { change: () => selection.choose("scale", scales.value) }),
		),
	);
}

// Returns a format for the cells, in as few letters as possible: money without its sign and,
// when large, without cents; in a wide table percentages without their sign.  The line above
// the table names the unit, the line below has the exact figure.
function makeCellFormat({ key, column }, cells, isWide, formats) {
	if (key === "retention" && isWide) return formats.percentFigure;
	if (!isMoney(column)) return (value) => formatValue(column, value, formats);
	const largest = Math.max(...cells.map((cell) => cell[column] ?? 0)) / formats.divisor;
	const { money, moneyWhole, moneyShort } = makeFormats(null, undefined, formats.digits);
	if (largest >= 1e5) return moneyShort;
	return largest >= 100 ? moneyWhole : money;
}

// Returns the sentence that names the unit of the cells, if they do not show it.
function describeUnit({ key, column }, isWide, currency) {
	const unit = isMoney(column) ? currency : isWide && key === "retention" && "%";
	return unit ? ` In ${unit}.` : "";
}

function makeCohortTable(choice, cells, domainOf) {
	const { view, shown, metric, order, selection, formats, isWide } = choice;
	const months = Array.from(
		{ length: Math.max(...shown.map((row) => row.cells.length)) },
		(_, month) => month,
	);
	const format = makeCellFormat(metric, cells, isWide, formats);
	const body = shown.map(({ cohort, cells: row }) =>
		makeCohortRow(
			formats.date(cohort.cohort),
			formats.count(cohort.cohort_size),
			row.map((cell) => makeCohortCell(cell, metric, domainOf(cell), format)),
			cohort.cohort === selection.cohort ? { "data-chosen": "" } : {},
		),
	);
	const means = months.map((month) =>
		makeAverageCell(view.average[month], metric, format, formats),
	);
	const table = make(
		"table",
		{ class: "heat" },
		make(
			"caption",
			{ class: "hidden" },
			`${metric.name} by cohort and months since the first order`,
		),
		make("thead", {}, ...makeCohortHead(months, order)),
		make("tbody", {}, ...body),
		make(
			"tfoot",
			{},
			makeCohortRow("Average, of cohorts", formats.count(view.summary.customer_count), means),
		),
	);
	table.style.setProperty("--months", months.length);
	return table;
}

function makeCohortHead(months, order) {
	const heading = (column, words, attributes) =>
		make(
			"th",
			{
				scope: "col",
				...attributes,
				...(order.column === column
					? { "aria-sort": order.isDown ? "descending" : "ascending" }
					: {}),
			},
			make("button", { type: "button", tabindex: -1 }, words),
		);
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
	return make(
		"tr",
		attributes,
		make("th", { scope: "row" }, words),
		make("td", {}, size),
		...cells,
	);
}

function makeCohortCell(cell, { key, column }, domain, format) {
	const value = cell[column];
	let look = `h${heatStep(value, domain)}`;
	if (key === "retention" && cell.months_since === 0) look = "first-month";
	if (isIncomplete(cell)) look = "incomplete";
	return make("td", isNumber(value) ? { class: look } : {}, format(value));
}

function makeAverageCell(mean, { column }, format, formats) {
	if (!mean) return make("td");
	return make("td", { "data-of": formats.count(mean.cohort_count) }, format(mean[column]));
}
