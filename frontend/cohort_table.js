"use strict";

function listOrders(count) {
	const columns = ["cohort", "size", ...Array(count).keys()];
	return columns.flatMap((column) => [`${column}`, `-${column}`]);
}

function sortBy(items, readValue, isDown) {
	const has = (item) => (readValue(item) ?? null) !== null;
	const compare = (a, b) =>
		readValue(a) < readValue(b) ? -1 : Number(readValue(a) > readValue(b));
	return [...items].sort((a, b) => has(b) - has(a) || (isDown ? compare(b, a) : compare(a, b)));
}

// A place is [month, row]; row -1 is the headings, where -2 is the cohort and -1 its size.
class CohortTable {
	constructor(section, metrics, view, selection, formats) {
		Object.assign(this, { section, metrics, view, selection, formats });
		[this.holder, this.readout] = [find("#table"), find(".readout", section)];
		this.link = on(find("#to-curves"), { click: showCurves });
		on(this.holder, {
			pointerover: (event) => this.answerPointer(event),
			click: (event) => this.answerClick(event),
			keydown: (event) => this.answerKey(event),
		});
		this.clear();
		selection.follow(() => this.update());
	}

	// The word "-3" in the address sorts by the third month, largest first.
	get order() {
		const [, down, column] = /^(-?)(.*)$/.exec(this.selection.sort || "cohort");
		return { column, isDown: down !== "" };
	}

	get metric() {
		return this.metrics.find(({ key }) => key === this.selection.metric) ?? this.metrics[0];
	}

	get columns() {
		return this.metrics.map(({ column }) => column);
	}

	update() {
		const showFault = (error) => this.holder.replaceChildren(makeFault(error));
		attempt(() => this.redraw(), showFault);
	}

	redraw() {
		const { metric, section, formats } = this;
		const { scale = "table" } = this.selection;
		const cells = this.view.rows.flat();
		const domainOf = makeColourDomains(metric, scale, cells);
		this.shown = this.sortCohorts();
		this.holder.replaceChildren(makeCohortTable(this, cells, domainOf));
		find(".note", section).textContent = metric.note + describeUnit(metric, formats.currency);
		const entries = cohortEntries(metric, scale, cells, domainOf({}), formats);
		find(".legend", section).replaceWith(makeLegend(entries));
		this.showChoice();
		if (this.place[1] >= 0) this.show(this.place);
	}

	sortCohorts() {
		const { column, isDown } = this.order;
		const readValue = ({ cohort, cells }) =>
			({ cohort: cohort.cohort, size: cohort.cohort_size })[column] ??
			cells[column]?.[this.metric.column];
		const lines = this.view.cohorts.map((cohort, n) => ({ cohort, cells: this.view.rows[n] }));
		return sortBy(lines, readValue, isDown);
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
		find("tbody", this.holder).rows[row].cells[this.place[0] + 2].dataset.here = "";
		showWords(this.readout, () => describeCell(cells[this.place[0]], this.columns, this.formats));
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

	showChoice() {
		const { cohort } = this.selection;
		this.link.hidden = !cohort;
		this.link.textContent = `${this.formats.date(cohort)} is highlighted in the curves. Show them`;
	}

	toggleCohort(row) {
		const { cohort } = this.shown[row].cohort;
		this.selection.choose("cohort", this.selection.cohort === cohort ? "" : cohort);
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
		find("[data-here]", this.holder).scrollIntoView({ block: "nearest", inline: "nearest" });
	}
}

function showCurves() {
	const plot = find("#curves .plot");
	plot.scrollIntoView({ block: "center" });
	plot.focus();
}

function renderCohorts(section, view, selection, formats) {
	const metrics = METRICS.filter(({ column }) => view.rows[0]?.[0]?.[column] !== undefined);
	if (!metrics.length) return false;
	const names = metrics.map(({ key, column }) => [key, columnLabel(column)]);
	find("#choices").append(
		makeChoice("Show ", names, selection, "metric"),
		makeChoice("Colours span ", Object.entries(SCALES), selection, "scale"),
	);
	const table = new CohortTable(section, metrics, view, selection, formats);
	const columns = ["cohort", "months_since", "cohort_size", ...table.columns];
	addRows(section, view.rows.flat(), formats, { columns });
	return true;
}
