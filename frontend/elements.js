// HTML elements, and what replaces a faulty one.
"use strict";

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

// Returns the cell that names a row, with a bar for its share of the largest row.
function makeRowName(row, words, share) {
	const cell = make("th", { scope: "row" }, words, isIncomplete(row) ? INCOMPLETE : "");
	if (isNumber(share)) {
		cell.className = "bar";
		// The policy forbids a style attribute, but not a property that the script sets.
		cell.style.setProperty("--share", Math.max(0, share));
	}
	return cell;
}

// The bars of the first column show the sizes in column `bar`; a brief table has no cents.
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

// Returns a folded table, built when it is first opened.
function makeFold(words, rows, formats, caption, columns = Object.keys(rows[0] ?? {})) {
	const fold = make("details", {}, make("summary", {}, words));
	const build = () => {
		if (fold.children.length > 1) return;
		try {
			fold.append(makeTable(rows, columns, formats, { caption }));
		} catch (error) {
			fold.append(makeFault(error));
		}
	};
	return on(fold, { toggle: build });
}

// Without a byte order mark, a spreadsheet reads another encoding.
function saveCsv(name, rows) {
	const href = URL.createObjectURL(new Blob(["\ufeff", toCsv(rows)], { type: "text/csv" }));
	make("a", { href, download: `${name}.csv` }).click();
	setTimeout(URL.revokeObjectURL, 1e4, href);
}

function addRows(section, name, rows, formats, { table = rows, columns } = {}) {
	const heading = find("h2", section);
	const caption = heading.textContent;
	const attributes = { type: "button", class: "save", "aria-label": `CSV: ${caption}` };
	heading.after(on(make("button", attributes, "CSV"), { click: () => saveCsv(name, rows) }));
	section.append(makeFold("Show the numbers", table, formats, caption, columns));
}

// Any other error than a FileFault follows from a value of another kind or none.
function describeFault(error) {
	console.debug(error);
	const words = error instanceof FileFault ? error.message : "a value is missing or wrong";
	return `This part of the file cannot be shown: ${words}. Create the file again.`;
}

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

// Draws a panel, or the reason why it cannot be drawn, in a task of its own: the page answers
// between two panels.
async function drawPanel(section, render) {
	await new Promise((resolve) => setTimeout(resolve));
	try {
		section.hidden = render(section) === false;
	} catch (error) {
		section.hidden = false;
		section.append(makeFault(error));
	}
}
