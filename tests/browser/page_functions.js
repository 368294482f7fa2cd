// Exports the functions of the page to Node.js: its scripts are not modules.  They run in a
// context of their own, in the order of the page, where no event starts it.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const FOLDER = path.join(__dirname, "../../frontend");
const NAMES = [
	"boxPath",
	"cohortEntries",
	"colourDomain",
	"columnLabel",
	"compareSegments",
	"countNoun",
	"describeSample",
	"findClv",
	"firstCurvePlace",
	"flattenRow",
	"formatInterval",
	"formatValue",
	"groupCells",
	"haveSameRows",
	"heatEntries",
	"heatLook",
	"heatStep",
	"isEmpty",
	"listOrders",
	"listPinned",
	"linePath",
	"makeColourDomains",
	"makeCurves",
	"makeDocumentFormats",
	"makeFormats",
	"movePlace",
	"monthsPerLabel",
	"nearestLine",
	"niceTicks",
	"offerPin",
	"readAddress",
	"readDocument",
	"selectSegment",
	"sortBy",
	"spanMonths",
	"stackSpans",
	"toCsv",
	"HEAT_STEPS",
	"METRICS",
];

const context = vm.createContext({ addEventListener() {}, EventTarget, URLSearchParams });
const html = fs.readFileSync(path.join(FOLDER, "index.html"), "utf8");
const SCRIPTS = [...html.matchAll(/<script src="([^"]+)"/g)].map(([, name]) => name);
for (const name of SCRIPTS) {
	vm.runInContext(fs.readFileSync(path.join(FOLDER, name), "utf8"), context, name);
}
module.exports = { SCRIPTS, ...vm.runInContext(`({ ${NAMES.join(", ")} })`, context) };
