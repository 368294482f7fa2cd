"use strict";

const CUMULATIVE_NET = "cum_net_per_customer_cents";
const CHAINED_NET = "chained_net_per_customer_cents";
// An average of fewer jumps where the next one drops out.
const FEWEST_COHORTS = 5;
const MONTHS_IN_YEAR = 12;
const PINS = ["pin1", "pin2", "pin3"];
// The axis of a faulty file must not keep the browser busy forever.
const MOST_MONTHS = 10000;

// Returns [month, value, low, high] of a forecast, and before them the last known figure.
function forecastPoints(cells, horizons = []) {
	const { months_since: month, [CUMULATIVE_NET]: value } = cells.at(-1) ?? {};
	const points = horizons.map(({ months_since: later, [CUMULATIVE_NET]: net }) => {
		if (later > MOST_MONTHS) throw new FileFault("its months do not fit on an axis");
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
	const forecast = `${money(value)}, ${formatInterval(low, high, money)}`;
	return `${words}, forecast for month ${later}: ${forecast}`;
}

function listPinned(selection) {
	return PINS.map((pin) => selection[pin]).filter(Boolean);
}

// The first free place offers the highlighted cohort, unless it is pinned.
function offerPin(selection, pin) {
	const isFirst = pin === PINS.find((each) => !selection[each]);
	return isFirst && !listPinned(selection).includes(selection.cohort) ? selection.cohort : "";
}

// Each place has a button: where it pinned a cohort, it releases that one.
function addPinButtons(section, selection, { date }) {
	for (const pin of PINS) {
		const button = section.appendChild(make("button", { class: "pin" }));
		selection.follow(() => {
			const cohort = selection[pin] || offerPin(selection, pin);
			button.hidden = !cohort;
			button.textContent = `${selection[pin] ? "Unpin" : "Pin"} ${date(cohort)}`;
		});
		const toggle = () => {
			selection.choose(pin, selection[pin] ? "" : offerPin(selection, pin));
			// A hidden button loses the focus of the keyboard.
			if (button.hidden) find(".plot", section).focus();
		};
		on(button, { click: toggle });
	}
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
	const placeOf = () => firstCurvePlace(curves, selection.cohort);
	const sizeOf = ([, n]) => [spanMonths(curves, n), curves.lines.length];
	const chart = addChart(section, formats, [formats.currency, "per customer"], {
		entries: curves.forecasts.flat().length ? entries : entries.slice(0, -1),
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
	on(selection, { change: () => chart.showHome(placeOf(), sizeOf(placeOf())) });
	addPinButtons(section, selection, formats);
	addRows(section, rows.flat(), formats, { table: cohorts.map(flattenRow) });
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
	drawCohortLines(svg, curves, pinned, { scale, area, formats });
	const marks = {
		band: drawPath(svg, "band"),
		line: drawPath(svg, "line series-3"),
		forecast: drawPath(svg, "line series-3 dashed"),
	};
	drawPath(svg, "line series-1", curvePath(lines.at(-1).entries(), scale));
	marks.dot = draw(svg, "circle", { r: 5, class: "dot" });
	return {
		locate: (left, top) => {
			const month = clamp(Math.round((left - area.left) / step), 0, months - 1);
			return [month, nearestLine(lines, month, (value) => Math.abs(y(value) - top))];
		},
		mark: (place) => {
			markCurve(marks, curves, place, scale);
			const own = curves.cohorts[place[1]];
			const words = own ? formats.date(own.cohort) : "Average";
			marks.label?.remove();
			marks.label = drawLabel(svg, words, lines[place[1]], scale, area);
		},
	};
}

function drawCohortLines(svg, { cohorts, lines }, pinned, { scale, area, formats }) {
	for (const [n, { cohort }] of cohorts.entries()) {
		const isPinned = pinned.includes(cohort);
		const look = `line series-${isPinned ? 4 : 2}`;
		const path = drawPath(svg, look, curvePath(lines[n].entries(), scale));
		path.setAttribute("opacity", isPinned ? 1 : 0.4 + (0.6 * n) / cohorts.length);
		if (isPinned) drawLabel(svg, formats.date(cohort), lines[n], scale, area);
	}
}

function drawLabel(svg, words, line, { x, y }, { left, right }) {
	const month = line.findLastIndex(isNumber);
	const height = Math.max(11, y(line[month] ?? 0) - 12);
	return drawText(svg, clamp(x(month), left + 28, right - 28), height, words, "middle label");
}

function drawMonthNumbers(svg, months, { x }, { left, right, bottom }) {
	for (let month = 0; month < months; month += monthsPerLabel(x(1) - left)) {
		drawText(svg, x(month), bottom + 18, month);
	}
	drawText(svg, (left + right) / 2, bottom + 37, "months since the first order");
}

// Returns the last line, the average, where no line has a value.
function nearestLine(lines, month, distanceTo) {
	const distances = lines.map((line) =>
		isNumber(line[month]) ? distanceTo(line[month]) : Infinity,
	);
	return distances.lastIndexOf(Math.min(...distances));
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
