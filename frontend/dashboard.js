// Draws report.json and query_result.json. Formats their figures; computes none.
"use strict";

const SCHEMA_MAJOR = "2";
const FILES = {
	report: { name: "report.json", command: "python ingest.py --report" },
	query: { name: "query_result.json", command: "python run_query.py" },
};
const GENERATE_COMMAND = "python generate_data.py --generate";
const INGEST_COMMAND = "python ingest.py --ingest";
const SERVE_COMMAND = "python serve_frontend.py";

const HEAT_STEPS = 7;
const NO_FIGURE = "–";
const INCOMPLETE = " (incomplete)";
const CUMULATIVE_NET = "cum_net_per_customer_cents";
const CHAINED_NET = "chained_net_per_customer_cents";
// An average of fewer cohorts is not drawn: it jumps where the next cohort drops out.
const FEWEST_COHORTS = 5;
const MONTHS_IN_YEAR = 12;
// The axis of a faulty file must not keep the browser busy for ever.
const MOST_MONTHS = 10000;

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

// Key figures: the name, the figure in `kpis`, the column of its trend, and what that counts.
const KEY_FIGURES = [
	["Net revenue", "net_cents", "net_cents", ""],
	["Valid orders", "order_count", "order_count", ""],
	["Customers", "customer_count", "new_customers", " new"],
	["Average order", "aov_cents", "aov_cents", ""],
	["Repeat rate", "repeat_rate", "returning_share", " of buyers were not new"],
	["Refund rate", "refund_rate", "refund_rate", ""],
];

// Charts by month: the columns to stack, from the bottom, with the numbers of their colours,
// and other columns that only the line below the chart shows.
const MONTH_CHARTS = {
	revenue: {
		trend: "revenue_by_month",
		series: { net_cents: 1, discount_cents: 4, refund_cents: 3 },
		others: ["order_count", "aov_cents", "refund_rate"],
	},
	customers: {
		trend: "revenue_by_month",
		series: { returning_customers: 1, new_customers: 4 },
		others: [],
	},
	orders: {
		trend: "refunds_and_cancellations",
		series: { order_count: 1, pending_count: 4, cancelled_count: 3 },
		others: ["cancellation_rate", "returned_count", "partially_returned_count", "return_rate"],
	},
};
const TABLE_COLUMNS = {
	category_mix: ["category", "gross_cents", "gross_share"],
	top_products: ["product_name", "unit_count", "gross_cents"],
	payment_methods: ["method", "failure_rate", "charged_cents", "charged_share"],
	countries: ["country_code", "net_cents", "net_share"],
};

const COLUMN_LABELS = {
	__proto__: null,
	aov_cents: "AOV",
	sku: "SKU",
	product_id: "ID",
	acquisition_channel: "Channel",
	failure_rate: "Failed",
	orders_per_customer: "Orders",
};
const VERDICTS = new Map([
	["pass", "✓ Data sound"],
	["warn", "! Data sound, with warnings"],
	["fail", "✕ Data not sound"],
]);
const CHECK_ORDER = ["fail", "warn", "info", "pass"];

const isNumber = Number.isFinite;
const isObject = (value) => Object.prototype.toString.call(value) === "[object Object]";
const isMoney = (column) => column.endsWith("_cents");
const isIncomplete = (row) => row.is_complete === 0;
const clamp = (n, low, high) => Math.min(high, Math.max(low, n));

// ---- Reading and checking files

// A fault of the file, in words for the reader.
class FileFault extends Error {}

// The prototype of all objects of a file. An object where the page expects text stops its panel
// instead of becoming "[object Object]", and no name such as "constructor" finds a function.
const FILE_OBJECT = {
	__proto__: null,
	toString() {
		throw new FileFault("expected text or a number, found an object");
	},
};

// Returns { document }, or { fault } with the reason in words.
function readDocument(text) {
	let document;
	try {
		document = JSON.parse(text, (_, value) =>
			isObject(value) ? Object.setPrototypeOf(value, FILE_OBJECT) : value,
		);
	} catch {
		return { fault: "is not JSON." };
	}
	if (!isObject(document)) {
		return { fault: "contains no results." };
	}
	const version = String(document.schema_version ?? "none");
	if (version.split(".")[0] === SCHEMA_MAJOR) return { document };
	return { fault: `has schema version ${version}; this page reads ${SCHEMA_MAJOR}.x.` };
}

function isEmpty({ cohorts, kpis }) {
	return cohorts ? cohorts.length === 0 : kpis?.order_count === 0;
}

// Whether both files were made from the same rows; undefined where a file does not state it.
function haveSameRows(report, query) {
	const [one, other] = [report, query].map((file) => file?.dataset?.content_sha256);
	return one && other ? one === other : undefined;
}

// Returns the known words of an address such as "#cohort=2025-03&metric=retention".
function readAddress(hash, known) {
	const words = [...new URLSearchParams(hash.replace(/^#/, ""))];
	const isKnown = ([name, word]) => Object.hasOwn(known, name) && known[name].includes(word);
	return Object.fromEntries(words.filter(isKnown));
}

// Returns { document }, or { fault, command } with the reason and the command to run.
async function fetchDocument({ name, command }) {
	let response;
	let text;
	try {
		response = await fetch(`data/${name}`, { cache: "no-store" });
		text = await response.text();
	} catch {
		return {
			fault: "cannot be fetched: the server does not answer. Start it with",
			command: SERVE_COMMAND,
		};
	}
	if (response.status === 404) return { fault: "is missing. Create it with", command };
	if (!response.ok) {
		return {
			fault: `cannot be read: the server answered ${response.status}. Create it again with`,
			command,
		};
	}
	const { document, fault } = readDocument(text);
	return document ? { document } : { fault: `${fault} Create it again with`, command };
}

// ---- Formats

function makeNumberFormat(locale, digits, options = {}, divisor = 1) {
	const format = new Intl.NumberFormat(locale, { maximumFractionDigits: digits, ...options });
	return (value) => (isNumber(value) ? format.format(value / divisor) : NO_FIGURE);
}

function makeMoneyFormat(locale, currency, divisor, digits, options = {}) {
	const plain = { minimumFractionDigits: digits, ...options };
	const make = (style) => makeNumberFormat(locale, digits, { ...style, ...plain }, divisor);
	try {
		if (currency) return make({ style: "currency", currency });
	} catch {
		// Not a currency code: a plain number is still correct.
	}
	return make({});
}

function makeCalendarFormat(locale, options) {
	const format = new Intl.DateTimeFormat(locale, { timeZone: "UTC", ...options });
	return (year, month, day = 1) => format.format(Date.UTC(year, month - 1, day));
}

// Returns a format for "2024-03" and "2024-03-09"; any other text stays as it is.
function makeDateFormat(locale) {
	const month = makeCalendarFormat(locale, { year: "numeric", month: "short" });
	const day = makeCalendarFormat(locale, { year: "numeric", month: "short", day: "numeric" });
	return (text) => {
		const [, ...parts] = /^(\d{4})-(0[1-9]|1[0-2])(?:-(\d\d))?$/.exec(text) ?? [];
		if (!parts.length) return String(text ?? NO_FIGURE);
		return parts[2] ? day(...parts) : month(...parts);
	};
}

function makeCountryFormat(locale) {
	return (code) => {
		try {
			return new Intl.DisplayNames(locale, { type: "region" }).of(code);
		} catch {
			return String(code);
		}
	};
}

// Version 2.0 of a document states no digits.
function makeDocumentFormats({ currency, currency_digits: digits }, locale) {
	return makeFormats(currency, locale, isNumber(digits) ? clamp(digits, 0, 4) : 2);
}

// Returns a function for each kind of figure. Without a locale the reader's own is used;
// currency is an ISO 4217 code or null; an amount has digits after the decimal point.
function makeFormats(currency, locale, digits = 2) {
	const divisor = 10 ** digits;
	const weekday = makeCalendarFormat(locale, { weekday: "short" });
	const percent = { style: "percent", minimumFractionDigits: 1 };
	const short = { notation: "compact", minimumFractionDigits: 0 };
	return {
		money: makeMoneyFormat(locale, currency, divisor, digits),
		moneyWhole: makeMoneyFormat(locale, currency, divisor, 0),
		moneyShort: makeMoneyFormat(locale, currency, divisor, 1, short),
		digits,
		divisor,
		count: makeNumberFormat(locale, 2),
		countShort: makeNumberFormat(locale, 1, short),
		percent: makeNumberFormat(locale, 1, percent),
		change: makeNumberFormat(locale, 1, { ...percent, signDisplay: "exceptZero" }),
		// Weekday 0 is a Monday, as was 1 January 2024.
		weekday: (n) => weekday(2024, 1, 1 + n),
		date: makeDateFormat(locale),
		country: makeCountryFormat(locale),
	};
}

// "order_count" becomes Orders, "placed_count" Placed, "net_share" Share.
function columnLabel(column) {
	const words =
		COLUMN_LABELS[column] ??
		column
			.replace(/_(cents|code|name)$/, "")
			.replace(/(ed|ing)?_count$/, (_, end) => end ?? "s")
			.replace(/^(net|gross|charged|customer)_share$/, "share")
			.replace(/^clv_/, "CLV_")
			.replace(/_/g, " ");
	return words.charAt(0).toUpperCase() + words.slice(1);
}

// Returns a cell's text; the name of the column states the unit.
function formatValue(column, value, formats) {
	if (value === null || value === undefined) return NO_FIGURE;
	if (/(month|_date|^cohort)$/.test(column)) return formats.date(value);
	if (column === "country_code") return formats.country(value);
	if (/^(method|acquisition_channel)$/.test(column)) return String(value).replace(/_/g, " ");
	if (!isNumber(value)) return String(value);
	if (column === "weekday") return formats.weekday(value);
	if (isMoney(column)) return formats.money(value);
	if (/(^|_)(rate|share|retention)$/.test(column)) return formats.percent(value);
	if (/(^|_)(id|seed)$/.test(column)) return String(value);
	return formats.count(value);
}

function countNoun(count, noun, format = String) {
	return `${format(count)} ${noun}${count === 1 ? "" : "s"}`;
}

function formatInterval(low, high, format) {
	return isNumber(low) ? `95% ${format(low)} to ${format(high)}` : "";
}

function describeRow(row, columns, formats) {
	return columns
		.map(({ column, name }) => `${name} ${formatValue(column, row[column], formats)}`)
		.join(" · ");
}

// Returns "order_id 7; order_id 9; …" of a check, or its note.
function describeSample({ columns = [], sample = [], key = columns, note, count }) {
	if (note) return note;
	const shown = sample.slice(0, 3).map((row) =>
		columns
			.map((column, n) => [column, row[n]])
			.filter(([column]) => key.includes(column))
			.map(([column, value]) => `${column} ${value ?? NO_FIGURE}`)
			.join(", "),
	);
	return shown.join("; ") + (count > shown.length && shown.length ? "; …" : "");
}

// Returns the columns [name, value] of a figure, which may be a list by age or have parts.
function flattenFigure(name, value) {
	const rename = (parts, nameOf) => Object.entries(parts).map(([part, one]) => [nameOf(part), one]);
	if (Array.isArray(value)) {
		return value.flatMap(({ months, ...parts }) =>
			rename(parts, (part) => `${name}_${months}_months_${part}`),
		);
	}
	if (value === null || typeof value !== "object") return [[name, value]];
	const [, stem, unit = ""] = /^(.*?)(_cents)?$/.exec(name);
	return rename(value, (part) => `${stem}_${part}${unit}`);
}

// Returns a row for a table: { net_cents: { low: 5 } } becomes { net_low_cents: 5 }, and
// { clv: [{ months: 3, cents: 5 }] } becomes { clv_3_months_cents: 5 }.
function flattenRow(row) {
	const columns = Object.entries(row).flatMap(([name, value]) => flattenFigure(name, value));
	return Object.fromEntries(columns);
}

// A text that a spreadsheet would read as a formula gets an apostrophe in front, as OWASP
// advises.
function formatCsvCell(value) {
	if (isNumber(value)) return value;
	if (value === null || value === undefined) return "";
	return `"${String(value)
		.replace(/^[=+\-@\t\r]/, "'$&")
		.replace(/"/g, '""')}"`;
}

function toCsv(rows) {
	const columns = Object.keys(rows[0] ?? {});
	const lines = [columns, ...rows.map((row) => columns.map((column) => row[column]))];
	return lines.map((line) => `${line.map(formatCsvCell).join(",")}\n`).join("");
}

// ---- Elements

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

// Returns the cell that names a row, with a bar as long as its share of the largest row.
function makeRowName(row, words, share) {
	const cell = make("th", { scope: "row" }, words, isIncomplete(row) ? INCOMPLETE : "");
	if (isNumber(share)) {
		cell.className = "bar";
		// The policy forbids a style attribute, but not a property that the script sets.
		cell.style.setProperty("--share", Math.max(0, share));
	}
	return cell;
}

// Returns a table of rows; the bars of the first column show the sizes in column `bar`.
// A brief table shows money without cents.
function makeTable(rows, columns, formats, { caption, bar, isBrief }) {
	const [first, ...others] = columns;
	const largest = Math.max(...rows.map((row) => row[bar] ?? 0));
	const isText = (column) => column === first || !rows.some((row) => isNumber(row[column]));
	const looks = columns.map((column) => (isText(column) ? { class: "text" } : {}));
	const format = (column, value) =>
		isBrief && isMoney(column) ? formats.moneyWhole(value) : formatValue(column, value, formats);
	const head = columns.map((column, n) =>
		make("th", { scope: "col", ...looks[n] }, columnLabel(column)),
	);
	const body = rows.map((row) =>
		make(
			"tr",
			{},
			makeRowName(row, format(first, row[first]), largest > 0 ? row[bar] / largest : null),
			...others.map((column, n) =>
				make(
					"td",
					column === "result" ? { "data-status": row.result ?? "" } : looks[n + 1],
					format(column, row[column]),
				),
			),
		),
	);
	const table = make(
		"table",
		{},
		make("caption", { class: isBrief ? "hidden" : "" }, caption),
		make("thead", {}, make("tr", {}, ...head)),
		make("tbody", {}, ...body),
	);
	const attributes = { class: "scroll", tabindex: 0, role: "group", "aria-label": caption };
	return make("div", attributes, table);
}

// Returns a folded table of all rows, built when it is first opened, or printed.
function makeFold(words, rows, formats, caption) {
	const fold = make("details", {}, make("summary", {}, words));
	const columns = Object.keys(rows[0] ?? {}).filter((column) => column !== "is_complete");
	const build = () => {
		if (fold.children.length > 1) return;
		try {
			fold.append(makeTable(rows, columns, formats, { caption }));
		} catch (error) {
			fold.append(makeFault(error));
		}
	};
	return on(fold, { toggle: build, build });
}

function saveCsv(name, rows) {
	const href = URL.createObjectURL(new Blob([toCsv(rows)], { type: "text/csv" }));
	make("a", { href, download: `${name}.csv` }).click();
	setTimeout(URL.revokeObjectURL, 1e4, href);
}

// Adds the rows behind a panel: as a CSV file to save, and in a folded table.
function addRows(section, name, rows, formats, table = rows) {
	const heading = find("h2", section);
	const caption = heading.textContent;
	const button = make(
		"button",
		{
			type: "button",
			class: "save",
			"aria-label": `CSV: ${caption}`,
		},
		"CSV",
	);
	heading.after(on(button, { click: () => saveCsv(name, rows) }));
	section.append(makeFold("Show the numbers", table, formats, caption));
}

// Any other error than a FileFault follows from a value of another kind or none.
function describeFault(error) {
	console.debug(error);
	const words = error instanceof FileFault ? error.message : "a value is missing or wrong";
	return `This part of the file cannot be shown: ${words}. Create the file again.`;
}

// Shows the words that describe() returns, or why there are none.
function showWords(node, describe) {
	try {
		node.textContent = describe();
	} catch (error) {
		node.textContent = describeFault(error);
	}
}

function makeFault(error) {
	return make("p", { class: "notice bad" }, describeFault(error));
}

// Draws a panel in a task of its own, so that the page answers between two panels.
// A panel that cannot be drawn shows the reason and does not affect the others.
async function drawPanel(section, render) {
	await new Promise((resolve) => setTimeout(resolve));
	try {
		section.hidden = render(section) === false;
	} catch (error) {
		section.hidden = false;
		section.append(makeFault(error));
	}
}

// ---- Charts

// Returns round values that cover low to high in about `count` steps.
function niceTicks(low, high, count) {
	const span = high - low || 1;
	const power = 10 ** Math.floor(Math.log10(span / count));
	const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((size) => span / size <= count);
	const first = Math.floor(low / step);
	return Array.from({ length: Math.ceil(high / step) - first + 1 }, (_, n) => (first + n) * step);
}

// Colours span the 5th to the 95th percentile, so that one extreme value does not make all
// others look alike. Where these are equal, as in a table of zeros, they span all values.
function colourDomain(values) {
	const sorted = values.filter(isNumber).sort((a, b) => a - b);
	if (!sorted.length) return [0, 0];
	const [low, high] = [0.05, 0.95].map((share) => sorted[Math.round(share * (sorted.length - 1))]);
	return low < high ? [low, high] : [sorted[0], sorted.at(-1)];
}

function heatStep(value, [low, high]) {
	const span = high - low;
	if (span <= 0 || !isNumber(span)) return value ? Math.floor(HEAT_STEPS / 2) : 0;
	return clamp(Math.floor(((value - low) / span) * HEAT_STEPS), 0, HEAT_STEPS - 1);
}

// Fails where figures such as 1e308 leave the range of the arithmetic.
function requireNumbers(...numbers) {
	if (!numbers.every(isNumber)) throw new FileFault("its figures do not fit on an axis");
}

function linePath(points) {
	requireNumbers(...points.flat());
	return points.map(([x, y], n) => `${n ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
}

function boxPath(left, top, width, height) {
	requireNumbers(left, top, width, height);
	return `M${left} ${top}h${width}v${height}h${-width}z`;
}

// Returns [from, to] of each value of a stack: up from zero, or down if negative.
function stackSpans(values) {
	const ends = { up: 0, down: 0 };
	return values.map((value) => {
		const side = value < 0 ? "down" : "up";
		const from = ends[side];
		ends[side] += isNumber(value) ? value : 0;
		return [from, ends[side]];
	});
}

// Returns the place [column, row] to which a key leads; undefined for other keys.
function movePlace(key, [column, row], columns) {
	return {
		ArrowLeft: [column - 1, row],
		ArrowRight: [column + 1, row],
		ArrowUp: [column, row - 1],
		ArrowDown: [column, row + 1],
		Home: [0, row],
		End: [columns - 1, row],
	}[key];
}

function draw(svg, name, attributes, ...words) {
	const node = document.createElementNS("http://www.w3.org/2000/svg", name);
	svg.append(fill(node, attributes, words));
	return node;
}

function drawPath(svg, name, d = "") {
	return draw(svg, "path", { class: name, d });
}

function drawText(svg, x, y, words, anchor = "middle") {
	draw(svg, "text", { x, y, class: anchor }, words);
}

// Draws the value axis and returns the function from a value to its y coordinate.
function drawAxis(svg, values, { left, right, top, bottom }, format) {
	const ticks = niceTicks(Math.min(0, ...values), Math.max(0, ...values), 4);
	const [first, last] = [ticks[0], ticks.at(-1)];
	requireNumbers(first, last, last - first);
	const y = (value) => bottom - ((value - first) / (last - first || 1)) * (bottom - top);
	drawPath(svg, "grid", ticks.map((tick) => `M${left} ${y(tick)}H${right}`).join(""));
	for (const tick of ticks) drawText(svg, left - 8, y(tick) + 4, format(tick), "end");
	return y;
}

function addLegend(section, entries) {
	section.append(
		make(
			"ul",
			{ class: "legend" },
			...entries.map(([look, words]) => make("li", { class: look }, words)),
		),
	);
}

// A chart with a pointer and arrow keys, which shows the figures of a place [column, row] in
// a line below.  paint(svg, width) draws and returns { locate, mark }: a function from a
// point to its place, and one that marks a place.  describe(place) returns the words.
class Chart {
	constructor(section, { height, size, start, paint, describe, choose }) {
		Object.assign(this, { height, size, paint, describe, choose });
		[this.home, this.place, this.drawnWidth] = [start, start, 0];
		this.plot = make("div", {
			class: "plot",
			tabindex: 0,
			role: "group",
			"aria-label": `${find("h2", section).textContent}. Arrow keys move; the line below shows the figures.`,
		});
		this.readout = make("p", { class: "readout", "aria-live": "polite" });
		section.append(this.plot, this.readout);
		on(this.plot, {
			pointermove: (event) => this.showPoint(event),
			pointerleave: () => this.show(this.home),
			click: () => this.choose?.(this.place),
			keydown: (event) => this.answerKey(event),
		});
		this.repaint();
		new ResizeObserver(() => this.repaint()).observe(this.plot);
	}

	repaint() {
		const width = Math.max(240, this.plot.clientWidth);
		if (width === this.drawnWidth) return;
		this.drawnWidth = width;
		this.plot.replaceChildren();
		const { height } = this;
		const svg = draw(this.plot, "svg", {
			viewBox: `0 0 ${width} ${height}`,
			height,
			"aria-hidden": true,
		});
		this.drawing = this.paint(svg, width);
		this.show(this.place);
	}

	show(place) {
		this.place = place.map((n, axis) => clamp(n, 0, this.size[axis] - 1));
		showWords(this.readout, () => {
			this.drawing.mark(this.place);
			return this.describe(this.place);
		});
	}

	// Shows the place to which the chart also returns when the pointer leaves.
	showHome(place) {
		this.home = place;
		this.show(place);
	}

	showPoint(event) {
		const box = this.plot.firstChild.getBoundingClientRect();
		this.show(this.drawing.locate(event.clientX - box.left, event.clientY - box.top));
	}

	answerKey(event) {
		const next =
			event.key === "Escape" ? this.home : movePlace(event.key, this.place, this.size[0]);
		if (next) this.show(next);
		else if (event.key === "Enter" && this.choose) this.choose(this.place);
		else return;
		event.preventDefault();
	}
}

// Draws a small line without axes.
function drawSparkline(holder, values) {
	const [low, high] = [Math.min(...values), Math.max(...values)];
	if (!isNumber(high - low)) return;
	const points = values.map((value, n) => [
		2 + (n / (values.length - 1)) * 90,
		26 - ((value - low) / (high - low || 1)) * 22,
	]);
	const svg = draw(holder, "svg", { viewBox: "0 0 96 30", class: "spark", "aria-hidden": true });
	drawPath(svg, "line series-1", linePath(points));
}

function renderMonths(section, rows, formats, name) {
	const { series, others } = MONTH_CHARTS[section.id];
	const columns = Object.keys(series);
	if (rows[0][columns[0]] === undefined) return false;
	const shown = [...columns, ...others].map((column) => ({ column, name: columnLabel(column) }));
	addLegend(section, [
		...columns.map((column) => [`series-${series[column]}`, columnLabel(column)]),
		...(rows.some(isIncomplete) ? [["striped", "Incomplete month"]] : []),
	]);
	const last = rows.map(isIncomplete).lastIndexOf(false);
	new Chart(section, {
		height: 250,
		size: [rows.length, 1],
		start: [last < 0 ? rows.length - 1 : last, 0],
		paint: (svg, width) => drawMonths(svg, width, rows, series, formats),
		describe: ([n]) =>
			`${formats.date(rows[n].month)}${isIncomplete(rows[n]) ? INCOMPLETE : ""}: ` +
			describeRow(rows[n], shown, formats),
	});
	addRows(section, name, rows, formats);
	return true;
}

function drawMonths(svg, width, rows, series, formats) {
	const area = { left: 52, right: width - 4, top: 10, bottom: 222 };
	const columns = Object.keys(series);
	const stacks = rows.map((row) => stackSpans(columns.map((column) => row[column])));
	const y = drawAxis(
		svg,
		stacks.flat(2),
		area,
		isMoney(columns[0]) ? formats.moneyShort : formats.countShort,
	);
	const step = (area.right - area.left) / rows.length;
	const cursor = draw(svg, "rect", {
		class: "cursor",
		y: area.top,
		height: area.bottom - area.top,
		width: step,
	});
	drawStacks(svg, rows, stacks, Object.values(series), { left: area.left, step, y });
	drawMonthNames(svg, rows, step, area, formats);
	return {
		locate: (x) => [Math.floor((x - area.left) / step), 0],
		mark: ([n]) => cursor.setAttribute("x", area.left + step * n),
	};
}

function drawStacks(svg, rows, stacks, colours, { left, step, y }) {
	const width = Math.min(40, step * 0.72);
	const barOf = (n, [from, to]) =>
		boxPath(
			left + step * n + (step - width) / 2,
			y(Math.max(from, to)),
			width,
			Math.abs(y(from) - y(to)),
		);
	colours.forEach((colour, layer) => {
		drawPath(svg, `series-${colour}`, stacks.map((spans, n) => barOf(n, spans[layer])).join(""));
	});
	drawPath(
		svg,
		"striped",
		stacks
			.flatMap((spans, n) => (isIncomplete(rows[n]) ? spans.map((span) => barOf(n, span)) : []))
			.join(""),
	);
}

function drawMonthNames(svg, rows, step, { left, bottom }, formats) {
	const every = [1, 2, 3, 6, 12, 24, 60].find((count) => step * count >= 72) ?? 120;
	for (let n = 0; n < rows.length; n += every) {
		drawText(
			svg,
			Math.max(left + 24, left + step * (n + 0.5)),
			bottom + 18,
			formats.date(rows[n].month),
		);
	}
}

function renderHours(section, rows, formats) {
	const counts = Array.from({ length: 7 }, () => Array(24).fill(0));
	for (const row of rows) {
		const isCell = isNumber(row.hour) && isNumber(counts[row.weekday]?.[row.hour]);
		if (isCell && isNumber(row.order_count)) counts[row.weekday][row.hour] = row.order_count;
	}
	new Chart(section, {
		height: 232,
		size: [24, 7],
		start: [12, 0],
		paint: (svg, width) => drawHours(svg, width, counts, formats),
		describe: ([hour, day]) =>
			`${formats.weekday(day)}, ${hour}:00 to ${hour + 1}:00:` +
			` ${countNoun(counts[day][hour], "order", formats.count)}`,
	});
	const table = counts.map((row, weekday) => ({
		weekday,
		...Object.fromEntries(row.map((count, hour) => [`${hour} h`, count])),
	}));
	addRows(section, "weekday_by_hour", rows, formats, table);
}

function drawHours(svg, width, counts, formats) {
	const [left, top, height] = [40, 4, 28];
	const step = (width - left - 2) / 24;
	const boxOf = (hour, day, gap) =>
		boxPath(left + step * hour + gap, top + height * day + gap, step - 2 * gap, height - 2 * gap);
	drawHeat(svg, counts, boxOf);
	counts.forEach((_, day) => {
		drawText(svg, left - 8, top + height * day + 18, formats.weekday(day), "end");
	});
	for (let hour = 0; hour < 24; hour += 6) {
		drawText(svg, left + step * (hour + 0.5), top + height * 7 + 18, hour);
	}
	const cursor = drawPath(svg, "ring");
	return {
		locate: (x, y) => [Math.floor((x - left) / step), Math.floor((y - top) / height)],
		mark: ([hour, day]) => cursor.setAttribute("d", boxOf(hour, day, 0)),
	};
}

// Draws one path for each colour step, not one node for each cell: the page stays light.
function drawHeat(svg, counts, boxOf) {
	const domain = colourDomain(counts.flat());
	const paths = Array(HEAT_STEPS).fill("");
	counts.forEach((row, day) => {
		row.forEach((count, hour) => {
			paths[heatStep(count, domain)] += boxOf(hour, day, 1);
		});
	});
	paths.forEach((d, step) => {
		drawPath(svg, `h${step}`, d);
	});
}

// ---- Charts: the curves of the cohorts

// Returns the points of a cohort's forecast, from its last known figure:
// [month, value, low, high].
function forecastPoints(cells, horizons = []) {
	const { months_since: month, [CUMULATIVE_NET]: value } = cells.at(-1) ?? {};
	const points = horizons.map(({ months_since: later, [CUMULATIVE_NET]: net }) => [
		later,
		net?.forecast,
		net?.low,
		net?.high,
	]);
	return points.length && points.flat().every(isNumber)
		? [[month, value, value, value], ...points]
		: [];
}

// Returns what the chart draws: a line of complete months for each cohort, then one for the
// average; the points of each forecast; and the number of months that the axis spans.
function makeCurves({ cohorts, rows, average, forecast }) {
	const fewest = Math.min(FEWEST_COHORTS, average[0]?.cohort_count);
	const drawn = average.filter((row) => row.cohort_count >= fewest);
	// The cumulative average is of other cohorts in each month, so it can fall; the chained
	// one adds up the averages of the months.
	const lines = [...rows, drawn].map((row) =>
		row
			.filter((cell) => !isIncomplete(cell))
			.map((cell) => cell[CHAINED_NET] ?? cell[CUMULATIVE_NET]),
	);
	const forecasts = cohorts.map(({ cohort }, n) =>
		forecastPoints(rows[n], forecast?.cohorts?.find((one) => one.cohort === cohort)?.horizons),
	);
	const lastMonths = forecasts.flat().map(([month]) => month + 1);
	const months = Math.max(...lines.map((line) => line.length), ...lastMonths);
	if (months > MOST_MONTHS) throw new FileFault("its months do not fit on an axis");
	return { cohorts, average: drawn, lines, forecasts, months };
}

// Returns the place shown first: the chosen cohort, else the latest with a full year and a
// forecast, else the average.
function firstCurvePlace({ cohorts, average, lines, forecasts }, chosen) {
	let n = cohorts.findIndex(({ cohort }) => cohort === chosen);
	if (n < 0 && forecasts.flat().length) {
		n = lines.slice(0, -1).findLastIndex((line) => line.length > MONTHS_IN_YEAR);
	}
	if (n < 0) return [Math.min(MONTHS_IN_YEAR, average.length - 1), cohorts.length];
	return [lines[n].length - 1, n];
}

function describeCurve({ cohorts, average, lines, forecasts }, [month, n], { count, date, money }) {
	const mean = average[month]
		? `average ${money(lines.at(-1)[month])}` +
			` of ${countNoun(average[month].cohort_count, "cohort", count)}`
		: "too few cohorts for an average";
	if (n >= cohorts.length) return `After month ${month}: ${mean}`;
	const size = countNoun(cohorts[n].cohort_size, "customer", count);
	const words = `Cohort ${date(cohorts[n].cohort)} (${size})`;
	const next = forecasts[n].find(([later], step) => step && later >= month);
	if (month in lines[n] || !next) {
		return `${words} after month ${month}: ${money(lines[n][month])}; ${mean}`;
	}
	const [later, value, low, high] = next;
	return (
		`${words}, forecast for month ${later}: ${money(value)},` +
		` ${formatInterval(low, high, money)}`
	);
}

// Draws the curves of all cohorts; that of one is highlighted and continued by its forecast.
function renderCurves(section, view, selection, formats) {
	const { cohorts, rows } = view;
	const curves = makeCurves(view);
	if (Math.max(...curves.lines.map((line) => line.length)) < 2) {
		section.append(make("p", {}, "No cohort has two complete months yet."));
		return cohorts.length > 0;
	}
	addLegend(section, [
		["series-1 line", "Average, chained month by month"],
		["series-2 line", "One cohort"],
		["series-3 line", "Highlighted cohort"],
		...(curves.forecasts.flat().length
			? [["series-3 line dashed", "its forecast, 95% interval shaded"]]
			: []),
	]);
	const chart = new Chart(section, {
		height: 340,
		size: [curves.months, curves.lines.length],
		start: firstCurvePlace(curves, selection.cohort),
		paint: (svg, width) => drawCurves(svg, width, curves, formats),
		describe: (place) => describeCurve(curves, place, formats),
		choose: ([, n]) => selection.choose("cohort", cohorts[n]?.cohort),
	});
	selection.onChange(() => chart.showHome(firstCurvePlace(curves, selection.cohort)));
	addRows(section, "curves", rows.flat(), formats, cohorts.map(flattenRow));
	return true;
}

function curvePath(points, { x, y, top }) {
	const known = [...points].filter(([, value]) => isNumber(value));
	return linePath(known.map(([month, value]) => [x(month), Math.max(top, y(value))]));
}

function drawCurves(svg, width, curves, formats) {
	const { lines, forecasts, months } = curves;
	const area = { left: 52, right: width - 14, top: 10, bottom: 296 };
	const values = [...lines.flat(), ...forecasts.flat().map(([, value]) => value)];
	const y = drawAxis(svg, values.filter(isNumber), area, formats.moneyShort);
	const step = (area.right - area.left) / (months - 1);
	const scale = { x: (month) => area.left + step * month, y, top: area.top };
	drawMonthNumbers(svg, months, scale, area);
	const others = lines.slice(0, -1).map((line) => curvePath(line.entries(), scale));
	drawPath(svg, "line series-2", others.join(""));
	const marks = {
		band: drawPath(svg, "band"),
		line: drawPath(svg, "line series-3"),
		forecast: drawPath(svg, "line series-3 dashed"),
	};
	drawPath(svg, "line series-1", curvePath(lines.at(-1).entries(), scale));
	marks.dot = draw(svg, "circle", { r: 5, class: "dot" });
	return {
		locate: (left, top) => {
			const month = clamp(Math.round((left - area.left) / step), 0, months - 1);
			return [month, nearestLine(lines, month, (value) => Math.abs(y(value) - top))];
		},
		mark: (place) => markCurve(marks, curves, place, scale),
	};
}

// Returns the number of months from one label of the axis to the next.
function monthsPerLabel(months) {
	if (months > 2 * MONTHS_IN_YEAR) return 6;
	return months > MONTHS_IN_YEAR ? 3 : 1;
}

function drawMonthNumbers(svg, months, { x }, { left, right, bottom }) {
	const every = monthsPerLabel(months);
	for (let month = 0; month < months; month += every) {
		drawText(svg, x(month), bottom + 18, month);
	}
	drawText(svg, (left + right) / 2, bottom + 37, "months since the first order");
}

// Returns the number of the line nearest to a point; without any, that of the average.
function nearestLine(lines, month, distanceTo) {
	const distances = lines.map((line) =>
		isNumber(line[month]) ? distanceTo(line[month]) : Infinity,
	);
	const nearest = Math.min(...distances);
	return nearest < Infinity ? distances.indexOf(nearest) : lines.length - 1;
}

function markCurve({ band, line, forecast, dot }, { lines, forecasts }, [month, n], scale) {
	const points = forecasts[n] ?? [];
	const outline = [
		...points.map(([later, , low]) => [later, low]),
		...points.map(([later, , , high]) => [later, high]).reverse(),
	];
	line.setAttribute("d", n < forecasts.length ? curvePath(lines[n].entries(), scale) : "");
	forecast.setAttribute("d", curvePath(points, scale));
	band.setAttribute("d", curvePath(outline, scale));
	const value = lines[n][month] ?? points.find(([later]) => later === month)?.[1];
	dot.setAttribute("cx", scale.x(month));
	dot.setAttribute("cy", isNumber(value) ? scale.y(value) : -9);
}

// ---- The cohort table

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

// What the reader has chosen: cohort, metric and scale.  The address holds it.
class Selection {
	constructor(known) {
		[this.known, this.listeners] = [known, []];
		this.read();
		addEventListener("hashchange", () => this.read());
	}

	read() {
		Object.assign(this, readAddress(location.hash, this.known));
		this.notify();
	}

	choose(name, word) {
		this[name] = word;
		const words = Object.keys(this.known)
			.filter((key) => this[key])
			.map((key) => [key, this[key]]);
		history.replaceState(null, "", `#${new URLSearchParams(words)}`);
		this.notify();
	}

	// Selects a cohort, or no cohort where it is already the selected one.
	toggleCohort(cohort) {
		this.choose("cohort", this.cohort === cohort ? "" : cohort);
	}

	onChange(listener) {
		this.listeners.push(listener);
	}

	notify() {
		for (const listener of this.listeners) listener();
	}
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
		find(".note", section).textContent =
			metric.note + (isMoney(metric.column) && currency ? ` In ${currency}.` : "");
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

// Returns a format for the cells: money without its sign and, when large, without cents.  The
// line above the table names the currency, the line below has the exact figure.
function makeCellFormat(column, cells, formats) {
	if (!isMoney(column)) return (value) => formatValue(column, value, formats);
	const isLarge = cells.some((cell) => cell[column] >= 1000 * formats.divisor);
	return makeFormats(null, undefined, formats.digits)[isLarge ? "moneyWhole" : "money"];
}

function makeCohortTable({ view, shown, metric, order, selection, formats }, cells, domainOf) {
	const months = Array.from(
		{ length: Math.max(...shown.map((row) => row.cells.length)) },
		(_, month) => month,
	);
	const format = makeCellFormat(metric.column, cells, formats);
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
	return make(
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

// ---- Panels of report.json

async function renderReport(report) {
	const formats = makeDocumentFormats(report);
	const { trends = {} } = report;
	const panels = [
		...Object.entries(MONTH_CHARTS).map(([id, { trend }]) => [find(`#${id}`), trend, renderMonths]),
		[find("#hours"), "weekday_by_hour", renderHours],
		...findAll("[data-trend]").map((section) => [section, section.dataset.trend, renderTopRows]),
	];
	showVerdict(report.verdict?.status);
	await drawPanel(find("#kpis dl[data-file=report]"), (list) =>
		renderCards(list, reportCards(report, formats)),
	);
	for (const [section, name, render] of panels) {
		await drawPanel(section, () => renderTrend(section, name, trends[name], render, formats));
	}
	const others = { ...trends };
	for (const [, name] of panels) delete others[name];
	await drawPanel(find("#more"), (section) => renderOtherTrends(section, others, formats));
	await drawPanel(find("#checks"), (section) => renderChecks(section, report, formats));
}

function showVerdict(status) {
	const badge = find("#verdict");
	badge.dataset.status = VERDICTS.has(status) ? status : "";
	badge.textContent = VERDICTS.get(status) ?? "Data not checked";
}

function renderCards(list, cards) {
	list.replaceChildren(
		...cards.map(({ name, value = "", text, notes, line = [] }) => {
			const figure = make("dd", {}, make("data", { value }, text));
			const known = line.filter(isNumber);
			if (known.length > 1) drawSparkline(figure, known);
			return make(
				"div",
				{},
				make("dt", {}, name),
				figure,
				...notes.filter(Boolean).map((note) => make("dd", { class: "soft" }, note)),
			);
		}),
	);
}

function reportCards({ definitions = {}, kpis = {}, trends = {} }, formats) {
	const months = trends.revenue_by_month?.rows ?? [];
	const complete = months.filter((row) => !isIncomplete(row));
	const changes = kpis.last_complete_month?.change_on_year ?? {};
	return KEY_FIGURES.map(([name, figure, column, words]) => {
		const value = kpis[figure];
		const format = (of, amount) =>
			isMoney(of) && Math.abs(value) >= 10000 * formats.divisor
				? formats.moneyWhole(amount)
				: formatValue(of, amount, formats);
		const { month, [column]: latest } = complete.at(-1) ?? {};
		return {
			name,
			value,
			text: format(figure, value),
			line: complete.map((row) => row[column]),
			notes: [
				definitions[figure],
				isNumber(latest) &&
					`${formats.date(month)}: ` +
						format(column, latest) +
						words +
						describeChange(changes[column], formats),
			],
		};
	});
}

function describeChange(change, formats) {
	return isNumber(change) ? `, ${formats.change(change)} year on year` : "";
}

// A trend without rows shows the reason if the file states one, and is hidden otherwise.
function renderTrend(section, name, { rows = [], note } = {}, render, formats) {
	if (rows.length) return render(section, rows, formats, name);
	if (note) section.append(make("p", {}, `Not known: ${note}.`));
	return Boolean(note);
}

function renderTopRows(section, rows, formats, name) {
	const columns = TABLE_COLUMNS[name].filter((column) => column in rows[0]);
	section.append(
		makeTable(rows.slice(0, 5), columns, formats, {
			caption: find("h2", section).textContent,
			bar: columns.at(-1),
			isBrief: true,
		}),
	);
	addRows(section, name, rows, formats);
}

function renderOtherTrends(section, trends, formats) {
	const folds = Object.entries(trends)
		.filter(([, { rows }]) => rows?.length)
		.map(([name, { rows, title = columnLabel(name) }]) => makeFold(title, rows, formats, title));
	section.append(...folds);
	return folds.length > 0;
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
	section.append(make("p", {}, verdict?.text ?? "The file contains no verdict."));
	if (others.length) {
		section.append(makeTable(others, Object.keys(others[0]), formats, { caption: "Findings" }));
	}
	if (passed.length) {
		section.append(
			makeFold(
				`${countNoun(passed.length, "check")} passed`,
				passed,
				formats,
				"Checks that passed",
			),
		);
	}
}

// ---- Panels of query_result.json

async function renderQuery(query) {
	const { cohorts = [], cells = [], average = [], summary = {}, forecast, currency } = query;
	const formats = makeDocumentFormats(query);
	const view = { cohorts, average, summary, forecast, rows: groupCells(cohorts, cells) };
	const selection = new Selection({
		cohort: cohorts.map(({ cohort }) => cohort),
		metric: METRICS.map(({ key }) => key),
		scale: Object.keys(SCALES),
	});
	if (query.options?.cohort === "quarter") find("#cohorts span").textContent = "quarter";
	await drawPanel(find("#kpis dl[data-file=query]"), (list) =>
		renderCards(list, queryCards(view, formats)),
	);
	await drawPanel(find("#clv"), (section) => renderClv(section, view, formats));
	await drawPanel(find("#curves"), (section) => renderCurves(section, view, selection, formats));
	await drawPanel(find("#cohorts"), (section) =>
		renderCohorts(section, view, { selection, formats, currency }),
	);
}

// Returns the CLV at an age of some months, {} if there is none.
function findClv({ clv = [] }, age) {
	return clv.find(({ months }) => months === age) ?? {};
}

function clvCard(summary, months, { money }) {
	const {
		cents,
		low_cents: low,
		high_cents: high,
		median_cents: median,
		cohort_count: count,
	} = findClv(summary, months);
	const medianWords = isNumber(median) ? `, median ${money(median)}` : "";
	return {
		name: `After ${months} months`,
		value: cents,
		text: money(cents),
		notes: [
			formatInterval(low, high, money),
			count ? countNoun(count, "cohort") + medianWords : `no cohort is ${months} months old yet`,
		],
	};
}

function forecastCard({ months, net_cents: net }, { moneyWhole }) {
	return {
		name: `Next ${months} months`,
		value: net.forecast,
		text: moneyWhole(net.forecast),
		notes: [formatInterval(net.low, net.high, moneyWhole)],
	};
}

// Returns why there is no forecast, if there is none.
function describeMissingForecast(forecast) {
	if (!forecast) {
		return `No forecast in this file. Create it with ${FILES.query.command} --forecast`;
	}
	return forecast.refused && `Forecast refused: ${forecast.refused}`;
}

function queryCards({ summary, cohorts, forecast }, formats) {
	const next = forecast?.total
		? forecastCard(forecast.total.at(-1), formats)
		: { name: "Next 12 months", text: NO_FIGURE, notes: [] };
	next.notes.push(describeMissingForecast(forecast) ?? "forecast for today’s customers");
	return [
		{
			...clvCard(summary, 12, formats),
			name: "12-month CLV",
			line: cohorts.map((cohort) => findClv(cohort, 12).cents),
		},
		next,
	];
}

function renderClv(section, { summary, forecast, rows }, formats) {
	const add = (name, look, words = "") => section.appendChild(make(name, { class: look }, words));
	const ages = [3, 6, 12, 24].filter(
		(months) => months < 24 || findClv(summary, months).cohort_count,
	);
	renderCards(
		add("dl", "steps"),
		ages.map((months) => clvCard(summary, months, formats)),
	);
	const first = summary.large_first_cohort;
	if (first) {
		add(
			"p",
			"soft",
			`The first cohort, ${formats.date(first.cohort)}, seems to include customers who bought` +
				` before the data begin: it has ${formats.count(first.cohort_size)},` +
				` the median of the later ones is ${formats.count(first.median_of_later)}.`,
		);
	}
	add(
		"p",
		"soft",
		describeMissingForecast(forecast) ??
			"Forecast, not fact: future net revenue from today’s customers.",
	);
	if (!forecast?.total) return rows.length > 0;
	renderCards(
		add("dl", "steps ahead"),
		forecast.total.map((one) => forecastCard(one, formats)),
	);
	add("p", "soft", describeHoldout(forecast, formats));
	const horizons = forecast.cohorts.flatMap(({ horizons: all, ...cohort }) =>
		all.map((horizon) => flattenRow({ ...cohort, ...horizon })),
	);
	addRows(section, "forecast", horizons, formats);
	return true;
}

function describeHoldout({ holdout = {}, verdict }, { count, change }) {
	const { refused, days, purchases = {} } = holdout;
	if (refused) return `Not tested: ${refused}`;
	return (
		`Tested on the last ${days ?? NO_FIGURE} days: ${count(purchases.forecast)} purchases were predicted,` +
		` ${count(purchases.actual)} were made (${change(purchases.error)}). ${verdict?.text ?? ""}`
	);
}

// ---- The page

function renderProvenance(section, report, query) {
	const known = report ?? query;
	const facts = {
		Seed: report?.provenance?.generator?.seed,
		Rows: report?.tables?.map(({ table, rows }) => `${table} ${rows ?? NO_FIGURE}`).join(" · "),
		"Loaded content": known.dataset?.content_sha256,
		Database: known.database?.sha256,
		Query: query?.query?.sha256,
		"Report and query result": {
			true: "✓ made from the same data",
			false: "✕ made from different data",
		}[haveSameRows(report, query)],
	};
	const rows = Object.entries(facts)
		.filter(([, value]) => value)
		.map(([fact, value]) => ({ fact, value }));
	section.append(
		makeTable(rows, ["fact", "value"], makeFormats(null), {
			caption: "Provenance",
			isBrief: true,
		}),
	);
}

// Shows notices, { text, commands }; the commands are apart, ready to copy.
function showNotices(notices) {
	find("#notices").replaceChildren(
		...notices.map(({ text, commands }) =>
			make(
				"p",
				{ class: "notice bad" },
				text,
				...commands.flatMap((command) => [" ", make("code", {}, command)]),
				" Then reload this page.",
			),
		),
	);
}

function hidePanels(selector) {
	for (const panel of findAll(selector)) panel.hidden = true;
}

// Draws the panels of one file, or hides them; returns the document drawn and the notices.
async function showFile(kind, render) {
	const file = FILES[kind];
	const notices = [];
	const add = (words, ...commands) => notices.push({ text: `${file.name} ${words}`, commands });
	try {
		const { document, fault, command } = await fetchDocument(file);
		if (document) {
			await render(document);
			if (isEmpty(document)) {
				add(
					"is empty: the database contains no valid order. Load data with",
					INGEST_COMMAND,
					file.command,
				);
			}
			return { document, notices };
		}
		add(fault, command);
	} catch {
		add("cannot be shown. Create it again with", file.command);
	}
	hidePanels(`[data-file=${kind}]`);
	return { notices };
}

function makeSharedNotices(report, query) {
	const commands = [FILES.report.command, FILES.query.command];
	if (!report && !query) {
		return [
			{
				text: "No results yet? Run these commands in order:",
				commands: [GENERATE_COMMAND, INGEST_COMMAND, ...commands],
			},
		];
	}
	if (haveSameRows(report, query) !== false) return [];
	return [
		{
			text:
				"report.json and query_result.json were made from different data, so their figures" +
				" cannot be compared. Create both again with",
			commands,
		},
	];
}

async function showResults() {
	const [{ document: report, notices }, { document: query, notices: others }] = await Promise.all([
		showFile("report", renderReport),
		showFile("query", renderQuery),
	]);
	const { date } = makeFormats(null);
	const isText = (day) => day && typeof day === "string";
	const days = new Set([report?.as_of, query?.as_of].filter(isText));
	if (days.size) find("#as-of").textContent = `As of ${[...days].map(date).join(" and ")}`;
	if (report || query) {
		await drawPanel(find("#provenance"), (section) => renderProvenance(section, report, query));
	}
	showNotices([...notices, ...others, ...makeSharedNotices(report, query)]);
}

async function start() {
	if (location.protocol === "file:") {
		hidePanels("[data-file]");
		showNotices([
			{
				text:
					"This page was opened as a file, and a browser does not let a file read other files," +
					" such as report.json and query_result.json. Run",
				commands: [SERVE_COMMAND],
			},
		]);
	} else {
		await showResults();
	}
	document.body.dataset.ready = "";
}

// A folded table cannot be opened in print.
function unfoldForPrint() {
	for (const fold of findAll("details:not([open])")) {
		fold.dispatchEvent(new Event("build"));
		fold.open = true;
	}
}

addEventListener("beforeprint", unfoldForPrint);
addEventListener("DOMContentLoaded", start);
