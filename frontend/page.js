"use strict";

const findSeed = (report) => report?.provenance?.generator?.seed;

function renderProvenance(section, report, query) {
	const known = report ?? query;
	const facts = {
		Seed: findSeed(report),
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
	section.append(makeTable("Provenance", rows, ["fact", "value"], makeFormats(null)));
}

// A notice is [text, ...commands].
function showNotices(notices, next = "reload this page") {
	const texts = notices.map(([text, ...commands]) => {
		const codes = commands.flatMap((command) => [" ", make("code", {}, command)]);
		return make("p", { class: "notice bad" }, text, ...codes, ` Then ${next}.`);
	});
	find("#notices").replaceChildren(...texts);
}

function hidePanels(selector) {
	for (const panel of findAll(selector)) panel.hidden = true;
}

async function showFile(kind, render) {
	const file = FILES[kind];
	const notices = [];
	const add = (words, ...commands) => notices.push([`${file.name} ${words}`, ...commands]);
	try {
		const { document, fault, command = file.command } = await loadDocument(file.name);
		if (document) {
			await render(document);
			const words = "is empty: the database contains no valid order. Load data with";
			if (isEmpty(document)) add(words, INGEST_COMMAND, file.command);
			return { document, notices };
		}
		add(fault, command);
	} catch {
		add(`cannot be shown. ${CREATE_AGAIN}`, file.command);
	}
	hidePanels(`[data-file=${kind}]${kind === "query" ? ", [data-segment]" : ""}`);
	return { notices };
}

function makeSharedNotices(report, query) {
	const commands = [FILES.report.command, FILES.query.command];
	if (!report && !query) {
		const text = "No results yet? Run these commands in order:";
		return [[text, GENERATE_COMMAND, INGEST_COMMAND, ...commands]];
	}
	if (haveSameRows(report, query) !== false) return [];
	const text =
		"report.json and query_result.json were made from different data, so their figures" +
		" cannot be compared. Create both again with";
	return [[text, ...commands]];
}

function showHeading(seed, days) {
	const { date } = makeFormats(null);
	const words = days.map(date).join(" and ");
	if (seed) document.title = `Shop report, seed ${seed}`;
	find("h1").textContent = document.title;
	if (words) find("#as-of").textContent = `As of ${words}`;
	const foot = `${document.title}${words && `, as of ${words}`}`;
	document.documentElement.style.setProperty("--foot", JSON.stringify(foot));
}

async function showResults() {
	const [{ document: report, notices }, { document: query, notices: others }] = await Promise.all([
		showFile("report", renderReport),
		showFile("query", renderQuery),
	]);
	const isText = (value) => value && typeof value === "string";
	const days = new Set([report?.as_of, query?.as_of].filter(isText));
	const seed = findSeed(report);
	if (report || query) {
		await drawPanel(find("#provenance"), renderProvenance, report, query);
	}
	showHeading(isText(seed) && seed, [...days]);
	showNotices([...notices, ...others, ...makeSharedNotices(report, query)]);
}

async function start() {
	if (location.protocol === "file:" && findSaved(FILES.report.name) === undefined) {
		hidePanels("[data-file], [data-segment]");
		const text = "This page was opened as a file, and a browser lets no file read other files. Run";
		showNotices([[text, SERVE_COMMAND]], "open http://localhost:8000/frontend/");
	} else {
		await showResults();
	}
	document.body.dataset.ready = "";
}

addEventListener("DOMContentLoaded", start);
