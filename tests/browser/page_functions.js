// Gives the functions of dashboard.js to node: the page itself is a plain script, without
// modules.  It runs in a context of its own, where no event ever starts it.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const SCRIPT = path.join(__dirname, "../../frontend/dashboard.js");
const NAMES = ["belongTogether", "between", "cohortRows", "colourDomain", "columnLabel",
  "formatValue", "heatStep", "isEmpty", "makeFormats", "movePlace", "niceTicks", "readAddress",
  "readDocument", "sampleWords", "scaleDomains", "sortBy", "stackSpans", "toCsv", "HEAT_STEPS",
  "METRICS"];

const context = vm.createContext({ addEventListener() {}, URLSearchParams });
vm.runInContext(fs.readFileSync(SCRIPT, "utf8"), context, SCRIPT);
module.exports = vm.runInContext(`({ ${NAMES.join(", ")} })`, context);
