// What a person says of the events: kept in the browser, saved to a file, loaded from one.
// The form of the file, and which event an entry belongs to, are those of dsanet_cli/timeline/review.py.

const STORE = "dsanet-review:";
const VERDICTS = ["true", "false", "relabelled", "missed"];
/** Seconds that an event lasts which a person adds, at first. */
const MISSED_LENGTH = 4;
const LONGEST_NOTE = 2000;
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ud800-\udfff]/gu;

/** Whether an entry is about an event: its peak lies in the event, or it holds the event's. */
function belongs(entry, event) {
  const within = event.start <= entry.peak_time && entry.peak_time <= event.end;
  return within || (entry.start <= event.peak_time && event.peak_time <= entry.end);
}

/** The class of what happens there, by an entry; null where nothing does, or nobody said. */
function trueLabel(entry) {
  if (entry.verdict === "relabelled") return entry.relabelled;
  return entry.verdict === "true" || entry.verdict === "missed" ? entry.label : null;
}

/** Events that a person added, and that are no events of the program by now, or only such as were said to be false. */
function missedAmong(events, entries) {
  const standing = events.filter((event) => saidOf(event, entries)?.verdict !== "false");
  return entries.filter((entry) => entry.verdict === "missed" && !standing.some((event) => belongs(entry, event)));
}

/** The entry that belongs to an event; of several, the one that shares the most time with it. */
function saidOf(event, entries) {
  let best = null;
  let most = -Infinity;
  for (const entry of entries) {
    const shared = Math.min(event.end, entry.end) - Math.max(event.start, entry.start);
    if (belongs(entry, event) && shared > most) {
      best = entry;
      most = shared;
    }
  }
  return best;
}

/** The review that a file's text holds. Throws an Error that says in a line what is wrong with it. */
function parseReview(text) {
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    throw new Error("it is not whole JSON");
  }
  const isLine = (value, most) => typeof value === "string" && value.length <= most && value.search(UNPRINTABLE) < 0;
  const check = (holds, what) => {
    if (!holds) throw new Error(what);
  };
  check(found !== null && typeof found === "object" && found.schema === 1, "it is no review");
  check(/^[0-9a-f]{64}$/.test(found.result_sha256), "it does not say which result it belongs to");
  check(typeof found.video === "string", "it does not name its video");
  check(found.threshold >= 0 && found.threshold <= 1, "its threshold is not between 0 and 1");
  check(Array.isArray(found.events ?? []) && (found.events ?? []).length <= 100000, "it has no list of events");
  const events = (found.events ?? []).map((entry, at) => {
    const name = `event ${at + 1}`;
    check(entry !== null && typeof entry === "object", `${name} is none`);
    check([entry.start, entry.end, entry.peak_time].every(Number.isFinite), `${name} has no times`);
    check(entry.start <= entry.end, `${name} ends before it starts`);
    check(isLine(entry.label, 200) && entry.label, `${name} has no class`);
    const verdict = entry.verdict ?? null;
    const relabelled = entry.relabelled ?? null;
    const note = entry.note ?? "";
    check(verdict === null || VERDICTS.includes(verdict), `${name} is neither true, false, relabelled nor missed`);
    check((verdict === "relabelled") === (relabelled !== null), `${name} does not say what it is instead`);
    check(relabelled === null || (isLine(relabelled, 200) && relabelled), `${name} has no class`);
    check(isLine(note, LONGEST_NOTE), `${name} has a note that is no line`);
    return { start: entry.start, end: entry.end, peak_time: entry.peak_time, label: entry.label, verdict, relabelled, note };
  });
  const saved = typeof found.saved === "string" ? found.saved : "";
  return { result_sha256: found.result_sha256, video: found.video, threshold: found.threshold, events, saved };
}

/** The entries of one result, and where they are kept. */
class ReviewStore {
  constructor(data) {
    this.data = data;
    this.entries = [];
    this.threshold = 1;
    this.saved = "";
    this.kept = true;
    const known = [data.review && JSON.stringify(data.review), this.#stored()].filter(Boolean);
    for (const text of known) {
      try {
        const review = parseReview(text);
        if (review.saved >= this.saved) this.#take(review);
      } catch {
        // What an older page left is not worth a message.
      }
    }
  }

  /** Changes what is said of an event: verdict, relabelled or note. */
  set(event, threshold, change) {
    const before = saidOf(event, this.entries);
    const { start, end, peak_time, label } = event;
    this.#replace(before, { verdict: null, relabelled: null, note: "", ...before, start, end, peak_time, label, ...change }, threshold);
  }

  /** Adds an event that was missed; the entry of it. */
  addMissed(start, end, label, threshold) {
    return this.#replace(null, { start, end, label, verdict: "missed", relabelled: null, note: "" }, threshold);
  }

  /** Changes start, end, label or note of one that was added; the new entry of it. */
  changeMissed(before, change, threshold) {
    return this.#replace(before, { ...before, ...change }, threshold);
  }

  /** Takes back one that was added. */
  removeMissed(entry, threshold) {
    this.#replace(entry, { verdict: null, note: "" }, threshold);
  }

  /** Says that no event was found, by a threshold, and none was missed. */
  nothing(threshold) {
    this.threshold = threshold;
    this.#keep();
  }

  #replace(before, entry, threshold) {
    if (entry.verdict === "missed") {
      for (const key of ["start", "end"]) entry[key] = Math.round(1000 * entry[key]) / 1000;
      entry.peak_time = (entry.start + entry.end) / 2;
    }
    entry.note = entry.note.replace(UNPRINTABLE, " ").slice(0, LONGEST_NOTE);
    this.entries = this.entries.filter((other) => other !== before);
    if (entry.verdict !== null || entry.note) this.entries.push(entry);
    this.entries.sort((a, b) => a.start - b.start);
    this.threshold = Math.min(this.threshold, threshold);
    this.#keep();
    return entry;
  }

  /** Takes over a file's review, and says in a line what it did. */
  load(text) {
    const review = parseReview(text);
    const same = review.result_sha256 === this.data.sha256;
    if (!same && review.video !== this.data.name) throw new Error(`it is of another video, ${review.video}`);
    this.#take(review);
    this.#keep();
    const count = `${review.events.length} ${review.events.length === 1 ? "entry" : "entries"} loaded`;
    return same ? count : `${count}, made on another result of this video; they belong to the events at their times`;
  }

  /** What the review's file holds, one event a line. */
  text() {
    const head = {
      result_sha256: this.data.sha256,
      video: this.data.name,
      threshold: this.threshold,
      saved: this.saved || new Date().toISOString(),
      program: this.data.program,
      schema: 1,
    };
    const lines = Object.entries(head).map(([key, value]) => `  ${JSON.stringify(key)}: ${JSON.stringify(value)}`);
    const events = this.entries.map((entry) => `\n    ${JSON.stringify(entry)}`).join(",");
    return `{\n${lines.join(",\n")},\n  "events": [${events}${events && "\n  "}]\n}\n`;
  }

  #take(review) {
    this.entries = review.events;
    this.threshold = review.threshold;
    this.saved = review.saved;
  }

  #stored() {
    try {
      return localStorage.getItem(STORE + this.data.sha256);
    } catch {
      return null;
    }
  }

  #keep() {
    this.saved = new Date().toISOString();
    try {
      localStorage.setItem(STORE + this.data.sha256, this.text());
      this.kept = true;
    } catch {
      this.kept = false; // storage is full, or switched off
    }
  }
}
