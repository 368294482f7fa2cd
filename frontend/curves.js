"use strict";

const CUMULATIVE_NET = "cum_net_per_customer_cents";
const CHAINED_NET = "chained_net_per_customer_cents";
// An average of fewer jumps where the next one drops out.
const FEWEST_COHORTS = 5;
const MONTHS_IN_YEAR = 12;
const PINS = ["pin1", "pin2", "pin3"];
// The axis of a faulty file must not keep the browser busy for ever.
const MOST_MONTHS = 10000;

// Returns [month, value, low, high] of a forecast, and before them the last known figure.
function forecastPoints(cells, horizons = []) {
	const { months_since: month, [CUMULATIVE_NET]: value } = cells.at(-1) ?? {};
	const points = horizons.map(({ months_since: later, [CUMULATIVE_NET]: net }) => {
		return [later, net?.forecast, net?.low, net?.high];
	});
	const isKnown = points.length && points.flat().every(isNumber);
	return isKnown ? [[month, value, value, value], ...points] : [];
}

// The last line is the average.
function makeCurves({ cohorts, rows, average, forecast }) {
	const fewest = Math.min(FEWEST_COHORTS, average[0]?.cohort_count);
	const drawn = average.filter((row) => row.cohort_count >= fewest);
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

function spanMonths({ lines, forecasts }, n) {
	const lastMonths = (forecasts[n] ?? []).map(([month]) => month + 1);
	return Math.max(...lines.map((line) => line.length), ...lastMonths);
}

// Returns the chosen cohort, else the latest with a full year and a forecast, else the average.
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
	const interval = formatInterval(low, high, money);
	return `${words}, forecast for month ${later}: ${money(value)}, ${interval}`;
}

function listPinned(selection) {
	return PINS.map((pin) => selection[pin]).filter(Boolean);
}

function togglePin(selection, cohort) {
	const own = PINS.find((pin) => selection[pin] === cohort);
	const pin = own ?? PINS.find((each) => !selection[each]);
	if (pin) selection.choose(pin, own ? "" : cohort);
}

function addPinButton(section, selection, { date }) {
	const button = section.appendChild(make("button", { class: "pin" }));
	on(button, { click: () => togglePin(selection, selection.cohort) });
	selection.follow(() => {
		const pinned = listPinned(selection);
		const isPinned = pinned.includes(selection.cohort);
		button.hidden = !selection.cohort || (pinned.length === PINS.length && !isPinned);
		button.textContent = `${isPinned ? "Unpin" : "Pin"} ${date(selection.cohort)}`;
	});
}

function renderCurves(section, view, selection, formats) {
	const { cohorts, rows } = view;
	const curves = makeCurves(view);
	if (Math.max(...curves.lines.map((line) => line.length)) < 2) {
		section.append(make("p", {}, "No cohort has two complete months yet."));
		return cohorts.length > 0;
	}
	const entries = [
		["series-1 line", "Average, chained month by month"],
		["series-2 line", "One cohort; older ones are paler"],
		["series-4 line", "Pinned cohorts"],
		["series-3 line", "Highlighted cohort"],
		["series-3 line dashed", "its forecast, 95% interval shaded"],
	];
	section.append(makeLegend(curves.forecasts.flat().length ? entries : entries.slice(0, -1)));
	const placeOf = () => firstCurvePlace(curves, selection.cohort);
	const sizeOf = ([, n]) => [spanMonths(curves, n), curves.lines.length];
	const chart = new Chart(section, {
		height: 340,
		size: sizeOf(placeOf()),
		start: placeOf(),
		paint: (svg, width) => {
			const shown = { n: placeOf()[1], pinned: listPinned(selection), formats };
			return drawCurves(svg, width, curves, shown);
		},
		describe: (place) => describeCurve(curves, place, formats),
		choose: ([, n]) => selection.choose("cohort", cohorts[n]?.cohort),
	});
	selection.onChange(() => chart.showHome(placeOf(), sizeOf(placeOf())));
	addPinButton(section, selection, formats);
	addRows(section, "curves", rows.flat(), formats, { table: cohorts.map(flattenRow) });
	return true;
}

function curvePath(points, { x, y, top }) {
	const known = [...points].filter(([, value]) => isNumber(value));
	return linePath(known.map(([month, value]) => [x(month), Math.max(top, y(value))]));
}

function drawCurves(svg, width, curves, { n, pinned, formats }) {
	const { lines, forecasts } = curves;
	const months = spanMonths(curves, n);
	const area = { left: 52, right: width - 14, top: 10, bottom: 296 };
	const values = [...lines.flat(), ...(forecasts[n] ?? []).map(([, value]) => value)];
	const y = drawAxis(svg, values.filter(isNumber), area, formats.moneyShort);
	const step = (area.right - area.left) / (months - 1);
	const scale = { x: (month) => area.left + step * month, y, top: area.top };
	drawMonthNumbers(svg, months, scale, area);
	drawCohortLines(svg, lines.slice(0, -1), scale);
	drawPinned(svg, curves, pinned, { scale, area, formats });
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
			const own = curves.cohorts[place[1]];
			const words = own ? formats.date(own.cohort) : "Average";
			markLabel(marks.label, words, lines[place[1]], scale, area);
		},
	};
}

function drawCohortLines(svg, lines, scale) {
	for (let age = 0; age < 4; age += 1) {
		const [from, to] = [age, age + 1].map((part) => Math.round((part / 4) * lines.length));
		const paths = lines.slice(from, to).map((line) => curvePath(line.entries(), scale));
		drawPath(svg, "line series-2", paths.join("")).setAttribute("opacity", 0.4 + age / 5);
	}
}

function drawPinned(svg, { cohorts, lines }, pinned, { scale, area, formats }) {
	for (const [n, { cohort }] of cohorts.entries()) {
		if (!pinned.includes(cohort)) continue;
		drawPath(svg, "line series-4", curvePath(lines[n].entries(), scale));
		const label = drawText(svg, 0, 0, "", "middle label");
		markLabel(label, formats.date(cohort), lines[n], scale, area);
	}
}

function markLabel(label, words, line, { x, y }, { left, right }) {
	const month = line.findLastIndex(isNumber);
	label.textContent = month < 0 ? "" : words;
	fill(label, {
		x: clamp(x(month), left + 28, right - 28),
		y: month < 0 ? 0 : Math.max(11, y(line[month]) - 12),
	});
}

function drawMonthNumbers(svg, months, { x }, { left, right, bottom }) {
	for (let month = 0; month < months; month += monthsPerLabel(x(1) - left)) {
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
	fill(dot, { cx: scale.x(month), cy: isNumber(value) ? scale.y(value) : -9 });
}
