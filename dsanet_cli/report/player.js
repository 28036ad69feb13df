// The video, or the files of a camera's day one after the other; where they cannot be played, pictures.

/** Plays the video of a page, and knows the moment that is looked at even where there is none. */
class Player {
  #files;
  #at = 0;
  #sources = [];
  #time = 0;
  /** Seconds in the file that are to be gone to when it is there. */
  #pending = null;
  /** Whether it is to be played then. */
  #rolling = false;
  /** Whether no file covers the moment. */
  #uncovered = false;

  constructor(data, stage, onTime) {
    this.data = data;
    this.video = stage.querySelector("video");
    this.still = stage.querySelector(".still");
    this.message = stage.querySelector(".message");
    this.stage = stage;
    this.onTime = onTime;
    this.playable = false;
    const { sources, place, duration } = data;
    this.#files = data.files.length ? data.files : [{ start: 0, end: duration, sources, place }];
    this.reason = "";
    for (const name of ["timeupdate", "seeking", "seeked"]) this.video.addEventListener(name, () => this.#moved());
    this.video.addEventListener("pause", () => this.#paused());
    this.video.addEventListener("play", () => this.#follow());
    this.video.addEventListener("ended", () => this.#ended());
    this.video.addEventListener("error", () => this.#fail());
    this.video.addEventListener("loadedmetadata", () => this.#ready());
    stage.querySelector("input[type=file]").addEventListener("change", (change) => this.#choose(change.target.files[0]));
    this.#load(0, this.#files[0].start);
  }

  /** Seconds from the start of the video, or of the day. */
  get time() {
    const known = this.playable && this.#pending === null && !this.#uncovered;
    return known ? this.#files[this.#at].start + this.video.currentTime : this.#time;
  }

  /** Name of the file that is played, of a day. */
  get file() {
    return this.data.files.length && !this.#uncovered ? this.data.files[this.#at].name : "";
  }

  /** Goes to a moment. */
  seek(seconds) {
    this.#time = Math.min(Math.max(seconds, 0), this.data.duration);
    const at = this.#fileAt(this.#time);
    this.#uncovered = at < 0;
    if (this.#uncovered) this.video.pause();
    else if (at !== this.#at) this.#load(at, this.#time);
    else this.#goTo(this.#time - this.#files[at].start);
    this.#show();
  }

  /** Plays, or pauses. */
  toggle() {
    if (this.#uncovered) {
      const next = this.#files.findIndex((file) => file.start > this.#time);
      if (next >= 0) this.#load(next, this.#files[next].start, true);
    } else if (this.playable) {
      if (this.video.paused) this.video.play().catch(() => {});
      else this.video.pause();
    }
  }

  #fileAt(seconds) {
    if (!this.data.files.length) return 0;
    const at = this.#files.findLastIndex((file) => file.start <= seconds);
    const covered = at >= 0 && (seconds < this.#files[at].end || seconds === this.data.duration);
    return covered ? at : -1;
  }

  #load(at, seconds, rolling = !this.video.paused || (this.#rolling && !this.playable)) {
    this.#at = at;
    this.#time = seconds;
    this.#uncovered = false;
    this.#pending = seconds - this.#files[at].start || null;
    this.#rolling = rolling;
    this.#sources = [...this.#files[at].sources];
    this.playable = false;
    this.reason = this.#sources.length ? "" : this.#files[at].place;
    if (!this.#sources.length) this.#unload();
    this.#next();
  }

  #unload() {
    if (!this.video.hasAttribute("src")) return;
    this.video.removeAttribute("src");
    this.video.load();
  }

  #goTo(seconds) {
    if (this.playable && this.video.readyState >= 1) this.video.currentTime = seconds;
    else this.#pending = seconds;
  }

  #next() {
    const source = this.#sources.shift();
    if (source !== undefined) this.video.src = source;
    else this.#show();
  }

  #ready() {
    if (!this.video.videoWidth) {
      this.#fail(); // sound without a picture
      return;
    }
    this.playable = true;
    if (this.#pending !== null) this.video.currentTime = this.#pending;
    this.#pending = null;
    if (this.#rolling) this.video.play().catch(() => {});
    this.#show();
  }

  #fail() {
    if (!this.video.hasAttribute("src")) return;
    this.playable = false;
    if (!this.#sources.length) {
      const { format } = this.data;
      const gone = `it is not at ${this.#files[this.#at].place} any more`;
      this.reason = format ? `The video cannot be played: ${format} is nothing that all browsers play, or ${gone}.` : `The video cannot be played: ${gone}, or it is damaged.`;
      this.#unload();
    }
    this.#next();
  }

  #choose(file) {
    if (!file) return;
    this.#files[this.#at] = { ...this.#files[this.#at], sources: [URL.createObjectURL(file)] };
    this.#load(this.#at, this.#time);
  }

  #moved() {
    if (!this.playable || this.#uncovered || this.#pending !== null) return;
    this.#time = this.time;
    this.onTime(this.#time);
  }

  #follow() {
    this.#rolling = true;
    const frame = () => {
      this.#moved();
      if (!this.video.paused) requestAnimationFrame(frame);
    };
    frame();
  }

  #paused() {
    if (!this.video.ended) this.#rolling = false;
    this.#moved();
  }

  /** One file of a day after the other; what lies between them is skipped. */
  #ended() {
    const next = this.#at + 1;
    if (this.#rolling && next < this.#files.length) this.#load(next, this.#files[next].start, true);
  }

  #show() {
    const blank = !this.playable && !this.#sources.length && !this.video.hasAttribute("src");
    this.stage.classList.toggle("without", blank || this.#uncovered);
    this.stage.classList.toggle("uncovered", this.#uncovered);
    if (!this.playable || this.#uncovered) {
      const nearest = nearestThumbnail(this.data.thumbnails, this.time);
      this.still.hidden = nearest === null;
      if (nearest) this.still.src = nearest.src;
      this.message.textContent = this.#uncovered ? this.data.place : this.reason;
    }
    this.onTime(this.time);
  }
}

/** The picture that is closest in time; null where there are none. */
function nearestThumbnail(thumbnails, seconds) {
  let nearest = null;
  for (const one of thumbnails) {
    if (!nearest || Math.abs(one.time - seconds) < Math.abs(nearest.time - seconds)) nearest = one;
  }
  return nearest;
}
