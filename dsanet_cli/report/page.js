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
    this.events = findEvents(this.curve, this.rule).map((event) => ({ ...event, picture: this.#picture(event) }));
    this.items = this.events.map((event, number) => this.#item(event, number));
    this.list.replaceChildren(...this.items.map((item) => item.element));
    document.getElementById("none").hidden = this.events.length > 0;
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
    document.getElementById("now").textContent = [clock(seconds, 1), this.day(seconds)].filter(Boolean).join(" · ");
  }

  #mark(number) {
    if (number === this.current) return;
    this.current = number;
    this.items.forEach(({ element }, at) => {
      element.classList.toggle("current", at === number);
      element.setAttribute("aria-current", String(at === number));
    });
  }

  #picture(event) {
    const scoreAt = (time) => this.curve.scores[firstAbove(this.curve.ends, time)];
    const inside = this.data.thumbnails.filter(({ time }) => event.start <= time && time < event.end);
    return inside.reduce((best, one) => (best && scoreAt(best.time) >= scoreAt(one.time) ? best : one), null);
  }

  #item(event, number) {
    const { picture } = event;
    const image = picture ? make("img", { src: picture.src, alt: "" }) : make("span", { className: "blank" });
    const when = `${clock(event.start, 1)} – ${clock(event.end, 1)}`;
    const jump = make("button", { type: "button", className: "jump" }, image,
      make("span", { className: "facts" },
        make("span", { className: "label" }),
        make("span", { className: "was" }),
        make("span", { className: "when", textContent: when }),
        make("span", { className: "score", textContent: event.peak_score.toFixed(2), title: "highest score" }),
        make("span", { className: "day", textContent: this.day(event.start) })));
    jump.addEventListener("click", () => this.go(number));
    const judge = (verdict, text) => {
      const button = make("button", { type: "button", className: `judge ${verdict}`, textContent: text });
      button.addEventListener("click", () => this.judge(number, verdict));
      return button;
    };
    const kind = make("select", { "aria-label": `Class of event ${number + 1}` });
    const others = this.data.classes.slice(1);
    const said = saidOf(event, this.review.entries);
    for (const name of new Set([...others, event.label, ...(said?.relabelled ? [said.relabelled] : [])])) {
      kind.append(make("option", { value: name, textContent: name }));
    }
    kind.addEventListener("change", () => this.relabel(number, kind.value));
    const note = make("input", { type: "text", placeholder: "Note", maxLength: LONGEST_NOTE, "aria-label": `Note on event ${number + 1}` });
    note.addEventListener("change", () => this.#said(number, { note: note.value }));
    const yes = judge("true", "True");
    const no = judge("false", "False");
    const element = make("li", { className: "event" }, jump,
      make("div", { className: "review", role: "group", "aria-label": `Review of event ${number + 1}, ${when}` }, yes, no, kind, note));
    return { element, jump, yes, no, kind, note };
  }

  /** Says that an event is true or false; said twice, it is taken back. */
  judge(number, verdict) {
    const before = saidOf(this.events[number], this.review.entries);
    const now = before?.verdict ?? null;
    const taken = now === verdict || (verdict === "true" && now === "relabelled");
    this.#said(number, { verdict: taken ? null : verdict, relabelled: null });
  }

  /** Says that an event is of another class. */
  relabel(number, label) {
    const other = label !== this.events[number].label;
    this.#said(number, other ? { verdict: "relabelled", relabelled: label } : { verdict: "true", relabelled: null });
  }

  #said(number, change) {
    this.review.set(this.events[number], this.rule.threshold, change);
    this.#judged();
  }

  /** Shows what is said of the events. */
  #judged() {
    let [trues, falses] = [0, 0];
    this.events.forEach((event, number) => {
      const { element, jump, yes, no, kind, note } = this.items[number];
      const said = saidOf(event, this.review.entries);
      event.verdict = said?.verdict ?? null;
      event.shown = said?.relabelled ?? event.label;
      trues += event.verdict === "true" || event.verdict === "relabelled";
      falses += event.verdict === "false";
      const at = Math.max(this.data.classes.indexOf(event.shown), 0);
      element.className = `event k${at}${this.current === number ? " current" : ""}${event.verdict ? ` ${event.verdict}` : ""}`;
      jump.querySelector(".label").textContent = event.shown;
      jump.querySelector(".was").textContent = event.shown === event.label ? "" : `found as ${event.label}`;
      kind.value = event.shown;
      note.value = said?.note ?? "";
      yes.setAttribute("aria-pressed", String(event.verdict === "true" || event.verdict === "relabelled"));
      no.setAttribute("aria-pressed", String(event.verdict === "false"));
    });
    const open = this.events.length - trues - falses;
    const count = `${this.events.length || "No"} ${this.events.length === 1 ? "event" : "events"}`;
    const judged = trues + falses ? ` · ${trues} true · ${falses} false · ${open} open` : "";
    document.getElementById("count").textContent = count + judged;
    document.getElementById("save").disabled = !this.review.entries.length;
    document.getElementById("kept").textContent = this.review.kept
      ? "What you say stays in this browser; save it to a file to keep or hand it on."
      : "This browser keeps nothing for files: save what you say before you close the page.";
    this.chart.update(this.events, this.rule.threshold);
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
    document.getElementById("save").addEventListener("click", () => {
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

window.dsanet = { findEvents, saidOf, parseReview, numbers };
const dataElement = document.getElementById("data");
if (dataElement) window.dsanet.page = new Page(JSON.parse(dataElement.textContent));
