/** One clip, large: its emotion, pictures and player, and what its result rests on. */

import { showBars, showEffects, showEmotion } from "./bars.js";
import { HEIGHT, drawClip, pictureOf } from "./picture.js";
import { clock, emotionName, percent, say, translate } from "./words.js";

const STEP = 0.1; // seconds of an arrow key

/** The view of a clip; a new one is made whenever the clip or the language changes. */
export class Panel {
  /**
   * @param {Object} clip see app.js
   * @param {{explain: Function, download: Function}} actions
   */
  constructor(clip, actions) {
    this.clip = clip;
    this.actions = actions;
    this.element = document.getElementById("panel").content.cloneNode(true).firstElementChild;
    this.audio = new Audio(clip.url);
    this.selected = null;
    translate(this.element);
    this.showResult();
    this.showTable();
    this.listen();
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.part(".picture"));
    this.darkened = matchMedia("(prefers-color-scheme: dark)");
    this.darkened.addEventListener("change", this.repaint);
    this.showTime();
  }

  repaint = () => {
    this.showResult();
    this.draw();
  };

  part(selector) {
    return this.element.querySelector(selector);
  }

  /** Stop what would go on without being seen. */
  close() {
    this.audio.pause();
    this.resized.disconnect();
    this.darkened.removeEventListener("change", this.repaint);
    this.element.remove();
  }

  get duration() {
    return this.clip.duration;
  }

  showResult() {
    const { clip } = this;
    this.part("h2").textContent = clip.name;
    this.part(".adapted").hidden = !clip.adapted;
    showEmotion(this.part(".emotion"), clip);
    showBars(this.part(".bars"), clip);
    const warnings = Object.entries(clip.warnings).map(([code, sentence]) => {
      const item = document.createElement("li");
      item.textContent = say(`warning.${code}`, {}, sentence);
      return item;
    });
    this.part(".warnings").replaceChildren(...warnings);
    this.part(".unplayable").hidden = clip.samples !== null;
    this.part(".play").hidden = clip.samples === null;
  }

  showTable() {
    const cells = (tag, texts) => {
      const line = document.createElement("tr");
      line.append(
        ...texts.map((text) => Object.assign(document.createElement(tag), { textContent: text })),
      );
      return line;
    };
    const titles = [say("from"), say("to"), say("emotion"), ...this.clip.emotions.map(emotionName)];
    this.part("thead").replaceChildren(cells("th", titles));
    const rows = this.clip.rows.map((row) =>
      cells("td", [
        clock(row.start),
        clock(row.end),
        emotionName(row.emotion),
        ...this.clip.emotions.map((e) => percent(row[e])),
      ]),
    );
    this.part("tbody").replaceChildren(...rows);
  }

  listen() {
    const picture = this.part(".picture");
    this.part(".play").addEventListener("click", () => this.play());
    this.part(".csv").addEventListener("click", () =>
      this.actions.download(this.clip, "csv", "text/csv"),
    );
    this.part(".srt").addEventListener("click", () =>
      this.actions.download(this.clip, "srt", "application/x-subrip"),
    );
    this.part(".png").addEventListener("click", async () =>
      save(await pictureOf(this.clip), `${this.clip.name}.png`),
    );
    this.part(".span").addEventListener("submit", (event) => this.explain(event));
    this.part(".span").addEventListener("input", () => this.typed());
    picture.addEventListener("pointerdown", (event) => this.drag(event));
    picture.addEventListener("keydown", (event) => this.key(event));
    for (const event of ["play", "pause", "ended", "seeked"]) {
      this.audio.addEventListener(event, () => this.showTime());
    }
    this.audio.addEventListener("play", () => this.follow());
  }

  play() {
    if (!this.audio.paused) {
      this.audio.pause();
      return;
    }
    const [start, end] = this.selected ?? [0, this.duration];
    if (this.audio.currentTime < start || this.audio.currentTime >= end - 0.01) {
      this.audio.currentTime = start;
    }
    this.audio.play();
  }

  /** Move the cursor while it plays; a selection is played to its end. */
  follow() {
    if (this.selected && this.audio.currentTime >= this.selected[1]) {
      this.audio.pause();
    }
    this.showTime();
    if (!this.audio.paused) {
      requestAnimationFrame(() => this.follow());
    }
  }

  showTime() {
    const time = this.audio.currentTime;
    const row = this.clip.rows.find(({ start, end }) => start <= time && time < end);
    const picture = this.part(".picture");
    const spoken = row ? `, ${emotionName(row.emotion)} ${percent(row.confidence)}` : "";
    picture.setAttribute("aria-valuemax", this.duration);
    picture.setAttribute("aria-valuenow", time.toFixed(2));
    picture.setAttribute("aria-valuetext", clock(time) + spoken);
    this.part(".cursor").style.left = `${(100 * time) / this.duration}%`;
    this.part(".time").textContent = `${clock(time)} / ${clock(this.duration)}${spoken}`;
    this.part(".play").textContent = say(this.audio.paused ? "play" : "pause");
  }

  /** Select by dragging; a click moves the cursor. */
  drag(event) {
    const picture = this.part(".picture");
    const box = picture.getBoundingClientRect();
    const time = ({ clientX }) =>
      Math.max(0, Math.min(1, (clientX - box.left) / box.width)) * this.duration;
    const first = time(event);
    const moved = (now) => this.select(...[first, time(now)].sort((a, b) => a - b));
    picture.setPointerCapture(event.pointerId);
    picture.addEventListener("pointermove", moved);
    const ended = () => picture.removeEventListener("pointermove", moved);
    picture.addEventListener("pointerup", ended, { once: true });
    picture.addEventListener("pointercancel", ended, { once: true });
    this.select(first, first);
    this.audio.currentTime = first;
  }

  key(event) {
    const steps = {
      ArrowLeft: -STEP,
      ArrowRight: STEP,
      PageDown: -1,
      PageUp: 1,
      Home: -Infinity,
      End: Infinity,
    };
    if (event.key === " ") {
      this.play();
    } else if (event.key === "Escape") {
      this.select(0, 0);
    } else if (event.key in steps) {
      this.step(steps[event.key], event.shiftKey);
    } else {
      return;
    }
    event.preventDefault();
  }

  /** Move the cursor; with the shift key it takes an end of the selection with it. */
  step(seconds, selecting) {
    const before = this.audio.currentTime;
    const after = Math.max(0, Math.min(this.duration, before + seconds));
    if (selecting) {
      const [start, end] = this.selected ?? [before, before];
      const other = Math.abs(before - start) < Math.abs(before - end) ? end : start;
      this.select(Math.min(other, after), Math.max(other, after));
    } else {
      this.select(0, 0);
    }
    this.audio.currentTime = after;
  }

  /** Select from start to end, in seconds; an empty span selects nothing. */
  select(start, end) {
    this.selected = end - start > 0.02 ? [start, end] : null;
    const { start: from, end: to } = this.part(".span").elements;
    [from.value, to.value] = this.selected ? [start.toFixed(2), end.toFixed(2)] : ["", ""];
    this.showSelection();
  }

  typed() {
    const { start, end } = this.part(".span").elements;
    const last = Math.min(this.duration, end.value === "" ? this.duration : end.valueAsNumber);
    const first = start.value === "" ? 0 : start.valueAsNumber;
    this.selected = last > first && (start.value || end.value) ? [first, last] : null;
    this.showSelection();
  }

  showSelection() {
    const element = this.part(".selection");
    element.hidden = !this.selected;
    if (this.selected) {
      const [start, end] = this.selected;
      element.style.left = `${(100 * start) / this.duration}%`;
      element.style.width = `${(100 * (end - start)) / this.duration}%`;
    }
  }

  async explain(event) {
    event.preventDefault();
    const button = this.part(".explain");
    button.disabled = true;
    const found = await this.actions.explain(this.clip, this.selected);
    button.disabled = false;
    if (found) {
      this.showWhy(found);
    }
  }

  showWhy({ emotion, effects }) {
    const [start, end] = this.selected ?? [0, this.duration];
    this.part(".why").hidden = false;
    this.part(".why h3").textContent = say("why", {
      emotion: emotionName(emotion),
      start: clock(start),
      end: clock(end),
    });
    showEffects(this.part(".effects"), effects);
    this.clip.effects = effects
      .filter(({ kind }) => kind === "seconds")
      .map((span) => ({ ...span, start: start + span.start, end: start + span.end }));
    this.draw();
  }

  draw() {
    const canvas = this.part("canvas");
    const width = this.part(".picture").clientWidth;
    canvas.width = width * devicePixelRatio;
    canvas.height = HEIGHT * devicePixelRatio;
    const context = canvas.getContext("2d");
    context.scale(devicePixelRatio, devicePixelRatio);
    drawClip(context, width, this.clip);
  }
}

/** Let the browser keep a file. */
export function save(blob, name) {
  const link = Object.assign(document.createElement("a"), {
    href: URL.createObjectURL(blob),
    download: name,
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}
