// Opens the page in Chromium and checks what a reader sees.
// node check_page.js '{"modules", "chromium", "url", "resultsDir", "realDir", "staticUrl", "fileUrl",
// "savedUrl"}'
// prints a line of JSON for each check: {"name", "fault"}.  test_page.py starts it.
// A second argument runs only the checks whose name contains it.
"use strict";

const assert = require("node:assert/strict");
const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { openTab, showPage, withBrowser } = require("./chromium.js");
const page = require("./page_functions.js");
const { makeQueryResult, makeReport, SHOPS } = require("./sample_results.js");

const settings = JSON.parse(process.argv[2]);
const part = process.argv[3] ?? "";
let browser;

// Writes the two result files: each a document, a text, or null for no file.
function putResults(report, query) {
	for (const [name, content] of [
		["report.json", report],
		["query_result.json", query],
	]) {
		const file = path.join(settings.resultsDir, name);
		fs.rmSync(file, { force: true });
		if (content === null) continue;
		fs.writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
	}
}

// Opens an address in a new tab; returns the tab, its warnings and its requests.
async function open(url, { width = 1440, dark = false, locale = "en-US" } = {}) {
	const tab = await openTab(browser, { width, scheme: dark ? "dark" : "light" });
	const seen = { warnings: [], requests: [] };
	tab.on("console", (message) => {
		if (["error", "warn"].includes(message.type())) seen.warnings.push(message.text());
	});
	tab.on("pageerror", (error) => seen.warnings.push(String(error)));
	tab.on("request", (request) => seen.requests.push(request.url()));
	const devtools = await tab.createCDPSession();
	await devtools.send("Emulation.setLocaleOverride", { locale });
	await showPage(tab, url);
	return { tab, seen };
}

const textOf = (tab, selector) => tab.$eval(selector, (node) => node.innerText);
const isShown = (tab, selector) => tab.$eval(selector, (node) => node.offsetParent !== null);
const realistic = () => [makeReport(SHOPS.realistic), makeQueryResult(SHOPS.realistic)];

const chooseMetric = (tab, key) => tab.select("#choices label:nth-child(1) select", key);
const chooseScale = (tab, scale) => tab.select("#choices label:nth-child(2) select", scale);
const readChoices = (tab) =>
	tab.$$eval("#choices select", (selects) => selects.map(({ value }) => value));

async function expectWords(tab, words) {
	const notices = await textOf(tab, "#notices");
	for (const word of words) assert.ok(notices.includes(word), `no "${word}" in "${notices}"`);
}

const CSV_NAMES = [
	"revenue_by_month",
	"curves",
	"forecast",
	"cohorts",
	"weekday_by_hour",
	"orders_per_customer",
	"category_mix",
	"channels",
	"top_products",
	"countries",
	"refunds_and_cancellations",
	"payment_methods",
];

const SVG_NAMES = ["revenue", "customers", "curves", "hours", "orders"];
const FOLDER = path.join(os.tmpdir(), `shop-downloads-${process.pid}`);

// Presses the buttons of a kind and returns the text of each file, by its name.
async function saveFiles(kind, names, url = settings.url, { panel = "", ...options } = {}) {
	fs.mkdirSync(FOLDER);
	const devtools = await browser.target().createCDPSession();
	const behaviour = { behavior: "allow", downloadPath: FOLDER };
	await devtools.send("Browser.setDownloadBehavior", behaviour);
	// Chromium prompts after ten downloads of one page, so two pages share them.
	for (const [from, to] of names.length > 6
		? [
				[0, 6],
				[6, 99],
			]
		: [[0, 99]]) {
		const { tab, seen } = await open(url, options);
		const buttons = await tab.$$(`${panel} .save[aria-label^=${kind.toUpperCase()}]`);
		for (const button of buttons.slice(from, to)) await button.click();
		assert.deepEqual(seen.warnings, []);
	}
	try {
		return await readFiles(names.map((name) => `${name}.${kind}`));
	} finally {
		// A panel can save the file of another one, which is perhaps still being written.
		fs.rmSync(FOLDER, { recursive: true, maxRetries: 5 });
	}
}

async function readFiles(names) {
	const isSaved = (name) => fs.existsSync(path.join(FOLDER, name));
	for (let n = 0; n < 400 && !names.every(isSaved); n += 1) {
		await new Promise((resolve) => {
			setTimeout(resolve, 50);
		});
	}
	const read = (name) => fs.readFileSync(path.join(FOLDER, name), "utf8");
	return Object.fromEntries(names.map((name) => [name.split(".")[0], read(name)]));
}

// Opens an SVG file alone, as a viewer does; returns its parts and whether they are drawn.
async function readSvg(text) {
	const file = path.join(settings.resultsDir, "chart.svg");
	fs.writeFileSync(file, text);
	const tab = await openTab(browser, { scheme: "dark" });
	await tab.goto(pathToFileURL(file).href);
	const found = await tab.evaluate(() => {
		const root = document.documentElement;
		const { width, height } = root.getBoundingClientRect();
		const box = root.querySelector("g").getBoundingClientRect();
		return {
			name: root.localName,
			size: [width, height],
			title: root.querySelector("title").textContent,
			words: root.querySelector("desc").textContent,
			texts: [...root.querySelectorAll("text")].map((node) => node.textContent),
			isInside: box.left >= 0 && box.right <= width && box.bottom <= height,
			rules: document.styleSheets.length + root.querySelectorAll("[class], image, use").length,
		};
	});
	await tab.close();
	fs.rmSync(file);
	return found;
}

// Prints the page to A4 and returns the sheets: { width, words } with [text, left, right, height]
// of each word, in points.
async function print() {
	const { tab, seen } = await open(settings.url, { width: 800, dark: true });
	const file = path.join(settings.resultsDir, "page.pdf");
	await tab.pdf({ path: file, format: "A4", preferCSSPageSize: true, timeout: 0 });
	assert.deepEqual(seen.warnings, []);
	const options = { encoding: "utf8", maxBuffer: 1e8 };
	const text = execFileSync(settings.pdftotext, ["-bbox", file, "-"], options);
	fs.rmSync(file);
	return text.split("<page ").slice(1).map(readSheet);
}

function readSheet(text) {
	const pattern = /<word xMin="([\d.-]+)" yMin="([\d.]+)" xMax="([\d.]+)" yMax="([\d.]+)">(.*?)</g;
	return {
		width: Number(/width="([\d.]+)"/.exec(text)[1]),
		words: [...text.matchAll(pattern)].map(([, left, top, right, bottom, word]) => [
			word.replace(/&#39;/g, "'").replace(/&amp;/g, "&"),
			...[left, right, bottom - top].map(Number),
		]),
	};
}

// Fails unless the words are on the sheets, each inside the margins, and each sheet has its
// number and the day of the data at its foot.
function expectOnPaper(sheets, words) {
	const texts = sheets.map((sheet) => sheet.words.map(([word]) => word).join(" "));
	for (const word of words) {
		assert.ok(texts.join(" ").includes(word), `no "${word}" in ${texts.join(" ")}`);
	}
	sheets.forEach(({ width, words: all }, n) => {
		const outside = all.filter(([, left, right]) => left < 30 || right > width - 30);
		assert.deepEqual(outside, []);
		assert.match(texts[n], /as of Dec \d+, 202\d/);
		assert.ok(texts[n].includes(`${n + 1} / ${sheets.length}`), texts[n]);
	});
	// Chromium makes everything smaller where one element is too wide for the paper.
	const heading = sheets.flatMap((sheet) => sheet.words).find(([word]) => word === "Cohorts");
	assert.ok(heading[3] > 10, `a heading of ${heading[3]} points`);
}

async function readHeadings() {
	const { tab } = await open(settings.url);
	return tab.$$eval("section:not([hidden]) h2", (nodes) => nodes.map((n) => n.innerText));
}

const checks = {
	async the_page_gives_no_warning_and_requests_nothing_elsewhere() {
		putResults(...realistic());
		const { tab, seen } = await open(settings.url);
		assert.deepEqual(seen.warnings, []);
		const home = new URL(settings.url).origin;
		const elsewhere = seen.requests.filter(
			(url) => !url.startsWith("data:") && new URL(url).origin !== home,
		);
		assert.deepEqual(elsewhere, []);
		const own = seen.requests.filter((url) => !url.startsWith("data:"));
		const names = [
			"",
			"dashboard.css",
			...page.SCRIPTS,
			"data/report.json",
			"data/query_result.json",
		];
		assert.deepEqual(own.sort(), names.map((name) => settings.url + name).sort());
		assert.equal(await textOf(tab, "#notices"), "");
	},

	async every_key_figure_is_the_one_in_the_json() {
		const [report, query] = realistic();
		putResults(report, query);
		const { tab } = await open(settings.url);
		const values = await tab.$$eval("#kpis data", (nodes) => nodes.map((n) => Number(n.value)));
		const { kpis } = report;
		assert.deepEqual(values, [
			kpis.net_cents,
			kpis.order_count,
			kpis.customer_count,
			kpis.aov_cents,
			kpis.repeat_rate,
			kpis.refund_rate,
			query.summary.clv[2].cents,
			query.forecast.total[2].net_cents.forecast,
		]);
		assert.match(await textOf(tab, "#kpis"), /Nov 2024: €[\d,.]+, \+72\.1% year on year/);
		assert.match(await textOf(tab, "#kpis"), /€65\.42/);
		assert.match(await textOf(tab, "#kpis"), /31\.3%/);
		assert.match(await textOf(tab, "#as-of"), /Dec 14, 2024/);
		assert.equal(await textOf(tab, "#verdict"), "! Data sound: 0 failed checks, 1 warning");
	},

	async real_results_fill_every_panel() {
		const [report, query] = ["report.json", "query_result.json"].map((name) =>
			fs.readFileSync(path.join(settings.realDir, name), "utf8"),
		);
		putResults(report, query);
		const { tab, seen } = await open(settings.url);
		assert.deepEqual(seen.warnings, []);
		assert.equal(await textOf(tab, "#notices"), "");
		assert.equal((await tab.$$("section .notice")).length, 0);
		assert.equal((await tab.$$("section[hidden], dl[hidden]")).length, 0);
		const values = await tab.$$eval("#kpis data", (nodes) => nodes.map((node) => node.value));
		const { kpis } = JSON.parse(report);
		const { summary, forecast } = JSON.parse(query);
		const { cents } = summary.clv.find(({ months }) => months === 12);
		assert.deepEqual(
			values,
			[
				kpis.net_cents,
				kpis.order_count,
				kpis.customer_count,
				kpis.aov_cents,
				kpis.repeat_rate,
				kpis.refund_rate,
				cents,
				forecast.total.at(-1).net_cents.forecast,
			].map(String),
		);
		const words = await textOf(tab, "main");
		assert.doesNotMatch(words, /NaN|undefined|\[object/);
	},

	async every_metric_shows_the_cells_of_the_json() {
		const [report, query] = realistic();
		putResults(report, query);
		const { tab, seen } = await open(settings.url);
		const to = page.makeFormats(null, "en-US");
		const [first, ...others] = page.METRICS;
		for (const { key, column } of [...others, first]) {
			await chooseMetric(tab, key);
			// From 100 on, cells of money are whole: the line below shows the exact figure.
			const isWhole = /_cents$/.test(column) && query.cells.some((cell) => cell[column] >= 10000);
			const format = (value) => {
				if (key === "retention") return to.percentFigure(value);
				return isWhole ? to.moneyWhole(value) : page.formatValue(column, value, to);
			};
			const shown = await tab.$$eval("#table tbody tr", (rows) =>
				rows.map((row) => [...row.cells].slice(2).map((cell) => cell.textContent)),
			);
			const expected = query.cohorts.map(({ cohort }) =>
				query.cells.filter((cell) => cell.cohort === cohort).map((cell) => format(cell[column])),
			);
			assert.deepEqual(shown, expected, key);
			const means = await tab.$$eval("#table tfoot td", (cells) =>
				cells.slice(1).map((cell) => [cell.textContent, cell.dataset.of ?? ""]),
			);
			assert.deepEqual(means, [
				...query.average.map((row) => [format(row[column]), String(row.cohort_count)]),
				["", ""],
			]);
			assert.equal(new URL(tab.url()).hash, `#metric=${key}`);
		}
		assert.deepEqual(seen.warnings, []);
	},

	async each_scale_colours_by_its_own_range() {
		const [report, query] = realistic();
		putResults(report, query);
		const { tab } = await open(settings.url);
		for (const scale of ["month", "cohort", "table"]) {
			await chooseScale(tab, scale);
			const domainOf = page.makeColourDomains(page.METRICS[0], scale, query.cells);
			const shown = await tab.$$eval("#table tbody td:is([class^=h], .zero)", (cells) =>
				cells.map((cell) => cell.className),
			);
			const expected = query.cells
				.filter((cell) => cell.is_complete && cell.months_since)
				.map((cell) => page.heatLook(cell.retention, domainOf(cell)));
			assert.deepEqual(shown, expected, scale);
			assert.equal(new URL(tab.url()).hash, `#scale=${scale}`);
		}
	},

	async headings_sort_by_their_column() {
		const [report, query] = realistic();
		putResults(report, query);
		const { tab } = await open(settings.url);
		const sizes = () =>
			tab.$$eval("#table tbody td:nth-child(2)", (cells) =>
				cells.map((cell) => Number(cell.textContent)),
			);
		const expected = query.cohorts.map((cohort) => cohort.cohort_size).sort((a, b) => b - a);
		await tab.click("#table thead tr th:nth-child(2) button");
		assert.deepEqual(await sizes(), expected);
		assert.equal(await tab.$eval("#table [aria-sort]", (th) => th.ariaSort), "descending");
		assert.equal(new URL(tab.url()).hash, "#sort=-size");
		const { tab: other } = await open(tab.url());
		assert.equal(await textOf(other, "#table [aria-sort]"), "Customers");
		await tab.bringToFront();
		await tab.click("#table thead tr th:nth-child(2) button");
		assert.deepEqual(await sizes(), expected.reverse());
		// By the third month, cohorts that have none come last.
		await tab.click("#table thead tr:nth-child(2) th:nth-child(4) button");
		const lengths = await tab.$$eval("#table tbody tr", (rows) =>
			rows.map((row) => row.cells.length),
		);
		assert.deepEqual(
			lengths.slice(-3).map((n) => n < 6),
			[true, true, true],
		);
	},

	async incomplete_months_are_marked_and_future_months_are_empty() {
		const [report, query] = realistic();
		putResults(report, query);
		const { tab } = await open(settings.url);
		// The words are generated content, so they are read from the accessibility tree.
		const tree = JSON.stringify(await tab.accessibility.snapshot({ interestingOnly: false }));
		assert.equal(tree.match(/"name":"[\d.]+ incomplete"/g).length, 24);
		assert.equal((await tab.$$("#table .incomplete")).length, 24);
		const lengths = await tab.$$eval("#table tbody tr", (rows) =>
			rows.map((row) => [...row.cells].slice(2).filter((cell) => cell.textContent).length),
		);
		assert.deepEqual(
			lengths,
			Array.from({ length: 24 }, (_, n) => 24 - n),
		);
	},

	async the_cohort_table_is_named_for_a_screen_reader() {
		putResults(...realistic());
		const { tab } = await open(settings.url);
		const table = await tab.$eval("#table table", (node) => ({
			caption: node.caption.textContent,
			unscoped: node.querySelectorAll("th:not([scope])").length,
			averages: node.tFoot.rows[0].cells[2].textContent,
			counts: node.tFoot.rows[0].cells[2].dataset.of,
		}));
		assert.deepEqual(table, {
			caption: "Retention by cohort and months since the first order",
			unscoped: 0,
			averages: "100.0",
			counts: "23",
		});
	},

	async the_address_chooses_metric_scale_and_cohort() {
		putResults(...realistic());
		const { tab } = await open(`${settings.url}#cohort=2023-05&metric=aov&scale=month`);
		assert.deepEqual(await readChoices(tab), ["aov", "month"]);
		assert.equal(await textOf(tab, "#table [data-chosen] th"), "May 2023");
		assert.match(await textOf(tab, "#curves .readout"), /^Cohort May 2023 /);
		await tab.evaluate(() => {
			location.hash = "#metric=orders";
		});
		await tab.waitForFunction(() => document.querySelector("#choices select").value === "orders");
		await tab.evaluate(() => {
			location.hash = "#metric=nothing&cohort=<b>";
		});
		assert.equal(await isShown(tab, "#cohorts"), true);
	},

	async charts_work_with_the_keyboard_alone() {
		const [report, query] = realistic();
		putResults(report, query);
		const { tab } = await open(settings.url);
		const first = report.trends.weekday_by_hour.rows[0].order_count;
		// Every chart is one tab stop; Escape returns to its first place.
		const stops = [];
		for (let n = 0; n < 60; n += 1) {
			await tab.keyboard.press("Tab");
			const stop = await tab.evaluate(() => {
				const { activeElement: node } = document;
				return node.matches(".plot, #table") && node.closest("section").id;
			});
			if (stop && !stops.includes(stop)) stops.push(stop);
		}
		assert.deepEqual(stops, ["revenue", "customers", "curves", "cohorts", "hours", "orders"]);
		const expected = {
			revenue: ["Home", /^Jan 2023: Net €/],
			customers: ["Home", /^Jan 2023: Returning/],
			curves: ["ArrowUp", /^Cohort Oct 2023 /],
			orders: ["End", /^Dec 2024 \(incomplete\): /],
			hours: ["Home", new RegExp(`^Mon, 0:00 to 1:00: ${first} orders`)],
		};
		for (const [name, [key, words]] of Object.entries(expected)) {
			const readout = `#${name} .readout`;
			const atFirst = await textOf(tab, readout);
			await tab.focus(`#${name} .plot`);
			await tab.keyboard.press(key);
			assert.match(await textOf(tab, readout), words);
			await tab.keyboard.press("Escape");
			assert.equal(await textOf(tab, readout), atFirst);
		}
	},

	async the_cohort_table_works_with_the_keyboard_alone() {
		const [report, query] = realistic();
		putResults(report, query);
		const { tab } = await open(settings.url);
		const readout = () => textOf(tab, "#cohorts .readout");
		const atFirst = await readout();
		await tab.focus("#table");
		await tab.keyboard.press("ArrowDown");
		assert.match(await readout(), /^Cohort Jan 2023, month 0: Retention 100\.0%/);
		await tab.keyboard.press("ArrowDown");
		await tab.keyboard.press("ArrowRight");
		assert.match(await readout(), /^Cohort Feb 2023, month 1: Retention .* AOV €/);
		await tab.keyboard.press("Enter");
		assert.equal(new URL(tab.url()).hash, "#cohort=2023-02");
		assert.match(await textOf(tab, "#curves .readout"), /^Cohort Feb 2023 /);
		await tab.keyboard.press("Escape");
		assert.equal(await readout(), atFirst);
		// Above the first row are the headings; Enter sorts by one.
		await tab.keyboard.press("ArrowUp");
		await tab.keyboard.press("ArrowLeft");
		assert.equal(await tab.evaluate(() => document.activeElement.textContent), "Customers");
		await tab.keyboard.press("Enter");
		assert.equal(await tab.$eval("#table [aria-sort]", (th) => th.textContent), "Customers");
		assert.equal(await tab.evaluate(() => document.activeElement.textContent), "Customers");
	},

	async pointing_at_a_chart_shows_its_figures() {
		const [report, query] = realistic();
		putResults(report, query);
		const { tab } = await open(settings.url);
		const box = await (await tab.$("#revenue svg")).boundingBox();
		await tab.mouse.move(box.x + 60, box.y + 100);
		const month = report.trends.revenue_by_month.rows[0];
		const to = page.makeFormats("EUR", "en-US");
		assert.match(
			await textOf(tab, "#revenue .readout"),
			new RegExp(`^Jan 2023: Net ${to.money(month.net_cents)} · .*Orders ${month.order_count}`),
		);
		const cell = await tab.$("#table tbody tr:nth-child(3) td:nth-child(5)");
		await cell.hover();
		assert.match(await textOf(tab, "#cohorts .readout"), /^Cohort Mar 2023, month 2: /);
		await cell.click();
		assert.equal(new URL(tab.url()).hash, "#cohort=2023-03");
	},

	async a_button_leads_from_a_chosen_cohort_to_the_curves() {
		putResults(...realistic());
		const { tab } = await open(settings.url);
		assert.equal(await isShown(tab, "#to-curves"), false);
		await tab.click("#table tbody tr:nth-child(3) td:nth-child(5)");
		assert.match(await textOf(tab, "#to-curves"), /^Mar 2023 is highlighted in the curves/);
		await tab.click("#to-curves");
		const isSeen = await tab.$eval("#curves .plot", (plot) => {
			const { top, bottom } = plot.getBoundingClientRect();
			return plot === document.activeElement && top >= 0 && bottom <= innerHeight;
		});
		assert.ok(isSeen);
		assert.equal(await tab.$eval("#curves .label", (node) => node.textContent), "Mar 2023");
	},

	async the_columns_of_the_cohort_table_are_equal_and_fit() {
		const [report, query] = ["report.json", "query_result.json"].map((name) =>
			fs.readFileSync(path.join(settings.realDir, name), "utf8"),
		);
		putResults(report, query);
		const { tab } = await open(settings.url);
		for (const metric of ["retention", "cum_net", "orders", "aov"]) {
			await chooseMetric(tab, metric);
			const [widths, isCut] = await tab.$eval("#table", (box) => [
				[...box.querySelectorAll("thead tr + tr th")].map((th) => Math.round(th.offsetWidth)),
				box.scrollWidth > box.clientWidth,
			]);
			assert.equal(new Set(widths.slice(1)).size, 1, `${metric}: ${widths}`);
			assert.equal(isCut, false, metric);
		}
	},

	async zero_differs_from_the_few_other_cells() {
		const [report, query] = realistic();
		const cells = query.cells.map((cell) => ({
			...cell,
			retention: cell.months_since ? 0 : 1,
		}));
		cells[3].retention = 0.021;
		putResults(report, { ...query, cells });
		const { tab } = await open(settings.url);
		const looks = await tab.$$eval("#table tbody td[class]", (nodes) =>
			nodes.map((node) => [node.textContent, node.className]),
		);
		const known = new Set(looks.map((pair) => pair.join()));
		assert.deepEqual([...known].sort(), [
			...["0.0,incomplete", "0.0,zero", "100.0,first-month", "100.0,incomplete", "2.1,h3"],
		]);
		assert.equal(await textOf(tab, "#cohorts .legend"), "0.0%\n2.1%\nincomplete month");
	},

	async orders_without_a_time_of_day_have_a_sentence_instead_of_a_chart() {
		const [report, query] = realistic();
		const note = "all orders are dated at 00:00, so their hours are missing";
		report.trends.weekday_by_hour = { title: "Hours", note, rows: [] };
		putResults(report, query);
		const { tab } = await open(settings.url);
		assert.equal(await textOf(tab, "#hours"), `Orders by weekday and hour\n\nNot known: ${note}.`);
	},

	async the_hour_map_has_a_legend_and_no_label_is_cut() {
		const [report, query] = realistic();
		report.trends.weekday_by_hour.rows[0].order_count = 0;
		putResults(report, query);
		const { tab } = await open(settings.url);
		assert.match(
			await textOf(tab, "#hours .legend"),
			/^0 orders\n\d+ orders or less\n\d+ orders or more$/,
		);
		const cut = await tab.$$eval(
			".plot text",
			(nodes) =>
				nodes.filter((node) => {
					const [{ left, right }, box] = [node, node.ownerSVGElement].map((one) =>
						one.getBoundingClientRect(),
					);
					return left < box.left - 1 || right > box.right + 1;
				}).length,
		);
		assert.equal(cut, 0);
	},

	async a_definition_opens_behind_its_button() {
		const [report, query] = realistic();
		putResults(report, query);
		const { tab } = await open(settings.url);
		assert.equal(await textOf(tab, "h1"), "Shop report, seed 42");
		assert.doesNotMatch(await textOf(tab, "#kpis"), /gross − discount/);
		await tab.click("#kpis summary");
		assert.match(await textOf(tab, "#kpis"), /net: gross − discount − refund/);
	},

	async an_unfolded_table_breaks_no_word_and_has_its_own_columns() {
		const [report, query] = realistic();
		putResults(report, query);
		const { tab } = await open(settings.url);
		await tab.$$eval("details", (folds) =>
			folds.forEach((fold) => {
				fold.open = true;
			}),
		);
		await tab.waitForSelector("#customers tbody tr");
		const heads = await tab.$$eval("#customers th[scope=col]", (nodes) =>
			nodes.map((node) => node.innerText),
		);
		assert.deepEqual(heads, ["Month", "Returning customers", "New customers", "Returning share"]);
		const tall = await tab.$$eval(
			"#customers tbody tr:not(:last-child) th, #checks thead th",
			(nodes) => nodes.filter((node) => node.clientHeight > 34).map((node) => node.textContent),
		);
		assert.deepEqual(tall, []);
	},

	async a_second_click_takes_the_choice_back() {
		putResults(...realistic());
		const { tab } = await open(settings.url);
		const atFirst = await textOf(tab, "#curves .readout");
		const cell = "#table tbody tr:nth-child(3) td:nth-child(5)";
		await tab.click(cell);
		assert.equal(await textOf(tab, "#table [data-chosen] th"), "Mar 2023");
		assert.match(await textOf(tab, "#curves .readout"), /^Cohort Mar 2023 /);
		await tab.click(cell);
		assert.equal((await tab.$$("#table [data-chosen]")).length, 0);
		assert.equal(new URL(tab.url()).hash, "");
		assert.equal(await textOf(tab, "#curves .readout"), atFirst);
		await tab.click(cell);
		assert.equal(new URL(tab.url()).hash, "#cohort=2023-03");
	},

	async larger_values_are_drawn_higher_and_later_months_to_the_right() {
		const [report, query] = realistic();
		putResults(report, query);
		const { tab } = await open(settings.url);
		const readLabels = (chart, anchor) =>
			tab.$$eval(`#${chart} svg text.${anchor}`, (nodes) =>
				nodes.map((node) =>
					[node.textContent, node.getAttribute("x"), node.getAttribute("y")].map((text) =>
						Number(text.replace(/[^\d.-]/g, "")),
					),
				),
			);
		for (const chart of ["revenue", "customers", "curves", "orders"]) {
			const ticks = await readLabels(chart, "end");
			assert.ok(ticks.length >= 3, chart);
			assert.equal(ticks[0][0], 0, chart);
			for (let n = 1; n < ticks.length; n += 1) assert.ok(ticks[n][2] < ticks[n - 1][2], chart);
		}
		// The last two are the words below the axis and the name of the highlighted line.
		const months = (await readLabels("curves", "middle")).slice(0, -2);
		assert.deepEqual(
			months.map(([month]) => month),
			[0, 3, 6, 9, 12, 15, 18, 21, 24],
		);
		for (let n = 1; n < months.length; n += 1) assert.ok(months[n][1] > months[n - 1][1]);
		// The bars of net revenue start at zero and are as long as their values.
		const path = await tab.$eval("#revenue path.series-1", (node) => node.getAttribute("d"));
		const heights = [...path.matchAll(/v([\d.]+)/g)].map(([, height]) => Number(height));
		const values = report.trends.revenue_by_month.rows.map((row) => row.net_cents);
		assert.equal(heights.length, values.length);
		for (let n = 0; n < values.length; n += 1) {
			assert.ok(Math.abs(heights[n] / heights[0] - values[n] / values[0]) < 1e-6);
		}
	},

	async a_clv_of_one_cohort_is_described_in_the_singular() {
		const shop = { months: 14, first: "2023-01", scale: 120 };
		const query = makeQueryResult(shop);
		assert.equal(query.summary.clv[2].cohort_count, 1);
		putResults(makeReport(shop), query);
		const { tab } = await open(settings.url);
		const cards = await textOf(tab, "#clv .steps");
		assert.match(cards, /After 12 months\s+€[\d,.]+\s+95% .*\s+1 cohort, median €/);
		assert.match(cards, /10 cohorts, median/);
		assert.doesNotMatch(cards, /After 24 months/);
	},

	async warnings_are_findings_and_not_among_the_passed_checks() {
		const [report, query] = realistic();
		putResults(report, query);
		const { tab } = await open(settings.url);
		assert.equal(await textOf(tab, "#checks summary"), "3 checks passed");
		await tab.click("#checks summary");
		await tab.waitForSelector("#checks details tbody tr");
		const readResults = (selector) =>
			tab.$$eval(selector, (rows) => rows.map((row) => row.cells[1].textContent));
		assert.deepEqual(await readResults("#checks > .scroll tbody tr"), [
			"warn",
			"info",
			"info",
			"info",
		]);
		assert.deepEqual(await readResults("#checks details tbody tr"), ["pass", "pass", "pass"]);
	},

	async the_rows_behind_the_curves_contain_the_clv_of_each_cohort() {
		const [report, query] = realistic();
		putResults(report, query);
		const { tab } = await open(settings.url);
		await tab.click("#curves summary");
		await tab.waitForSelector("#curves tbody tr");
		const table = await tab.$eval("#curves table", (node) => ({
			head: [...node.tHead.rows[0].cells].map((cell) => cell.textContent),
			first: [...node.tBodies[0].rows[0].cells].map((cell) => cell.textContent),
		}));
		const to = page.makeFormats("EUR", "en-US");
		const column = table.head.indexOf("CLV 12 months");
		assert.ok(column > 0, table.head.join());
		assert.equal(table.first[0], "Jan 2023");
		assert.equal(table.first[column], to.money(query.cohorts[0].clv[2].cents));
	},

	async quarters_are_shown_as_cohorts() {
		const [report, query] = realistic();
		const name = (month) => `${month.slice(0, 4)}-Q${Math.ceil(Number(month.slice(5)) / 3)}`;
		const cohorts = query.cohorts
			.filter((_, n) => n % 3 === 0)
			.map((cohort) => ({ ...cohort, cohort: name(cohort.cohort) }));
		const firsts = query.cohorts.filter((_, n) => n % 3 === 0).map(({ cohort }) => cohort);
		const cells = query.cells
			.filter(({ cohort }) => firsts.includes(cohort))
			.map((cell) => ({ ...cell, cohort: name(cell.cohort) }));
		const options = { ...query.options, cohort: "quarter" };
		putResults(report, { ...query, options, cohorts, cells, forecast: undefined });
		const { tab, seen } = await open(`${settings.url}#cohort=2023-Q2`);
		assert.equal(await textOf(tab, "#table [data-chosen] th"), "2023-Q2");
		assert.match(await textOf(tab, "#cohorts"), /in the same quarter/);
		assert.deepEqual(seen.warnings, []);
	},

	async a_segment_replaces_all_customers_in_the_panels_of_the_query() {
		const [report, query] = realistic();
		const { cohorts, cells, average, summary, forecast } = query;
		const [own] = cohorts;
		const segment = {
			segment: "paid_search",
			cohorts: [own],
			cells: cells.filter(({ cohort }) => cohort === own.cohort),
			average: average.map((row) => ({ ...row, cohort_count: 1 })),
			summary: { ...summary, customer_count: 77 },
		};
		const segments = [{ segment: "email", cohorts, cells, average, summary }, segment];
		const [horizon] = forecast.total;
		forecast.segments = [{ segment: "paid_search", customer_count: 77, horizons: [horizon] }];
		const options = { ...query.options, by: "channel" };
		putResults(report, { ...query, options, segments });
		const { tab, seen } = await open(settings.url);
		const countRows = () => tab.$$eval("#table tbody tr", (rows) => rows.length);
		assert.equal(await countRows(), cohorts.length);
		assert.match(await textOf(tab, "#segments table"), /paid search\s+77/);
		// Two choices at once: the second is drawn after the first, not into it.
		await tab.select("#segments select", "email");
		await tab.select("#segments select", "paid_search");
		await tab.waitForFunction(() => document.querySelectorAll("#table tbody tr").length === 1);
		await tab.waitForSelector("#cohorts .save");
		assert.equal(await tab.evaluate(() => location.hash), "#segment=paid_search");
		assert.equal(await textOf(tab, "#clv h2"), "Customer lifetime value · paid search");
		assert.equal((await tab.$$("#clv .ahead > div")).length, 1);
		assert.match(await textOf(tab, "#kpis"), /12-month CLV · paid search/);
		await tab.select("#segments select", "");
		await tab.waitForFunction(() => document.querySelectorAll("#table tbody tr").length > 1);
		assert.equal(await textOf(tab, "#clv h2"), "Customer lifetime value");
		const { tab: shared } = await open(`${settings.url}#segment=paid_search`);
		assert.equal(await shared.$eval("#segments select", ({ value }) => value), "paid_search");
		assert.equal((await shared.$$("#table tbody tr")).length, 1);
		assert.deepEqual(seen.warnings, []);
	},

	async pinned_cohorts_stay_drawn_and_are_in_the_address() {
		putResults(...realistic());
		const { tab, seen } = await open(`${settings.url}#cohort=2023-03&pin1=2023-05`);
		const countLines = async () => (await tab.$$("#curves path.series-4")).length;
		const readButtons = () =>
			tab.$$eval(".pin:not([hidden])", (nodes) => nodes.map((node) => node.textContent));
		const readFocus = () =>
			tab.evaluate(() => document.activeElement.textContent || document.activeElement.className);
		const press = async (...keys) => {
			for (const key of keys) await tab.keyboard.press(key);
		};
		assert.deepEqual(await readButtons(), ["Unpin May 2023", "Pin Mar 2023"]);
		assert.equal(await countLines(), 1);
		// From the chart, the tab key leads to the buttons.
		await tab.focus("#curves .plot");
		await press("Tab", "Tab", "Enter");
		assert.equal(await countLines(), 2);
		assert.equal(await readFocus(), "Unpin Mar 2023");
		assert.match(await tab.evaluate(() => location.hash), /pin1=2023-05&pin2=2023-03/);
		await tab.click("#table tbody tr:nth-child(7) td:nth-child(5)");
		await tab.click(".pin:last-of-type");
		assert.equal(await countLines(), 3);
		await tab.click("#table tbody tr:nth-child(9) td:nth-child(5)");
		const pinned = ["Unpin May 2023", "Unpin Mar 2023", "Unpin Jul 2023"];
		assert.deepEqual(await readButtons(), pinned);
		const labels = await tab.$$eval("#curves .label", (nodes) => nodes.map((n) => n.textContent));
		assert.deepEqual(labels, ["Mar 2023", "May 2023", "Jul 2023", "Sep 2023"]);
		await tab.focus(".pin");
		await press("Enter");
		assert.deepEqual(await readButtons(), ["Pin Sep 2023", ...pinned.slice(1)]);
		assert.equal(await readFocus(), "Pin Sep 2023");
		await press("Enter", "Tab", "Enter");
		// Nothing is left to pin, so the button is hidden and the chart has the focus.
		assert.deepEqual(await readButtons(), ["Unpin Sep 2023", "Unpin Jul 2023"]);
		assert.match(await tab.evaluate(() => document.activeElement.className), /plot/);
		assert.match(await tab.evaluate(() => location.hash), /&pin1=2023-09&pin3=2023-07$/);
		await tab.evaluate(() => {
			location.hash = "#cohort=2023-05&pin1=2023-05";
		});
		await tab.waitForFunction(
			() => document.querySelector(".pin").textContent === "Unpin May 2023",
		);
		assert.deepEqual(seen.warnings, []);
	},

	async a_result_without_segments_has_no_panel_of_them() {
		putResults(...realistic());
		const { tab } = await open(`${settings.url}#segment=email`);
		assert.equal(await isShown(tab, "#segments"), false);
		assert.equal(await textOf(tab, "#clv h2"), "Customer lifetime value");
	},

	async the_forecast_is_separate_from_the_facts() {
		const [report, query] = realistic();
		putResults(report, query);
		const { tab } = await open(`${settings.url}#cohort=2024-06`);
		const { horizons } = query.forecast.cohorts.find((one) => one.cohort === "2024-06");
		const to = page.makeFormats("EUR", "en-US");
		await tab.focus("#curves .plot");
		await tab.keyboard.press("ArrowRight");
		assert.match(
			await textOf(tab, "#curves .readout"),
			new RegExp(
				`forecast for month ${horizons[0].months_since}: ` +
					`${to.money(horizons[0].cum_net_per_customer_cents.forecast)}, 95% `,
			),
		);
		assert.match(await textOf(tab, "#curves .legend"), /its forecast, 95% interval shaded/);
		assert.match(await textOf(tab, "#clv"), /Forecast, not fact/);
		for (const [forecast, words] of [
			[undefined, /Create it with python run_query\.py --forecast/],
			[{ is_forecast: true, refused: "Too few." }, /Forecast refused: Too few\./],
		]) {
			putResults(report, { ...query, forecast });
			const { tab: other, seen } = await open(settings.url);
			assert.match(await textOf(other, "#clv"), words);
			assert.match(await textOf(other, "#kpis"), words);
			assert.doesNotMatch(await textOf(other, "#curves"), /forecast/);
			assert.deepEqual(seen.warnings, []);
		}
	},

	async every_panel_saves_its_rows_as_csv() {
		const [report, query] = realistic();
		putResults(report, query);
		const saved = await saveFiles("csv", CSV_NAMES);
		// A spreadsheet recognizes UTF-8 by the byte order mark.
		assert.equal(saved.cohorts, `\ufeff${page.toCsv(query.cells)}`);
		const months = page.toCsv(report.trends.revenue_by_month.rows);
		assert.equal(saved.revenue_by_month, `\ufeff${months}`);
		assert.match(saved.forecast, /^\ufeff"cohort",.*"net_forecast_cents","net_low_cents"/);
		assert.equal(saved.forecast.split("\n").length, 1 + 3 * query.cohorts.length + 1);
	},

	async every_chart_is_saved_as_a_drawing_that_needs_no_style_sheet() {
		const [report, query] = realistic();
		putResults(report, query);
		const saved = await saveFiles("svg", SVG_NAMES);
		const units = {
			revenue: "EUR",
			customers: "customers",
			curves: "EUR per customer",
			hours: "orders, hours in UTC",
			orders: "orders",
		};
		for (const [name, unit] of Object.entries(units)) {
			const found = await readSvg(saved[name]);
			assert.equal(found.name, "svg");
			assert.ok(found.size[0] === 900 && found.size[1] > 300, `${found.size}`);
			assert.ok(found.isInside && found.rules === 0, name);
			const facts = [
				`In ${unit}, as of Dec 14, 2024`,
				`SHA-256 of the data: ${report.dataset.content_sha256}`,
			];
			assert.equal(found.words, facts.join(". "));
			for (const words of [found.title, ...facts]) assert.ok(found.texts.includes(words), words);
			assert.match(saved[name], /font-family="[^"]*sans-serif"/);
			assert.doesNotMatch(saved[name], /var\(|light-dark|NaN/);
		}
		assert.match(saved.curves, /<title>Revenue per customer over time<.*Highlighted cohort</);
		assert.match(saved.revenue, />Net<.*>Incomplete month<.*fill="rgb\(0, 114, 178\)"/);
	},

	async a_saved_chart_is_the_same_in_each_window_and_in_a_saved_page() {
		putResults(...realistic());
		const [wide, narrow, saved] = [
			await saveFiles("svg", SVG_NAMES),
			await saveFiles("svg", SVG_NAMES, settings.url, { width: 375, dark: true }),
			await saveFiles("svg", SVG_NAMES, settings.savedUrl),
		];
		assert.deepEqual(narrow, wide);
		assert.deepEqual(saved, wide);
		const link = `${settings.url}#cohort=2023-05&pin1=2023-02`;
		const { curves } = await saveFiles("svg", SVG_NAMES, link);
		assert.match(curves, />Feb 2023<.*>May 2023</);
	},

	async figures_and_dates_follow_the_reader_s_locale() {
		putResults(...realistic());
		const { tab, seen } = await open(settings.url, { locale: "de-DE" });
		assert.match(await textOf(tab, "#kpis"), /65,42\s€/);
		assert.match(await textOf(tab, "#as-of"), /14\. Dez\. 2024/);
		assert.deepEqual(seen.warnings, []);
	},

	async folded_tables_contain_every_row() {
		const [report, query] = realistic();
		putResults(report, query);
		const { tab } = await open(settings.url);
		await tab.click("#revenue summary");
		await tab.waitForSelector("#revenue tbody tr");
		const cells = await tab.$$eval("#revenue tbody tr", (rows) =>
			rows.map((row) => row.cells[1].textContent),
		);
		const to = page.makeFormats("EUR", "en-US");
		assert.deepEqual(
			cells,
			report.trends.revenue_by_month.rows.map((row) => to.money(row.net_cents)),
		);
	},

	async failing_checks_are_named_with_their_keys() {
		const report = makeReport(SHOPS.realistic);
		Object.assign(report.verdict, { status: "fail", errors: 1, text: "Not sound." });
		Object.assign(report.checks[0], {
			status: "fail",
			count: 1234,
			sample: [[7], [8], [9]],
			all_rows: "python ingest.py --rows check_0",
		});
		putResults(report, makeQueryResult(SHOPS.realistic));
		const { tab } = await open(settings.url);
		assert.equal(await textOf(tab, "#verdict"), "✕ Data not sound: 1 failed check, 1 warning");
		await tab.click("#verdict");
		assert.equal(await tab.evaluate(() => document.activeElement.id), "checks");
		assert.ok(await tab.$eval("#checks h2", (node) => node.getBoundingClientRect().top >= 0));
		const first = await tab.$$eval("#checks tbody tr:first-child > *", (cells) =>
			cells.map((cell) => cell.textContent),
		);
		assert.deepEqual(first, [
			"items make the subtotal",
			"fail",
			"1,234",
			"order_id 7; order_id 8; order_id 9; …",
			"python ingest.py --rows check_0",
		]);
	},

	async a_missing_file_is_named_and_the_other_is_drawn() {
		const [report, query] = realistic();
		putResults(null, query);
		let { tab } = await open(settings.url);
		await expectWords(tab, ["report.json is missing", "python ingest.py --report"]);
		assert.equal(await isShown(tab, "#cohorts"), true);
		assert.equal(await isShown(tab, "#revenue"), false);
		putResults(report, null);
		({ tab } = await open(settings.url));
		await expectWords(tab, ["query_result.json is missing", "python run_query.py"]);
		assert.equal(await isShown(tab, "#cohorts"), false);
		assert.equal(await isShown(tab, "#revenue"), true);
		putResults(null, null);
		({ tab } = await open(settings.url));
		await expectWords(tab, [
			"report.json is missing",
			"query_result.json is missing",
			"python generate_data.py --generate",
			"python ingest.py --ingest",
		]);
		assert.equal(await isShown(tab, "#kpis"), false);
	},

	async a_file_that_is_not_json_is_named() {
		for (const text of ["<!DOCTYPE html>", "", '{"schema_version": "2.0", "kpis"']) {
			putResults(text, makeQueryResult(SHOPS.realistic));
			const { tab } = await open(settings.url);
			await expectWords(tab, [
				"report.json is not JSON. Create it again with",
				"python ingest.py --report",
			]);
			assert.equal(await isShown(tab, "#cohorts"), true);
			await tab.close();
		}
		putResults("[]", "null");
		const { tab } = await open(settings.url);
		await expectWords(tab, ["report.json contains no results", "query_result.json contains no"]);
	},

	async another_major_version_is_refused_in_words() {
		const [report, query] = realistic();
		putResults(report, { ...query, schema_version: "1.2" });
		const { tab } = await open(settings.url);
		await expectWords(tab, [
			"query_result.json has schema version 1.2",
			"reads 2.x",
			"python run_query.py",
		]);
		assert.equal(await isShown(tab, "#cohorts"), false);
		assert.equal(await isShown(tab, "#revenue"), true);
		putResults({ ...report, schema_version: "3.0" }, query);
		const { tab: other } = await open(settings.url);
		await expectWords(other, [
			"report.json has schema version 3.0",
			"reads 2.x",
			"python ingest.py --report",
		]);
		assert.equal(await isShown(other, "#cohorts"), true);
		assert.equal(await isShown(other, "#revenue"), false);
	},

	async an_omitted_first_cohort_is_named() {
		const [report, query] = realistic();
		putResults(report, { ...query, options: { ...query.options, omit_first_cohort: true } });
		const { tab } = await open(settings.url);
		assert.match(await textOf(tab, "#clv"), /The averages omit the first cohort, \w+ \d{4}\./);
	},

	async a_later_minor_version_is_read() {
		const [report, query] = realistic();
		putResults({ ...report, schema_version: "2.7" }, query);
		const { tab } = await open(settings.url);
		assert.equal(await textOf(tab, "#notices"), "");
		assert.equal(await isShown(tab, "#revenue"), true);
	},

	async a_file_of_another_shape_is_named_and_the_other_is_drawn() {
		const [report, query] = realistic();
		for (const change of [{ cohorts: "none" }, { cohorts: [null] }, { cells: true }]) {
			putResults(report, { ...query, ...change });
			const { tab } = await open(settings.url);
			await expectWords(tab, ["query_result.json cannot be shown", "python run_query.py"]);
			assert.equal(await isShown(tab, "#cohorts"), false);
			assert.equal(await isShown(tab, "#revenue"), true);
			await tab.close();
		}
	},

	async an_object_or_an_extreme_figure_stops_its_panel_alone() {
		const odd = { a: 1 };
		const changes = {
			"#checks": ({ report }) => Object.assign(report.verdict, { text: odd }),
			"[data-trend=countries]": ({ report }) =>
				Object.assign(report.trends.countries.rows[0], { country_code: odd }),
			"#revenue": ({ report }) =>
				Object.assign(report.trends.revenue_by_month.rows[0], {
					net_cents: 1e308,
					discount_cents: 1e308,
				}),
			"#customers": ({ report }) => {
				report.trends.revenue_by_month.rows[0].new_customers = -1e308;
				report.trends.revenue_by_month.rows[1].new_customers = 1e308;
			},
			"#kpis": ({ report }) => Object.assign(report.kpis, { net_cents: odd }),
			"#clv": ({ query }) => Object.assign(query.forecast.holdout, { days: odd }),
			"#curves": ({ query }) =>
				Object.assign(query.forecast.cohorts.at(-13).horizons[0], { months_since: 1e308 }),
			"#cohorts": ({ query }) => Object.assign(query, { currency: odd }),
			"#provenance": ({ report }) => Object.assign(report.provenance.generator, { seed: odd }),
		};
		for (const [panel, change] of Object.entries(changes)) {
			const [report, query] = realistic();
			change({ report, query });
			putResults(report, query);
			const { tab, seen } = await open(settings.url);
			if (panel === "#cohorts") await chooseMetric(tab, "cum_net");
			assert.deepEqual(seen.warnings, [], panel);
			const faulty = await tab.$$eval("section .notice", (nodes) => nodes.length);
			assert.equal(faulty, 1, panel);
			assert.match(await textOf(tab, `${panel} .notice`), /^This part of the file cannot be shown/);
			const html = await tab.$eval("body", (body) => body.outerHTML);
			assert.doesNotMatch(html, /\[object|NaN|Infinity|undefined/, panel);
			await tab.close();
		}
	},

	async a_figure_that_fails_later_is_reported_in_its_place() {
		const [report, query] = realistic();
		report.trends.revenue_by_month.rows[0].order_count = { a: 1 };
		query.cells[1].order_count = { a: 1 };
		putResults(report, query);
		const { tab, seen } = await open(settings.url);
		await tab.focus("#revenue .plot");
		await tab.keyboard.press("Home");
		assert.match(await textOf(tab, "#revenue .readout"), /cannot be shown: expected text/);
		await tab.keyboard.press("End");
		assert.match(await textOf(tab, "#revenue .readout"), /^Dec 2024/);
		await tab.click("#revenue summary");
		await tab.waitForSelector("#revenue details .notice");
		await tab.focus("#table");
		await tab.keyboard.press("ArrowDown");
		await tab.keyboard.press("ArrowRight");
		assert.match(await textOf(tab, "#cohorts .readout"), /cannot be shown: expected text/);
		await chooseMetric(tab, "orders");
		assert.match(await textOf(tab, "#table"), /cannot be shown: expected text/);
		await chooseMetric(tab, "aov");
		assert.match(await textOf(tab, "#table"), /Dec 2024/);
		assert.deepEqual(seen.warnings, []);
	},

	async a_verdict_that_the_page_does_not_know_is_no_verdict() {
		for (const status of [{ a: 1 }, ["pass"], "__proto__", "constructor", "toString", 1, null]) {
			const [report, query] = realistic();
			report.verdict.status = status;
			putResults(report, query);
			const { tab, seen } = await open(`${settings.url}#constructor=1&__proto__=2`);
			assert.equal(await textOf(tab, "#verdict"), "Data not checked");
			assert.equal(await textOf(tab, "#notices"), "");
			assert.equal((await tab.$$("section .notice")).length, 0);
			assert.deepEqual(seen.warnings, []);
			await tab.close();
		}
	},

	async files_of_two_databases_are_reported() {
		const [report, query] = realistic();
		query.dataset.content_sha256 = "9".repeat(64);
		putResults(report, query);
		const { tab } = await open(settings.url);
		await expectWords(tab, ["different data", "python ingest.py --report", "python run_query.py"]);
		assert.equal(await isShown(tab, "#cohorts"), true);
		assert.equal(await isShown(tab, "#revenue"), true);
		assert.match(await textOf(tab, "#provenance"), /made from different data/);
		putResults(report, { ...makeQueryResult(SHOPS.realistic), as_of: "2024-11-30" });
		const { tab: other } = await open(settings.url);
		assert.equal(await textOf(other, "#as-of"), "As of Dec 14, 2024 and Nov 30, 2024");
		assert.match(await textOf(other, "#provenance"), /made from the same data/);
	},

	async empty_results_are_reported() {
		const [report, query] = realistic();
		for (const key of Object.keys(report.kpis)) report.kpis[key] = null;
		report.kpis.order_count = 0;
		for (const trend of Object.values(report.trends)) trend.rows = [];
		Object.assign(query, { as_of: null, cohorts: [], cells: [], average: [], forecast: undefined });
		query.summary = { cohort_count: 0, customer_count: 0, clv: [] };
		putResults({ ...report, as_of: null, currency: null }, query);
		const { tab, seen } = await open(settings.url);
		await expectWords(tab, [
			"report.json is empty",
			"query_result.json is empty",
			"python ingest.py --ingest",
		]);
		assert.equal(await isShown(tab, "#cohorts"), false);
		assert.equal(await isShown(tab, "#revenue"), false);
		assert.equal(await isShown(tab, "#checks"), true);
		assert.deepEqual(seen.warnings, []);
	},

	async missing_trends_break_nothing() {
		const [report, query] = realistic();
		for (const name of Object.keys(report.trends)) {
			const trends = { ...report.trends };
			delete trends[name];
			putResults({ ...report, trends }, query);
			const { tab, seen } = await open(settings.url);
			assert.deepEqual(seen.warnings, [], name);
			assert.equal(await textOf(tab, "#notices"), "", name);
			assert.equal(await isShown(tab, "#checks"), true, name);
			assert.equal((await tab.$$("section .notice")).length, 0, name);
			await tab.close();
		}
		putResults({ schema_version: "2.0" }, { schema_version: "2.0" });
		const { seen } = await open(settings.url);
		assert.deepEqual(seen.warnings, []);
	},

	async a_shop_without_currency_shows_plain_numbers() {
		const [report, query] = realistic();
		putResults({ ...report, currency: null }, { ...query, currency: "no such money" });
		const { tab, seen } = await open(settings.url);
		assert.match(await textOf(tab, "#kpis"), /\b65\.42\b/);
		assert.doesNotMatch(await tab.$eval("main", (node) => node.innerText), /€/);
		assert.deepEqual(seen.warnings, []);
		const { revenue } = await saveFiles("svg", SVG_NAMES);
		assert.match(revenue, />In the shop’s currency, as of Dec 14, 2024</);
	},

	async hostile_names_appear_as_text() {
		putResults(makeReport({ ...SHOPS.realistic, hostile: true }), makeQueryResult(SHOPS.realistic));
		const { tab, seen } = await open(settings.url);
		let alerts = 0;
		tab.on("dialog", (dialog) => {
			alerts += 1;
			dialog.dismiss();
		});
		assert.match(await textOf(tab, "[data-trend=category_mix]"), /<script>alert\(1\)</);
		assert.match(await textOf(tab, "[data-trend=top_products]"), /<img src=x onerror/);
		assert.match(await textOf(tab, "#checks"), /sku <script>alert\(1\)/);
		assert.equal((await tab.$$("main script, main img")).length, 0);
		assert.equal(alerts, 0);
		assert.deepEqual(seen.warnings, []);
	},

	async without_script_the_page_names_the_files_with_the_figures() {
		putResults(...realistic());
		const tab = await browser.newPage();
		await tab.setJavaScriptEnabled(false);
		await tab.goto(settings.url);
		assert.match(await textOf(tab, "main"), /JavaScript, .* report\.md/s);
	},

	async opened_as_a_file_the_page_names_the_command_to_run() {
		const { tab, seen } = await open(settings.fileUrl);
		await expectWords(tab, [
			"opened as a file",
			"python serve_frontend.py Then open http://localhost:8000/frontend/.",
		]);
		assert.doesNotMatch(await textOf(tab, "#notices"), /reload/);
		assert.equal(await isShown(tab, "#revenue"), false);
		assert.equal(await isShown(tab, "#cohorts"), false);
		assert.deepEqual(seen.warnings, []);
	},

	async a_link_in_place_of_a_result_is_named_as_one() {
		putResults(...realistic());
		const file = path.join(settings.resultsDir, "report.json");
		fs.renameSync(file, `${file}.old`);
		fs.symlinkSync(`${file}.old`, file);
		const { tab } = await open(settings.url);
		await expectWords(tab, ["report.json is a link", "python ingest.py --report"]);
		assert.equal(await isShown(tab, "#cohorts"), true);
		fs.rmSync(`${file}.old`);
	},

	async a_saved_page_shows_the_same_by_double_click_and_requests_nothing() {
		putResults(...realistic());
		const { tab } = await open(settings.url);
		const { tab: other, seen } = await open(settings.savedUrl);
		assert.deepEqual(seen.warnings, []);
		assert.deepEqual(
			seen.requests.filter((url) => !url.startsWith("data:")),
			[settings.savedUrl],
		);
		assert.equal(await textOf(other, "body"), await textOf(tab, "body"));
	},

	async in_a_saved_page_the_address_holds_the_choice() {
		const { tab } = await open(`${settings.savedUrl}#metric=aov`);
		assert.deepEqual(await readChoices(tab), ["aov", "table"]);
		await tab.click("#table tbody th");
		assert.match(await tab.evaluate(() => location.hash), /cohort=\d{4}-\d\d&metric=aov/);
	},

	async a_saved_page_gives_its_rows_as_csv() {
		const options = { panel: "#cohorts" };
		const { cohorts } = await saveFiles("csv", ["cohorts"], settings.savedUrl, options);
		assert.match(cohorts, /cohort/);
	},

	async hostile_names_in_a_saved_page_are_text() {
		const { tab, seen } = await open(settings.savedUrl.replace("saved.html", "hostile.html"));
		assert.deepEqual(seen.warnings, []);
		assert.match(await textOf(tab, "[data-trend=category_mix]"), /<\/script><script>alert\(1\)/);
		assert.equal((await tab.$$("script")).length, 3);
		assert.equal(await isShown(tab, "#cohorts"), true);
	},

	async a_plain_static_server_shows_the_same_page() {
		putResults(...realistic());
		const { tab } = await open(settings.url);
		const { tab: other, seen } = await open(settings.staticUrl);
		assert.deepEqual(seen.warnings, []);
		assert.equal(await textOf(other, "body"), await textOf(tab, "body"));
	},

	async the_page_stays_light() {
		putResults(...realistic());
		const { tab } = await open(settings.url);
		const count = await tab.$$eval("*", (nodes) => nodes.length);
		assert.ok(count <= 1200, `${count} nodes`);
	},

	async sixty_cohorts_stay_usable() {
		const shop = { months: 60, first: "2019-01", scale: 120 };
		putResults(makeReport(shop), makeQueryResult(shop));
		const { tab, seen } = await open(`${settings.url}#cohort=2020-02`);
		assert.equal((await tab.$$("#table tbody tr")).length, 60);
		assert.equal((await tab.$$("#table tbody td")).length, 60 + (60 * 61) / 2);
		await chooseMetric(tab, "cum_net");
		await tab.mouse.move(0, 0);
		await tab.focus("#table");
		await tab.keyboard.press("ArrowDown");
		await tab.keyboard.press("End");
		assert.match(await textOf(tab, "#cohorts .readout"), /^Cohort Jan 2019, month 59 \(incomplete/);
		// The table scrolls, its headings stay, and the page itself does not become wider.
		const offsets = await tab.$eval("#table", (box) => {
			box.scrollTo(300, 500);
			const [of, head, row] = [
				box,
				box.querySelector("thead"),
				box.querySelector("tbody tr:nth-child(30) th"),
			].map((n) => n.getBoundingClientRect());
			return [head.top - of.top, row.left - of.left, document.documentElement.scrollWidth];
		});
		assert.ok(offsets[0] < 2 && offsets[1] < 2 && offsets[2] <= 1440, `${offsets}`);
		assert.deepEqual(seen.warnings, []);
	},

	async nothing_scrolls_sideways_but_tables() {
		for (const shop of ["realistic", "tiny"]) {
			putResults(makeReport(SHOPS[shop]), makeQueryResult(SHOPS[shop]));
			for (const width of [320, 375, 768, 1024, 1920]) {
				const { tab } = await open(settings.url, { width, dark: width === 320 });
				const wide = await tab.evaluate(() => document.documentElement.scrollWidth);
				assert.ok(wide <= width, `${shop}: ${wide} at ${width}`);
				await tab.close();
			}
		}
	},

	async nothing_moves_while_the_page_is_drawn() {
		putResults(...realistic());
		for (const width of [375, 1440]) {
			const tab = await openTab(browser, { width });
			await tab.evaluateOnNewDocument(() => {
				window.shifts = [];
				new PerformanceObserver((list) => {
					for (const { value } of list.getEntries()) window.shifts.push(value);
				}).observe({ type: "layout-shift", buffered: true });
			});
			await showPage(tab, settings.url);
			assert.deepEqual(await tab.evaluate(() => window.shifts), [], `${width} pixels`);
			await tab.close();
		}
	},

	async a_figure_of_300_digits_makes_the_page_no_wider() {
		const [report, query] = realistic();
		report.kpis.net_cents = 1e308;
		report.kpis.order_count = 1e308;
		query.summary.clv[2].cents = 1e308;
		putResults(report, query);
		const { tab, seen } = await open(settings.url, { width: 375 });
		assert.equal(await tab.evaluate(() => document.documentElement.scrollWidth), 375);
		assert.deepEqual(seen.warnings, []);
	},

	async a_shop_of_two_years_is_six_sheets_of_paper_at_most() {
		if (!settings.pdftotext) return;
		const [report, query] = ["report.json", "query_result.json"].map((name) =>
			fs.readFileSync(path.join(settings.realDir, name), "utf8"),
		);
		putResults(report, query);
		const sheets = await print();
		assert.ok(sheets.length <= 6, `${sheets.length} sheets`);
		const headings = await readHeadings();
		assert.ok(headings.length > 10);
		const { kpis, verdict, dataset } = JSON.parse(report);
		const { cohorts, cells } = JSON.parse(query);
		const to = page.makeFormats("USD", "en-US");
		const last = cells.findLast(({ months_since }) => months_since === cohorts.length - 1);
		expectOnPaper(sheets, [
			...headings,
			to.moneyWhole(kpis.net_cents),
			...cohorts.map(({ cohort }) => to.date(cohort)),
			to.percentFigure(last.retention),
			verdict.text,
			"checks passed",
			dataset.content_sha256,
		]);
	},

	async sixty_cohorts_fit_onto_paper() {
		if (!settings.pdftotext) return;
		const shop = { months: 60, first: "2019-01", scale: 120 };
		const query = makeQueryResult(shop);
		putResults(makeReport(shop), query);
		const sheets = await print();
		assert.ok(sheets.length <= 8, `${sheets.length} sheets`);
		const last = query.cells.find(({ months_since }) => months_since === 59);
		expectOnPaper(sheets, [page.makeFormats(null, "en-US").percentFigure(last.retention)]);
	},

	async small_shops_are_drawn_without_warnings() {
		for (const months of [1, 2, 3, 13]) {
			const shop = { months, first: "2024-01", scale: 1 };
			putResults(makeReport(shop), makeQueryResult(shop));
			const { tab, seen } = await open(settings.url);
			assert.deepEqual(seen.warnings, [], `${months} months`);
			assert.equal((await tab.$$("section .notice")).length, 0);
			const drawn = await tab.$eval("main", (node) => node.outerHTML.includes("NaN"));
			assert.equal(drawn, false, `${months} months: NaN in the page`);
			await tab.close();
		}
	},
};

async function main() {
	await withBrowser(settings, async (started) => {
		browser = started;
		for (const [name, check] of Object.entries(checks)) {
			if (!name.includes(part)) continue;
			let fault = null;
			try {
				await check();
			} catch (error) {
				fault = error.stack;
			}
			for (const tab of await browser.pages()) if (tab.url() !== "about:blank") await tab.close();
			process.stdout.write(`${JSON.stringify({ name, fault })}\n`);
		}
	});
}

main();
