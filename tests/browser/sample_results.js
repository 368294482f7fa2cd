// Made-up result files in the shapes of design_notes.md, for the browser checks.
"use strict";

// Returns whole numbers from 0 to limit - 1, the same in every run.
function makeDice(seed) {
  let state = seed;
  return (limit) => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * limit);
  };
}

function monthAfter(first, count) {
  const [year, month] = first.split("-").map(Number);
  const index = year * 12 + month - 1 + count;
  return `${Math.floor(index / 12)}-${String((index % 12) + 1).padStart(2, "0")}`;
}

function ratio(part, whole) {
  return whole === 0 ? null : Math.round((part / whole) * 100) / 100;
}

// The page formats and never computes, so these figures need not add up.
function makeQueryResult({ months, first, scale, content = "b".repeat(64) }) {
  const dice = makeDice(7);
  const cohorts = [];
  const cells = [];
  for (let start = 0; start < months; start += 1) {
    const size = scale + dice(scale);
    const last = months - 1 - start;
    let netSoFar = 0;
    let marginSoFar = 0;
    for (let since = 0; since <= last; since += 1) {
      const share = since === 0 ? 1 : 0.22 * Math.exp(-since / 14) * (0.7 + dice(60) / 100);
      const active = since === 0 ? size : Math.round(size * share);
      const orders = active + Math.floor(active / 6);
      const net = orders * (5200 + dice(2600));
      netSoFar += net;
      marginSoFar += Math.floor(net * 0.41);
      cells.push({
        cohort_month: monthAfter(first, start),
        months_since: since,
        period_month: monthAfter(first, start + since),
        cohort_size: size,
        active_customers: active,
        order_count: orders,
        net_cents: net,
        margin_cents: Math.floor(net * 0.41),
        is_complete: since === last ? 0 : 1,
        retention: Math.round((active / size) * 1e6) / 1e6,
        aov_cents: ratio(net, orders),
        net_per_customer_cents: ratio(net, size),
        cum_net_per_customer_cents: ratio(netSoFar, size),
        cum_margin_per_customer_cents: ratio(marginSoFar, size),
      });
    }
    const clv = (n) => {
      const cell = cells.find((c) => c.cohort_month === monthAfter(first, start)
        && c.months_since === n && c.is_complete === 1);
      return spread(n, cell ? cell.cum_net_per_customer_cents : null);
    };
    cohorts.push({
      cohort_month: monthAfter(first, start), cohort_size: size, last_months_since: last,
      ...clv(3), ...clv(6), ...clv(12), ...clv(24),
    });
  }
  const average = [];
  for (let since = 0; since < months - 1; since += 1) {
    const of = cells.filter((cell) => cell.months_since === since && cell.is_complete);
    const size = of.reduce((sum, cell) => sum + cell.cohort_size, 0);
    const mean = (key) => ratio(
      of.reduce((sum, cell) => sum + (cell[key] ?? 0) * cell.cohort_size, 0), size);
    average.push({
      months_since: since, cohort_count: of.length, customer_count: size,
      retention: Math.round(of.reduce(
        (sum, cell) => sum + cell.active_customers, 0) / size * 1e6) / 1e6,
      aov_cents: mean("aov_cents"),
      net_per_customer_cents: mean("net_per_customer_cents"),
      cum_net_per_customer_cents: mean("cum_net_per_customer_cents"),
      cum_margin_per_customer_cents: mean("cum_margin_per_customer_cents"),
    });
  }
  const clvAt = (n) => average.find((row) => row.months_since === n);
  const summary = {
    cohort_count: months,
    customer_count: cohorts.reduce((sum, cohort) => sum + cohort.cohort_size, 0),
  };
  for (const n of [3, 6, 12, 24]) {
    Object.assign(summary, spread(n, clvAt(n)?.cum_net_per_customer_cents ?? null));
    summary[`clv_${n}m_cohort_count`] = clvAt(n)?.cohort_count ?? 0;
  }
  return {
    schema_version: "1.2", as_of: `${monthAfter(first, months - 1)}-14`, currency: "EUR",
    database: { sha256: "a".repeat(64), bytes: 4812800 }, dataset: { content_sha256: content },
    options: { cohort: "month", by: null, as_of: null, valid_statuses: ["paid"], forecast: true },
    query: { file: "queries/join_query.sql", sha256: "c".repeat(64) },
    cohorts, cells, average, summary, forecast: makeForecast(cohorts, cells),
  };
}

// Returns a CLV figure with its interval and median.
function spread(n, cents) {
  const times = (factor) => (cents === null ? null : Math.round(cents * factor));
  return {
    [`clv_${n}m_cents`]: cents, [`clv_${n}m_low_cents`]: times(0.9),
    [`clv_${n}m_high_cents`]: times(1.1), [`clv_${n}m_median_cents`]: times(0.6),
  };
}

function makeForecast(cohorts, cells) {
  const horizon = (months, size) => ({
    months, days: months * 30,
    purchases: { forecast: size * months / 10, low: size * months / 12, high: size * months / 8 },
    net_cents: {
      forecast: size * months * 300, low: size * months * 250, high: size * months * 350 },
    net_per_customer_cents: months * 300,
  });
  const total = cohorts.reduce((sum, cohort) => sum + cohort.cohort_size, 0);
  return {
    is_forecast: true, level: 0.95, total: [3, 6, 12].map((months) => horizon(months, total)),
    cohorts: cohorts.map(({ cohort_month, cohort_size, last_months_since: last }) => {
      const soFar = cells.findLast((cell) => cell.cohort_month === cohort_month);
      return {
        cohort_month, cohort_size, horizons: [3, 6, 12].map((months) => ({
          ...horizon(months, cohort_size), months_since: last + months,
          cum_net_per_customer_cents: Object.fromEntries(
            [["forecast", 300], ["low", 250], ["high", 350]].map(([part, cents]) => [
              part, Math.round(soFar.cum_net_per_customer_cents + months * cents)])),
        })),
      };
    }),
    holdout: {
      days: 365, purchases: { forecast: 1570, actual: 1439, error: 0.0911 } },
  };
}

function makeReport({ months, first, scale, hostile = false }) {
  const dice = makeDice(11);
  const evil = "<script>alert(1)</script>";
  const revenue = [];
  for (let index = 0; index < months; index += 1) {
    const orders = Math.round(scale * (3 + index / 3) * (0.85 + dice(30) / 100));
    const gross = orders * (6800 + dice(900));
    const discount = Math.floor(gross * 0.06);
    const refund = Math.floor(gross * 0.04);
    revenue.push({
      month: monthAfter(first, index), gross_cents: gross, discount_cents: discount,
      refund_cents: refund, net_cents: gross - discount - refund, order_count: orders,
      aov_cents: ratio(gross - discount - refund, orders),
      refund_rate: 0.0425, returning_share: 0.5556,
      new_customers: Math.round(orders * 0.4), returning_customers: Math.round(orders * 0.5),
      is_complete: index === months - 1 ? 0 : 1,
    });
  }
  const names = ["Home & Kitchen", "Outdoor", "Books", "Électronique", "Toys", "Beauty", "Shoes"];
  const weekdays = [];
  for (let weekday = 0; weekday < 7; weekday += 1) {
    for (let hour = 0; hour < 24; hour += 1) {
      const curve = 1 + Math.sin(((hour - 9) / 24) * 2 * Math.PI) + (weekday > 4 ? 0.3 : 0);
      weekdays.push({ weekday, hour, order_count: Math.round(scale * curve) + dice(scale) });
    }
  }
  const checks = ["items make the subtotal", "sign-up before order", "no orphan item"].map(
    (title, index) => ({
      check: `check_${index}`, title, severity: "error", status: "pass", count: 0,
      key: ["order_id"], columns: ["order_id"], sample: [], note: null,
    }));
  checks.push({
    check: "price_below_cost", title: "Price below cost", severity: "warning",
    status: "warn", count: 2, key: ["product_id", "sku"],
    columns: ["product_id", "sku", "price_cents"], note: null,
    sample: [[17, hostile ? evil : "SKU-0017", 990], [23, "SKU-0023", 1290]],
  });
  for (const [title, count] of [["Users without an order", 724], ["Products never sold", 4],
    ["Lines sold below cost", 12]]) {
    checks.push({
      check: title, title, severity: "info", status: "info", count, key: ["id"],
      columns: ["id"], sample: [[3], [4], [14], [15]], note: null,
    });
  }
  const sum = (key) => revenue.reduce((total, row) => total + row[key], 0);
  return {
    schema_version: "1.1", as_of: `${monthAfter(first, months - 1)}-14`, currency: "EUR",
    database: { sha256: "a".repeat(64), bytes: 4812800 }, dataset: { content_sha256: "b".repeat(64) },
    verdict: {
      status: "warn", errors: 0, warnings: 1, checks: checks.length,
      text: "Sound. 7 checks, 0 errors, 1 warning.",
    },
    kpis: {
      revenue_cents: sum("net_cents"), order_count: sum("order_count"),
      customer_count: sum("new_customers"), aov_cents: 6542.17, refund_rate: 0.0412,
      repeat_rate: 0.3127,
      last_complete_month: {
        month: monthAfter(first, months - 2), change_on_year: { net_cents: 0.721 } },
    },
    definitions: {
      revenue_cents: "net: gross − discount − refund", order_count: "valid: paid, not cancelled",
      customer_count: "users with a valid order", aov_cents: "net revenue ÷ valid orders",
      repeat_rate: "repeat customers ÷ customers", refund_rate: "refund ÷ sold",
    },
    checks,
    tables: ["users", "products", "orders", "order_items", "payments"].map(
      (table, index) => ({ table, rows: scale * 10 * (index + 1) })),
    trends: {
      revenue_by_month: { title: "Revenue by month", rows: revenue },
      category_mix: {
        title: "Category mix",
        rows: names.map((category, index) => ({
          category: hostile && index === 0 ? evil : category,
          product_count: 40 - index, unit_count: 900 - index * 120,
          gross_cents: 9000000 - index * 1200000 - dice(100000),
          line_discount_cents: 300000 - index * 41000, gross_share: 0.3 - index * 0.04,
        })),
      },
      top_products: {
        title: "Top products",
        rows: names.map((name, index) => ({
          product_id: index + 1, sku: `SKU-${index + 1}`,
          product_name: hostile ? `<img src=x onerror=alert(1)> ${name}` : `${name} set`,
          category: name, unit_count: 300 - index * 31, gross_cents: 2100000 - index * 230000,
          line_discount_cents: 4200 * index,
        })),
      },
      payment_methods: {
        title: "Payment methods",
        rows: ["card", "wallet", "bank_transfer", "invoice", "gift_card"].map((method, index) => ({
          method, charge_count: 1200 - index * 210, failed_count: 37 - index * 8,
          charged_cents: 8100000 - index * 1600000, refunded_cents: 210000 - index * 40000,
          failure_rate: 0.031 + index * 0.01, charged_share: 0.4 - index * 0.1,
        })),
      },
      countries: {
        title: "Countries",
        rows: ["DE", "FR", "AT", "NL", "IT", "ES"].map((country_code, index) => ({
          country_code, user_count: 900 - index * 110, customer_count: 400 - index * 50,
          order_count: 1000 - index * 190, net_cents: 5100000 - index * 790000,
          net_share: 0.3 - index * 0.04,
        })),
      },
      channels: {
        title: "Channels",
        rows: ["organic", "paid_search", "email", "social", "direct", "referral"].map((acquisition_channel, index) => ({
          acquisition_channel, user_count: 800 - index * 90, customer_count: 500 - index * 70,
          net_cents: 6100000 - index * 890000, net_share: 0.3 - index * 0.04,
        })),
      },
      orders_per_customer: {
        title: "Orders per customer",
        rows: [4100, 1300, 610, 320, 170, 95, 52, 31, 20, 44].map((customer_count, index) => ({
          orders_per_customer: index + 1, customer_count, customer_share: customer_count / 6742,
        })),
      },
      weekday_by_hour: { title: "Orders by weekday and hour", rows: weekdays },
      refunds_and_cancellations: {
        title: "Refunds and cancellations",
        rows: revenue.map(({ month, order_count, is_complete }) => ({
          month, placed_count: order_count + 12, pending_count: is_complete ? 0 : 3,
          cancelled_count: dice(12), order_count, partially_returned_count: dice(5),
          returned_count: dice(9), is_complete, cancellation_rate: 0.03, return_rate: 0.1,
        })),
      },
    },
    provenance: {
      "datapackage.json": { sha256: "d".repeat(64) },
      dataset: { as_of: `${monthAfter(first, months - 1)}-14`, content_sha256: "b".repeat(64) },
      generator: { seed: "42", users: "5000", format_version: "1", currency: "EUR" },
      loader: { tool_version: "1.0", python_version: "3.11.7", sqlite_version: "3.40.1" },
      "orders.csv": { bytes: "812345", manifest: "matches", rows: "9120", sha256: "e".repeat(64) },
      "schema.sql": { sha256: "f".repeat(64) },
    },
  };
}

const SHOPS = {
  realistic: { months: 24, first: "2023-01", scale: 120 },
  tiny: { months: 2, first: "2024-11", scale: 2 },
};

module.exports = { makeQueryResult, makeReport, SHOPS };

// `node sample_results.js FOLDER [SHOP]` writes both files, to look at by hand.
if (require.main === module) {
  const fs = require("node:fs");
  const [folder, shop = "realistic"] = process.argv.slice(2);
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(`${folder}/report.json`, JSON.stringify(makeReport(SHOPS[shop])));
  fs.writeFileSync(`${folder}/query_result.json`, JSON.stringify(makeQueryResult(SHOPS[shop])));
}
