// Draws report.json and query_result.json; formats their figures, never computes one.
// Order: words and tables, pure functions, functions that touch the page, one call.
"use strict";

const SCHEMA_MAJOR = "1";
const FILES = {
  report: { name: "report.json", command: "python ingest.py --report" },
  query: { name: "query_result.json", command: "python run_query.py" },
};
const SERVE = "python serve_frontend.py";
const LOAD = "python ingest.py --ingest";
const GENERATE = "python generate_data.py --generate";

const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
const WEEKDAYS = "Mon Tue Wed Thu Fri Sat Sun".split(" ");
const HEAT_STEPS = 9;
const NO_FIGURE = "–";
const STILL_RUNNING = " (still running)";
// An average of fewer cohorts is drawn dashed: it leaps when a cohort leaves it.
const FEW_COHORTS = 5;

// `key` is the word in the address (#metric=retention), `column` the one in the JSON.
const METRICS = [
  {
    key: "retention", column: "retention", label: "Retention",
    note: "Share of the cohort with a valid order in that month.",
  },
  {
    key: "cum_net", column: "cum_net_per_customer_cents", label: "Cumulative net",
    note: "Net revenue per customer of the cohort, from the first month up to that one.",
  },
  {
    key: "cum_margin", column: "cum_margin_per_customer_cents", label: "Cumulative margin",
    note: "Net revenue less cost per customer of the cohort, up to that month.",
  },
  {
    key: "net", column: "net_per_customer_cents", label: "Net",
    note: "Net revenue of that month alone, per customer of the cohort.",
  },
  {
    key: "orders", column: "order_count", label: "Orders",
    note: "Valid orders that the cohort placed in that month.",
  },
  {
    key: "aov", column: "aov_cents", label: "AOV",
    note: "Average order value: net revenue per valid order of that month.",
  },
];

// What a panel shows of its trend; the fold below it has every row and column.
const PANEL_ROWS = 5;
const PANEL_COLUMNS = {
  category_mix: ["category", "gross_cents", "gross_share"],
  top_products: ["product_name", "category", "unit_count", "gross_cents"],
  payment_methods: ["method", "failure_rate", "charged_cents", "charged_share"],
  countries: ["country_code", "net_cents", "net_share"],
  channels: ["acquisition_channel", "net_cents", "net_share"],
  orders_per_customer: ["orders_per_customer", "customer_count", "customer_share"],
};

// Words that the rule of `columnLabel` would not find.
const COLUMN_LABELS = {
  aov_cents: "AOV", sku: "SKU", product_id: "ID", country_code: "Country",
  acquisition_channel: "Channel", product_name: "Product",
  failure_rate: "Failed", charged_share: "Share", gross_share: "Share", net_share: "Share",
  customer_share: "Share", orders_per_customer: "Orders",
};

const VERDICTS = {
  pass: "✓ Data sound", warn: "! Data sound, with warnings", fail: "✕ Data not sound",
};

// ---- Pure functions: data in, data out -------------------------------------------------

// Returns how this shop's figures are written; currency is an ISO 4217 code or null.
function makeFormats(currency) {
  const plain = (options) => new Intl.NumberFormat("en", options);
  const money = (options) => {
    try {
      if (currency) return plain({ style: "currency", currency, ...options });
    } catch { /* not a currency code: a plain number is still right */ }
    return plain(options);
  };
  const exact = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  const whole = { minimumFractionDigits: 0, maximumFractionDigits: 0 };
  const short = { notation: "compact", minimumFractionDigits: 0, maximumFractionDigits: 1 };
  const write = (format, scale) => (value) =>
    typeof value === "number" ? format.format(value / scale) : NO_FIGURE;
  return {
    money: write(money(exact), 100),
    moneyWhole: write(money(whole), 100),
    moneyShort: write(money(short), 100),
    count: write(plain({ maximumFractionDigits: 2 }), 1),
    countShort: write(plain(short), 1),
    percent: write(plain({
      style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1,
    }), 1),
  };
}

// Returns "2024-03" as "Mar 2024", "2024-03-09" as "9 Mar 2024", anything else as it is.
function dateLabel(text) {
  const [, year, month, day] = /^(\d{4})-(\d\d)(?:-(\d\d))?$/.exec(text ?? "") ?? [];
  if (!MONTHS[month - 1]) return String(text ?? NO_FIGURE);
  return `${day ? `${Number(day)} ` : ""}${MONTHS[month - 1]} ${year}`;
}

// Returns "DE" as "Germany", and a code that nobody knows as it is.
function countryName(code) {
  try {
    return new Intl.DisplayNames("en", { type: "region" }).of(code);
  } catch {
    return String(code);
  }
}

// Returns a column's name in words: "order_count" as "Orders".
function columnLabel(column) {
  if (COLUMN_LABELS[column]) return COLUMN_LABELS[column];
  const words = column.replace(/_cents$/, "").replace(/_count$/, "s").replace(/_/g, " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

// Returns a cell's text; the column's name tells its unit.
function formatValue(column, value, formats) {
  if (value === null || value === undefined) return NO_FIGURE;
  if (/month$|_date$/.test(column)) return dateLabel(value);
  if (column === "country_code") return countryName(value);
  if (/^(method|acquisition_channel)$/.test(column)) return String(value).replace(/_/g, " ");
  if (typeof value !== "number") return String(value);
  if (column === "weekday") return WEEKDAYS[value] ?? String(value);
  if (/_cents$/.test(column)) return formats.money(value);
  if (/(^|_)(rate|share|retention)$/.test(column)) return formats.percent(value);
  if (/(^|_)(id|seed)$/.test(column)) return String(value);
  return formats.count(value);
}

// Returns round numbers that span low to high in about `count` steps.
function niceTicks(low, high, count) {
  const span = high - low || 1;
  const power = 10 ** Math.floor(Math.log10(span / count));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((size) => span / size <= count);
  const ticks = [];
  for (let n = Math.floor(low / step); n <= Math.ceil(high / step); n += 1) {
    ticks.push(n * step);
  }
  return ticks;
}

// Returns the range that the colours span: the 5th to the 95th percentile, so that one
// odd cohort does not make all others look alike.
function colourDomain(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (!sorted.length) return [0, 0];
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  return [at(0.05), at(0.95)];
}

// Returns the colour step, 0 to HEAT_STEPS - 1, of a value.
function heatStep(value, [low, high]) {
  if (high <= low) return Math.floor(HEAT_STEPS / 2);
  const step = Math.floor(((value - low) / (high - low)) * HEAT_STEPS);
  return Math.min(HEAT_STEPS - 1, Math.max(0, step));
}

// Returns an SVG path through [x, y] points.
function linePath(points) {
  return points.map(([x, y], n) => `${n ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
}

// Returns an SVG path of one rectangle.
function boxPath(x, y, width, height) {
  const [left, top, across, down] = [x, y, width, height].map((n) => n.toFixed(1));
  return `M${left} ${top}h${across}v${down}h-${across}z`;
}

// Returns [from, to] of each value of a column stack: up from zero, or down when negative.
function stackSpans(values) {
  let up = 0;
  let down = 0;
  return values.map((value) => {
    const size = value ?? 0;
    if (size < 0) return [down, down += size];
    return [up, up += size];
  });
}

// Returns the cells of each cohort by months since, as an array of arrays.
function cohortRows(cohorts, cells) {
  const rows = new Map(cohorts.map((cohort) => [cohort.cohort_month, []]));
  for (const cell of cells) {
    rows.get(cell.cohort_month)?.splice(cell.months_since, 1, cell);
  }
  return [...rows.values()];
}

// Returns the metric that an address such as "#metric=retention" asks for, or none.
function metricFromHash(hash, metrics) {
  const key = new URLSearchParams(hash.replace(/^#/, "")).get("metric");
  return metrics.find((metric) => metric.key === key);
}

// Returns { document } of a text that can be drawn, or { fault } saying why it cannot.
function readDocument(text) {
  let document;
  try {
    document = JSON.parse(text);
  } catch {
    return { fault: "is not JSON." };
  }
  if (document === null || typeof document !== "object" || Array.isArray(document)) {
    return { fault: "holds no results." };
  }
  const version = String(document.schema_version ?? "none");
  if (version.split(".")[0] !== SCHEMA_MAJOR) {
    const reads = `this page reads ${SCHEMA_MAJOR}.x`;
    return { fault: `has schema version ${version}; ${reads}.` };
  }
  return { document };
}

// Returns what to say of a document that was read but holds no orders, or nothing.
function emptyNotice(kind, document) {
  const isEmpty = kind === "query"
    ? !document.cohorts?.length : document.kpis?.order_count === 0;
  if (!isEmpty) return null;
  return {
    text: `${FILES[kind].name} is empty: the database it was made from holds no valid`
      + " order. Load data with",
    commands: [LOAD, FILES[kind].command],
  };
}

// Returns a warning when the two documents come from different databases, or nothing.
function mismatchNotice(report, query) {
  const [one, other] = [report, query].map((file) => file?.database?.sha256);
  if (!one || !other || one === other) return null;
  return {
    kind: "bad",
    text: "report.json and query_result.json were made from different databases, so their"
      + " figures do not belong together. Make both again with",
    commands: [FILES.report.command, FILES.query.command],
  };
}

// ---- The page: building blocks ---------------------------------------------------------

const find = (selector, root = document) => root.querySelector(selector);

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function drawing(name, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

// Adds a chart that answers pointer and arrow keys alike with a line of words below it.
// draw(svg, width) fills the drawing and returns { locate, mark }: which place [column,
// row] a point lies on, and how to show it.  describe(place) puts it in words.
function addChart(holder, { label, height, size, start, draw, describe }) {
  const plot = element("div", {
    class: "plot", tabindex: 0, role: "group",
    "aria-label": `${label} The arrow keys move, the line below tells the figures.`,
  });
  const readout = element("p", { class: "readout", "aria-live": "polite" });
  holder.append(plot, readout);
  let view;
  let place = start;
  let drawnWidth = 0;

  const show = (next) => {
    place = next.map((n, axis) => Math.min(size[axis] - 1, Math.max(0, n)));
    view.mark(place);
    readout.textContent = describe(place);
  };
  const paint = () => {
    const width = Math.max(240, plot.clientWidth);
    if (width === drawnWidth) return;
    drawnWidth = width;
    const svg = drawing("svg", {
      viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label,
    });
    view = draw(svg, width);
    plot.replaceChildren(svg);
    show(place);
  };
  plot.addEventListener("pointermove", (event) => {
    const box = plot.firstChild.getBoundingClientRect();
    show(view.locate(event.clientX - box.left, event.clientY - box.top));
  });
  plot.addEventListener("pointerleave", () => show(start));
  plot.addEventListener("keydown", (event) => {
    const next = movePlace(event.key, place, size);
    if (!next && event.key !== "Escape") return;
    event.preventDefault();
    show(next ?? start);
  });
  paint();
  new ResizeObserver(paint).observe(plot);
}

// Returns the place [column, row] that a key leads to, or nothing for other keys.
function movePlace(key, [column, row], [columns]) {
  return {
    ArrowLeft: [column - 1, row], ArrowRight: [column + 1, row],
    ArrowUp: [column, row - 1], ArrowDown: [column, row + 1],
    Home: [0, row], End: [columns - 1, row],
  }[key];
}

// Draws the value axis and returns how a value becomes a height in the drawing.
function drawAxis(svg, { low, high, left, right, top, bottom, format }) {
  const ticks = niceTicks(low, high, 4);
  const [first, last] = [ticks[0], ticks.at(-1)];
  const y = (value) => bottom - ((value - first) / (last - first)) * (bottom - top);
  const lines = ticks.map((tick) => `M${left} ${y(tick).toFixed(1)}H${right}`).join("");
  svg.append(drawing("path", { class: "grid", d: lines }));
  for (const tick of ticks) {
    svg.append(drawing("text", { x: left - 8, y: y(tick) + 4, class: "end" }, format(tick)));
  }
  return y;
}

// Draws stacked columns, one per month; series are { name, values }.
function drawColumns(svg, width, { months, running, series, format }) {
  const [left, right, top, bottom] = [52, width - 4, 10, 222];
  const spans = months.map((_, n) => stackSpans(series.map(({ values }) => values[n])));
  const ends = spans.flat(2);
  const y = drawAxis(svg, {
    low: Math.min(0, ...ends), high: Math.max(0, ...ends), left, right, top, bottom, format,
  });
  const band = (right - left) / months.length;
  const barWidth = Math.min(40, band * 0.72);
  const x = (n) => left + band * n + (band - barWidth) / 2;
  const box = (n, [from, to]) =>
    boxPath(x(n), y(Math.max(from, to)), barWidth, Math.abs(y(from) - y(to)));
  const cursor = drawing("rect", { class: "cursor", y: top, height: bottom - top, width: band });
  svg.append(cursor);
  series.forEach(({ name }, layer) => {
    const boxes = spans.map((stack, n) => box(n, stack[layer]));
    svg.append(drawing("path", { class: name, d: boxes.join("") }));
  });
  const hatched = spans.flatMap((stack, n) => (running[n] ? stack.map((s) => box(n, s)) : []));
  svg.append(drawing("path", { class: "hatch", d: hatched.join("") }));
  const step = [1, 2, 3, 6, 12, 24, 60].find(
    (size) => months.length / size <= 9 && band * size >= 34) ?? 120;
  months.forEach((month, n) => {
    if (n % step) return;
    const [name, year] = dateLabel(month).split(" ");
    const middle = left + band * (n + 0.5);
    svg.append(drawing("text", { x: middle, y: bottom + 18, class: "middle" }, name));
    if (n === 0 || Number(month.slice(5)) <= step) {
      svg.append(drawing("text", { x: middle, y: bottom + 33, class: "middle" }, year));
    }
  });
  return {
    locate: (px) => [Math.floor((px - left) / band), 0],
    mark: ([n]) => cursor.setAttribute("x", left + band * n),
  };
}

// Adds the names of a chart's colours.
function addLegend(holder, names) {
  const list = element("ul", { class: "legend" });
  for (const [name, words] of names) list.append(element("li", { class: name }, words));
  holder.append(list);
}

// Returns a table of rows; the first column names the row and carries a bar as long as
// the column `bar` says.  A brief table leaves out the cents of large sums.
function makeTable(rows, columns, formats, { caption, bar, isBrief = false }) {
  const isText = (column) => rows.every((row) => typeof row[column] !== "number");
  const most = (column) => Math.max(...rows.map((row) => row[column] ?? 0));
  const longest = most(bar);
  const head = element("tr");
  const lines = rows.map(() => element("tr"));
  columns.forEach((column, n) => {
    const kind = n === 0 || isText(column) ? { class: "text" } : {};
    head.append(element("th", { scope: "col", ...kind }, columnLabel(column)));
    const isWhole = isBrief && column.endsWith("_cents") && most(column) >= 1e6;
    rows.forEach((row, line) => {
      const text = isWhole ? formats.moneyWhole(row[column])
        : formatValue(column, row[column], formats);
      const cell = n ? element("td", kind, text) : element("th", { scope: "row" }, text);
      if (column === "result") cell.dataset.status = text;
      if (n === 0 && row.is_complete === 0) cell.append(STILL_RUNNING);
      if (n === 0 && longest > 0) {
        cell.className = "bar";
        // The policy forbids a style attribute, not a property that the script sets.
        cell.style.setProperty("--share", Math.max(0, row[bar] / longest));
      }
      lines[line].append(cell);
    });
  });
  return element("div",
    { class: "scroll", tabindex: 0, role: "group", "aria-label": caption },
    element("table", {}, element("caption", { class: isBrief ? "hidden" : "" }, caption),
      element("thead", {}, head), element("tbody", {}, ...lines)));
}

// Returns a folded part whose content is built when it is first opened, or printed.
function makeFold(words, build) {
  const fold = element("details", {}, element("summary", {}, words));
  const fill = () => {
    if (fold.childElementCount === 1) fold.append(build());
  };
  fold.addEventListener("toggle", fill);
  fold.addEventListener("build", fill);
  return fold;
}

// Returns the columns that people read: all but the flag, which is said in words.
function columnsOf(rows) {
  return Object.keys(rows[0] ?? {}).filter((column) => column !== "is_complete");
}

// Runs a panel's function; a panel that cannot be drawn says so and harms no other.
function drawPanel(section, draw) {
  try {
    section.hidden = draw(section) === false;
  } catch (error) {
    section.hidden = false;
    section.append(element("p", { class: "notice", "data-kind": "bad" },
      `This part of the file cannot be drawn: ${error.message}`));
  }
}

// ---- The page: report.json -------------------------------------------------------------

function renderReport(report) {
  const formats = makeFormats(report.currency);
  const trends = report.trends ?? {};
  const rowsOf = (name) => trends[name]?.rows ?? [];
  // A trend without rows shows why, if the file says so, and is left out otherwise.
  const drawTrend = (section, name, draw) => drawPanel(section, () => {
    const [rows, note] = [rowsOf(name), trends[name]?.note];
    if (rows.length) return draw(section, rows, formats);
    if (note) section.append(element("p", {}, `Not known: ${note}.`));
    return Boolean(note);
  });
  renderVerdict(report.verdict ?? {});
  drawPanel(find("#kpis dl[data-file=report]"), (list) => {
    renderCards(list, reportCards(report.kpis ?? {}, formats));
  });
  drawTrend(find("#revenue"), "revenue_by_month", renderRevenue);
  drawTrend(find("#customers"), "revenue_by_month", renderCustomers);
  drawTrend(find("#hours"), "weekday_by_hour", renderHours);
  const drawn = new Set(["revenue_by_month", "weekday_by_hour"]);
  for (const section of document.querySelectorAll("[data-trend]")) {
    const name = section.dataset.trend;
    drawn.add(name);
    drawTrend(section, name, renderTrend);
  }
  drawPanel(find("#more"), (section) => {
    const rest = Object.keys(trends).filter((name) => !drawn.has(name) && rowsOf(name).length);
    for (const name of rest) {
      const rows = rowsOf(name);
      const caption = trends[name].title ?? columnLabel(name);
      section.append(makeFold(
        caption, () => makeTable(rows, columnsOf(rows), formats, { caption })));
    }
    return rest.length > 0;
  });
  drawPanel(find("#checks"), (section) => renderChecks(section, report, formats));
}

function renderVerdict(verdict) {
  const badge = find("#verdict");
  badge.dataset.status = verdict.status;
  badge.textContent = VERDICTS[verdict.status] ?? "Data not checked";
  badge.hidden = false;
}

// Returns the cards as [label, value in the JSON, text, note].
function reportCards(kpis, formats) {
  const money = (cents) => (Math.abs(cents) >= 1e6 ? formats.moneyWhole : formats.money)(cents);
  const cards = [
    ["Net revenue", kpis.revenue_cents, money, "less discounts and refunds"],
    ["Valid orders", kpis.order_count, formats.count, "paid and not cancelled"],
    ["Customers", kpis.customer_count, formats.count, "with a valid order"],
    ["Average order", kpis.aov_cents, formats.money, "net revenue per valid order"],
    ["Repeat rate", kpis.repeat_rate, formats.percent, "of customers ordered again"],
  ];
  return cards.map(([label, value, write, note]) => [label, value, write(value), note]);
}

function renderCards(list, cards) {
  list.replaceChildren(...cards.map(([label, value, text, note]) => element("div", {},
    element("dt", {}, label),
    element("dd", {}, element("data", { value: value ?? "" }, text)),
    element("dd", { class: "soft" }, note))));
}

function renderRevenue(section, rows, formats) {
  const holder = find(".chart", section);
  addMonthChart(holder, rows, {
    label: "Net revenue, discounts and refunds by month", format: formats.moneyShort,
    series: [
      ["series-1", "Net revenue", "net_cents"], ["series-2", "Discounts", "discount_cents"],
      ["series-3", "Refunds", "refund_cents"],
    ],
    describe: (row) => `net ${formats.money(row.net_cents)}`
      + ` from ${formats.count(row.order_count)} orders, AOV ${formats.money(row.aov_cents)};`
      + ` gross ${formats.money(row.gross_cents)},`
      + ` discounts ${formats.money(row.discount_cents)},`
      + ` refunds ${formats.money(row.refund_cents)}.`,
  });
  holder.append(makeFold("Show the numbers", () => makeTable(
    rows, columnsOf(rows), formats, { caption: "Revenue by month" })));
}

function renderCustomers(section, rows, formats) {
  if (rows[0].new_customers === undefined) return false;
  addMonthChart(find(".chart", section), rows, {
    label: "Returning and new customers by month", format: formats.countShort,
    series: [
      ["series-1", "Returning", "returning_customers"], ["series-4", "New", "new_customers"],
    ],
    describe: (row) => `${formats.count(row.returning_customers)} returning and`
      + ` ${formats.count(row.new_customers)} new.`,
  });
  return true;
}

// Adds columns by month; series are [class, words, column], bottom first.
function addMonthChart(holder, rows, { label, format, series, describe }) {
  const running = rows.map((row) => row.is_complete === 0);
  const last = running.lastIndexOf(false);
  addLegend(holder, running.includes(true)
    ? [...series, ["hatch", "Month still running"]] : series);
  addChart(holder, {
    label: `${label}, ${dateLabel(rows[0].month)} to ${dateLabel(rows.at(-1).month)}.`,
    height: 262, size: [rows.length, 1], start: [last < 0 ? rows.length - 1 : last, 0],
    draw: (svg, width) => drawColumns(svg, width, {
      months: rows.map((row) => row.month), running, format,
      series: series.map(([name, , column]) => (
        { name, values: rows.map((row) => row[column]) })),
    }),
    describe: ([n]) => `${monthWords(rows[n])}: ${describe(rows[n])}`,
  });
}

function monthWords(row) {
  return dateLabel(row.month) + (row.is_complete === 0 ? STILL_RUNNING : "");
}

function renderHours(section, rows, formats) {
  const counts = WEEKDAYS.map(() => Array(24).fill(0));
  for (const row of rows) {
    if (counts[row.weekday]) counts[row.weekday][row.hour] = row.order_count;
  }
  const domain = colourDomain(counts.flat());
  addChart(find(".chart", section), {
    label: "Orders by weekday and hour.", height: 232, size: [24, 7], start: [12, 0],
    draw: (svg, width) => drawHours(svg, width, counts, domain),
    describe: ([hour, day]) => `${WEEKDAYS[day]}, ${hour}:00 to ${hour + 1}:00:`
      + ` ${formats.count(counts[day][hour])} orders.`,
  });
  const table = counts.map((row, day) => ({
    weekday: day, ...Object.fromEntries(row.map((count, hour) => [`${hour} h`, count])),
  }));
  find(".chart", section).append(makeFold("Show the numbers", () => makeTable(
    table, Object.keys(table[0]), formats,
    { caption: "Orders by weekday and hour" })));
}

// One path a colour step instead of one node a cell: the page stays light.
function drawHours(svg, width, counts, domain) {
  const [left, top, rowHeight] = [40, 4, 28];
  const columnWidth = (width - left - 2) / 24;
  const box = (hour, day, gap) => boxPath(left + columnWidth * hour + gap,
    top + rowHeight * day + gap, columnWidth - 2 * gap, rowHeight - 2 * gap);
  const paths = Array(HEAT_STEPS).fill("");
  counts.forEach((row, day) => {
    svg.append(drawing("text",
      { x: left - 8, y: top + rowHeight * day + 18, class: "end" }, WEEKDAYS[day]));
    row.forEach((count, hour) => {
      paths[heatStep(count, domain)] += box(hour, day, 1);
    });
  });
  paths.forEach((d, step) => svg.append(drawing("path", { class: `h${step}`, d })));
  for (let hour = 0; hour < 24; hour += 3) {
    svg.append(drawing("text", {
      x: left + columnWidth * (hour + 0.5), y: top + rowHeight * 7 + 18, class: "middle",
    }, hour));
  }
  const cursor = drawing("path", { class: "ring" });
  svg.append(cursor);
  return {
    locate: (x, y) => [Math.floor((x - left) / columnWidth), Math.floor((y - top) / rowHeight)],
    mark: ([hour, day]) => cursor.setAttribute("d", box(hour, day, 0)),
  };
}

function renderTrend(section, rows, formats) {
  const caption = find("h2", section).textContent;
  const all = columnsOf(rows);
  const wanted = (PANEL_COLUMNS[section.dataset.trend] ?? []).filter((c) => all.includes(c));
  const columns = wanted.length > 1 ? wanted : all;
  section.append(makeTable(rows.slice(0, PANEL_ROWS), columns, formats, {
    caption, bar: columns[columns.length - 1], isBrief: true,
  }));
  if (rows.length > PANEL_ROWS || columns.length < all.length) {
    section.append(makeFold("Show all", () => makeTable(rows, all, formats, { caption })));
  }
}

function renderChecks(section, report, formats) {
  const checks = report.checks ?? [];
  const passed = checks.filter((check) => check.status === "pass");
  const others = checks.filter((check) => check.status !== "pass");
  section.append(element("p", {}, report.verdict?.text ?? "The file states no verdict."));
  if (others.length) section.append(checkTable(others, formats, "Checks that found rows"));
  if (passed.length) {
    section.append(makeFold(`${passed.length} checks passed`,
      () => checkTable(passed, formats, "Checks that passed")));
  }
}

function checkTable(checks, formats, caption) {
  const rank = { fail: 0, warn: 1, info: 2 };
  const rows = checks.map((check) => ({
    check: check.title ?? check.check, result: check.status, severity: check.severity,
    row_count: check.count, for_example: sampleWords(check),
  })).sort((a, b) => (rank[a.result] ?? 3) - (rank[b.result] ?? 3));
  return makeTable(rows, Object.keys(rows[0]), formats, { caption });
}

// Returns the keys of the first rows that a check found, "order_id 7; order_id 9; …", or
// why it could not be made.
function sampleWords({ columns = [], sample = [], key = columns, note, count }) {
  if (note) return note;
  const shown = sample.slice(0, 3);
  const words = shown.map((row) => columns.map((column, n) => [column, row[n]])
    .filter(([column]) => key.includes(column))
    .map(([column, value]) => `${column} ${value ?? NO_FIGURE}`).join(", "));
  return words.join("; ") + (count > shown.length && shown.length ? "; …" : "");
}

// ---- The page: query_result.json -------------------------------------------------------

function renderQuery(query) {
  const formats = makeFormats(query.currency);
  const summary = query.summary ?? {};
  const [cohorts, cells] = [query.cohorts ?? [], query.cells ?? []];
  for (const one of [...cohorts, ...cells]) one.cohort_month ??= one.cohort_quarter;
  const rows = cohortRows(cohorts, cells);
  drawPanel(find("#kpis dl[data-file=query]"), (list) => renderCards(list, [[
    "12-month CLV", summary.clv_12m_cents, formats.money(summary.clv_12m_cents),
    cohortWords(summary, 12),
  ]]));
  drawPanel(find("#clv"), (section) => renderCards(find("dl", section), [3, 6, 12].map((n) => [
    `After ${n} months`, summary[`clv_${n}m_cents`],
    formats.money(summary[`clv_${n}m_cents`]), cohortWords(summary, n),
  ])));
  drawPanel(find("#cohorts"), () => cohorts.length > 0
    && renderCohorts(query, cohorts, rows, formats));
  drawPanel(find("#curves"), (section) => renderCurves(section, query, cohorts, rows, formats));
}

function cohortWords(summary, months) {
  const count = summary[`clv_${months}m_cohort_count`];
  if (!count) return `no cohort is ${months} months old yet`;
  return `average of ${count} ${count === 1 ? "cohort" : "cohorts"}`;
}

function renderCohorts(query, cohorts, rows, formats) {
  const offered = METRICS.filter(({ column }) => rows[0][0]?.[column] !== undefined);
  if (!offered.length) return false;
  const choice = find("#metrics");
  const holder = find("#cohort-table");
  const select = (metric) => {
    find(`input[value=${metric.key}]`, choice).checked = true;
    find("#metric-note").textContent = metric.note + (isMoney(metric) && query.currency
      ? ` In ${query.currency}.` : "");
    const domain = metricDomain(metric, rows.flat());
    holder.replaceChildren(cohortTable(query, cohorts, rows, metric, domain, formats));
    renderHeatLegend(metric, domain, formats);
  };
  for (const { key, label } of offered) {
    choice.append(element("label", {},
      element("input", { type: "radio", name: "metric", value: key }), label));
  }
  choice.addEventListener("change", (event) => {
    const metric = offered.find(({ key }) => key === event.target.value);
    select(metric);
    history.replaceState(null, "", `#metric=${metric.key}`);
  });
  addEventListener("hashchange", () => {
    const metric = metricFromHash(location.hash, offered);
    if (metric) select(metric);
  });
  select(metricFromHash(location.hash, offered) ?? offered[0]);
  followCells(holder, find("#cohorts .readout"), rows, offered, formats);
  return true;
}

// Returns the range of the colours: complete months only, and of retention not the first
// month, whose 100 % would make all others pale.
function metricDomain({ key, column }, cells) {
  return colourDomain(cells
    .filter((cell) => cell.is_complete !== 0 && (key !== "retention" || cell.months_since > 0))
    .map((cell) => cell[column]));
}

function isMoney({ column }) {
  return column.endsWith("_cents");
}

// Money in the cells is written without its sign and, when large, without cents: the line
// above names the currency, and the line below has the exact figure.
function cellFormat(metric, domain, formats) {
  if (!isMoney(metric)) return (value) => formatValue(metric.column, value, formats);
  const plain = makeFormats(null);
  return domain[1] >= 100000 ? plain.moneyWhole : plain.money;
}

function cohortTable(query, cohorts, rows, metric, domain, formats) {
  const write = cellFormat(metric, domain, formats);
  const width = Math.max(...rows.map((row) => row.length));
  const numbers = Array.from({ length: width }, (_, n) => n);
  const header = (text, attributes) => element("th", { scope: "col", ...attributes }, text);
  const body = element("tbody");
  rows.forEach((row, n) => {
    const line = element("tr", {},
      element("th", { scope: "row" }, dateLabel(cohorts[n].cohort_month)),
      element("td", {}, formats.count(cohorts[n].cohort_size)));
    for (const cell of row) line.append(cohortCell(cell, metric, domain, write));
    body.append(line);
  });
  const averages = new Map((query.average ?? []).map((row) => [row.months_since, row]));
  const foot = element("tfoot");
  const addFootRow = (words, first, text) => foot.append(element("tr", {},
    element("th", { scope: "row" }, words), element("td", {}, first),
    ...numbers.map((k) => element("td", {}, averages.has(k) ? text(averages.get(k)) : ""))));
  if ((query.average ?? []).some((row) => row[metric.column] !== undefined)) {
    addFootRow("Average", formats.count(query.summary?.customer_count),
      (row) => write(row[metric.column]));
    addFootRow("of cohorts", formats.count(query.summary?.cohort_count),
      (row) => formats.count(row.cohort_count));
  }
  return element("table", { class: width < 16 ? "heat few" : "heat" },
    element("caption", { class: "hidden" },
      `${metric.label} by cohort and months since the first order`),
    element("thead", {},
      element("tr", {}, header("Cohort", { rowspan: 2, class: "text" }),
        header("Customers", { rowspan: 2 }),
        header("Months since the first order",
          { scope: "colgroup", colspan: width, class: "text" })),
      element("tr", {}, ...numbers.map((k) => header(k)))),
    body, foot);
}

function cohortCell(cell, metric, domain, write) {
  const value = cell[metric.column];
  const node = element("td", {}, write(value));
  if (typeof value !== "number") return node;
  const isWhole = metric.key === "retention" && cell.months_since === 0;
  node.className = isWhole ? "whole" : `h${heatStep(value, domain)}`;
  if (cell.is_complete === 0) {
    node.classList.add("running");
    node.append(element("span", { class: "hidden" }, " still running"));
  }
  return node;
}

function renderHeatLegend(metric, domain, formats) {
  const write = (value) => formatValue(metric.column, value, formats);
  const scale = domain[1] > domain[0] ? [
    element("span", {}, `${write(domain[0])} or less`),
    element("i", { class: "ramp" }),
    element("span", {}, `${write(domain[1])} or more`),
  ] : [];
  find("#heat-legend").replaceChildren(...scale,
    element("span", {}, element("i", { class: "running" }), "month still running"),
    element("span", {}, "empty: still ahead"));
}

// Tells all figures of the cell under the pointer, or of the one the arrow keys chose.
function followCells(holder, readout, rows, metrics, formats) {
  let place = [0, 0];
  const show = ([k, n], byKey) => {
    const row = Math.min(rows.length - 1, Math.max(0, n));
    place = [Math.min(rows[row].length - 1, Math.max(0, k)), row];
    const cell = rows[row][place[0]];
    const node = find("tbody", holder).rows[row].cells[place[0] + 2];
    find("[data-here]", holder)?.removeAttribute("data-here");
    node.setAttribute("data-here", "");
    if (byKey) node.scrollIntoView({ block: "nearest", inline: "nearest" });
    const figures = metrics.map(({ label, column }) =>
      `${label} ${formatValue(column, cell[column], formats)}`);
    readout.textContent = `Cohort ${dateLabel(cell.cohort_month)}, month ${cell.months_since}`
      + `${cell.is_complete === 0 ? STILL_RUNNING : ""}: ${figures.join(" · ")}`;
  };
  readout.textContent = "Point at a cell, or move with the arrow keys, to read all its figures.";
  holder.addEventListener("pointerover", (event) => {
    const cell = event.target.closest("tbody td");
    if (cell && cell.cellIndex > 1) show([cell.cellIndex - 2, cell.parentNode.sectionRowIndex]);
  });
  holder.addEventListener("keydown", (event) => {
    const next = movePlace(event.key, place, [rows[place[1]].length]);
    if (!next) return;
    event.preventDefault();
    show(next, true);
  });
}

function renderCurves(section, query, cohorts, rows, formats) {
  const column = "cum_net_per_customer_cents";
  const complete = rows.map((row) => row.filter((cell) => cell.is_complete !== 0));
  const lines = complete.map((row) => row.map((cell) => cell[column]));
  const average = query.average ?? [];
  const averages = average.map((row) => row[column]);
  lines.push(averages);
  const width = Math.max(...lines.map((line) => line.length));
  if (width < 2) {
    find(".chart", section).append(element("p", {}, "No cohort has two complete months yet."));
    return cohorts.length > 0;
  }
  const holder = find(".chart", section);
  const firstFew = average.findIndex(({ cohort_count: n }) => n < FEW_COHORTS);
  const solid = firstFew < 0 ? averages.length : firstFew;
  addLegend(holder, [["series-1 line", "Weighted average"],
    ...(firstFew < 0 ? [] : [["series-1 line dashed", `of fewer than ${FEW_COHORTS} cohorts`]]),
    ["series-2 line", "One cohort"], ["series-4 line", "Cohort pointed at"]]);
  addChart(holder, {
    label: "Cumulative net revenue per customer by months since the first order.",
    height: 300, size: [width, lines.length],
    start: [Math.min(12, averages.length - 1), lines.length - 1],
    draw: (svg, wide) => drawCurves(svg, wide, lines, solid, formats),
    describe: ([k, n]) => describeCurve(k, lines[n][k], cohorts[n], average[k], formats),
  });
  return true;
}

function describeCurve(month, value, cohort, average, formats) {
  const mean = average ? `weighted average ${formats.money(average.cum_net_per_customer_cents)}`
    + ` of ${formats.count(average.cohort_count)} cohorts` : "no average yet";
  if (!cohort) return `After month ${month}: ${mean}.`;
  return `Cohort ${dateLabel(cohort.cohort_month)} (${formats.count(cohort.cohort_size)}`
    + ` customers) after month ${month}: ${formats.money(value)}; ${mean}.`;
}

// Lines are values by months since; the last one is the average, `solid` up to there.
function drawCurves(svg, width, lines, solid, formats) {
  const months = Math.max(...lines.map((line) => line.length));
  const [left, right, top, bottom] = [52, width - 14, 10, 256];
  const values = lines.flat().filter(Number.isFinite);
  const y = drawAxis(svg, {
    low: Math.min(0, ...values), high: Math.max(0, ...values), left, right, top, bottom,
    format: formats.moneyShort,
  });
  const x = (k) => left + ((right - left) / (months - 1)) * k;
  const path = (line, from = 0) => linePath(
    line.slice(from).map((value, k) => [x(k + from), y(value)]));
  for (let k = 0; k < months; k += months > 12 ? 3 : 1) {
    svg.append(drawing("text", { x: x(k), y: bottom + 18, class: "middle" }, k));
  }
  svg.append(drawing("text", { x: (left + right) / 2, y: bottom + 37, class: "middle" },
    "months since the first order"));
  const others = lines.slice(0, -1).map((line) => path(line)).join("");
  const average = lines.at(-1);
  const focus = drawing("path", { class: "line series-4" });
  const dot = drawing("circle", { r: 5, class: "dot" });
  svg.append(drawing("path", { class: "line series-2", d: others }), focus,
    drawing("path", { class: "line series-1", d: path(average.slice(0, solid)) }),
    drawing("path", { class: "line series-1 dashed", d: path(average, Math.max(0, solid - 1)) }),
    dot);
  return {
    locate: (px, py) => {
      const nearest = Math.round(((px - left) / (right - left)) * (months - 1));
      const k = Math.min(months - 1, Math.max(0, nearest));
      const distance = lines.map((line) => Math.abs(y(line[k] ?? Infinity) - py));
      return [k, distance.indexOf(Math.min(...distance))];
    },
    mark: ([k, n]) => {
      const hasValue = lines[n][k] !== undefined;
      focus.setAttribute("d", n < lines.length - 1 ? path(lines[n]) : "");
      dot.setAttribute("cx", x(k));
      dot.setAttribute("cy", hasValue ? y(lines[n][k]) : -9);
    },
  };
}

// ---- The page: both files --------------------------------------------------------------

// Says where the figures come from, as far as the files that were read tell.
function renderProvenance(report, query) {
  const known = report ?? query;
  const facts = { ...report?.provenance };
  for (const [kind, file] of Object.entries({ report, query })) {
    if (!file) continue;
    facts[FILES[kind].name] = { "schema version": file.schema_version, ...file.database };
  }
  if (query?.query) facts[query.query.file] = { sha256: query.query.sha256 };
  const chain = {
    Seed: facts.generator?.seed,
    Rows: report?.tables?.map(({ table, rows }) => `${table} ${rows}`).join(" · "),
    "Loaded content": known?.dataset?.content_sha256,
    Database: known?.database?.sha256,
    Query: query?.query?.sha256,
  };
  find("#provenance").append(
    factTable(Object.entries(chain).filter(([, value]) => value), "Provenance in short"),
    makeFold("Show all", () => factTable(Object.entries(facts).map(([subject, properties]) => [
      subject, Object.entries(properties).map((pair) => pair.join(" ")).join(" · "),
    ]), "Provenance")));
}

function factTable(facts, caption) {
  const body = element("tbody");
  for (const [name, words] of facts) {
    body.append(element("tr", {}, element("th", { scope: "row" }, name),
      element("td", { class: "text" }, words)));
  }
  return element("table", { class: "facts" },
    element("caption", { class: "hidden" }, caption), body);
}

// Shows notices as { text, commands, kind }; commands stand apart, ready to copy.
function renderNotices(notices) {
  find("#notices").replaceChildren(...notices.map(({ text, commands = [], kind = "" }) => {
    const node = element("p", { class: "notice", "data-kind": kind }, text);
    for (const command of commands) node.append(" ", element("code", {}, command));
    node.append(" Then load this page again.");
    return node;
  }));
}

// Reads one file and returns { document } or { notice }.
async function loadFile(file) {
  const failure = (text, command) => (
    { notice: { text: `${file.name} ${text}`, commands: [command], kind: "bad" } });
  let response;
  let text;
  try {
    response = await fetch(`data/${file.name}`, { cache: "no-store" });
    text = await response.text();
  } catch {
    return failure("could not be fetched: no server answers. Start it with", SERVE);
  }
  if (response.status === 404) return failure("is missing. Make it with", file.command);
  if (!response.ok) {
    return failure(`could not be read: the server answered ${response.status}.`
      + " Make it again with", file.command);
  }
  const { document, fault } = readDocument(text);
  return document ? { document } : failure(`${fault} Make it again with`, file.command);
}

async function start() {
  if (location.protocol === "file:") {
    hidePanels("report", "query");
    renderNotices([{
      kind: "bad", commands: [SERVE],
      text: "This page was opened as a file, and a browser does not let a file read others,"
        + " so report.json and query_result.json stay out of reach. Run",
    }]);
  } else {
    await showResults();
  }
  document.body.dataset.ready = "";
}

// Reads both files side by side and draws each as soon as it is there.
async function showResults() {
  const loaded = {};
  const notices = {};
  const settle = async (kind, render) => {
    const { name, command } = FILES[kind];
    const { document: read, notice } = await loadFile(FILES[kind]);
    notices[kind] = notice;
    if (!read) return hidePanels(kind);
    try {
      notices[kind] = emptyNotice(kind, read);
      if (read.as_of) find("#as-of").textContent = `Figures as of ${dateLabel(read.as_of)}`;
      render(read);
      loaded[kind] = read;
    } catch {
      notices[kind] = { text: `${name} cannot be drawn. Make it again with`,
        commands: [command], kind: "bad" };
      hidePanels(kind);
    }
  };
  await Promise.all([settle("report", renderReport), settle("query", renderQuery)]);
  notices.mismatch = mismatchNotice(loaded.report, loaded.query);
  if (!loaded.report && !loaded.query) {
    notices.start = {
      text: "Nothing made yet? Run these in turn:",
      commands: [GENERATE, LOAD, FILES.report.command, FILES.query.command],
    };
  }
  renderNotices(Object.values(notices).filter(Boolean));
  drawPanel(find("#provenance"), () => {
    if (!loaded.report && !loaded.query) return false;
    return renderProvenance(loaded.report, loaded.query);
  });
}

function hidePanels(...kinds) {
  for (const kind of kinds) {
    for (const panel of document.querySelectorAll(`[data-file=${kind}]`)) panel.hidden = true;
  }
}

// Paper cannot be unfolded: everything is built and opened for the printer.
function unfoldForPrint() {
  for (const fold of document.querySelectorAll("details:not([open])")) {
    fold.dispatchEvent(new Event("build"));
    fold.open = true;
    addEventListener("afterprint", () => { fold.open = false; }, { once: true });
  }
}

if (typeof module === "object") {
  module.exports = {
    cohortRows, colourDomain, columnLabel, dateLabel, emptyNotice, formatValue, heatStep,
    makeFormats, metricFromHash, mismatchNotice, niceTicks, readDocument, sampleWords,
    stackSpans, HEAT_STEPS, METRICS,
  };
} else {
  addEventListener("beforeprint", unfoldForPrint);
  start();
}
