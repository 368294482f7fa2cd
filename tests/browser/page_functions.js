// Exports the functions of dashboard.js to Node.js: the page's script is not a module.  It runs
// in a context of its own, in which no event starts the page.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const SCRIPT = path.join(__dirname, "../../frontend/dashboard.js");
const NAMES = [
	"boxPath",
	"colourDomain",
	"columnLabel",
	"countNoun",
	"describeSample",
	"findClv",
	"firstCurvePlace",
	"flattenRow",
	"formatInterval",
	"formatValue",
	"groupCells",
	"haveSameRows",
	"heatStep",
	"isEmpty",
	"legendEnds",
	"linePath",
	"makeColourDomains",
	"makeCurves",
	"makeDocumentFormats",
	"makeFormats",
	"movePlace",
	"monthsPerLabel",
	"nearestLine",
	"niceTicks",
	"readAddress",
	"readDocument",
	"sortBy",
	"stackSpans",
	"toCsv",
	"HEAT_STEPS",
	"METRICS",
];

const context = vm.createContext({ addEventListener() {}, URLSearchParams });
vm.runInContext(fs.readFileSync(SCRIPT, "utf8"), context, SCRIPT);
module.exports = vm.runInContext(`({ ${NAMES.join(", ")} })`, context);
