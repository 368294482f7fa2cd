"use strict";

const HEAT_STEPS = 7;
// So letters of charts on paper are as small as those around them.
const PRINT_WIDTH = 820;

// Returns round values that cover low to high in about `count` steps.
function niceTicks(low, high, count) {
	const span = high - low || 1;
	const power = 10 ** Math.floor(Math.log10(span / count));
	const step = [1, 2, 2.5, 5, 10].map((n) => n * power).find((size) => span / size <= count);
	const first = Math.floor(low / step);
	return Array.from({ length: Math.ceil(high / step) - first + 1 }, (_, n) => (first + n) * step);
}

// Spans the 5th to the 95th percentile of all values but zero: README.md states why.
function colourDomain(values) {
	const sorted = values.filter((value) => isNumber(value) && value).sort((a, b) => a - b);
	if (!sorted.length) return [0, 0];
	const [low, high] = [0.05, 0.95].map((share) => sorted[Math.round(share * (sorted.length - 1))]);
	return low < high ? [low, high] : [sorted[0], sorted.at(-1)];
}

function heatStep(value, [low, high]) {
	const span = high - low;
	if (span <= 0 || !isNumber(span)) return Math.floor(HEAT_STEPS / 2);
	return clamp(Math.floor(((value - low) / span) * HEAT_STEPS), 0, HEAT_STEPS - 1);
}

function heatLook(value, domain) {
	return value === 0 ? "zero" : `h${heatStep(value, domain)}`;
}

function heatEntries([low, high], format) {
	if (!low && !high) return [];
	const [from, to] = [low, high].map(format);
	if (from === to) return [["h3", from]];
	return [
		["h0", `${from} or less`],
		["h6", `${to} or more`],
	];
}

function zeroEntry(values, format) {
	return values.includes(0) ? [["zero", format(0)]] : [];
}

// Fails where figures such as 1e308 leave the range of the arithmetic.
function requireNumbers(...numbers) {
	if (!numbers.every(isNumber)) throw new FileFault("its figures do not fit on an axis");
}

function linePath(points) {
	requireNumbers(...points.flat());
	return points.map(([x, y], n) => `${n ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
}

function boxPath(left, top, width, height) {
	requireNumbers(left, top, width, height);
	return `M${left} ${top}h${width}v${height}h${-width}z`;
}

// Returns [from, to] of each value of a stack: up from zero, or down if negative.
function stackSpans(values) {
	const ends = { up: 0, down: 0 };
	return values.map((value) => {
		const side = value < 0 ? "down" : "up";
		const from = ends[side];
		ends[side] += isNumber(value) ? value : 0;
		return [from, ends[side]];
	});
}

function movePlace(key, [column, row], columns) {
	return {
		ArrowLeft: [column - 1, row],
		ArrowRight: [column + 1, row],
		ArrowUp: [column, row - 1],
		ArrowDown: [column, row + 1],
		Home: [0, row],
		End: [columns - 1, row],
	}[key];
}

function draw(svg, name, attributes, ...words) {
	const node = document.createElementNS("http://www.w3.org/2000/svg", name);
	return svg.appendChild(fill(node, attributes, words));
}

function drawSvg(holder, width, height, look = "") {
	const viewBox = `0 0 ${width} ${height}`;
	return draw(holder, "svg", { viewBox, height, class: look, "aria-hidden": true });
}

function drawPath(svg, name, d = "") {
	return draw(svg, "path", { class: name, d });
}

function drawText(svg, x, y, words, anchor = "middle") {
	return draw(svg, "text", { x, y, class: anchor }, words);
}

function drawAxis(svg, values, { left, right, top, bottom }, format) {
	const ticks = niceTicks(Math.min(0, ...values), Math.max(0, ...values), 5);
	const [first, last] = [ticks[0], ticks.at(-1)];
	requireNumbers(first, last, last - first);
	const y = (value) => bottom - ((value - first) / (last - first || 1)) * (bottom - top);
	drawPath(svg, "grid", ticks.map((tick) => `M${left} ${y(tick)}H${right}`).join(""));
	for (const tick of ticks) drawText(svg, left - 8, y(tick) + 4, format(tick), "end");
	return y;
}

function monthsPerLabel(step) {
	return [1, 2, 3, 6, 12, 24, 60].find((count) => step * count >= 72) ?? 120;
}

function makeLegend(entries) {
	const items = entries.map(([look, words]) => make("li", { class: look }, words));
	return make("ul", { class: "legend" }, ...items);
}

// A place is [column, row].  paint(svg, width) returns { locate, mark }: from a point to its
// place, and mark one.
class Chart {
	constructor(section, options) {
		Object.assign(this, options, { home: options.start, place: options.start });
		const label = `${titleOf(section)}. Arrow keys move; the line below shows the figures.`;
		this.plot = makeStop("plot", label);
		this.readout = make("p", { class: "readout", "aria-live": "polite" });
		section.append(this.plot, this.readout);
		on(this.plot, {
			pointermove: (event) => this.showPoint(event),
			pointerleave: () => this.show(this.home),
			click: () => this.choose?.(this.place),
			keydown: (event) => this.answerKey(event),
		});
		this.repaint();
		addEventListener("beforeprint", () => this.repaint(PRINT_WIDTH));
		new ResizeObserver(() => this.repaint()).observe(this.plot);
	}

	repaint(width = Math.max(240, this.plot.clientWidth)) {
		if (width === this.drawnWidth) return;
		this.drawnWidth = width;
		this.plot.replaceChildren();
		const svg = drawSvg(this.plot, width, this.height);
		this.drawing = this.paint(svg, width);
		this.show(this.place);
	}

	show(place) {
		this.place = place.map((n, axis) => clamp(n, 0, this.size[axis] - 1));
		showWords(this.readout, () => {
			this.drawing.mark(this.place);
			return this.describe(this.place);
		});
	}

	showHome(place, size) {
		Object.assign(this, { home: place, place, size, drawnWidth: 0 });
		this.repaint();
	}

	showPoint(event) {
		const box = this.plot.firstChild.getBoundingClientRect();
		this.show(this.drawing.locate(event.clientX - box.left, event.clientY - box.top));
	}

	answerKey(event) {
		const next =
			event.key === "Escape" ? this.home : movePlace(event.key, this.place, this.size[0]);
		if (next) this.show(next);
		else if (event.key === "Enter" && this.choose) this.choose(this.place);
		else return;
		event.preventDefault();
	}
}

function drawSparkline(holder, values) {
	const [low, high] = [Math.min(...values), Math.max(...values)];
	if (!isNumber(high - low)) return;
	const points = values.map((value, n) => [
		2 + (n / (values.length - 1)) * 90,
		26 - ((value - low) / (high - low || 1)) * 22,
	]);
	drawPath(drawSvg(holder, 96, 30, "spark"), "line series-1", linePath(points));
}
