"use strict";

function readAddress(hash, known) {
	const words = [...new URLSearchParams(hash.replace(/^#/, ""))];
	const isKnown = ([name, word]) => Object.hasOwn(known, name) && known[name].includes(word);
	return Object.fromEntries(words.filter(isKnown));
}

class Selection {
	constructor(known) {
		[this.known, this.listeners] = [known, []];
		this.read();
		addEventListener("hashchange", () => this.read());
	}

	read() {
		Object.assign(this, readAddress(location.hash, this.known));
		this.notify();
	}

	choose(name, word) {
		this[name] = word;
		const words = Object.keys(this.known)
			.filter((key) => this[key])
			.map((key) => [key, this[key]]);
		history.replaceState(null, "", `#${new URLSearchParams(words)}`);
		this.notify();
	}

	onChange(listener) {
		this.listeners.push(listener);
	}

	follow(listener) {
		this.onChange(listener);
		listener();
	}

	notify() {
		for (const listener of this.listeners) listener();
	}
}
