"use strict";

const SEGMENT_COLUMNS = { channel: "acquisition_channel", country: "country_code" };

function selectSegment(query, name) {
	const isChosen = ({ segment }) => segment === name;
	const chosen = query.segments?.find(isChosen);
	if (!chosen) return query;
	const total = query.forecast?.segments?.find(isChosen)?.horizons;
	const forecast = query.forecast && { ...query.forecast, total, cohorts: [] };
	return { ...query, ...chosen, forecast };
}

function compareSegments({ segments, forecast, options }) {
	const column = SEGMENT_COLUMNS[options.by] ?? options.by;
	const rows = segments.map(({ segment, summary }) => {
		const clv = summary.clv.map(({ months, cents }) => ({ months, cents }));
		const next = forecast?.segments?.find((one) => one.segment === segment)?.horizons.at(-1);
		const figures = next && {
			[`next_${next.months}_months_forecast_cents`]: next.net_cents.forecast,
		};
		return flattenRow({
			[column]: segment,
			customer_count: summary.customer_count,
			clv,
			...figures,
		});
	});
	const value = Object.keys(rows[0])
		.filter((name) => name.startsWith("clv"))
		.findLast((age) => rows.some((row) => isNumber(row[age])));
	return sortBy(rows, (row) => row[value], true);
}

function renderSegments(section, query, selection, formats) {
	if (!query.segments?.length) return false;
	const rows = compareSegments(query);
	const choices = rows.map((row) => {
		const [[column, value]] = Object.entries(row);
		return [value, formatValue(column, value, formats)];
	});
	choices.unshift(["", "all customers"]);
	section.append(makeChoice("Values, curves and cohorts of ", choices, selection, "segment"));
	return renderTopRows(section, rows, formats, "segments");
}
