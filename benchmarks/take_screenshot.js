// Takes a picture of the page that `python serve_frontend.py` serves, for the README.
//
//     SHOP_NODE_MODULES=folder node benchmarks/take_screenshot.js FILE.png [WIDTH] [HEIGHT] [dark] [URL]
//
// The folder holds the package puppeteer-core; CHROMIUM may name the browser.  HEIGHT 0 takes
// the whole page.  The README's picture, of the quick start with `run_query.py --forecast`:
// benchmarks/dashboard.png 1280 2220.
"use strict";

const { createRequire } = require("node:module");
const puppeteer = createRequire(`${process.env.SHOP_NODE_MODULES}/`)("puppeteer-core");

async function takePicture(file, width, height, scheme, url) {
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM || "/usr/bin/chromium", headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  try {
    const tab = await browser.newPage();
    await tab.setViewport({ width, height: height || 900 });
    await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
    await tab.goto(url);
    await tab.waitForSelector("body[data-ready]");
    await tab.screenshot({ path: file, fullPage: !height });
  } finally {
    await browser.close();
  }
}

const [file = "dashboard.png", width = "1440", height = "0", scheme = "light",
  url = "http://localhost:8000/frontend/"] = process.argv.slice(2);
takePicture(file, Number(width), Number(height), scheme, url);
