// The score curve with its events, and the class probabilities below it.

const SCORE_HEIGHT = 170;
const TOP = 14;
const LEAST_RANGE = 0.05;
const STEPS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
const SVG = "http://www.w3.org/2000/svg";

/** Makes an SVG element. */
function draw(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** First index of `values`, which are in order, whose value is above (or, with `least`, at least) `limit`. */
function firstAbove(values, limit, least) {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] > limit || (least && values[middle] === limit)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Draws a result and goes to the moment that is clicked. */
class Chart {
  constructor(data, curve, plot, onSeek) {
    this.data = data;
    this.curve = curve;
    this.plot = plot;
    this.svg = plot.querySelector("svg");
    this.canvas = plot.querySelector("canvas");
    this.tip = plot.querySelector(".tip");
    this.view = [0, data.duration];
    this.events = [];
    this.threshold = 1;
    this.time = 0;
    this.lanes = data.classes.length;
    this.lane = this.lanes <= 6 ? 22 : 14;
    this.#range();
    const moment = (pointer) => {
      const box = plot.getBoundingClientRect();
      return this.seconds(Math.min(Math.max(pointer.clientX - box.left, 0), box.width));
    };
    plot.addEventListener("pointerdown", (pointer) => {
      if (pointer.button !== 0) return;
      plot.setPointerCapture(pointer.pointerId);
      onSeek(moment(pointer));
    });
    plot.addEventListener("pointermove", (pointer) => {
      this.#hover(moment(pointer));
      if (plot.hasPointerCapture(pointer.pointerId)) onSeek(moment(pointer));
    });
    plot.addEventListener("pointerleave", () => (this.tip.hidden = true));
    new ResizeObserver(() => this.render()).observe(plot);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.render());
  }

  /** Height of all of it in pixels. */
  get height() {
    return TOP + SCORE_HEIGHT + 8 + this.lane * this.lanes;
  }

  x(seconds) {
    const [from, to] = this.view;
    return ((seconds - from) / (to - from)) * this.width;
  }

  y(score) {
    return TOP + SCORE_HEIGHT * (1 - score / 1.02);
  }

  seconds(x) {
    const [from, to] = this.view;
    return from + (x / this.width) * (to - from);
  }

  /** Shows a part of the video, `factor` times as long as now, around the moment that is looked at. */
  zoom(factor) {
    const length = Math.min(Math.max((this.view[1] - this.view[0]) * factor, Math.min(2, this.data.duration)), this.data.duration);
    const from = Math.min(Math.max(this.time - length / 2, 0), this.data.duration - length);
    this.view = [from, from + length];
    this.render();
  }

  /** Moves the line to a moment, and the part that is shown after it. */
  moveTo(seconds) {
    this.time = seconds;
    const [from, to] = this.view;
    if (to - from < this.data.duration && (seconds < from || seconds > to)) this.zoom(1);
    const x = this.x(seconds);
    this.head?.setAttribute("d", `M${x.toFixed(1)} 0V${this.height}`);
  }

  /** Shows other events. */
  update(events, threshold) {
    this.events = events;
    this.threshold = threshold;
    this.render();
  }

  render() {
    this.width = this.plot.clientWidth;
    if (!this.width) return;
    this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height + 20}`);
    this.svg.setAttribute("height", this.height + 20);
    this.svg.replaceChildren(...this.#grid(), ...this.#marks(), ...this.#line(), ...this.#holes());
    this.head = draw("path", { class: "head" });
    this.svg.append(this.head);
    this.#bands();
    this.moveTo(this.time);
  }

  #grid() {
    const parts = [];
    for (const score of [0, 0.5, 1]) parts.push(draw("path", { class: "grid", d: `M0 ${this.y(score)}H${this.width}` }));
    const span = this.view[1] - this.view[0];
    const step = STEPS.find((one) => span / one <= Math.max(3, this.width / 90)) ?? 86400 * Math.ceil(span / 86400 / 12);
    for (let at = Math.ceil(this.view[0] / step); at * step <= this.view[1] + 1e-9; at++) {
      const x = this.x(at * step);
      const anchor = x < 20 ? "start" : x > this.width - 20 ? "end" : "middle";
      parts.push(draw("path", { class: "grid", d: `M${x} ${TOP}V${this.height}` }));
      const label = draw("text", { class: "tick", x, y: this.height + 15, "text-anchor": anchor });
      label.textContent = clock(at * step, step < 1 ? (step < 0.1 ? 3 : 1) : 0);
      parts.push(label);
    }
    return parts;
  }

  #marks() {
    return this.events.flatMap((event) => {
      const from = Math.max(this.x(event.start), 0);
      const width = Math.max(Math.min(this.x(event.end), this.width) - from, 2);
      if (from > this.width || this.x(event.end) < 0) return [];
      const paint = `k${Math.max(this.data.classes.indexOf(event.shown), 0)}${event.verdict === "false" ? " dismissed" : ""}${event.missed ? " missed" : ""}`;
      return [
        draw("rect", { class: `span ${paint}`, x: from, y: TOP, width, height: SCORE_HEIGHT }),
        draw("rect", { class: `cap ${paint}`, x: from, y: TOP - 7, width, height: 6, rx: 2 }),
      ];
    });
  }

  #line() {
    const maxima = this.#maxima(this.curve.scores, 1);
    let line = "";
    let area = "";
    let open = false;
    maxima.forEach((score, column) => {
      if (Number.isNaN(score)) {
        if (open) area += `V${this.y(0)}Z`;
        open = false;
        return;
      }
      const y = this.y(score).toFixed(1);
      line += `${open ? "" : `M${column} ${y}`}V${y}H${column + 1}`;
      area += `${open ? "" : `M${column} ${this.y(0)}`}V${y}H${column + 1}`;
      open = true;
    });
    if (open) area += `V${this.y(0)}Z`;
    const level = this.y(this.threshold);
    return [
      draw("path", { class: "area", d: area }),
      draw("path", { class: "curve", d: line }),
      draw("path", { class: "level", d: `M0 ${level}H${this.width}` }),
      draw("text", { class: "tick", x: this.width - 4, y: level - 5, "text-anchor": "end" }, `threshold ${this.threshold.toFixed(2)}`),
    ];
  }

  #holes() {
    const parts = [];
    const add = (spans, kind) => {
      for (const { start, end } of spans) {
        const width = Math.max(this.x(end) - this.x(start), 2);
        parts.push(draw("rect", { class: kind, x: this.x(start), y: TOP, width, height: this.height - TOP }));
      }
    };
    add(this.data.holes, "hole");
    add(this.data.unsure.map(([start, end]) => ({ start, end })), "hole unsure");
    if (!parts.length) return parts;
    const stripes = draw("pattern", { id: "stripes", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      draw("rect", { class: "stripe", width: 2, height: 6 }));
    return [draw("defs", {}, stripes), ...parts];
  }

  #bands() {
    const ratio = window.devicePixelRatio || 1;
    const [count, lane] = [this.lanes, this.lane];
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(lane * count * ratio);
    this.canvas.style.height = `${lane * count}px`;
    this.canvas.style.top = `${TOP + SCORE_HEIGHT + 8}px`;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(document.documentElement);
    const maxima = this.#maxima(this.curve.probabilities, count);
    const order = [...Array(count).keys()].slice(1).concat(0); // the normal class last
    order.forEach((kind, row) => {
      pen.globalAlpha = 1;
      pen.fillStyle = style.getPropertyValue("--blank");
      pen.fillRect(0, row * lane, this.width, lane - 2);
      pen.fillStyle = style.getPropertyValue(`--k${kind}`);
      for (let column = 0; column * count < maxima.length; column++) {
        const shade = (maxima[column * count + kind] - this.low) / (this.high - this.low);
        if (shade > 0) {
          pen.globalAlpha = Math.min(shade, 1);
          pen.fillRect(column, row * lane, 1, lane - 2);
        }
      }
    });
  }

  /** The highest value in each column of the picture, `count` of them; NaN where nothing was analysed. */
  #maxima(values, count) {
    const { starts, ends } = this.curve;
    const columns = Math.max(Math.floor(this.width), 1);
    const maxima = new Float32Array(columns * count).fill(NaN);
    const from = firstAbove(ends, this.view[0]);
    const edge = (column) => this.view[0] + ((this.view[1] - this.view[0]) * column) / columns;
    for (let i = from; i < starts.length && starts[i] < this.view[1]; i++) {
      let column = Math.max(Math.floor(((starts[i] - this.view[0]) / (this.view[1] - this.view[0])) * columns), 0);
      for (; column < columns && edge(column) < ends[i]; column++) {
        for (let c = 0; c < count; c++) {
          const value = values[i * count + c];
          if (!(maxima[column * count + c] >= value)) maxima[column * count + c] = value;
        }
      }
    }
    return maxima;
  }

  #range() {
    let [low, high] = [1, 0];
    for (const value of this.curve.probabilities) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    [this.low, this.high] = [low, Math.max(high, low + LEAST_RANGE)];
  }

  #hover(seconds) {
    const { starts, ends, scores, probabilities } = this.curve;
    const at = firstAbove(ends, seconds);
    const known = at < starts.length && starts[at] <= seconds;
    const hole = this.data.holes.find(({ start, end }) => start <= seconds && seconds < end);
    let text = `${clock(seconds, 1)} · not analysed${hole?.reason ? ` (${hole.reason})` : ""}`;
    if (known) {
      const count = this.lanes;
      const row = Array.from(probabilities.subarray(at * count, at * count + count));
      const likeliest = row.indexOf(Math.max(...row.slice(1)), 1);
      text = `${clock(seconds, 1)} · score ${scores[at].toFixed(2)} · ${this.data.classes[likeliest]} ${row[likeliest].toFixed(2)}`;
    }
    this.tip.textContent = text;
    this.tip.hidden = false;
    const x = this.x(seconds);
    this.tip.style.left = `${Math.min(Math.max(x - this.tip.offsetWidth / 2, 0), this.width - this.tip.offsetWidth)}px`;
  }
}
