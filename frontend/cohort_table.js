// The cohort table, which is the heat map.
"use strict";

function listOrders(count) {
	const columns = ["cohort", "size", ...Array(count).keys()];
	return columns.flatMap((column) => [`${column}`, `-${column}`]);
}

// Items without a value come last in both orders.
function sortBy(items, readValue, isDown) {
	const has = (item) => (readValue(item) ?? null) !== null;
	const compare = (a, b) =>
		readValue(a) < readValue(b) ? -1 : Number(readValue(a) > readValue(b));
	return [...items].sort((a, b) => has(b) - has(a) || (isDown ? compare(b, a) : compare(a, b)));
}

// Pointer and keys move in the table, sort it and select a cohort.
// A place is [month, row]; row -1 is the headings, where -2 is the cohort and -1 its size.
class CohortTable {
	constructor(section, metrics, view, { selection, formats, currency }) {
		Object.assign(this, { section, metrics, view, selection, formats, currency });
		[this.holder, this.readout] = [find("#table"), find(".readout", section)];
		this.link = on(find("#to-curves"), { click: showCurves });
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

	// The word "-3" in the address sorts by the third month, largest first.
	get order() {
		const [, down, column] = /^(-?)(.*)$/.exec(this.selection.sort || "cohort");
		return { column, isDown: down !== "" };
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

	redraw() {
		const { metric, section, scale, currency } = this;
		const cells = this.view.rows.flat();
		const domainOf = makeColourDomains(metric, scale, cells);
		this.shown = this.sortCohorts();
		this.holder.replaceChildren(makeCohortTable(this, cells, domainOf));
		find(`input[value=${metric.key}]`, section).checked = true;
		find("select", section).value = scale;
		find(".note", section).textContent = metric.note + describeUnit(metric, this.isWide, currency);
		fillLegend(
			find(".legend", section),
			cohortEntries(metric, scale, cells, domainOf({}), this.formats),
		);
		this.showChoice();
		if (this.place[1] >= 0) this.show(this.place);
	}

	sortCohorts() {
		const { order, metric, view } = this;
		const readValue =
			{ cohort: ({ cohort }) => cohort.cohort, size: ({ cohort }) => cohort.cohort_size }[
				order.column
			] ?? (({ cells }) => cells[order.column]?.[metric.column]);
		const rows = view.cohorts.map((cohort, n) => ({ cohort, cells: view.rows[n] }));
		return sortBy(rows, readValue, order.isDown);
	}

	sort(column) {
		const { order } = this;
		const isDown = order.column === column ? !order.isDown : column !== "cohort";
		this.selection.choose("sort", `${isDown ? "-" : ""}${column}`);
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

	// The curves may be out of sight, so a button leads there.
	showChoice() {
		const { cohort } = this.selection;
		this.link.hidden = !cohort;
		this.link.textContent = `${this.formats.date(cohort)} is highlighted in the curves. Show them`;
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
		this.sort(["cohort", "size"][heading] ?? String(heading - 2));
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

	follow(place) {
		this.show(place);
		if (this.place[1] < 0) return;
		this.holder.focus();
		this.markedNode().scrollIntoView({ block: "nearest", inline: "nearest" });
	}
}

function showCurves() {
	const plot = find("#curves .plot");
	plot.scrollIntoView({ block: "center" });
	plot.focus();
}

function renderCohorts(section, view, context) {
	const { selection, formats } = context;
	const metrics = METRICS.filter(({ column }) => view.rows[0]?.[0]?.[column] !== undefined);
	if (!metrics.length) return false;
	addChoices(find("#choices"), metrics, selection);
	const table = new CohortTable(section, metrics, view, context);
	selection.onChange(() => table.update());
	const columns = ["cohort", "months_since", "cohort_size", ...metrics.map(({ column }) => column)];
	addRows(section, "cohorts", view.rows.flat(), formats, { columns });
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
