// The curves of the cohorts and their forecasts.
"use strict";

const CUMULATIVE_NET = "cum_net_per_customer_cents";
const CHAINED_NET = "chained_net_per_customer_cents";
// An average of fewer cohorts is not drawn: it jumps where the next cohort drops out.
const FEWEST_COHORTS = 5;
const MONTHS_IN_YEAR = 12;
// The axis of a faulty file must not keep the browser busy for ever.
const MOST_MONTHS = 10000;

// Returns [month, value, low, high] of a forecast, and before them the last known figure.
function forecastPoints(cells, horizons = []) {
	const { months_since: month, [CUMULATIVE_NET]: value } = cells.at(-1) ?? {};
	const points = horizons.map(({ months_since: later, [CUMULATIVE_NET]: net }) => [
		later,
		net?.forecast,
		net?.low,
		net?.high,
	]);
	return points.length && points.flat().every(isNumber)
		? [[month, value, value, value], ...points]
		: [];
}

// Returns a line of complete months for each cohort and then the average, and the forecasts.
function makeCurves({ cohorts, rows, average, forecast }) {
	const fewest = Math.min(FEWEST_COHORTS, average[0]?.cohort_count);
	const drawn = average.filter((row) => row.cohort_count >= fewest);
	// The cumulative average is of other cohorts in each month, so it can fall; the chained
	// one adds up the averages of the months.
	const lines = [...rows, drawn].map((row) =>
		row
			.filter((cell) => !isIncomplete(cell))
			.map((cell) => cell[CHAINED_NET] ?? cell[CUMULATIVE_NET]),
	);
	const forecasts = cohorts.map(({ cohort }, n) =>
		forecastPoints(rows[n], forecast?.cohorts?.find((one) => one.cohort === cohort)?.horizons),
	);
	if (forecasts.flat().some(([month]) => month > MOST_MONTHS)) {
		throw new FileFault("its months do not fit on an axis");
	}
	return { cohorts, average: drawn, lines, forecasts };
}

// The axis spans all facts and the forecast of one cohort: that of the oldest would fill half.
function spanMonths({ lines, forecasts }, n) {
	const lastMonths = (forecasts[n] ?? []).map(([month]) => month + 1);
	return Math.max(...lines.map((line) => line.length), ...lastMonths);
}

// Returns the place shown first: the chosen cohort, else the latest with a full year and a
// forecast, else the average.
function firstCurvePlace({ cohorts, average, lines, forecasts }, chosen) {
	let n = cohorts.findIndex(({ cohort }) => cohort === chosen);
	if (n < 0 && forecasts.flat().length) {
		n = lines.slice(0, -1).findLastIndex((line) => line.length > MONTHS_IN_YEAR);
	}
	if (n < 0) return [Math.min(MONTHS_IN_YEAR, average.length - 1), cohorts.length];
	return [lines[n].length - 1, n];
}

function describeCurve({ cohorts, average, lines, forecasts }, [month, n], { count, date, money }) {
	const mean = average[month]
		? `average ${money(lines.at(-1)[month])}` +
			` of ${countNoun(average[month].cohort_count, "cohort", count)}`
		: "too few cohorts for an average";
	if (n >= cohorts.length) return `After month ${month}: ${mean}`;
	const size = countNoun(cohorts[n].cohort_size, "customer", count);
	const words = `Cohort ${date(cohorts[n].cohort)} (${size})`;
	const next = forecasts[n].find(([later], step) => step && later >= month);
	if (month in lines[n] || !next) {
		return `${words} after month ${month}: ${money(lines[n][month])}; ${mean}`;
	}
	const [later, value, low, high] = next;
	return (
		`${words}, forecast for month ${later}: ${money(value)},` +
		` ${formatInterval(low, high, money)}`
	);
}

function renderCurves(section, view, selection, formats) {
	const { cohorts, rows } = view;
	const curves = makeCurves(view);
	if (Math.max(...curves.lines.map((line) => line.length)) < 2) {
		section.append(make("p", {}, "No cohort has two complete months yet."));
		return cohorts.length > 0;
	}
	addLegend(section, [
		["series-1 line", "Average, chained month by month"],
		["series-2 line", "One cohort; older ones are paler"],
		["series-3 line", "Highlighted cohort"],
		...(curves.forecasts.flat().length
			? [["series-3 line dashed", "its forecast, 95% interval shaded"]]
			: []),
	]);
	const placeOf = () => firstCurvePlace(curves, selection.cohort);
	const sizeOf = ([, n]) => [spanMonths(curves, n), curves.lines.length];
	const chart = new Chart(section, {
		height: 340,
		size: sizeOf(placeOf()),
		start: placeOf(),
		paint: (svg, width) => drawCurves(svg, width, curves, placeOf()[1], formats),
		describe: (place) => describeCurve(curves, place, formats),
		choose: ([, n]) => selection.choose("cohort", cohorts[n]?.cohort),
	});
	selection.onChange(() => chart.showHome(placeOf(), sizeOf(placeOf())));
	addRows(section, "curves", rows.flat(), formats, { table: cohorts.map(flattenRow) });
	return true;
}

function curvePath(points, { x, y, top }) {
	const known = [...points].filter(([, value]) => isNumber(value));
	return linePath(known.map(([month, value]) => [x(month), Math.max(top, y(value))]));
}

// The axes span the facts, and the forecast of cohort n.
function drawCurves(svg, width, curves, n, formats) {
	const { lines, forecasts } = curves;
	const months = spanMonths(curves, n);
	const area = { left: 52, right: width - 14, top: 10, bottom: 296 };
	const values = [...lines.flat(), ...(forecasts[n] ?? []).map(([, value]) => value)];
	const y = drawAxis(svg, values.filter(isNumber), area, formats.moneyShort);
	const step = (area.right - area.left) / (months - 1);
	const scale = { x: (month) => area.left + step * month, y, top: area.top };
	drawMonthNumbers(svg, months, scale, area);
	drawCohortLines(svg, lines.slice(0, -1), scale);
	const marks = {
		band: drawPath(svg, "band"),
		line: drawPath(svg, "line series-3"),
		forecast: drawPath(svg, "line series-3 dashed"),
	};
	drawPath(svg, "line series-1", curvePath(lines.at(-1).entries(), scale));
	marks.dot = draw(svg, "circle", { r: 5, class: "dot" });
	marks.label = drawText(svg, 0, 0, "", "middle label");
	return {
		locate: (left, top) => {
			const month = clamp(Math.round((left - area.left) / step), 0, months - 1);
			return [month, nearestLine(lines, month, (value) => Math.abs(y(value) - top))];
		},
		mark: (place) => {
			markCurve(marks, curves, place, scale);
			const { cohorts } = curves;
			const words = place[1] in cohorts ? formats.date(cohorts[place[1]].cohort) : "Average";
			markLabel(marks.label, words, lines[place[1]], scale, area);
		},
	};
}

// Draws one path for each of four ages, the older the paler.
function drawCohortLines(svg, lines, scale) {
	for (let age = 0; age < 4; age += 1) {
		const [from, to] = [age, age + 1].map((part) => Math.round((part / 4) * lines.length));
		const paths = lines.slice(from, to).map((line) => curvePath(line.entries(), scale));
		drawPath(svg, "line series-2", paths.join("")).setAttribute("opacity", 0.4 + age / 5);
	}
}

function markLabel(label, words, line, { x, y }, { left, right }) {
	const month = line.findLastIndex(isNumber);
	label.textContent = month < 0 ? "" : words;
	label.setAttribute("x", clamp(x(month), left + 28, right - 28));
	label.setAttribute("y", month < 0 ? 0 : y(line[month]) - 12);
}

function monthsPerLabel(months) {
	if (months > 2 * MONTHS_IN_YEAR) return 6;
	return months > MONTHS_IN_YEAR ? 3 : 1;
}

function drawMonthNumbers(svg, months, { x }, { left, right, bottom }) {
	const every = monthsPerLabel(months);
	for (let month = 0; month < months; month += every) {
		drawText(svg, x(month), bottom + 18, month);
	}
	drawText(svg, (left + right) / 2, bottom + 37, "months since the first order");
}

function nearestLine(lines, month, distanceTo) {
	const distances = lines.map((line) =>
		isNumber(line[month]) ? distanceTo(line[month]) : Infinity,
	);
	const nearest = Math.min(...distances);
	return nearest < Infinity ? distances.indexOf(nearest) : lines.length - 1;
}

function markCurve({ band, line, forecast, dot }, { lines, forecasts }, [month, n], scale) {
	const points = forecasts[n] ?? [];
	const outline = [
		...points.map(([later, , low]) => [later, low]),
		...points.map(([later, , , high]) => [later, high]).reverse(),
	];
	line.setAttribute("d", n < forecasts.length ? curvePath(lines[n].entries(), scale) : "");
	forecast.setAttribute("d", curvePath(points, scale));
	band.setAttribute("d", curvePath(outline, scale));
	const value = lines[n][month] ?? points.find(([later]) => later === month)?.[1];
	dot.setAttribute("cx", scale.x(month));
	dot.setAttribute("cy", isNumber(value) ? scale.y(value) : -9);
}
