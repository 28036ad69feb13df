// The page of one video: player, curve, events, the rule that decides them, and what a person says of them.

const JUMP = 5;
const RULE_FIELDS = ["threshold", "release", "merge_gap", "min_length"];

class Page {
  constructor(data) {
    this.data = data;
    this.curve = {
      starts: numbers(data.curve.starts, 8),
      ends: numbers(data.curve.ends, 8),
      scores: numbers(data.curve.scores, 4),
      probabilities: numbers(data.curve.probabilities, 4),
      classes: data.classes,
    };
    this.rule = { ...data.rule };
    this.day = timeOfDay(data.recorded);
    this.review = new ReviewStore(data);
    this.list = document.getElementById("events");
    this.chart = new Chart(data, this.curve, document.getElementById("plot"), (seconds) => this.player.seek(seconds));
    this.player = new Player(data, document.getElementById("stage"), (seconds) => this.#moved(seconds));
    this.#connectRule();
    this.#connectReview();
    this.#connectChart();
    document.addEventListener("keydown", (key) => this.#key(key));
    for (const link of document.querySelectorAll("[data-seek]")) {
      link.addEventListener("click", () => this.player.seek(Number(link.dataset.seek)));
    }
    this.decide();
  }

  /** Decides events anew by the rule as it is, and shows them. */
  decide() {
    const found = findEvents(this.curve, this.rule);
    const missed = missedAmong(found, this.review.entries).map((entry) => this.#added(entry));
    this.events = [...found, ...missed].sort((a, b) => a.start - b.start);
    for (const event of this.events) event.picture = this.#picture(event);
    this.items = this.events.map((event, number) => (event.missed ? missedItem : foundItem)(this, event, number));
    this.list.replaceChildren(...this.items.map((item) => item.element));
    this.current = null;
    this.#judged();
    this.#ruleShown();
    this.#moved(this.player.time);
  }

  /** Goes to the event after the moment that is looked at, or with -1 to the one before. */
  step(direction) {
    if (!this.events.length) return;
    const now = this.current ?? this.events.findLastIndex((event) => event.start <= this.player.time + 0.01) + (direction < 0 ? 1 : 0);
    this.go(Math.min(Math.max(now + direction, 0), this.events.length - 1));
  }

  /** Goes to an event. */
  go(number) {
    this.player.seek(this.events[number].start);
    this.#mark(number);
    const { element } = this.items[number];
    const [box, room] = [element.getBoundingClientRect(), this.list.getBoundingClientRect()];
    if (box.top < room.top || box.bottom > room.bottom) this.list.scrollTop += box.top - room.top - 8;
  }

  #moved(seconds) {
    if (!this.items) return; // the player is not there yet
    this.chart.moveTo(seconds);
    const inside = this.events.findLastIndex((event) => event.start <= seconds + 0.01 && seconds < event.end);
    this.#mark(inside < 0 ? null : inside);
    const plot = this.chart.plot;
    plot.setAttribute("aria-valuenow", seconds.toFixed(1));
    plot.setAttribute("aria-valuetext", `${clock(seconds, 1)} of ${clock(this.data.duration)}`);
    document.getElementById("now").textContent = [clock(seconds, 1), this.day(seconds), this.player.file].filter(Boolean).join(" · ");
  }

  #mark(number) {
    if (number === this.current) return;
    this.current = number;
    this.items.forEach(({ element }, at) => {
      element.classList.toggle("current", at === number);
      element.setAttribute("aria-current", String(at === number));
    });
  }

  /** An event that was added, with the highest score that there is in it. */
  #added(entry) {
    const { starts, ends, scores } = this.curve;
    let peak_score = 0;
    for (let i = firstAbove(ends, entry.start); i < starts.length && starts[i] < entry.end; i++) peak_score = Math.max(peak_score, scores[i]);
    const { start, end, peak_time, label } = entry;
    return { start, end, peak_time, peak_score, label, missed: entry };
  }

  #picture(event) {
    const scoreAt = (time) => this.curve.scores[firstAbove(this.curve.ends, time)];
    const inside = this.data.thumbnails.filter(({ time }) => event.start <= time && time < event.end);
    return inside.reduce((best, one) => (best && scoreAt(best.time) >= scoreAt(one.time) ? best : one), null);
  }

  /** Says that an event is true or false; said twice, it is taken back. */
  judge(number, verdict) {
    const { missed, verdict: now } = this.events[number];
    if (missed) return;
    const taken = now === verdict || (verdict === "true" && now === "relabelled");
    this.say(number, { verdict: taken ? null : verdict, relabelled: null });
  }

  /** Says that an event is of another class. */
  relabel(number, label) {
    const other = label !== this.events[number].label;
    this.say(number, other ? { verdict: "relabelled", relabelled: label } : { verdict: "true", relabelled: null });
  }

  /** Changes what is said of an event. */
  say(number, change) {
    const event = this.events[number];
    const before = { verdict: event.verdict, relabelled: event.verdict === "relabelled" ? event.shown : null };
    this.review.set(event, this.rule.threshold, { ...before, ...change });
    this.#judged();
  }

  /** Adds an event that the program missed, from the moment that is looked at on. */
  addMissed() {
    const from = this.player.time;
    const there = this.events.some((event) => event.verdict !== "false" && event.start <= from && from < event.end);
    document.getElementById("state").textContent = there ? "there is an event at this moment already; go to where the missed one begins" : "";
    if (there) return;
    const next = Math.min(this.data.duration, ...this.events.map((event) => event.start).filter((start) => start > from));
    const to = Math.min(from + MISSED_LENGTH, next);
    const begin = to - from < 0.1 ? Math.max(to - MISSED_LENGTH, 0) : from;
    this.#showMissed(this.review.addMissed(begin, to, this.lastClass ?? this.data.classes[1], this.rule.threshold));
  }

  /** Changes start, end, label or note of an event that was added. */
  changeMissed(number, change) {
    const { missed } = this.events[number];
    const { start, end } = { ...missed, ...change };
    if (!(start < end) && "start" in change) change.end = Math.min(start + MISSED_LENGTH, this.data.duration);
    if (!(start < end) && "end" in change) change.start = Math.max(end - MISSED_LENGTH, 0);
    this.lastClass = change.label ?? this.lastClass;
    this.#showMissed(this.review.changeMissed(missed, change, this.rule.threshold));
  }

  /** Takes back an event that was added. */
  removeMissed(number) {
    this.review.removeMissed(this.events[number].missed, this.rule.threshold);
    this.decide();
  }

  #showMissed(entry) {
    this.decide();
    const number = this.events.findIndex((event) => event.missed === entry);
    if (number < 0) return; // an event of the program is there
    this.#mark(number);
    this.items[number].element.scrollIntoView({ block: "nearest" });
  }

  /** Shows what is said of the events. */
  #judged() {
    let [trues, falses] = [0, 0];
    this.events.forEach((event, number) => {
      const { element, jump, yes, no, kind, note } = this.items[number];
      const said = event.missed ?? saidOf(event, this.review.entries);
      const label = said && trueLabel(said);
      event.shown = label ?? event.label;
      event.verdict = event.missed ? "missed" : label ? (label === event.label ? "true" : "relabelled") : (said?.verdict ?? null);
      trues += event.verdict === "true" || event.verdict === "relabelled";
      falses += event.verdict === "false";
      const at = Math.max(this.data.classes.indexOf(event.shown), 0);
      element.className = `event k${at}${this.current === number ? " current" : ""}${event.verdict ? ` ${event.verdict}` : ""}`;
      jump.querySelector(".label").textContent = event.shown;
      const was = event.shown === event.label ? "" : `found as ${event.label}`;
      jump.querySelector(".was").textContent = event.missed ? "missed by the program" : was;
      kind.value = event.shown;
      note.value = said?.note ?? "";
      yes?.setAttribute("aria-pressed", String(event.verdict === "true" || event.verdict === "relabelled"));
      no?.setAttribute("aria-pressed", String(event.verdict === "false"));
    });
    this.#counted(trues, falses);
    this.chart.update(this.events, this.rule.threshold);
  }

  #counted(trues, falses) {
    const missed = this.events.filter((event) => event.missed).length;
    const found = this.events.length - missed;
    const words = [`${found || "No"} ${found === 1 ? "event" : "events"}`];
    if (trues + falses) words.push(`${trues} true`, `${falses} false`, `${found - trues - falses} open`);
    if (missed) words.push(`${missed} missed`);
    document.getElementById("count").textContent = words.join(" · ");
    document.getElementById("none").hidden = found > 0;
    document.getElementById("save").disabled = !this.review.entries.length && found > 0;
    document.getElementById("kept").textContent = this.review.kept
      ? "What you say stays in this browser; save it to a file to keep or hand it on."
      : "This browser keeps nothing for files: save what you say before you close the page.";
  }

  #connectRule() {
    this.fields = RULE_FIELDS.map((name) => document.getElementById(name));
    this.slider = document.getElementById("slider");
    this.fields.forEach((field, at) => {
      field.addEventListener("input", () => {
        if (field.value === "" || !(field.valueAsNumber >= 0) || field.valueAsNumber > Number(field.max || Infinity)) return;
        this.#changeRule(RULE_FIELDS[at], field.valueAsNumber);
      });
      field.addEventListener("change", () => this.#ruleShown());
    });
    this.slider.addEventListener("input", () => this.#changeRule("threshold", this.slider.valueAsNumber));
    document.getElementById("reset").addEventListener("click", () => {
      this.rule = { ...this.data.rule };
      this.decide();
    });
  }

  #changeRule(name, value) {
    this.rule[name] = value;
    this.decide();
  }

  #ruleShown() {
    this.fields.forEach((field, at) => {
      if (field !== document.activeElement) field.value = this.rule[RULE_FIELDS[at]];
    });
    this.slider.value = this.rule.threshold;
    const option = (name) => `${name === "threshold" ? "-t" : `--${name.replace("_", "-")}`} ${this.rule[name]}`;
    const changed = RULE_FIELDS.filter((name) => this.rule[name] !== this.data.rule[name]);
    document.getElementById("reset").disabled = !changed.length;
    document.getElementById("changed").hidden = !changed.length;
    document.getElementById("options").textContent = changed.map(option).join(" ");
  }

  #connectReview() {
    const state = document.getElementById("state");
    document.getElementById("add").addEventListener("click", () => this.addMissed());
    document.getElementById("save").addEventListener("click", () => {
      if (!this.review.entries.length) this.review.nothing(this.rule.threshold);
      const url = URL.createObjectURL(new Blob([this.review.text()], { type: "application/json" }));
      make("a", { href: url, download: `${this.data.stem}.review.json` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
      state.textContent = `saved as ${this.data.stem}.review.json, in your downloads; beside the result, the next page has it`;
    });
    const input = document.getElementById("load");
    input.addEventListener("change", async () => {
      const [file] = input.files;
      if (!file) return;
      try {
        state.textContent = this.review.load(await file.text());
        this.decide();
      } catch (error) {
        state.textContent = `${file.name} was not loaded: ${error.message}`;
      }
      input.value = "";
    });
  }

  #connectChart() {
    const bands = document.getElementById("names");
    for (const score of [0, 0.5, 1]) {
      const name = make("span", { className: "level-name", textContent: score });
      name.style.top = `${this.chart.y(score)}px`;
      bands.append(name);
    }
    const { lane, lanes } = this.chart;
    [...Array(lanes).keys()].slice(1).concat(0).forEach((kind, row) => {
      const text = make("span", { textContent: this.data.classes[kind], title: this.data.classes[kind] });
      const name = make("span", { className: `name k${kind}` }, text);
      name.style.top = `${TOP + SCORE_HEIGHT + 8 + row * lane}px`;
      name.style.height = `${lane - 2}px`;
      bands.append(name);
    });
    document.getElementById("closer").addEventListener("click", () => this.chart.zoom(0.5));
    document.getElementById("wider").addEventListener("click", () => this.chart.zoom(2));
  }

  #key(key) {
    const inField = key.target.closest("input:not([type=range]), select, textarea, [contenteditable]");
    if (key.ctrlKey || key.metaKey || key.altKey || inField) return;
    const onButton = key.target.closest("button, summary, label, a");
    const onRange = key.target.closest("input[type=range]");
    const inPlayer = key.target.closest("video");
    const seek = (by) => this.player.seek(this.player.time + by);
    const actions = {
      " ": onButton || onRange || inPlayer ? null : () => this.player.toggle(),
      ArrowLeft: onRange ? null : () => seek(key.shiftKey ? -1 : -JUMP),
      ArrowRight: onRange ? null : () => seek(key.shiftKey ? 1 : JUMP),
      n: () => this.step(1),
      p: () => this.step(-1),
      t: () => this.current !== null && this.judge(this.current, "true"),
      f: () => this.current !== null && this.judge(this.current, "false"),
      m: () => this.addMissed(),
      Home: onRange ? null : () => this.player.seek(0),
      End: onRange ? null : () => this.player.seek(this.data.duration),
      "+": () => this.chart.zoom(0.5),
      "-": () => this.chart.zoom(2),
    };
    const action = actions[key.key.length === 1 ? key.key.toLowerCase() : key.key];
    if (!action) return;
    key.preventDefault();
    action();
  }
}

window.dsanet = { findEvents, saidOf, missedAmong, parseReview, numbers };
const dataElement = document.getElementById("data");
if (dataElement) window.dsanet.page = new Page(JSON.parse(dataElement.textContent));
