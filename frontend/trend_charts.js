"use strict";

// The columns to stack, from the bottom, with the numbers of their colours; others are in words.
const MONTH_CHARTS = {
	revenue: {
		series: { net_cents: 1, discount_cents: 4, refund_cents: 3 },
		others: ["order_count", "aov_cents", "refund_rate"],
	},
	customers: {
		unit: "customers",
		series: { returning_customers: 1, new_customers: 4 },
		others: ["returning_share"],
	},
	orders: {
		unit: "orders",
		series: { order_count: 1, pending_count: 4, cancelled_count: 3 },
		others: ["cancellation_rate", "returned_count", "partially_returned_count", "return_rate"],
	},
};

function renderMonths(section, rows, formats) {
	const { series, others, unit = formats.currency } = MONTH_CHARTS[section.id];
	const columns = Object.keys(series);
	if (rows[0][columns[0]] === undefined) return false;
	const shown = [...columns, ...others];
	const entries = columns.map((column) => [`series-${series[column]}`, columnLabel(column)]);
	if (rows.some(isIncomplete)) entries.push(["striped", "Incomplete month"]);
	const last = rows.map(isIncomplete).lastIndexOf(false);
	addChart(section, formats, [unit], {
		entries,
		height: 250,
		size: [rows.length, 1],
		start: [last < 0 ? rows.length - 1 : last, 0],
		paint: (svg, width) => drawMonths(svg, width, rows, series, formats),
		describe: ([n]) =>
			`${formats.date(rows[n].month)}${isIncomplete(rows[n]) ? INCOMPLETE : ""}: ` +
			describeRow(rows[n], shown, formats),
	});
	addRows(section, rows, formats, { columns: ["month", ...shown] });
	return true;
}

function drawMonths(svg, width, rows, series, formats) {
	const area = { left: 52, right: width - 4, top: 10, bottom: 222 };
	const columns = Object.keys(series);
	const stacks = rows.map((row) => stackSpans(columns.map((column) => row[column])));
	const format = isMoney(columns[0]) ? formats.moneyShort : formats.countShort;
	const y = drawAxis(svg, stacks.flat(2), area, format);
	const step = (area.right - area.left) / rows.length;
	const cursor = drawPath(svg, "cursor");
	drawStacks(svg, rows, stacks, Object.values(series), { left: area.left, step, y });
	drawMonthNames(svg, rows, step, area, formats);
	return {
		locate: (x) => [Math.floor((x - area.left) / step), 0],
		mark: ([n]) => {
			const { left, top, bottom } = area;
			cursor.setAttribute("d", boxPath(left + step * n, top, step, bottom - top));
		},
	};
}

function drawStacks(svg, rows, stacks, colours, { left, step, y }) {
	const width = Math.min(40, step * 0.72);
	const barOf = (n, [from, to]) => {
		const x = left + step * n + (step - width) / 2;
		return boxPath(x, y(Math.max(from, to)), width, Math.abs(y(from) - y(to)));
	};
	colours.forEach((colour, layer) => {
		drawPath(svg, `series-${colour}`, stacks.map((spans, n) => barOf(n, spans[layer])).join(""));
	});
	const striped = stacks.map((spans, n) =>
		isIncomplete(rows[n]) ? spans.map((span) => barOf(n, span)).join("") : "",
	);
	drawPath(svg, "striped", striped.join(""));
}

function drawMonthNames(svg, rows, step, { left, right, bottom }, { date }) {
	for (let n = 0; n < rows.length; n += monthsPerLabel(step)) {
		const x = clamp(left + step * (n + 0.5), left + 24, right - 26);
		drawText(svg, x, bottom + 18, date(rows[n].month));
	}
}

function renderHours(section, rows, formats) {
	section.append(make("p", {}, "In UTC."));
	const counts = Array.from({ length: 7 }, () => Array(24).fill(0));
	for (const { weekday, hour, order_count: count } of rows) {
		if (isNumber(count) && isNumber(counts[weekday]?.[hour])) counts[weekday][hour] = count;
	}
	const countOrders = (count) => countNoun(count, "order", formats.count);
	const all = counts.flat();
	addChart(section, formats, ["orders, hours in UTC"], {
		entries: [...zeroEntry(all, countOrders), ...heatEntries(colourDomain(all), countOrders)],
		height: 232,
		size: [24, 7],
		start: [12, 0],
		paint: (svg, width) => drawHours(svg, width, counts, formats),
		describe: ([hour, day]) =>
			`${formats.weekday(day)}, ${hour}:00 to ${hour + 1}:00: ${countOrders(counts[day][hour])}`,
	});
	addRows(section, rows, formats);
}

function drawHours(svg, width, counts, formats) {
	const [left, top, height] = [40, 4, 28];
	const step = (width - left - 2) / 24;
	const boxOf = (hour, day, gap) =>
		boxPath(left + step * hour + gap, top + height * day + gap, step - 2 * gap, height - 2 * gap);
	drawHeat(svg, counts, boxOf);
	counts.forEach((_, day) => {
		drawText(svg, left - 8, top + height * day + 18, formats.weekday(day), "end");
	});
	for (let hour = 0; hour < 24; hour += 6) {
		drawText(svg, left + step * (hour + 0.5), top + height * 7 + 18, hour);
	}
	const cursor = drawPath(svg, "ring");
	return {
		locate: (x, y) => [Math.floor((x - left) / step), Math.floor((y - top) / height)],
		mark: ([hour, day]) => cursor.setAttribute("d", boxOf(hour, day, 0)),
	};
}

// One path for each colour, not one node for each cell: the page stays light.
function drawHeat(svg, counts, boxOf) {
	const domain = colourDomain(counts.flat());
	const paths = new Map();
	counts.forEach((row, day) => {
		row.forEach((count, hour) => {
			const look = heatLook(count, domain);
			paths.set(look, (paths.get(look) ?? "") + boxOf(hour, day, 1));
		});
	});
	for (const [look, d] of paths) drawPath(svg, look, d);
}
