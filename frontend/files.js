// Reads and checks the two files.
"use strict";

const SCHEMA_MAJOR = "2";
const FILES = {
	report: { name: "report.json", command: "python ingest.py --report" },
	query: { name: "query_result.json", command: "python run_query.py" },
};
const GENERATE_COMMAND = "python generate_data.py --generate";
const INGEST_COMMAND = "python ingest.py --ingest";
const SERVE_COMMAND = "python serve_frontend.py";
const SERVED_PAGE = "http://localhost:8000/frontend/";

const isNumber = Number.isFinite;
const isObject = (value) => Object.prototype.toString.call(value) === "[object Object]";

// A fault of the file, in words for the reader.
class FileFault extends Error {}

// The prototype of all objects of a file: an object where the page expects text stops its panel,
// and no name such as "constructor" finds a function.
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

// Returns undefined where a file does not state its digest.
function haveSameRows(report, query) {
	const [one, other] = [report, query].map((file) => file?.dataset?.content_sha256);
	return one && other ? one === other : undefined;
}

// Returns the text of a result inside the page, as a saved page has it.
function findSaved(name) {
	return document.getElementById(name)?.textContent;
}

// Returns { document }, or { fault, command } with the reason and the command to run.
async function loadDocument(file) {
	const saved = findSaved(file.name);
	if (saved === undefined) return fetchDocument(file);
	return checkText(saved, file);
}

function checkText(text, { command }) {
	const { document: found, fault } = readDocument(text);
	return found ? { document: found } : { fault: `${fault} Create it again with`, command };
}

async function fetchDocument(file) {
	const { name, command } = file;
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
	if (response.status === 404) {
		const isLink = text.startsWith(`${name} is a link`);
		const state = isLink ? "is a link, which is not served. Replace it" : "is missing. Create it";
		return { fault: `${state} with`, command };
	}
	if (!response.ok) {
		return {
			fault: `cannot be read: the server answered ${response.status}. Create it again with`,
			command,
		};
	}
	return checkText(text, file);
}
