"use strict";

const SCHEMA_MAJOR = "2";
const FILES = {
	report: { name: "report.json", command: "python ingest.py --report" },
	query: { name: "query_result.json", command: "python run_query.py" },
};
const GENERATE_COMMAND = "python generate_data.py --generate";
const INGEST_COMMAND = "python ingest.py --ingest";
const SERVE_COMMAND = "python serve_frontend.py";
const CREATE_AGAIN = "Create it again with";

const isNumber = Number.isFinite;
const isObject = (value) => Object.prototype.toString.call(value) === "[object Object]";

class FileFault extends Error {}

// An object in the place of text stops its panel, and "constructor" finds no function.
const FILE_OBJECT = {
	__proto__: null,
	toString() {
		throw new FileFault("expected text or a number, found an object");
	},
};

// Returns { document }, or { fault }, which a command follows.
function readDocument(text) {
	let document;
	try {
		document = JSON.parse(text, (_, value) =>
			isObject(value) ? Object.setPrototypeOf(value, FILE_OBJECT) : value,
		);
	} catch {
		return { fault: `is not JSON. ${CREATE_AGAIN}` };
	}
	if (!isObject(document)) return { fault: `contains no results. ${CREATE_AGAIN}` };
	const version = String(document.schema_version ?? "none");
	if (version.split(".")[0] === SCHEMA_MAJOR) return { document };
	return {
		fault: `has schema version ${version}; this page reads ${SCHEMA_MAJOR}.x. ${CREATE_AGAIN}`,
	};
}

function isEmpty({ cohorts, kpis }) {
	return cohorts ? cohorts.length === 0 : kpis?.order_count === 0;
}

// Returns undefined where a file does not state its digest.
function haveSameRows(report, query) {
	const [one, other] = [report, query].map((file) => file?.dataset?.content_sha256);
	return one && other ? one === other : undefined;
}

function findSaved(name) {
	return document.getElementById(name)?.textContent;
}

async function loadDocument(name) {
	const saved = findSaved(name);
	return saved === undefined ? fetchDocument(name) : readDocument(saved);
}

async function fetchDocument(name) {
	let response;
	let text;
	try {
		response = await fetch(`data/${name}`, { cache: "no-store" });
		text = await response.text();
	} catch {
		const fault = "cannot be fetched: the server does not answer. Start it with";
		return { fault, command: SERVE_COMMAND };
	}
	if (response.ok) return readDocument(text);
	if (response.status !== 404) {
		return { fault: `cannot be read: the server answered ${response.status}. ${CREATE_AGAIN}` };
	}
	const isLink = text.startsWith(`${name} is a link`);
	const state = isLink ? "is a link, which is not served. Replace it" : "is missing. Create it";
	return { fault: `${state} with` };
}

function attempt(action, explain) {
	try {
		return action();
	} catch (error) {
		return explain(error);
	}
}
