"use strict";

const SEGMENT_COLUMNS = { channel: "acquisition_channel", country: "country_code" };

const segmentColumn = ({ by }) => SEGMENT_COLUMNS[by] ?? by;

function selectSegment(query, name) {
	const isChosen = ({ segment }) => segment === name;
	const chosen = query.segments?.find(isChosen);
	if (!chosen) return query;
	const total = query.forecast?.segments?.find(isChosen)?.horizons;
	const forecast = query.forecast && { ...query.forecast, total, cohorts: [] };
	return { ...query, ...chosen, forecast };
}

// Returns a row with all figures of each segment, and the columns that compare them.
function compareSegments({ segments, forecast, options }) {
	const column = segmentColumn(options);
	const rows = segments.map(({ segment, summary: { customer_count, clv } }) => {
		const next = forecast?.segments?.find((one) => one.segment === segment)?.horizons ?? [];
		return flattenRow({ [column]: segment, customer_count, clv, next });
	});
	const known = Object.keys(Object.assign({}, ...rows));
	const hasFigure = (name) => rows.some((row) => isNumber(row[name]));
	const values = known.filter((name) => /^clv_\d+_months_cents$/.test(name) && hasFigure(name));
	const next = known.filter((name) => name.endsWith("_net_forecast_cents")).slice(-1);
	return {
		rows: sortBy(rows, (row) => row[values.at(-1)], true),
		columns: [column, "customer_count", ...values, ...next],
	};
}

function renderSegments(section, query, selection, formats) {
	if (!query.segments?.length) return false;
	const { rows, columns } = compareSegments(query);
	const [own] = columns;
	const choices = rows.map((row) => [row[own], formatValue(own, row[own], formats)]);
	choices.unshift(["", "all customers"]);
	section.append(makeChoice("Values, curves and cohorts of ", choices, selection, "segment"));
	return renderTopRows(section, rows, formats, columns);
}
