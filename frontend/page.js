// Starts the page and shows what is wrong.
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
		makeTable(rows, ["fact", "value"], makeFormats(null), { caption: "Provenance", isBrief: true }),
	);
}

// Shows notices, { text, commands, next }; the commands are apart, ready to copy.
function showNotices(notices) {
	find("#notices").replaceChildren(
		...notices.map(({ text, commands, next = "reload this page" }) =>
			make(
				"p",
				{ class: "notice bad" },
				text,
				...commands.flatMap((command) => [" ", make("code", {}, command)]),
				` Then ${next}.`,
			),
		),
	);
}

function hidePanels(selector) {
	for (const panel of findAll(selector)) panel.hidden = true;
}

// Draws or hides the panels of one file; returns its document and the notices.
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
	hidePanels(`[data-file=${kind}]${kind === "report" ? ", [data-trend]" : ""}`);
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

// On paper, heading and day are also at the foot of each sheet.
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
	const seed = report?.provenance?.generator?.seed;
	if (report || query) {
		await drawPanel(find("#provenance"), (section) => renderProvenance(section, report, query));
	}
	showHeading(isText(seed) && seed, [...days]);
	showNotices([...notices, ...others, ...makeSharedNotices(report, query)]);
}

async function start() {
	if (location.protocol === "file:" && findSaved(FILES.report.name) === undefined) {
		hidePanels("[data-file], [data-trend]");
		showNotices([
			{
				text:
					"This page was opened as a file, and a browser lets no file read other files, such as" +
					" report.json. Run",
				commands: [SERVE_COMMAND],
				next: `open ${SERVED_PAGE}`,
			},
		]);
	} else {
		await showResults();
	}
	document.body.dataset.ready = "";
}

addEventListener("DOMContentLoaded", start);
