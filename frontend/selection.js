"use strict";

function readAddress(hash, known) {
	const words = [...new URLSearchParams(hash.replace(/^#/, ""))];
	const isKnown = ([name, word]) => Object.hasOwn(known, name) && known[name].includes(word);
	return Object.fromEntries(words.filter(isKnown));
}

// Dispatches "change".
class Selection extends EventTarget {
	constructor(known) {
		super();
		this.known = known;
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

	follow(change) {
		on(this, { change });
		change();
	}

	notify() {
		this.dispatchEvent(new Event("change"));
	}
}
