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

function makeTable(caption, rows, columns, formats) {
	const [first, ...others] = columns;
	const texts = others.filter((column) => !rows.some((row) => isNumber(row[column])));
	const lookOf = (column) => ([first, ...texts].includes(column) ? { class: "text" } : {});
	const heads = columns.map((column) =>
		make("th", { scope: "col", ...lookOf(column) }, columnLabel(column)),
	);
	const body = rows.map((row) => {
		const cells = others.map((column) => {
			const look = column === "result" ? { "data-status": row.result ?? "" } : lookOf(column);
			const cell = make("td", look, formatValue(column, row[column], formats));
			// The policy forbids a style attribute, but not a property that the script sets.
			if (column.endsWith("_share")) cell.style.setProperty("--share", row[column]);
			return cell;
		});
		const name = formatValue(first, row[first], formats);
		const head = make("th", { scope: "row" }, name, isIncomplete(row) ? INCOMPLETE : "");
		return make("tr", {}, head, ...cells);
	});
	const title = make("caption", {}, caption);
	const parts = [make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...body)];
	return makeStop("scroll", caption, make("table", {}, title, ...parts));
}

function makeFold(words, rows, formats, caption, columns = Object.keys(rows[0] ?? {})) {
	const fold = make("details", {}, make("summary", {}, words));
	const build = () => attempt(() => makeTable(caption, rows, columns, formats), makeFault);
	return on(fold, { toggle: () => fold.children[1] ?? fold.append(build()) });
}

function saveFile(download, type, text) {
	const href = URL.createObjectURL(new Blob([text], { type }));
	make("a", { href, download }).click();
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

function addSaveButton(section, kind, save) {
	const attributes = { class: "save", "aria-label": `${kind}: ${titleOf(section)}` };
	find("h2", section).after(on(make("button", attributes, kind), { click: save }));
}

function addRows(section, rows, formats, { table = rows, columns, name } = {}) {
	const file = `${name || section.dataset.trend || section.id}.csv`;
	// Without a byte order mark, a spreadsheet reads another encoding.
	const save = () => saveFile(file, "text/csv", `\ufeff${toCsv(rows)}`);
	addSaveButton(section, "CSV", save);
	section.append(makeFold("Show the numbers", table, formats, titleOf(section), columns));
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
