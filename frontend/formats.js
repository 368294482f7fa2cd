"use strict";

const NO_FIGURE = "–";
const INCOMPLETE = " (incomplete)";

const COLUMN_LABELS = {
	__proto__: null,
	aov_cents: "AOV",
	sku: "SKU",
	cum_net_per_customer_cents: "Cumulative net",
	cum_margin_per_customer_cents: "Cumulative margin",
};

const isMoney = (column) => column.endsWith("_cents");
const isIncomplete = (row) => row.is_complete === 0;
const clamp = (n, low, high) => Math.min(high, Math.max(low, n));

function makeNumberFormat(locale, digits, options = {}, divisor = 1) {
	const format = new Intl.NumberFormat(locale, { maximumFractionDigits: digits, ...options });
	return (value) => (isNumber(value) ? format.format(value / divisor) : NO_FIGURE);
}

function makeMoneyFormat(locale, currency, divisor, digits, options = {}) {
	const plain = { minimumFractionDigits: digits, ...options };
	const make = (style) => makeNumberFormat(locale, digits, { ...style, ...plain }, divisor);
	// If it is not a currency code, a plain number is still correct.
	return attempt(
		() => make({ style: "currency", currency }),
		() => make(),
	);
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

// Adds what a saved chart states of its document.  Version 2.0 states no digits.
function makeDocumentFormats({ currency, currency_digits: digits, as_of: day, dataset }, locale) {
	return {
		...makeFormats(currency, locale, isNumber(digits) ? clamp(digits, 0, 4) : 2),
		currency,
		day,
		digest: dataset?.content_sha256,
	};
}

// Without a locale the reader's own is used; currency is an ISO 4217 code or null.
function makeFormats(currency, locale, digits = 2) {
	const divisor = 10 ** digits;
	const weekday = makeCalendarFormat(locale, { weekday: "short" });
	const regions = () => new Intl.DisplayNames(locale, { type: "region" });
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
		percentFigure: makeNumberFormat(locale, 1, { minimumFractionDigits: 1 }, 0.01),
		change: makeNumberFormat(locale, 1, { ...percent, signDisplay: "exceptZero" }),
		// Weekday 0 is a Monday, as was 1 January 2024.
		weekday: (n) => weekday(2024, 1, 1 + n),
		date: makeDateFormat(locale),
		country: (code) =>
			attempt(
				() => regions().of(code),
				() => String(code),
			),
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

function formatValue(column, value, formats) {
	if ((value ?? null) === null) return NO_FIGURE;
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
		.map((column) => `${columnLabel(column)} ${formatValue(column, row[column], formats)}`)
		.join(" · ");
}

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

function flattenFigure(name, value) {
	const rename = (parts, nameOf) => Object.entries(parts).map(([part, one]) => [nameOf(part), one]);
	if (Array.isArray(value)) {
		return value.flatMap(({ months, ...parts }) =>
			rename(flattenRow(parts), (part) => `${name}_${months}_months_${part}`),
		);
	}
	if (!isObject(value)) return [[name, value]];
	const [, stem, unit = ""] = /^(.*?)(_cents)?$/.exec(name);
	return rename(value, (part) => `${stem}_${part}${unit}`);
}

// { net_cents: { low: 5 } } becomes { net_low_cents: 5 }, and { clv: [{ months: 3, cents: 5 }] }
// becomes { clv_3_months_cents: 5 }.
function flattenRow(row) {
	const columns = Object.entries(row).flatMap(([name, value]) => flattenFigure(name, value));
	return Object.fromEntries(columns);
}

// As OWASP advises, an apostrophe keeps a text from being a formula.
function formatCsvCell(value) {
	if (isNumber(value)) return value;
	if ((value ?? null) === null) return "";
	return `"${String(value)
		.replace(/^[=+\-@\t\r]/, "'$&")
		.replace(/"/g, '""')}"`;
}

function toCsv(rows) {
	const columns = [...new Set(rows.flatMap(Object.keys))];
	const lines = [columns, ...rows.map((row) => columns.map((column) => row[column]))];
	return lines.map((line) => `${line.map(formatCsvCell).join(",")}\n`).join("");
}
