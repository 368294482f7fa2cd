"use strict";

// Neither the width of the window nor its colours change the file.
const FILE_WIDTH = 900;
const [MARK, ROW] = [12, 20];
const FILE_STYLES = (
	"fill stroke stroke-width stroke-dasharray stroke-linecap opacity" +
	" text-anchor font-family font-size font-weight"
).split(" ");

// A viewer has no style sheet: each element gets the styles that it does not inherit.
function inlineStyles(svg) {
	for (const node of [svg, ...findAll("*", svg)]) {
		const [own, outer] = [node, node.parentNode].map((one) => getComputedStyle(one));
		for (const name of FILE_STYLES) {
			if (node === svg || own[name] !== outer[name]) node.setAttribute(name, own[name]);
		}
		node.removeAttribute("class");
	}
}

function drawMark(svg, look, x, y) {
	const isLine = look.includes("line");
	// Stripes are white and lie on a bar.
	for (const each of look === "striped" ? ["series-2", look] : [look]) {
		drawPath(svg, each, isLine ? `M${x} ${y - 4}h${MARK}` : boxPath(x, y - 10, MARK, MARK));
	}
}

function drawLegend(svg, entries) {
	for (const [n, [look, words]] of entries.entries()) {
		const y = 76 + ROW * n;
		drawMark(svg, look, ROW, y);
		drawText(svg, 2 * ROW, y, words, "start");
	}
}

function drawChartFile({ plot, paint, home, height }, entries, title, facts) {
	const top = 70 + ROW * entries.length;
	const bottom = top + height + 2 * ROW;
	const svg = drawSvg(plot, FILE_WIDTH, bottom);
	fill(svg, { width: FILE_WIDTH, role: "img", "aria-hidden": false });
	svg.style.colorScheme = "light";
	draw(svg, "title", {}, title);
	draw(svg, "desc", {}, facts.join(". "));
	draw(svg, "path", { d: boxPath(0, 0, FILE_WIDTH, bottom), fill: "white" });
	svg.append(find("#hatch").cloneNode(true));
	drawText(svg, ROW, 28, title, "title label");
	drawText(svg, ROW, 48, facts[0], "start");
	drawText(svg, ROW, bottom - MARK, facts[1], "start");
	drawLegend(svg, entries);
	const chart = draw(svg, "g", { transform: `translate(0 ${top})` });
	paint(chart, FILE_WIDTH - ROW).mark(home);
	for (const mark of findAll(".cursor, .ring, .dot", chart)) mark.remove();
	inlineStyles(svg);
	return svg;
}

function addChart(section, { date, day, digest }, units, { entries, ...options }) {
	section.append(makeLegend(entries));
	const chart = new Chart(section, options);
	addSaveButton(section, "SVG", () => {
		const unit = units.map((word) => word ?? "the shop’s currency").join(" ");
		const facts = [`In ${unit}, as of ${date(day)}`, `SHA-256 of the data: ${digest ?? NO_FIGURE}`];
		const svg = drawChartFile(chart, entries, titleOf(section), facts);
		saveFile(`${section.id}.svg`, "image/svg+xml", new XMLSerializer().serializeToString(svg));
		svg.remove();
	});
	return chart;
}
