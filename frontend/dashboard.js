// Draws report.json and query_result.json; formats their figures, never computes one.
"use strict";

const SCHEMA_MAJOR = "1";
const FILES = {
	report: { name: "report.json", command: "python ingest.py --report" },
	query: { name: "query_result.json", command: "python run_query.py" },
};
const SERVE = "python serve_frontend.py";
const LOAD = "python ingest.py --ingest";

const HEAT_STEPS = 7;
const NO_FIGURE = "–";
const RUNNING = " (still running)";
const NET = "cum_net_per_customer_cents";
// An average of fewer cohorts is not drawn: it leaps when a cohort leaves it.
const FEW_COHORTS = 5;

// The word in the address, the column in the JSON, name and meaning.
const METRICS = [
	["retention", "retention", "Retention",
		"Share of the cohort with a valid order in that month."],
	["cum_net", NET, "Cumulative net",
		"Net revenue per customer, from the first month up to that one."],
	["cum_margin", "cum_margin_per_customer_cents", "Cumulative margin",
		"Net revenue less cost per customer, up to that month."],
	["orders", "order_count", "Orders", "Valid orders of the cohort in that month."],
	["aov", "aov_cents", "AOV", "Average order value: net revenue per valid order."],
].map(([key, column, name, note]) => ({ key, column, name, note }));
const SCALES = { table: "the whole table", month: "each month", cohort: "each cohort" };

// Key figures: name, figure of `kpis`, column of its trend and what that counts.
const CARDS = [
	["Net revenue", "revenue_cents", "net_cents", ""],
	["Valid orders", "order_count", "order_count", ""],
	["Customers", "customer_count", "new_customers", " new"],
	["Average order", "aov_cents", "aov_cents", ""],
	["Repeat rate", "repeat_rate", "returning_share", " of buyers were not new"],
	["Refund rate", "refund_rate", "refund_rate", ""],
];

// Charts by month: the columns to stack, bottom first, with their colours; others to tell.
const MONTH_CHARTS = {
	revenue: {
		trend: "revenue_by_month", series: { net_cents: 1, discount_cents: 4, refund_cents: 3 },
		others: ["order_count", "aov_cents", "refund_rate"],
	},
	customers: {
		trend: "revenue_by_month", series: { returning_customers: 1, new_customers: 4 }, others: [],
	},
	orders: {
		trend: "refunds_and_cancellations",
		series: { order_count: 1, pending_count: 4, cancelled_count: 3 },
		others: ["cancellation_rate", "returned_count", "partially_returned_count", "return_rate"],
	},
};
const PANEL_COLUMNS = {
	category_mix: ["category", "gross_cents", "gross_share"],
	top_products: ["product_name", "unit_count", "gross_cents"],
	payment_methods: ["method", "failure_rate", "charged_cents", "charged_share"],
	countries: ["country_code", "net_cents", "net_share"],
};

const COLUMN_LABELS = {
	aov_cents: "AOV", sku: "SKU", product_id: "ID", acquisition_channel: "Channel",
	failure_rate: "Failed", orders_per_customer: "Orders",
};
const VERDICTS = {
	pass: "✓ Data sound", warn: "! Data sound, with warnings", fail: "✕ Data not sound",
};

// ---- Pure functions: data in, data out

const isNumber = Number.isFinite;
const isMoney = (column) => column.endsWith("_cents");
const isRunning = (row) => row.is_complete === 0;
const clamp = (n, low, high) => Math.min(high, Math.max(low, n));

// Returns how figures and dates are written, by the reader's locale if none is given;
// currency is an ISO 4217 code or null.
function makeFormats(currency, locale) {
	const number = (digits, options, scale = 1) => {
		const format = new Intl.NumberFormat(locale, { maximumFractionDigits: digits, ...options });
		return (value) => (isNumber(value) ? format.format(value / scale) : NO_FIGURE);
	};
	const money = (digits, options) => {
		const plain = { minimumFractionDigits: digits, ...options };
		try {
			if (currency) return number(digits, { style: "currency", currency, ...plain }, 100);
		} catch { /* not a currency code: a plain number is still right */ }
		return number(digits, plain, 100);
	};
	const date = (options) => {
		const format = new Intl.DateTimeFormat(locale, { timeZone: "UTC", ...options });
		return (year, month, day = 1) => format.format(Date.UTC(year, month - 1, day));
	};
	const month = date({ year: "numeric", month: "short" });
	const day = date({ year: "numeric", month: "short", day: "numeric" });
	const weekday = date({ weekday: "short" });
	const percent = { style: "percent", minimumFractionDigits: 1 };
	const short = { notation: "compact", minimumFractionDigits: 0 };
	return {
		money: money(2),
		moneyWhole: money(0),
		moneyShort: money(1, short),
		count: number(2),
		countShort: number(1, short),
		percent: number(1, percent),
		change: number(1, { ...percent, signDisplay: "exceptZero" }),
		// The first of January 2024 was a Monday, as day 0 is.
		weekday: (n) => weekday(2024, 1, 1 + n),
		// "2024-03" and "2024-03-09" as the reader writes them, anything else as it is.
		date: (text) => {
			const [, ...parts] = /^(\d{4})-(0[1-9]|1[0-2])(?:-(\d\d))?$/.exec(text) ?? [];
			if (!parts.length) return String(text ?? NO_FIGURE);
			return parts[2] ? day(...parts) : month(...parts);
		},
		country: (code) => {
			try {
				return new Intl.DisplayNames(locale, { type: "region" }).of(code);
			} catch {
				return String(code);
			}
		},
	};
}

function columnLabel(column) {
	// "order_count" is Orders, "placed_count" Placed, "net_share" the share in its table.
	const words = COLUMN_LABELS[column] ?? column.replace(/_(cents|code|name)$/, "")
		.replace(/(ed|ing)?_count$/, (_, end) => end ?? "s")
		.replace(/^(net|gross|charged|customer)_share$/, "share").replace(/_/g, " ");
	return words.charAt(0).toUpperCase() + words.slice(1);
}

// Returns a cell's text; the column's name tells its unit.
function formatValue(column, value, to) {
	if (value === null || value === undefined) return NO_FIGURE;
	if (/month$|_date$/.test(column)) return to.date(value);
	if (column === "country_code") return to.country(value);
	if (/^(method|acquisition_channel)$/.test(column)) return String(value).replace(/_/g, " ");
	if (!isNumber(value)) return String(value);
	if (column === "weekday") return to.weekday(value);
	if (isMoney(column)) return to.money(value);
	if (/(^|_)(rate|share|retention)$/.test(column)) return to.percent(value);
	if (/(^|_)(id|seed)$/.test(column)) return String(value);
	return to.count(value);
}

function describeRow(row, columns, to) {
	return columns.map(({ column, name }) => `${name} ${formatValue(column, row[column], to)}`)
		.join(" · ");
}

function between(low, high, write) {
	return isNumber(low) ? `95% ${write(low)} to ${write(high)}` : "";
}

// A text that a spreadsheet would take for a formula gets an apostrophe in front, as OWASP
// advises.
function toCsv(rows) {
	const columns = Object.keys(rows[0] ?? {});
	const write = (value) => (isNumber(value) ? value : value === null || value === undefined ? ""
		: `"${String(value).replace(/^[=+\-@\t\r]/, "'$&").replace(/"/g, '""')}"`);
	const lines = [columns, ...rows.map((row) => columns.map((column) => row[column]))];
	return lines.map((line) => `${line.map(write).join(",")}\n`).join("");
}

function niceTicks(low, high, count) {
	const span = high - low || 1;
	const power = 10 ** Math.floor(Math.log10(span / count));
	const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((size) => span / size <= count);
	const first = Math.floor(low / step);
	return Array.from({ length: Math.ceil(high / step) - first + 1 }, (_, n) => (first + n) * step);
}

// Colours span the 5th to the 95th percentile: one odd cohort must not make all others
// look alike.
function colourDomain(values) {
	const sorted = values.filter(isNumber).sort((a, b) => a - b);
	if (!sorted.length) return [0, 0];
	return [0.05, 0.95].map((share) => sorted[Math.round(share * (sorted.length - 1))]);
}

function heatStep(value, [low, high]) {
	if (high <= low) return Math.floor(HEAT_STEPS / 2);
	return clamp(Math.floor(((value - low) / (high - low)) * HEAT_STEPS), 0, HEAT_STEPS - 1);
}

// Returns what tells a cell's colour range.  Months that still run are left out, and the
// first of retention, whose 100 % would make all others pale.
function scaleDomains({ key, column }, scale, cells) {
	const groupOf = (cell) => ({ month: cell.months_since, cohort: cell.cohort_month })[scale];
	const groups = new Map();
	for (const cell of cells) {
		if (isRunning(cell) || (key === "retention" && cell.months_since === 0)) continue;
		if (!groups.has(groupOf(cell))) groups.set(groupOf(cell), []);
		groups.get(groupOf(cell)).push(cell[column]);
	}
	for (const [name, values] of groups) groups.set(name, colourDomain(values));
	return (cell) => groups.get(groupOf(cell)) ?? [0, 0];
}

function linePath(points) {
	return points.map(([x, y], n) => `${n ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
}

function boxPath(left, top, width, height) {
	return `M${left} ${top}h${width}v${height}h${-width}z`;
}

// Returns [from, to] of each value of a stack: up from zero, or down when negative.
function stackSpans(values) {
	let [up, down] = [0, 0];
	return values.map((value) => (value < 0 ? [down, down += value] : [up, up += value ?? 0]));
}

function cohortRows(cohorts, cells) {
	const rows = new Map(cohorts.map((cohort) => [cohort.cohort_month, []]));
	for (const cell of cells) rows.get(cell.cohort_month)?.splice(cell.months_since, 1, cell);
	return [...rows.values()];
}

// Those without a value come last, whatever the order.
function sortBy(items, valueOf, isDown) {
	const has = (item) => (valueOf(item) ?? null) !== null;
	const compare = (a, b) => (valueOf(a) < valueOf(b) ? -1 : Number(valueOf(a) > valueOf(b)));
	return [...items].sort((a, b) => has(b) - has(a) || (isDown ? compare(b, a) : compare(a, b)));
}

// Returns what "#cohort=2025-03&metric=retention" asks for, as far as the words are known.
function readAddress(hash, known) {
	const wanted = [...new URLSearchParams(hash.replace(/^#/, ""))];
	return Object.fromEntries(wanted.filter(([name, word]) => known[name]?.includes(word)));
}

function movePlace(key, [column, row], columns) {
	return {
		ArrowLeft: [column - 1, row], ArrowRight: [column + 1, row],
		ArrowUp: [column, row - 1], ArrowDown: [column, row + 1],
		Home: [0, row], End: [columns - 1, row],
	}[key];
}

function readDocument(text) {
	let document;
	try {
		document = JSON.parse(text);
	} catch {
		return { fault: "is not JSON." };
	}
	if (Object.prototype.toString.call(document) !== "[object Object]") {
		return { fault: "holds no results." };
	}
	const version = String(document.schema_version ?? "none");
	if (version.split(".")[0] === SCHEMA_MAJOR) return { document };
	return { fault: `has schema version ${version}; this page reads ${SCHEMA_MAJOR}.x.` };
}

function isEmpty({ cohorts, kpis }) {
	return cohorts ? cohorts.length === 0 : kpis?.order_count === 0;
}

// Tells whether both documents are of the same rows; undefined if they do not say.
function belongTogether(report, query) {
	const [one, other] = [report, query].map((file) => file?.dataset?.content_sha256);
	return one && other ? one === other : undefined;
}

// Returns "order_id 7; order_id 9; …" of a check, or why it could not be made.
function sampleWords({ columns = [], sample = [], key = columns, note, count }) {
	if (note) return note;
	const shown = sample.slice(0, 3);
	const words = shown.map((row) => columns.map((column, n) => [column, row[n]])
		.filter(([column]) => key.includes(column))
		.map(([column, value]) => `${column} ${value ?? NO_FIGURE}`).join(", "));
	return words.join("; ") + (count > shown.length && shown.length ? "; …" : "");
}

// ---- The page: building blocks

const find = (selector, root = document) => root.querySelector(selector);
const findAll = (selector, root = document) => [...root.querySelectorAll(selector)];

function on(node, handlers) {
	for (const [name, handle] of Object.entries(handlers)) node.addEventListener(name, handle);
	return node;
}

function fill(node, attributes, children) {
	for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
	node.append(...children);
	return node;
}

function make(name, attributes = {}, ...children) {
	return fill(document.createElement(name), attributes, children);
}

function draw(svg, name, attributes, ...words) {
	const node = document.createElementNS("http://www.w3.org/2000/svg", name);
	svg.append(fill(node, attributes, words));
	return node;
}

function drawPath(svg, name, d = "") {
	return draw(svg, "path", { class: name, d });
}

function write(svg, x, y, words, place = "middle") {
	draw(svg, "text", { x, y, class: place }, words);
}

// Adds a chart that answers pointer and arrow keys with a line of words below it.  paint(svg,
// width) draws and returns { locate, mark }: which place [column, row] a point lies on, and
// how to show it.  Returns how to show another place, then the one to come back to.
function addChart(section, { height, size, start, paint, describe, choose }) {
	const title = find("h2", section).textContent;
	const plot = make("div", {
		class: "plot", tabindex: 0, role: "group",
		"aria-label": `${title}. The arrow keys move, the line below tells the figures.`,
	});
	const readout = make("p", { class: "readout", "aria-live": "polite" });
	section.append(plot, readout);
	let [home, place, drawnWidth, view] = [start, start, 0];

	const show = (next) => {
		place = next.map((n, axis) => clamp(n, 0, size[axis] - 1));
		view.mark(place);
		readout.textContent = describe(place);
	};
	const repaint = () => {
		const width = Math.max(240, plot.clientWidth);
		if (width === drawnWidth) return;
		drawnWidth = width;
		plot.replaceChildren();
		view = paint(draw(plot, "svg", {
			viewBox: `0 0 ${width} ${height}`, height, "aria-hidden": true }), width);
		show(place);
	};
	on(plot, {
		pointermove: (event) => {
			const box = plot.firstChild.getBoundingClientRect();
			show(view.locate(event.clientX - box.left, event.clientY - box.top));
		},
		pointerleave: () => show(home),
		click: () => choose?.(place),
		keydown: (event) => {
			const next = event.key === "Escape" ? home : movePlace(event.key, place, size[0]);
			if (next) show(next);
			else if (event.key === "Enter" && choose) choose(place);
			else return;
			event.preventDefault();
		},
	});
	repaint();
	new ResizeObserver(repaint).observe(plot);
	return (next) => show(home = next);
}

// Draws the value axis and returns how a value becomes a height in the drawing.
function drawAxis(svg, values, { left, right, top, bottom }, format) {
	const ticks = niceTicks(Math.min(0, ...values), Math.max(0, ...values), 4);
	const [first, last] = [ticks[0], ticks.at(-1)];
	const y = (value) => bottom - ((value - first) / (last - first || 1)) * (bottom - top);
	drawPath(svg, "grid", ticks.map((tick) => `M${left} ${y(tick)}H${right}`).join(""));
	for (const tick of ticks) write(svg, left - 8, y(tick) + 4, format(tick), "end");
	return y;
}

function addLegend(section, names) {
	section.append(make("ul", { class: "legend" },
		...names.map(([name, words]) => make("li", { class: name }, words))));
}

// Returns a table of rows; the first column names the row and carries a bar as long as
// the column `bar` says.  A brief table leaves out cents.
function makeTable(rows, columns, to, { caption, bar, isBrief }) {
	const most = (column) => Math.max(...rows.map((row) => row[column] ?? 0));
	const kinds = columns.map((column, n) => (
		n && rows.some((row) => isNumber(row[column])) ? {} : { class: "text" }));
	const head = columns.map((column, n) => (
		make("th", { scope: "col", ...kinds[n] }, columnLabel(column))));
	const body = rows.map((row) => make("tr", {}, ...columns.map((column, n) => {
		const value = row[column];
		const text = isBrief && isMoney(column) ? to.moneyWhole(value)
			: formatValue(column, value, to);
		if (n) return make("td", column === "result" ? { "data-status": text } : kinds[n], text);
		const cell = make("th", { scope: "row" }, text, isRunning(row) ? RUNNING : "");
		if (most(bar) > 0) {
			cell.className = "bar";
			// The policy forbids a style attribute, not a property that the script sets.
			cell.style.setProperty("--share", Math.max(0, row[bar] / most(bar)));
		}
		return cell;
	})));
	return make("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": caption },
		make("table", {}, make("caption", { class: isBrief ? "hidden" : "" }, caption),
			make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body)));
}

// Returns a folded table of all rows, built when it is first opened, or printed.
function makeFold(words, rows, to, caption) {
	const fold = make("details", {}, make("summary", {}, words));
	const columns = Object.keys(rows[0] ?? {}).filter((column) => column !== "is_complete");
	const build = () => {
		if (fold.children.length === 1) fold.append(makeTable(rows, columns, to, { caption }));
	};
	return on(fold, { toggle: build, build });
}

// Adds the rows behind a panel: as a CSV file to save, and in a folded table.
function addRows(section, name, rows, to, table = rows) {
	const caption = find("h2", section).textContent;
	const button = make("button", {
		type: "button", class: "save", "aria-label": `CSV: ${caption}` }, "CSV");
	find("h2", section).after(on(button, {
		click: () => {
			const href = URL.createObjectURL(new Blob([toCsv(rows)], { type: "text/csv" }));
			make("a", { href, download: `${name}.csv` }).click();
			setTimeout(URL.revokeObjectURL, 1e4, href);
		},
	}));
	section.append(makeFold("Show the numbers", table, to, caption));
}

// Runs a panel's function; a panel that cannot be drawn says so and harms no other.
function drawPanel(section, render) {
	try {
		section.hidden = render(section) === false;
	} catch (error) {
		section.hidden = false;
		section.append(make("p", { class: "notice bad" },
			`This part of the file cannot be drawn: ${error.message}`));
	}
}

function renderCards(list, cards) {
	list.replaceChildren(...cards.map(({ name, value = "", text, notes, line = [] }) => {
		const figure = make("dd", {}, make("data", { value }, text));
		const known = line.filter(isNumber);
		if (known.length > 1) drawSpark(figure, known);
		return make("div", {}, make("dt", {}, name), figure,
			...notes.filter(Boolean).map((note) => make("dd", { class: "soft" }, note)));
	}));
}

function drawSpark(holder, line) {
	const [low, high] = [Math.min(...line), Math.max(...line)];
	const points = line.map((value, n) => [
		2 + (n / (line.length - 1)) * 90, 26 - ((value - low) / (high - low || 1)) * 22]);
	const svg = draw(holder, "svg", { viewBox: "0 0 96 30", class: "spark", "aria-hidden": true });
	drawPath(svg, "line series-1", linePath(points));
}

// ---- The page: report.json

function renderReport(report) {
	const to = makeFormats(report.currency);
	const { trends = {}, kpis = {}, verdict = {} } = report;
	const left = new Set(Object.keys(trends));
	// A trend without rows shows why, if the file says so, and is left out otherwise.
	const drawTrend = (section, name, render) => drawPanel(section, () => {
		const { rows = [], note } = trends[name] ?? {};
		left.delete(name);
		if (rows.length) return render(section, rows, to, name);
		if (note) section.append(make("p", {}, `Not known: ${note}.`));
		return Boolean(note);
	});
	const badge = find("#verdict");
	badge.dataset.status = verdict.status;
	badge.textContent = VERDICTS[verdict.status] ?? "Data not checked";
	badge.hidden = false;
	drawPanel(find("#kpis dl[data-file=report]"),
		(list) => renderCards(list, reportCards(report, kpis, trends.revenue_by_month?.rows, to)));
	for (const [name, { trend }] of Object.entries(MONTH_CHARTS)) {
		drawTrend(find(`#${name}`), trend, renderMonths);
	}
	drawTrend(find("#hours"), "weekday_by_hour", renderHours);
	for (const section of findAll("[data-trend]")) {
		drawTrend(section, section.dataset.trend, renderTrend);
	}
	drawPanel(find("#more"), (section) => {
		const rest = [...left].map((name) => ({ title: columnLabel(name), rows: [], ...trends[name] }))
			.filter(({ rows }) => rows.length);
		section.append(...rest.map(({ title, rows }) => makeFold(title, rows, to, title)));
		return rest.length > 0;
	});
	drawPanel(find("#checks"), (section) => renderChecks(section, report, to));
}

function reportCards({ definitions = {} }, kpis, months = [], to) {
	const complete = months.filter((row) => !isRunning(row));
	const last = complete.at(-1) ?? {};
	return CARDS.map(([name, figure, column, words]) => {
		const value = kpis[figure];
		const short = (of, cents) => (isMoney(of) && Math.abs(value) >= 1e6
			? to.moneyWhole(cents) : formatValue(of, cents, to));
		const change = kpis.last_complete_month?.change_on_year?.[column];
		return {
			name, value, text: short(figure, value), line: complete.map((row) => row[column]),
			notes: [definitions[figure], isNumber(last[column])
				&& `${to.date(last.month)}: ${short(column, last[column])}${words}`
					+ (isNumber(change) ? `, ${to.change(change)} on a year before` : "")],
		};
	});
}

function renderMonths(section, rows, to, name) {
	const { series, others } = MONTH_CHARTS[section.id];
	const columns = Object.keys(series);
	if (rows[0][columns[0]] === undefined) return false;
	const last = rows.map(isRunning).lastIndexOf(false);
	const told = [...columns, ...others].map((column) => ({ column, name: columnLabel(column) }));
	addLegend(section, [
		...columns.map((column) => [`series-${series[column]}`, columnLabel(column)]),
		...(rows.some(isRunning) ? [["striped", "Month still running"]] : [])]);
	addChart(section, {
		height: 250, size: [rows.length, 1],
		start: [last < 0 ? rows.length - 1 : last, 0],
		paint: (svg, width) => drawMonths(svg, width, rows, series, to),
		describe: ([n]) => `${to.date(rows[n].month)}${isRunning(rows[n]) ? RUNNING : ""}: `
			+ describeRow(rows[n], told, to),
	});
	addRows(section, name, rows, to);
	return true;
}

function drawMonths(svg, width, rows, series, to) {
	const [left, right, top, bottom] = [52, width - 4, 10, 222];
	const columns = Object.keys(series);
	const spans = rows.map((row) => stackSpans(columns.map((column) => row[column])));
	const y = drawAxis(svg, spans.flat(2), { left, right, top, bottom },
		isMoney(columns[0]) ? to.moneyShort : to.countShort);
	const band = (right - left) / rows.length;
	const barWidth = Math.min(40, band * 0.72);
	const box = (n, [from, until]) => boxPath(left + band * n + (band - barWidth) / 2,
		y(Math.max(from, until)), barWidth, Math.abs(y(from) - y(until)));
	const boxes = (name, boxOf) => drawPath(svg, name, rows.map(boxOf).join(""));
	const cursor = draw(svg, "rect", {
		class: "cursor", y: top, height: bottom - top, width: band });
	columns.forEach((column, layer) => boxes(
		`series-${series[column]}`, (_, n) => box(n, spans[n][layer])));
	boxes("striped", (row, n) => (isRunning(row) ? spans[n].map((span) => box(n, span)).join("") : ""));
	const step = [1, 2, 3, 6, 12, 24, 60].find((size) => band * size >= 72) ?? 120;
	for (let n = 0; n < rows.length; n += step) {
		write(svg, Math.max(left + 24, left + band * (n + 0.5)), bottom + 18, to.date(rows[n].month));
	}
	return {
		locate: (x) => [Math.floor((x - left) / band), 0],
		mark: ([n]) => cursor.setAttribute("x", left + band * n),
	};
}

function renderHours(section, rows, to) {
	const counts = Array.from({ length: 7 }, () => Array(24).fill(0));
	for (const row of rows) {
		if (counts[row.weekday]) counts[row.weekday][row.hour] = row.order_count;
	}
	addChart(section, {
		height: 232, size: [24, 7], start: [12, 0],
		paint: (svg, width) => drawHours(svg, width, counts, to),
		describe: ([hour, day]) => `${to.weekday(day)}, ${hour}:00 to ${hour + 1}:00:`
			+ ` ${to.count(counts[day][hour])} orders`,
	});
	addRows(section, "weekday_by_hour", rows, to, counts.map((row, day) => ({
		weekday: day, ...Object.fromEntries(row.map((count, hour) => [`${hour} h`, count])),
	})));
}

// One path a colour step instead of one node a cell: the page stays light.
function drawHours(svg, width, counts, to) {
	const domain = colourDomain(counts.flat());
	const [left, top, height] = [40, 4, 28];
	const across = (width - left - 2) / 24;
	const box = (hour, day, gap) => boxPath(left + across * hour + gap, top + height * day + gap,
		across - 2 * gap, height - 2 * gap);
	const paths = Array(HEAT_STEPS).fill("");
	counts.forEach((row, day) => {
		write(svg, left - 8, top + height * day + 18, to.weekday(day), "end");
		row.forEach((count, hour) => {
			paths[heatStep(count, domain)] += box(hour, day, 1);
		});
	});
	paths.forEach((d, step) => drawPath(svg, `h${step}`, d));
	for (let hour = 0; hour < 24; hour += 6) {
		write(svg, left + across * (hour + 0.5), top + height * 7 + 18, hour);
	}
	const cursor = drawPath(svg, "ring");
	return {
		locate: (x, y) => [Math.floor((x - left) / across), Math.floor((y - top) / height)],
		mark: ([hour, day]) => cursor.setAttribute("d", box(hour, day, 0)),
	};
}

function renderTrend(section, rows, to, name) {
	const columns = PANEL_COLUMNS[name].filter((column) => column in rows[0]);
	section.append(makeTable(rows.slice(0, 5), columns, to, {
		caption: find("h2", section).textContent, bar: columns.at(-1), isBrief: true }));
	addRows(section, name, rows, to);
}

function renderChecks(section, { checks = [], verdict }, to) {
	const rank = ["fail", "warn", "info", "pass"];
	const rows = sortBy(checks, (check) => rank.indexOf(check.status)).map((check) => ({
		check: check.title ?? check.check, result: check.status,
		row_count: check.count, for_example: sampleWords(check), all_rows: check.all_rows ?? "",
	}));
	const passed = rows.filter(({ result }) => result === "pass");
	const others = rows.filter(({ result }) => result !== "pass");
	section.append(make("p", {}, verdict?.text ?? "The file states no verdict."));
	if (others.length) {
		section.append(makeTable(others, Object.keys(others[0]), to, { caption: "What was found" }));
	}
	if (passed.length) {
		section.append(makeFold(`${passed.length} checks passed`, passed, to, "Checks that passed"));
	}
}

// ---- The page: query_result.json

function renderQuery(query) {
	const to = makeFormats(query.currency);
	for (const { cohorts = [], cells = [] } of [query, query.forecast ?? {}]) {
		for (const one of [...cohorts, ...cells]) one.cohort_month ??= one.cohort_quarter;
	}
	if (query.options?.cohort === "quarter") find("#cohorts span").textContent = "quarter";
	const { cohorts = [], cells = [], average = [], summary = {}, forecast } = query;
	const view = { cohorts, average, summary, forecast, rows: cohortRows(cohorts, cells) };
	const known = {
		cohort: cohorts.map((cohort) => cohort.cohort_month),
		metric: METRICS.map(({ key }) => key), scale: Object.keys(SCALES),
	};
	const state = { ...readAddress(location.hash, known), followers: [] };
	const follow = () => state.followers.forEach((update) => update());
		state.choose = (name, word) => {
		state[name] = word;
		const words = Object.keys(known).filter((key) => state[key]).map((key) => [key, state[key]]);
		history.replaceState(null, "", `#${new URLSearchParams(words)}`);
		follow();
	};
	on(window, {
		hashchange: () => {
			Object.assign(state, readAddress(location.hash, known));
			follow();
		},
	});
	drawPanel(find("#kpis dl[data-file=query]"), (list) => renderCards(list, queryCards(view, to)));
	drawPanel(find("#clv"), (section) => renderClv(section, view, to));
	drawPanel(find("#curves"), (section) => renderCurves(section, view, state, to));
	drawPanel(find("#cohorts"), (section) => renderCohorts(section, view, state, to, query.currency));
}

function forecastGap(forecast) {
	if (!forecast) return `Forecast: not in this file; ${FILES.query.command} --forecast makes it`;
	return forecast.refused && `Forecast refused: ${forecast.refused}`;
}

function clvCard(summary, months, { money }) {
	const [value, low, high, median, count] = ["", "low_", "high_", "median_"].map(
		(part) => summary[`clv_${months}m_${part}cents`]).concat(summary[`clv_${months}m_cohort_count`]);
	return {
		name: `After ${months} months`, value, text: money(value),
		notes: [between(low, high, money), count
			? `${count} cohort${count === 1 ? "" : "s"}${isNumber(median) ? `, median ${money(median)}` : ""}`
			: `no cohort is ${months} months old yet`],
	};
}

function forecastCard(horizon, { moneyWhole }) {
	const { forecast: value, low, high } = horizon.net_cents;
	return {
		name: `Next ${horizon.months} months`, value, text: moneyWhole(value),
		notes: [between(low, high, moneyWhole)],
	};
}

function queryCards({ summary, cohorts, forecast }, to) {
	const clv = clvCard(summary, 12, to);
	const next = forecast?.total ? forecastCard(forecast.total.at(-1), to)
		: { name: "Next 12 months", text: NO_FIGURE, notes: [] };
	next.notes.push(forecastGap(forecast) ?? "forecast of today’s customers’ net");
	const line = cohorts.map((cohort) => cohort.clv_12m_cents);
	return [{ ...clv, name: "12-month CLV", line }, next];
}

const flatten = (all) => Object.fromEntries(Object.entries(all).flatMap(([name, value]) => (
	isNumber(value) ? [[name, value]]
		: Object.keys(value).map((part) => [`${part}_${name}`, value[part]]))));

function renderClv(section, { summary, forecast, rows }, to) {
	const add = (name, look, text = "") => section.appendChild(make(name, { class: look }, text));
	renderCards(add("dl", "steps"), [3, 6, 12, 24].filter(
		(months) => months < 24 || summary.clv_24m_cohort_count,
	).map((months) => clvCard(summary, months, to)));
	add("p", "soft", forecastGap(forecast)
		?? "Forecast, not fact: net revenue that the customers so far will bring.");
	if (!forecast?.total) return rows.length > 0;
	renderCards(add("dl", "steps ahead"), forecast.total.map((horizon) => forecastCard(horizon, to)));
	const { refused, days, purchases: tested } = forecast.holdout ?? {};
	add("p", "soft", refused ? `Not tested: ${refused}`
		: `Tested on the last ${days} days: ${to.count(tested.forecast)} purchases forecast,`
			+ ` ${to.count(tested.actual)} made (${to.change(tested.error)}).`);
	addRows(section, "forecast", forecast.cohorts.flatMap(({ horizons, ...cohort }) => (
		horizons.map((horizon) => ({ ...cohort, ...flatten(horizon) })))), to);
	return true;
}

// Draws the cohorts' curves and one forecast.
function renderCurves(section, { cohorts, rows, average: all, forecast }, state, to) {
	const few = Math.min(FEW_COHORTS, all[0]?.cohort_count);
	const average = all.filter(({ cohort_count: n }) => n >= few);
	const lines = [...rows, average].map(
		(row) => row.filter((cell) => !isRunning(cell)).map((cell) => cell[NET]));
	if (Math.max(...lines.map((line) => line.length)) < 2) {
		section.append(make("p", {}, "No cohort has two complete months yet."));
		return cohorts.length > 0;
	}
	// The points of each forecast, from the last known: [month, value, low, high].
	const ahead = cohorts.map(({ cohort_month: name }, n) => {
		const of = forecast?.cohorts?.find((one) => one.cohort_month === name);
		const points = (of?.horizons ?? []).map(
			({ months_since: age, [NET]: net = {} }) => [age, net.forecast, net.low, net.high]);
		const { months_since: month, [NET]: value } = rows[n].at(-1) ?? {};
		return points.length && points.flat().every(isNumber)
			? [[month, value, value, value], ...points] : [];
	});
	const points = ahead.flat();
	addLegend(section, [["series-1 line", "Weighted average"], ["series-2 line", "One cohort"],
		["series-3 line", "Cohort pointed at"],
		...(points.length ? [["series-3 line dashed", "its forecast, 95% shaded"]] : [])]);
	// At first: the cohort chosen, else one year and its forecast, else the average.
	const home = () => {
		const chosen = cohorts.findIndex(({ cohort_month: name }) => name === state.cohort);
		const n = chosen < 0 && points.length ? lines.slice(0, -1).findLastIndex(
			(line) => line.length > 12) : chosen;
		return n < 0 ? [Math.min(12, average.length - 1), cohorts.length] : [lines[n].length - 1, n];
	};
	const describe = ([k, n]) => {
		const mean = average[k] ? `weighted average ${to.money(average[k][NET])}`
			+ ` of ${to.count(average[k].cohort_count)} cohorts` : "no average of so few cohorts";
		const { cohort_month: name, cohort_size: size } = cohorts[n] ?? {};
		if (!name) return `After month ${k}: ${mean}`;
		const [month, value, ...bounds] = ahead[n].find(([of], step) => step && of >= k) ?? [];
		return `Cohort ${to.date(name)} (${to.count(size)} customers)`
			+ (k in lines[n] || !month ? ` after month ${k}: ${to.money(lines[n][k])}; ${mean}`
				: `, forecast for month ${month}: ${to.money(value)}, ${between(...bounds, to.money)}`);
	};
	const months = Math.max(...lines.map((line) => line.length), ...points.map(([k]) => k + 1));
	const show = addChart(section, {
		height: 340, size: [months, lines.length], start: home(), describe,
		paint: (svg, width) => drawCurves(svg, width, lines, ahead, months, to),
		choose: ([, n]) => state.choose("cohort", cohorts[n]?.cohort_month),
	});
	state.followers.push(() => show(home()));
	addRows(section, "curves", rows.flat(), to, cohorts);
	return true;
}

// Lines are values by months since; the last one is the average.
function drawCurves(svg, width, lines, ahead, months, to) {
	const [left, right, top, bottom] = [52, width - 14, 10, 296];
	const values = [...lines.flat(), ...ahead.flat().map(([, value]) => value)].filter(isNumber);
	const y = drawAxis(svg, values, { left, right, top, bottom }, to.moneyShort);
	const x = (k) => left + ((right - left) / (months - 1)) * k;
	const path = (points) => linePath(points.filter(([, value]) => isNumber(value))
		.map(([k, value]) => [x(k), Math.max(top, y(value))]));
	const along = (line) => path(line.map((value, k) => [k, value]));
	for (let k = 0; k < months; k += months > 24 ? 6 : months > 12 ? 3 : 1) write(svg, x(k), bottom + 18, k);
	write(svg, (left + right) / 2, bottom + 37, "months since the first order");
	const [average, others] = [lines.at(-1), lines.slice(0, -1)];
	drawPath(svg, "line series-2", others.map(along).join(""));
	const [band, focus, dashed] = ["band", "line series-3", "line series-3 dashed"].map(
		(name) => drawPath(svg, name));
	drawPath(svg, "line series-1", along(average));
	const dot = draw(svg, "circle", { r: 5, class: "dot" });
	return {
		locate: (px, py) => {
			const k = clamp(Math.round(((px - left) / (right - left)) * (months - 1)), 0, months - 1);
			const distance = lines.map((line) => Math.abs(y(line[k] ?? Infinity) - py));
			const n = distance.indexOf(Math.min(...distance));
			return [k, distance[n] < Infinity ? n : others.length];
		},
		mark: ([k, n]) => {
			const points = ahead[n] ?? [];
			const value = lines[n][k] ?? points.find(([month]) => month === k)?.[1];
			focus.setAttribute("d", along(others[n] ?? []));
			dashed.setAttribute("d", path(points));
			band.setAttribute("d", path([...points.map(([month, , low]) => [month, low]),
				...points.map(([month, , , high]) => [month, high]).reverse()]));
			dot.setAttribute("cx", x(k));
			dot.setAttribute("cy", isNumber(value) ? y(value) : -9);
		},
	};
}

// ---- The page: the cohort table

// Draws the table, which is the heat map; pointer and keys move in it, sort it, and choose
// a cohort.
function renderCohorts(section, view, state, to, currency) {
	const { cohorts, rows } = view;
	const offered = METRICS.filter(({ column }) => rows[0]?.[0]?.[column] !== undefined);
	if (!offered.length) return false;
	const [holder, readout] = [find("#table"), find(".readout", section)];
	const order = { column: "cohort", isDown: false };
	let [shown, place] = [[], [0, -1]];

	const unmark = () => find("[data-here]")?.removeAttribute("data-here");
	const show = ([k, n], byKey) => {
		unmark();
		const row = clamp(n, -1, shown.length - 1);
		const headings = findAll("button", holder);
		place = row < 0 ? [clamp(k, -2, headings.length - 3), row]
			: [clamp(k, 0, shown[row].cells.length - 1), row];
		if (row < 0) return headings[place[0] + 2].focus();
		if (byKey) holder.focus();
		const node = find("tbody", holder).rows[row].cells[place[0] + 2];
		node.setAttribute("data-here", "");
		if (byKey) node.scrollIntoView({ block: "nearest", inline: "nearest" });
		readout.textContent = describeCell(shown[row].cells[place[0]], offered, to);
	};
	const leave = () => {
		unmark();
		place = [0, -1];
		readout.textContent = "Point at a cell, or use the arrow keys, to read it; a click, or Enter,"
			+ " follows its cohort in the curves.";
	};
	const update = () => {
		const metric = offered.find(({ key }) => key === state.metric) ?? offered[0];
		const { column } = metric;
		const domainOf = scaleDomains(metric, state.scale, rows.flat());
		const valueOf = {
			cohort: ({ cohort }) => cohort.cohort_month, size: ({ cohort }) => cohort.cohort_size,
		}[order.column] ?? (({ cells }) => cells[order.column]?.[column]);
		shown = sortBy(cohorts.map((cohort, n) => ({ cohort, cells: rows[n] })), valueOf, order.isDown);
		find(`input[value=${metric.key}]`, section).checked = true;
		find("select", section).value = state.scale ?? "table";
		find(".note").textContent = metric.note + (isMoney(column) && currency ? ` In ${currency}.` : "");
		holder.replaceChildren(cohortTable(view, shown, metric, domainOf, order, state, to));
		const scale = SCALES[state.scale ?? "table"];
		const ends = scale === SCALES.table ? domainOf({}).map(
			(value, n) => `${formatValue(column, value, to)} or ${n ? "more" : "less"}`)
			: ["low", `high, of ${scale}`];
		findAll(".legend > span", section).slice(0, 2).forEach((node, n) => {
			node.textContent = ends[n];
		});
		if (place[1] >= 0) show(place);
	};
	const choose = (n) => {
		const { cohort_month: name } = shown[n].cohort;
		state.choose("cohort", state.cohort === name ? "" : name);
	};
	on(holder, {
		pointerover: (event) => {
			const cell = event.target.closest("tbody td");
			if (cell?.cellIndex > 1) show([cell.cellIndex - 2, cell.parentNode.sectionRowIndex]);
		},
		click: (event) => {
			const line = event.target.closest("tbody tr");
			const n = findAll("button", holder).indexOf(event.target);
			if (line) choose(line.sectionRowIndex);
			if (n < 0) return;
			const column = ["cohort", "size"][n] ?? n - 2;
			order.isDown = order.column === column ? !order.isDown : column !== "cohort";
			order.column = column;
			update();
			show([n - 2, -1]);
		},
		keydown: (event) => {
			const next = movePlace(event.key, place, shown[Math.max(0, place[1])].cells.length);
			if (next) show(next, true);
			else if (event.key === "Escape") leave();
			else if (event.key === "Enter" && place[1] >= 0) choose(place[1]);
			else return;
			event.preventDefault();
		},
	});
	const choices = make("fieldset", {}, make("legend", {}, "Show"),
		...offered.map(({ key, name }) => make("label", {},
			make("input", { type: "radio", name: "metric", value: key }), name)));
	const scales = make("select", {}, ...Object.entries(SCALES).map(
		([value, text]) => make("option", { value }, text)));
	find("#choices").append(
		on(choices, { change: (event) => state.choose("metric", event.target.value) }),
		make("label", {}, "Colours span ",
			on(scales, { change: () => state.choose("scale", scales.value) })));
	addRows(section, "cohorts", rows.flat(), to);
	state.followers.push(update);
	update();
	leave();
	return true;
}

function describeCell(cell, metrics, to) {
	const range = between(cell.retention_low, cell.retention_high, to.percent);
	return `Cohort ${to.date(cell.cohort_month)}, month ${cell.months_since}`
		+ `${isRunning(cell) ? RUNNING : ""}: ${describeRow(cell, metrics, to)}`
		+ (range && ` · Retention ${range}`);
}

function cohortTable({ average, summary }, shown, metric, domainOf, order, state, to) {
	// Money without its sign and, when large, without cents: the line above names the
	// currency, the line below has the exact figure.
	const { column } = metric;
	const isLarge = shown.some(({ cells }) => cells.some((cell) => cell[column] >= 100000));
	const money = makeFormats(null)[isLarge ? "moneyWhole" : "money"];
	const text = (value) => (isMoney(column) ? money(value) : formatValue(column, value, to));
	const width = Math.max(...shown.map(({ cells }) => cells.length));
	const numbers = Array.from({ length: width }, (_, n) => n);
	const heading = (name, words, attributes) => make("th", {
		scope: "col", ...attributes,
		...(order.column === name ? { "aria-sort": order.isDown ? "descending" : "ascending" } : {}),
	}, make("button", { type: "button", tabindex: -1 }, words));
	const line = (words, count, cells, attributes = {}) => make("tr", attributes,
		make("th", { scope: "row" }, words), make("td", {}, to.count(count)), ...cells);
	const body = shown.map(({ cohort: { cohort_month: name, cohort_size: size }, cells }) => line(
		to.date(name), size, cells.map((cell) => cohortCell(cell, metric, domainOf(cell), text)),
		name === state.cohort ? { "data-chosen": "" } : {}));
	const means = numbers.map((k) => make("td", average[k] ? {
		"data-of": to.count(average[k].cohort_count) } : {}, average[k] ? text(average[k][column]) : ""));
	return make("table", { class: "heat" },
		make("caption", { class: "hidden" },
			`${metric.name} by cohort and months since the first order`),
		make("thead", {},
			make("tr", {}, heading("cohort", "Cohort", { rowspan: 2, class: "text" }),
				heading("size", "Customers", { rowspan: 2 }),
				make("th", { scope: "colgroup", colspan: width, class: "text" },
					"Months since the first order")),
			make("tr", {}, ...numbers.map((k) => heading(k, k)))),
		make("tbody", {}, ...body), make("tfoot", {},
			line("Average, of cohorts", summary.customer_count, means)));
}

function cohortCell(cell, { key, column }, domain, text) {
	const value = cell[column];
	const isWhole = key === "retention" && cell.months_since === 0;
	const name = isRunning(cell) ? "running" : isWhole ? "whole" : `h${heatStep(value, domain)}`;
	return make("td", isNumber(value) ? { class: name } : {}, text(value));
}

// ---- The page: both files

function renderProvenance(section, report, query) {
	const known = report ?? query;
	const chain = {
		Seed: report?.provenance?.generator?.seed,
		Rows: report?.tables?.map(({ table, rows }) => `${table} ${rows}`).join(" · "),
		"Loaded content": known.dataset?.content_sha256,
		Database: known.database?.sha256,
		Query: query?.query?.sha256,
		"Report and query result": {
			true: "✓ tell of the same rows", false: "✕ do not belong together",
		}[belongTogether(report, query)],
	};
	const rows = Object.entries(chain).filter(([, what]) => what)
		.map(([link, what]) => ({ link, what }));
	section.append(makeTable(rows, ["link", "what"], makeFormats(null), {
		caption: "Provenance", isBrief: true }));
}

// Shows notices as { text, commands }; commands stand apart, ready to copy.
function renderNotices(notices) {
	find("#notices").replaceChildren(...notices.map(({ text, commands }) => make(
		"p", { class: "notice bad" }, text,
		...commands.flatMap((command) => [" ", make("code", {}, command)]),
		" Then load this page again.")));
}

// Returns the document in a file; where it cannot be had, say(words, command) tells why.
async function readFile({ name }, say) {
	let response;
	let text;
	try {
		response = await fetch(`data/${name}`, { cache: "no-store" });
		text = await response.text();
	} catch {
		return say("could not be fetched: no server answers. Start it with", SERVE);
	}
	if (response.status === 404) return say("is missing. Make it with");
	if (!response.ok) {
		return say(`could not be read: the server answered ${response.status}. Make it again with`);
	}
	const { document, fault } = readDocument(text);
	return document ?? say(`${fault} Make it again with`);
}

// Draws the panels of one file, or hides them and tells why; returns what was drawn.
async function showFile(kind, render, notices) {
	const { name, command } = FILES[kind];
	const say = (words, ...commands) => {
		notices.push({ text: `${name} ${words}`, commands: commands.length ? commands : [command] });
	};
	try {
		const document = await readFile(FILES[kind], say);
		if (document) {
			if (isEmpty(document)) {
				say("is empty: its database holds no valid order. Load data with", LOAD, command);
			}
			render(document);
			return document;
		}
	} catch {
		say("cannot be drawn. Make it again with");
	}
	for (const panel of findAll(`[data-file=${kind}]`)) panel.hidden = true;
	return null;
}

async function start() {
	const notices = [[], [], []];
	if (location.protocol === "file:") {
		for (const panel of findAll("[data-file]")) panel.hidden = true;
		notices[0].push({
			commands: [SERVE],
			text: "This page was opened as a file, and browsers do not let a file read other files,"
				+ " such as report.json and query_result.json. Run",
		});
	} else {
		const to = makeFormats(null);
		const [report, query] = await Promise.all([
			showFile("report", renderReport, notices[0]), showFile("query", renderQuery, notices[1])]);
		const known = report ?? query;
		const days = new Set([report?.as_of, query?.as_of].filter(Boolean));
		if (days.size) find("#as-of").textContent = `As of ${[...days].map(to.date).join(" and ")}`;
		const commands = [FILES.report.command, FILES.query.command];
		if (belongTogether(report, query) === false) {
			notices[2].push({
				text: "report.json and query_result.json were made from different data, so their figures"
					+ " do not belong together. Make both again with", commands });
		}
		if (!known) {
			notices[2].push({
				text: "Nothing made yet? Run these in turn:", commands: ["python generate_data.py --generate", LOAD, ...commands] });
		}
		if (known) drawPanel(find("#provenance"), (section) => renderProvenance(section, report, query));
	}
	renderNotices(notices.flat());
	document.body.dataset.ready = "";
}

// Paper cannot be unfolded.
function unfoldForPrint() {
	for (const fold of findAll("details:not([open])")) {
		fold.dispatchEvent(new Event("build"));
		fold.open = true;
	}
}

addEventListener("beforeprint", unfoldForPrint);
addEventListener("DOMContentLoaded", start);
