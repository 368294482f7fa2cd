// Starts Chromium for the browser checks and for benchmarks/take_screenshot.js.
"use strict";

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { createRequire } = require("node:module");

// Without a sandbox, because CI runs as root in a container; without any request of its own.
const FLAGS = [
	"--no-sandbox",
	"--disable-gpu",
	"--disable-quic",
	"--no-first-run",
	"--disable-background-networking",
	"--disable-component-update",
	"--disable-sync",
];

// Runs work(browser) in a Chromium with an empty profile, and removes the profile after it.
// `modules` is the folder of the package puppeteer-core.
async function withBrowser({ modules, chromium }, work) {
	const puppeteer = createRequire(`${path.resolve(modules)}/`)("puppeteer-core");
	const profile = fs.mkdtempSync(path.join(os.tmpdir(), "shop-browser-"));
	try {
		const browser = await puppeteer.launch({
			executablePath: chromium,
			headless: true,
			userDataDir: profile,
			args: FLAGS,
		});
		try {
			await work(browser);
		} finally {
			await browser.close();
		}
	} finally {
		fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
	}
}

// Opens an empty tab of a size and colour scheme.
async function openTab(browser, { width = 1440, height = 900, scheme = "light" } = {}) {
	const tab = await browser.newPage();
	await tab.setViewport({ width, height });
	await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
	return tab;
}

// Goes to an address and waits until the page is drawn.
async function showPage(tab, url) {
	await tab.goto(url);
	await tab.waitForSelector("body[data-ready]");
}

module.exports = { openTab, showPage, withBrowser };
