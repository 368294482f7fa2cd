// The panels of query_result.json.
"use strict";

async function renderQuery(query) {
	const { cohorts = [], cells = [], average = [], summary = {}, forecast, currency } = query;
	const formats = makeDocumentFormats(query);
	const view = { cohorts, average, summary, forecast, rows: groupCells(cohorts, cells) };
	view.omitted = query.options?.omit_first_cohort && cohorts[0]?.cohort;
	const selection = new Selection({
		cohort: cohorts.map(({ cohort }) => cohort),
		metric: METRICS.map(({ key }) => key),
		scale: Object.keys(SCALES),
		sort: listOrders(Math.max(0, ...view.rows.map((row) => row.length))),
	});
	if (query.options?.cohort === "quarter") find("#cohorts span").textContent = "quarter";
	await drawPanel(find("#kpis dl[data-file=query]"), (list) =>
		renderCards(list, queryCards(view, formats)),
	);
	await drawPanel(find("#clv"), (section) => renderClv(section, view, formats));
	await drawPanel(find("#curves"), (section) => renderCurves(section, view, selection, formats));
	await drawPanel(find("#cohorts"), (section) =>
		renderCohorts(section, view, { selection, formats, currency }),
	);
}

function findClv({ clv = [] }, age) {
	return clv.find(({ months }) => months === age) ?? {};
}

function clvCard(summary, months, { money }) {
	const {
		cents,
		low_cents: low,
		high_cents: high,
		median_cents: median,
		cohort_count: count,
	} = findClv(summary, months);
	const medianWords = isNumber(median) ? `, median ${money(median)}` : "";
	return {
		name: `After ${months} months`,
		value: cents,
		text: money(cents),
		notes: [
			formatInterval(low, high, money),
			count ? countNoun(count, "cohort") + medianWords : `no cohort is ${months} months old yet`,
		],
	};
}

function forecastCard({ months, net_cents: net }, { moneyWhole }) {
	return {
		name: `Next ${months} months`,
		value: net.forecast,
		text: moneyWhole(net.forecast),
		notes: [formatInterval(net.low, net.high, moneyWhole)],
	};
}

function describeMissingForecast(forecast) {
	if (!forecast) {
		return `No forecast in this file. Create it with ${FILES.query.command} --forecast`;
	}
	return forecast.refused && `Forecast refused: ${forecast.refused}`;
}

function queryCards({ summary, cohorts, forecast }, formats) {
	const next = forecast?.total
		? forecastCard(forecast.total.at(-1), formats)
		: { name: "Next 12 months", text: NO_FIGURE, notes: [] };
	next.notes.push(describeMissingForecast(forecast) ?? "forecast for today’s customers");
	return [
		{
			...clvCard(summary, 12, formats),
			name: "12-month CLV",
			line: cohorts.map((cohort) => findClv(cohort, 12).cents),
		},
		next,
	];
}

function renderClv(section, { summary, forecast, rows, omitted }, formats) {
	const add = (name, look, words = "") => section.appendChild(make(name, { class: look }, words));
	const ages = [3, 6, 12, 24].filter(
		(months) => months < 24 || findClv(summary, months).cohort_count,
	);
	renderCards(
		add("dl", "steps"),
		ages.map((months) => clvCard(summary, months, formats)),
	);
	const first = summary.large_first_cohort;
	if (first) {
		add(
			"p",
			"soft",
			`The first cohort, ${formats.date(first.cohort)}, seems to include customers who bought` +
				` before the data begin: it has ${formats.count(first.cohort_size)},` +
				` the median of the later ones is ${formats.count(first.median_of_later)}.`,
		);
	}
	if (omitted) {
		add("p", "soft", `The averages omit the first cohort, ${formats.date(omitted)}.`);
	}
	add(
		"p",
		"soft",
		describeMissingForecast(forecast) ??
			"Forecast, not fact: future net revenue from today’s customers.",
	);
	if (!forecast?.total) return rows.length > 0;
	renderCards(
		add("dl", "steps ahead"),
		forecast.total.map((one) => forecastCard(one, formats)),
	);
	add("p", "soft", describeHoldout(forecast, formats));
	const horizons = forecast.cohorts.flatMap(({ horizons: all, ...cohort }) =>
		all.map((horizon) => flattenRow({ ...cohort, ...horizon })),
	);
	addRows(section, "forecast", horizons, formats);
	return true;
}

function describeHoldout({ holdout = {}, verdict }, { count, change }) {
	const { refused, days, purchases = {} } = holdout;
	if (refused) return `Not tested: ${refused}`;
	return (
		`Tested on the last ${days ?? NO_FIGURE} days: ${count(purchases.forecast)} purchases were predicted,` +
		` ${count(purchases.actual)} were made (${change(purchases.error)}). ${verdict?.text ?? ""}`
	);
}
