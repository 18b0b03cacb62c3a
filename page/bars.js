/** Probabilities and effects as bars of HTML, for eyes and screen readers alike. */

import { colour, coloursOf } from "./picture.js";
import { emotionName, percent, say } from "./words.js";

const FEWEST = 0.02; // log-odds that are worth a bar
const MOST = 6;

/** Show an emotion in large letters, with a swatch of its colour. */
export function showEmotion(element, { emotion, confidence, probabilities }) {
  const name = document.createElement("strong");
  name.textContent = emotionName(emotion);
  const share = document.createElement("span");
  share.textContent = emotion ? percent(confidence) : "";
  element.replaceChildren(swatch(coloursOf(Object.keys(probabilities))[emotion]), name, share);
}

/** A small square in a colour. */
export function swatch(paint) {
  const square = document.createElement("span");
  square.className = "swatch";
  square.style.setProperty("--paint", paint ?? "transparent");
  return square;
}

/** Show the probability of each emotion. */
export function showBars(list, { probabilities, emotion }) {
  const colours = coloursOf(Object.keys(probabilities));
  list.replaceChildren(
    ...Object.entries(probabilities).map(([name, share]) => {
      const item = row(emotionName(name), percent(share), colours[name], 0, 100 * share);
      item.classList.toggle("chosen", name === emotion);
      return item;
    }),
  );
}

/** Show the groups of features that spoke most for and against an emotion. */
export function showEffects(list, effects) {
  const found = effects.filter(
    ({ kind, effect }) => kind === "features" && Math.abs(effect) >= FEWEST,
  );
  const shown = found.sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect)).slice(0, MOST);
  const longest = Math.max(...shown.map(({ effect }) => Math.abs(effect)));
  list.replaceChildren(
    ...shown.map(({ name, effect }) => {
      const width = (50 * Math.abs(effect)) / longest;
      const number = `${effect > 0 ? "+" : "−"}${Math.abs(effect).toFixed(2)}`;
      return row(
        say(`feature.${name}`, {}, name),
        number,
        colour(effect > 0 ? "for" : "against"),
        effect > 0 ? 50 : 50 - width,
        width,
      );
    }),
  );
}

function row(name, number, paint, left, width) {
  const item = document.createElement("li");
  const [label, track, bar, value] = ["span", "span", "span", "span"].map((tag) =>
    document.createElement(tag),
  );
  label.textContent = name;
  track.className = "track";
  bar.style.setProperty("--paint", paint);
  bar.style.marginInlineStart = `${left}%`;
  bar.style.width = `${width}%`;
  track.append(bar);
  value.className = "number";
  value.textContent = number;
  item.append(label, track, value);
  return item;
}
