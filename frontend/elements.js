"use strict";

const find = (selector, root = document) => root.querySelector(selector);
const findAll = (selector, root = document) => [...root.querySelectorAll(selector)];

function on(node, handlers) {
	for (const [name, handle] of Object.entries(handlers)) node.addEventListener(name, handle);
	return node;
}

function fill(node, attributes, children = []) {
	for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
	node.append(...children);
	return node;
}

function make(name, attributes = {}, ...children) {
	return fill(document.createElement(name), attributes, children);
}

function makeStop(look, label, ...children) {
	const attributes = { class: look, tabindex: 0, role: "group", "aria-label": label };
	return make("div", attributes, ...children);
}

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
	const texts = others.filter((column) => !rows.some((row) => isNumber(row[column])));
	const lookOf = (column) => ([first, ...texts].includes(column) ? { class: "text" } : {});
	const format = (column, value) =>
		isBrief && isMoney(column) ? formats.moneyWhole(value) : formatValue(column, value, formats);
	const head = columns.map((column) =>
		make("th", { scope: "col", ...lookOf(column) }, columnLabel(column)),
	);
	const body = rows.map((row) => {
		const share = largest > 0 ? row[bar] / largest : null;
		const cells = others.map((column) => {
			const look = column === "result" ? { "data-status": row.result ?? "" } : lookOf(column);
			return make("td", look, format(column, row[column]));
		});
		return make("tr", {}, makeRowName(row, format(first, row[first]), share), ...cells);
	});
	const title = make("caption", { class: isBrief ? "hidden" : "" }, caption);
	const parts = [make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body)];
	return makeStop("scroll", caption, make("table", {}, title, ...parts));
}

function makeFold(words, rows, formats, caption, columns = Object.keys(rows[0] ?? {})) {
	const fold = make("details", {}, make("summary", {}, words));
	const build = () => attempt(() => makeTable(rows, columns, formats, { caption }), makeFault);
	return on(fold, { toggle: () => fold.children[1] ?? fold.append(build()) });
}

// Without a byte order mark, a spreadsheet reads another encoding.
function saveCsv(name, rows) {
	const href = URL.createObjectURL(new Blob(["\ufeff", toCsv(rows)], { type: "text/csv" }));
	make("a", { href, download: `${name}.csv` }).click();
	setTimeout(URL.revokeObjectURL, 1e4, href);
}

function makeChoice(words, choices, selection, name) {
	const options = choices.map(([value, text]) => make("option", { value }, text));
	const select = make("select", {}, ...options);
	selection.follow(() => {
		select.value = selection[name] || choices[0][0];
	});
	on(select, { change: () => selection.choose(name, select.value) });
	return make("label", {}, words, select);
}

function titleOf(section) {
	return find("h2", section).textContent;
}

function addRows(section, name, rows, formats, { table = rows, columns } = {}) {
	const caption = titleOf(section);
	const attributes = { class: "save", "aria-label": `CSV: ${caption}` };
	find("h2", section).after(
		on(make("button", attributes, "CSV"), { click: () => saveCsv(name, rows) }),
	);
	section.append(makeFold("Show the numbers", table, formats, caption, columns));
}

function describeFault(error) {
	console.debug(error);
	const words = error instanceof FileFault ? error.message : "a value is missing or wrong";
	return `This part of the file cannot be shown: ${words}. Create the file again.`;
}

function showWords(node, describe) {
	node.textContent = attempt(describe, describeFault);
}

function makeFault(error) {
	return make("p", { class: "notice bad" }, describeFault(error));
}

// The page answers between two panels.
async function drawPanel(section, render, ...inputs) {
	await new Promise((resolve) => setTimeout(resolve));
	const showFault = (error) => section.append(makeFault(error));
	section.hidden = attempt(() => render(section, ...inputs), showFault) === false;
}
