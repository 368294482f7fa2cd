// Starts the page: shows both files, what is wrong with them, and where they come from.
"use strict";

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
		const { document, fault, command } = await loadDocument(file);
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

// Shows the day of the data below the heading, and on paper at the foot of each page.
function showDay(words) {
	find("#as-of").textContent = words;
	document.documentElement.style.setProperty("--foot", JSON.stringify(`Shop report. ${words}`));
}

async function showResults() {
	const [{ document: report, notices }, { document: query, notices: others }] = await Promise.all([
		showFile("report", renderReport),
		showFile("query", renderQuery),
	]);
	const { date } = makeFormats(null);
	const isText = (day) => day && typeof day === "string";
	const days = new Set([report?.as_of, query?.as_of].filter(isText));
	if (days.size) showDay(`As of ${[...days].map(date).join(" and ")}`);
	if (report || query) {
		await drawPanel(find("#provenance"), (section) => renderProvenance(section, report, query));
	}
	showNotices([...notices, ...others, ...makeSharedNotices(report, query)]);
}

async function start() {
	if (location.protocol === "file:" && findSaved(FILES.report.name) === undefined) {
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

addEventListener("DOMContentLoaded", start);
