"use strict";

async function renderQuery(query) {
	const { cohorts = [], cells = [], segments = [], options } = query;
	const starts = cohorts.map(({ cohort }) => cohort);
	const formats = makeDocumentFormats(query);
	const selection = new Selection({
		cohort: starts,
		metric: METRICS.map(({ key }) => key),
		scale: Object.keys(SCALES),
		sort: listOrders(1 + Math.max(-1, ...cells.map((cell) => cell.months_since))),
		segment: segments.map(({ segment }) => segment),
		...Object.fromEntries(PINS.map((pin) => [pin, starts])),
	});
	if (options?.cohort === "quarter") find("#cohorts span").textContent = "quarter";
	const blanks = findAll("[data-segment]").map((panel) => panel.cloneNode(true));
	await drawPanel(find("#segments"), renderSegments, query, selection, formats);
	let [shown, drawn] = [selection.segment, renderSegment(query, selection, formats)];
	const change = () => {
		if (selection.segment === shown) return;
		shown = selection.segment;
		drawn = drawn.then(() => {
			for (const [n, panel] of findAll("[data-segment]").entries()) {
				panel.replaceWith(blanks[n].cloneNode(true));
			}
			return renderSegment(query, selection, formats);
		});
	};
	on(selection, { change });
	await drawn;
}

async function renderSegment(query, selection, formats) {
	const part = selectSegment(query, selection.segment);
	const { segment, options } = part;
	const label = segment ? ` · ${formatValue(segmentColumn(options), segment, formats)}` : "";
	for (const heading of findAll("[data-segment] h2")) heading.append(label);
	const { cohorts = [], cells = [], average = [], summary = {}, forecast } = part;
	const view = { cohorts, average, summary, forecast, rows: groupCells(cohorts, cells) };
	view.omitted = options?.omit_first_cohort && query.cohorts[0]?.cohort;
	await drawPanel(find("#kpis dl[data-segment]"), (list) =>
		renderCards(list, queryCards(view, formats, label)),
	);
	await drawPanel(find("#clv"), renderClv, view, formats);
	await drawPanel(find("#curves"), renderCurves, view, selection, formats);
	await drawPanel(find("#cohorts"), renderCohorts, view, selection, formats);
}

function findClv({ clv = [] }, age) {
	return clv.find(({ months }) => months === age) ?? {};
}

function clvCard(summary, months, { money }) {
	const clv = findClv(summary, months);
	const { cents, median_cents: median, cohort_count: count } = clv;
	const medianWords = isNumber(median) ? `, median ${money(median)}` : "";
	return {
		name: `After ${months} months`,
		value: cents,
		text: money(cents),
		notes: [
			formatInterval(clv.low_cents, clv.high_cents, money),
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

function queryCards({ summary, cohorts, forecast }, formats, label) {
	const next = forecast?.total
		? forecastCard(forecast.total.at(-1), formats)
		: { name: "Next 12 months", text: NO_FIGURE, notes: [] };
	next.name += label;
	next.notes.push(describeMissingForecast(forecast) ?? "forecast for today’s customers");
	return [
		{
			...clvCard(summary, 12, formats),
			name: `12-month CLV${label}`,
			line: cohorts.map((cohort) => findClv(cohort, 12).cents),
		},
		next,
	];
}

function renderClv(section, { summary, forecast, rows, omitted }, formats) {
	const add = (words) => section.append(make("p", {}, words));
	const addCards = (look, cards) =>
		renderCards(section.appendChild(make("dl", { class: look })), cards);
	const ages = [3, 6, 12, 24].filter((age) => age < 24 || findClv(summary, age).cohort_count);
	addCards(
		"steps",
		ages.map((age) => clvCard(summary, age, formats)),
	);
	const { large_first_cohort: first } = summary;
	if (first) {
		add(
			`The first cohort, ${formats.date(first.cohort)}, seems to include customers who bought` +
				` before the data begin: it has ${formats.count(first.cohort_size)},` +
				` the median of the later ones is ${formats.count(first.median_of_later)}.`,
		);
	}
	if (omitted) add(`The averages omit the first cohort, ${formats.date(omitted)}.`);
	add(
		describeMissingForecast(forecast) ??
			"Forecast, not fact: future net revenue from today’s customers.",
	);
	if (!forecast?.total) return rows.length > 0;
	addCards(
		"steps ahead",
		forecast.total.map((one) => forecastCard(one, formats)),
	);
	add(describeHoldout(forecast, formats));
	const horizons = forecast.cohorts.flatMap(({ horizons: all, ...cohort }) =>
		all.map((horizon) => flattenRow({ ...cohort, ...horizon })),
	);
	if (horizons.length) addRows(section, horizons, formats, { name: "forecast" });
	return true;
}

function describeHoldout({ holdout = {}, verdict }, { count }) {
	const { refused, days, purchases = {} } = holdout;
	if (refused) return `Not tested: ${refused}`;
	return (
		`Tested on the last ${days ?? NO_FIGURE} days, all customers: ${count(purchases.forecast)}` +
		` purchases were predicted, ${count(purchases.actual)} were made. ${verdict?.text ?? ""}`
	);
}
