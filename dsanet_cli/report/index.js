// The index of many videos: sorts and filters its rows.

const NUMBERS = ["score", "events", "first", "duration", "analysed"];
const ANALYSED = { whole: (share) => share >= 0.9995, part: (share) => share < 0.9995, half: (share) => share < 0.5 };

class Index {
  constructor(table) {
    this.body = table.tBodies[0];
    this.rows = [...this.body.rows];
    this.heads = [...table.querySelectorAll("th[data-key]")];
    this.shown = document.getElementById("shown");
    this.fields = ["name", "verdict", "label", "camera", "analysed"]
      .map((name) => document.getElementById(name))
      .filter(Boolean);
    const names = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
    this.compare = (key) => {
      if (!NUMBERS.includes(key)) return (a, b) => names.compare(a.dataset[key], b.dataset[key]);
      // What has no number, such as a first event, comes last both ways.
      const value = (row) => (row.dataset[key] === "" ? NaN : Number(row.dataset[key]));
      return (a, b) => value(a) - value(b);
    };
    for (const head of this.heads) head.querySelector("button").addEventListener("click", () => this.sort(head));
    for (const field of this.fields) {
      for (const type of ["input", "change"]) field.addEventListener(type, () => this.filter());
    }
    document.querySelector("form").addEventListener("submit", (submit) => submit.preventDefault());
    this.filter();
  }

  /** Sorts by a column; by the same one again, the other way round. Numbers begin with the highest. */
  sort(head) {
    const { key } = head.dataset;
    const now = head.getAttribute("aria-sort");
    const descending = now ? now === "ascending" : NUMBERS.includes(key) && key !== "first";
    for (const other of this.heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const compare = this.compare(key);
    const unknown = NUMBERS.includes(key) ? this.rows.filter((row) => row.dataset[key] === "") : [];
    const known = unknown.length ? this.rows.filter((row) => row.dataset[key] !== "") : [...this.rows];
    known.sort((a, b) => (descending ? compare(b, a) : compare(a, b)));
    this.body.append(...known, ...unknown);
  }

  /** Shows the rows that are wanted. */
  filter() {
    const wanted = Object.fromEntries(this.fields.map((field) => [field.id, field.value]));
    const name = (wanted.name ?? "").toLowerCase();
    let count = 0;
    for (const row of this.rows) {
      const { dataset } = row;
      const fits =
        dataset.name.toLowerCase().includes(name) &&
        (!wanted.verdict || dataset.anomalous === wanted.verdict) &&
        (!wanted.label || dataset.label === wanted.label) &&
        (!wanted.camera || dataset.camera === wanted.camera) &&
        (!wanted.analysed || ANALYSED[wanted.analysed](Number(dataset.analysed)));
      row.hidden = !fits;
      count += fits;
    }
    this.shown.textContent = count === this.rows.length ? "" : `${count} of ${this.rows.length}`;
    document.getElementById("nothing").hidden = count > 0;
  }
}

window.dsanet = { index: new Index(document.getElementById("videos")) };
