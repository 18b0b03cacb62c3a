/** Pictures on a canvas: waveform, spectrogram, probabilities and emotions on one time axis. */

import { envelope } from "./sound.js";
import { clock, emotionName, percent, say } from "./words.js";

const HEIGHTS = { waveform: 76, spectrogram: 116, probabilities: 84, emotions: 30, axis: 20 };
const GAP = 8;
const SHORTEST_LABEL = 34; // pixels
export const HEIGHT = Object.values(HEIGHTS).reduce((sum, height) => sum + height + GAP, -GAP);

/** A colour of page.css by its name. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/**
 * The colours of emotions, those of a model's own labels too.
 * @param {Array<string>} emotions
 * @returns {Object<string, string>}
 */
export function coloursOf(emotions) {
  let others = 0;
  return Object.fromEntries(
    emotions.map((emotion) => [
      emotion,
      colour(`emotion-${emotion}`) || colour(`other-${others++ % 4}`),
    ]),
  );
}

/**
 * Draw a clip as wide as a context is.
 * @param {CanvasRenderingContext2D} context in CSS pixels
 * @param {number} width
 * @param {{samples: Float32Array, spectrogram: Object, duration: number, rows: Array, emotions: Array}} clip
 */
export function drawClip(context, width, clip) {
  const x = (seconds) => Math.round((seconds / clip.duration) * width);
  const parts = {
    waveform: drawWaveform,
    spectrogram: drawSpectrogram,
    probabilities: drawProbabilities,
    emotions: drawEmotions,
    axis: drawAxis,
  };
  let top = 0;
  for (const [name, height] of Object.entries(HEIGHTS)) {
    context.save();
    context.translate(0, top);
    parts[name](context, width, height, clip, x);
    context.restore();
    top += height + GAP;
  }
}

function drawWaveform(context, width, height, { samples, effects = [] }, x) {
  context.fillStyle = colour("ground");
  context.fillRect(0, 0, width, height);
  for (const { start, end, effect } of spans(effects)) {
    context.globalAlpha = Math.min(0.6, Math.abs(effect));
    context.fillStyle = colour(effect > 0 ? "for" : "against");
    context.fillRect(x(start), 0, x(end) - x(start), height);
  }
  context.globalAlpha = 1;
  context.fillStyle = colour("wave");
  const columns = samples ? envelope(samples, Math.round(width)) : [];
  const largest = Math.max(0.1, ...columns.flat().map(Math.abs));
  columns.forEach(([low, high], i) => {
    const scale = (0.94 * height) / 2 / largest;
    context.fillRect(i, height / 2 - high * scale, 1, Math.max(1, (high - low) * scale));
  });
}

/** The spans of an explanation overlap by half: the middle half of each is its own. */
function spans(effects) {
  return effects.map(({ start, end, effect }) => {
    const quarter = (end - start) / 4;
    return { start: start + quarter, end: end - quarter, effect };
  });
}

function drawSpectrogram(context, width, height, { spectrogram }) {
  context.fillStyle = colour("ground");
  context.fillRect(0, 0, width, height);
  if (!spectrogram) {
    return;
  }
  const { columns, bins, values } = spectrogram;
  const image = new ImageData(columns, bins);
  const [red, green, blue] = channels(colour("spectrum"));
  values.forEach((value, i) => image.data.set([red, green, blue, 255 * value ** 1.3], 4 * i));
  const small = new OffscreenCanvas(columns, bins);
  small.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, width, height);
  write(context, "8 kHz", 4, 12, "faint");
  write(context, "0", 4, height - 4, "faint");
}

function channels(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

function drawProbabilities(context, width, height, { rows, emotions }, x) {
  context.fillStyle = colour("ground");
  context.fillRect(0, 0, width, height);
  const colours = coloursOf(emotions);
  for (const row of rows) {
    let bottom = height;
    for (const emotion of emotions) {
      const share = height * row[emotion];
      context.fillStyle = colours[emotion];
      context.fillRect(x(row.start), bottom - share, x(row.end) - x(row.start), share);
      bottom -= share;
    }
  }
}

function drawEmotions(context, width, height, { rows, emotions }, x) {
  context.fillStyle = colour("ground");
  context.fillRect(0, 0, width, height);
  const colours = coloursOf(emotions);
  for (const { start, end, emotion } of joined(rows)) {
    const [left, right] = [x(start), x(end)];
    context.fillStyle = colours[emotion] ?? colour("ground");
    context.fillRect(left, 0, right - left, height);
    if (right - left > SHORTEST_LABEL) {
      context.save();
      context.beginPath();
      context.rect(left, 0, right - left - 2, height);
      context.clip();
      write(
        context,
        emotionName(emotion),
        left + 6,
        height / 2 + 5,
        readableOn(colours[emotion]),
        13,
      );
      context.restore();
    }
  }
}

/** Rows that follow each other with the same emotion, as one. */
function joined(rows) {
  const found = [];
  for (const { start, end, emotion } of rows) {
    const last = found.at(-1);
    if (last?.emotion === emotion && start - last.end < 0.01) {
      last.end = end;
    } else {
      found.push({ start, end, emotion });
    }
  }
  return found;
}

/** Black or white, whichever has more contrast (WCAG 2) on a colour. */
export function readableOn(hex = "#ffffff") {
  const [r, g, b] = channels(hex).map((c) => ((c / 255 + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#000000" : "#ffffff";
}

function drawAxis(context, width, height, { duration }) {
  const step =
    [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800].find(
      (s) => (s / duration) * width > 60,
    ) ?? 3600;
  for (let k = 0; k * step <= duration; k++) {
    const left = ((k * step) / duration) * width;
    context.fillStyle = colour("faint");
    context.fillRect(left, 0, 1, 5);
    if (left < width - 40) {
      write(context, clock(k * step, step < 1), left + 4, 12, "faint");
    }
  }
}

function write(context, text, left, baseline, paint, size = 11) {
  context.fillStyle = paint.startsWith("#") ? paint : colour(paint);
  context.font = `${size}px ${getComputedStyle(document.body).fontFamily}`;
  context.fillText(text, left, baseline);
}

/**
 * Draw a clip as a picture to keep, with its name, its result and a legend.
 * @returns {Promise<Blob>} PNG
 */
export function pictureOf(clip) {
  const [width, margin, scale] = [1100, 28, 2];
  const canvas = new OffscreenCanvas(scale * (width + 2 * margin), scale * (HEIGHT + 130));
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  context.fillStyle = colour("surface");
  context.fillRect(0, 0, canvas.width, canvas.height);
  write(context, clip.name, margin, 40, "ink", 18);
  const result = `${emotionName(clip.emotion)}${clip.emotion ? ` ${percent(clip.confidence)}` : ""}`;
  write(context, `${result} · ${say("limits.acted")}`, margin, 62, "faint", 13);
  context.translate(margin, 78);
  drawClip(context, width, clip);
  drawLegend(context, HEIGHT + 26, clip.emotions);
  return canvas.convertToBlob({ type: "image/png" });
}

function drawLegend(context, top, emotions) {
  let left = 0;
  for (const [emotion, paint] of Object.entries(coloursOf(emotions))) {
    context.fillStyle = paint;
    context.fillRect(left, top - 10, 12, 12);
    write(context, emotionName(emotion), left + 18, top, "ink", 13);
    left += context.measureText(emotionName(emotion)).width + 42;
  }
}
