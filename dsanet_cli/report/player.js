// The video, or where it cannot be played, its pictures.

/** Plays the video of a page, and knows the moment that is looked at even where there is none. */
class Player {
  #sources;
  #time = 0;
  #pending = null;

  constructor(data, stage, onTime) {
    this.data = data;
    this.video = stage.querySelector("video");
    this.still = stage.querySelector(".still");
    this.message = stage.querySelector(".message");
    this.stage = stage;
    this.onTime = onTime;
    this.playable = false;
    this.#sources = [...data.sources];
    this.reason = data.sources.length ? "" : data.place;
    for (const name of ["timeupdate", "seeking", "seeked", "pause"]) this.video.addEventListener(name, () => this.#moved());
    this.video.addEventListener("play", () => this.#follow());
    this.video.addEventListener("error", () => this.#fail());
    this.video.addEventListener("loadedmetadata", () => this.#ready());
    stage.querySelector("input[type=file]").addEventListener("change", (change) => this.#choose(change.target.files[0]));
    this.#next();
  }

  /** Seconds from the start of the video. */
  get time() {
    return this.playable && this.#pending === null ? this.video.currentTime : this.#time;
  }

  /** Goes to a moment. */
  seek(seconds) {
    this.#time = Math.min(Math.max(seconds, 0), this.data.duration);
    if (this.video.readyState >= 1) this.video.currentTime = this.#time;
    else this.#pending = this.#time;
    this.#show();
  }

  /** Plays, or pauses. */
  toggle() {
    if (!this.playable) return;
    if (this.video.paused) this.video.play().catch(() => {});
    else this.video.pause();
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
    this.#show();
  }

  #fail() {
    if (!this.video.hasAttribute("src")) return;
    this.playable = false;
    this.#time = this.#time || 0;
    if (!this.#sources.length) {
      const { place, format } = this.data;
      const gone = `it is not at ${place} any more`;
      this.reason = format ? `The video cannot be played: ${format} is nothing that all browsers play, or ${gone}.` : `The video cannot be played: ${gone}, or it is damaged.`;
      this.video.removeAttribute("src");
      this.video.load();
    }
    this.#next();
  }

  #choose(file) {
    if (!file) return;
    this.#sources = [];
    this.video.src = URL.createObjectURL(file);
  }

  #moved() {
    if (!this.playable) return;
    this.#time = this.video.currentTime;
    this.onTime(this.#time);
  }

  #follow() {
    this.#moved();
    if (!this.video.paused) requestAnimationFrame(() => this.#follow());
  }

  #show() {
    this.stage.classList.toggle("without", !this.playable && !this.#sources.length && !this.video.hasAttribute("src"));
    if (!this.playable) {
      const nearest = nearestThumbnail(this.data.thumbnails, this.time);
      this.still.hidden = nearest === null;
      if (nearest) this.still.src = nearest.src;
      this.message.textContent = this.reason;
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
