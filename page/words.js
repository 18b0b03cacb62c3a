/** The words of the page, in the language of the browser or the chosen one. */

import { askJson } from "./server.js";

const LANGUAGES = ["en", "zh"];
let words = {};
let locale = "en"; // the language as the browser's people write numbers and times

/** The language of the last visit, or the browser's first one that the page has. */
export function preferredLanguage() {
  const wanted = [localStorage.getItem("language"), ...navigator.languages];
  const known = wanted.map((tag) => tag?.split("-")[0]).find((tag) => LANGUAGES.includes(tag));
  return known ?? "en";
}

/** Load the words of a language, and write them all over the page. */
export async function setLanguage(wanted) {
  words = await askJson(`page/words.${wanted}.json`, { method: "GET" });
  locale = navigator.languages.find((tag) => tag.startsWith(wanted)) ?? wanted;
  localStorage.setItem("language", wanted);
  document.documentElement.lang = wanted;
  document.title = say("title");
  translate(document);
}

/** Write the words of the elements that name them by data-word and data-label. */
export function translate(root) {
  for (const element of root.querySelectorAll("[data-word]")) {
    element.textContent = say(element.dataset.word);
  }
  for (const element of root.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", say(element.dataset.label));
  }
}

/**
 * The sentence of a key, its {names} replaced by values.
 * @param {string} key
 * @param {Object<string, string|number>} values
 * @param {string} otherwise for a key that the page doesn't know
 */
export function say(key, values = {}, otherwise = key) {
  return (words[key] ?? otherwise).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** An emotion's name; labels of a model of one's own stay as they are. */
export function emotionName(emotion) {
  return emotion ? say(`emotion.${emotion}`, {}, emotion) : say("none");
}

/** A probability in percent. */
export function percent(share) {
  return new Intl.NumberFormat(locale, { style: "percent" }).format(share);
}

/** Seconds as minutes and seconds, 1:02.5 or 1:02. */
export function clock(seconds, tenths = true) {
  const rounded = Math.round(seconds * 10);
  const rest = ((rounded % 600) / 10).toFixed(tenths ? 1 : 0);
  return `${Math.floor(rounded / 600)}:${rest.padStart(tenths ? 4 : 2, "0")}`;
}

/** A length, 2.3 s. */
export function seconds(length) {
  const style = { style: "unit", unit: "second", unitDisplay: "narrow", maximumFractionDigits: 1 };
  return new Intl.NumberFormat(locale, style).format(length);
}

/** The time of day of a moment. */
export function timeOfDay(moment, timeStyle = "medium") {
  return new Intl.DateTimeFormat(locale, { timeStyle }).format(moment);
}

/** What went wrong, in a sentence for people. */
export function sentenceOf(error) {
  return say(`error.${error.code}`, error.values, say("error.other", error.values));
}
