// Takes a screenshot of the page that `python serve_frontend.py` serves.
//
//     SHOP_NODE_MODULES=folder node benchmarks/take_screenshot.js FILE.png [WIDTH] [HEIGHT] [dark] [URL]
//
// The folder contains the package puppeteer-core; CHROMIUM may name the browser.  HEIGHT 0
// takes the full page.  The README's screenshot shows the quick start:
// benchmarks/dashboard.png 1280 2220.
"use strict";

const { openTab, showPage, withBrowser } = require("../tests/browser/chromium.js");

async function takeScreenshot(browser, file, { width, height, scheme, url }) {
	const tab = await openTab(browser, { width, height: height || undefined, scheme });
	await showPage(tab, url);
	await tab.screenshot({ path: file, fullPage: !height });
}

const [
	file = "dashboard.png",
	width = "1440",
	height = "0",
	scheme = "light",
	url = "http://localhost:8000/frontend/",
] = process.argv.slice(2);
const settings = {
	modules: process.env.SHOP_NODE_MODULES,
	chromium: process.env.CHROMIUM || "/usr/bin/chromium",
};
const options = { width: Number(width), height: Number(height), scheme, url };
withBrowser(settings, (browser) => takeScreenshot(browser, file, options));
