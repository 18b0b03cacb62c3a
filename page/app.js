/** The page: recordings in, emotions out. The other modules know nothing of this one. */

import { swatch } from "./bars.js";
import { Live } from "./live.js";
import { startRecording } from "./microphone.js";
import { Panel, save } from "./panel.js";
import { coloursOf } from "./picture.js";
import { Refused, ask, askJson, limits, sizes } from "./server.js";
import { decode, spectrogram } from "./sound.js";
import { Voice } from "./voice.js";
import {
  clock,
  emotionName,
  percent,
  preferredLanguage,
  say,
  sentenceOf,
  setLanguage,
  timeOfDay,
} from "./words.js";

const $ = (id) => document.getElementById(id);

/**
 * A clip: name, blob, url; samples and spectrogram (null if the browser can't decode it); what the
 * server has found, as in its JSON: emotion, confidence, probabilities, warnings, adapted, rows,
 * duration; or error.
 */
const clips = [];
let shown = []; // one clip, or two that are compared
let panels = [];
let recording = null;
let live = null;
const voice = new Voice($("reading"), adaptationChanged);

// recordings

async function add(files) {
  const added = files.map(({ name, blob }) => ({ name, blob, url: URL.createObjectURL(blob) }));
  clips.push(...added);
  showList();
  await analyseAll(added);
}

/** Ask the server for all of a clip; what is wrong is written next to its name. */
async function analyse(clip) {
  clip.error = null;
  clip.busy = true;
  showList();
  try {
    if (clip.blob.size > limits.bytes) {
      throw new Refused("too_large");
    }
    const [[found], [over]] = await Promise.all([
      question("predict", clip),
      question("timeline", clip),
    ]);
    if (!found.probabilities) {
      throw new Refused("numbers");
    }
    const samples = await decode(clip.blob);
    const pictures = { samples, spectrogram: samples && spectrogram(samples), effects: [] };
    const { rows, duration } = over;
    Object.assign(clip, pictures, {
      ...found,
      name: clip.name,
      rows,
      duration,
      emotions: Object.keys(found.probabilities),
    });
    announce(`${clip.name}: ${resultOf(clip)}`);
  } catch (error) {
    refuse(error, clip);
  } finally {
    clip.busy = false;
    showList();
  }
}

/**
 * One after the other, so that a server isn't asked for more at once than it has places. The first
 * one that is recognised is shown.
 */
async function analyseAll(some) {
  for (const clip of some) {
    await analyse(clip);
    if (shown.includes(clip)) {
      show(shown);
    } else if (clips.includes(clip) && !clip.error && !shown.some((one) => some.includes(one))) {
      open(clip);
    }
  }
}

/** Show a clip, and nothing beside it. */
function open(clip) {
  show([clip]);
  comeIntoView($("panels"));
}

/** Ask about a clip with the adapted recognizer, or without it once the server has forgotten it. */
async function question(what, clip, query = {}) {
  const files = [clip];
  try {
    return await askJson(`v1/${what}`, {
      files,
      query: { recognizer: voice.recognizer, ...query },
    });
  } catch (error) {
    if (error.code !== "unknown_recognizer") {
      throw error;
    }
    voice.recognizer = null;
    showVoice();
    notify(error, () => voice.adapt());
    return askJson(`v1/${what}`, { files, query });
  }
}

function resultOf({ emotion, confidence }) {
  return emotion ? `${emotionName(emotion)} ${percent(confidence)}` : emotionName(emotion);
}

function refuse(error, clip) {
  if (!(error instanceof Refused)) {
    throw error;
  }
  clip.error = error;
  announce(`${clip.name}: ${sentenceOf(error)}`);
  if (error.code === "unreachable") {
    notify(error, () => analyseAll(clips.filter((other) => other.error)));
  }
}

function remove(clip) {
  clips.splice(clips.indexOf(clip), 1);
  URL.revokeObjectURL(clip.url);
  show(shown.filter((other) => other !== clip));
}

function showList() {
  $("clips").hidden = clips.length === 0;
  const buttons = () => [...$("list").querySelectorAll("button")];
  const focused = buttons().indexOf(document.activeElement);
  $("list").replaceChildren(...clips.map(itemOf));
  buttons()[focused]?.focus(); // who uses the keyboard stays there
  const others = clips.filter((clip) => clip.rows && clip !== shown[0]);
  $("comparing").hidden = !shown.length || !others.length;
  const options = others.map(
    (clip) =>
      new Option(`${clip.name} (${resultOf(clip)})`, clips.indexOf(clip), false, clip === shown[1]),
  );
  $("compare").replaceChildren(new Option(say("compare.none"), ""), ...options);
}

function itemOf(clip) {
  const item = $("item").content.cloneNode(true).firstElementChild;
  const part = (selector) => item.querySelector(selector);
  const known = clip.rows && !clip.error;
  part(".swatch").replaceWith(swatch(known && coloursOf(clip.emotions)[clip.emotion]));
  part(".name").textContent = clip.name;
  part(".found").textContent = clip.busy ? say("busy") : known ? resultOf(clip) : "";
  part(".open").disabled = !clip.rows;
  part(".open").setAttribute("aria-current", shown.includes(clip));
  part(".open").addEventListener("click", () => open(clip));
  part(".error").hidden = !clip.error;
  part(".error").textContent = clip.error ? sentenceOf(clip.error) : "";
  part(".again").hidden = !clip.error;
  part(".again").textContent = say("retry");
  part(".again").addEventListener("click", () => analyseAll([clip]));
  part(".remove").setAttribute("aria-label", say("remove", { name: clip.name }));
  part(".remove").addEventListener("click", () => remove(clip));
  return item;
}

function show(wanted) {
  shown = wanted;
  panels.forEach((panel) => panel.close());
  panels = shown.map((clip) => new Panel(clip, { explain, download }));
  $("panels").className = panels.length > 1 ? "two" : "";
  $("panels").replaceChildren(...panels.map((panel) => panel.element));
  $("empty").hidden = shown.length > 0 || !$("live").hidden;
  showList();
}

async function explain(clip, span) {
  const [start, end] = span ?? [];
  try {
    return (await question("explain", clip, { start, end }))[0];
  } catch (error) {
    return notify(error);
  }
}

async function download(clip, suffix, accept) {
  try {
    const response = await ask("v1/timeline", {
      files: [clip],
      accept,
      query: { recognizer: clip.adapted && voice.recognizer },
    });
    save(await response.blob(), `${clip.name}.${suffix}`);
  } catch (error) {
    notify(error);
  }
}

// the microphone

async function record() {
  if (recording) {
    const blob = recording.stop();
    const name = say("recorded", { n: clips.length + 1 });
    recordingChanged(null);
    await add([{ name: `${name}.wav`, blob }]);
    return;
  }
  const onTime = (seconds) => {
    $("record").textContent = say("recording", { time: clock(seconds) });
    if (seconds >= limits.seconds - 1) {
      record();
    }
  };
  $("record").disabled = true; // while the browser asks whether the page may listen
  try {
    recordingChanged(await startRecording($("recording"), onTime));
  } finally {
    $("record").disabled = false;
  }
}

function recordingChanged(now) {
  recording = now;
  $("recording").hidden = !recording;
  $("record").setAttribute("aria-pressed", recording !== null);
  $("record").textContent = say(recording ? "stop" : "record");
  $("listen").disabled = recording !== null || live !== null;
}

async function listen() {
  $("listen").disabled = $("record").disabled = true;
  $("live").hidden = false;
  $("empty").hidden = true;
  live = new Live($("live"), listened);
  try {
    await live.start(voice.recognizer);
    $("live-stop").hidden = false;
    $("live-close").hidden = true;
    $("live-stop").focus();
    comeIntoView($("live"));
  } catch (error) {
    listened(error);
  }
}

function listened(error) {
  live = null;
  $("listen").disabled = $("record").disabled = false;
  const focused = document.activeElement === $("live-stop");
  $("live-stop").hidden = true;
  $("live-close").hidden = false;
  if (focused) {
    $("live-close").focus();
  }
  if (error?.code === "unknown_recognizer") {
    voice.recognizer = null;
    showVoice();
    notify(error, () => voice.adapt());
  } else if (error) {
    notify(error, listen);
  }
}

// the voice

function adaptationChanged() {
  showVoice();
  analyseAll([...clips]);
}

function showVoice() {
  const adapted = voice.recognizer !== null;
  const until = voice.until && timeOfDay(voice.until, "short");
  $("voice-state").hidden = $("forget").hidden = !adapted;
  $("voice-state").textContent = say("voice.adapted", { until });
  $("voice-why").hidden = adapted;
}

// what the page says

function announce(text) {
  $("status").textContent = text;
}

/** On a phone what is new may be further down. */
function comeIntoView(element) {
  if (matchMedia("(max-width: 56rem)").matches) {
    element.scrollIntoView();
  }
}

/** Say what went wrong, until it works or is dismissed. */
function notify(error, again) {
  const [retry, dismiss] = $("notice").querySelectorAll("button");
  const message = error instanceof Refused ? sentenceOf(error) : String(error);
  $("notice").querySelector("p").textContent = message;
  $("notice").hidden = false;
  comeIntoView($("notice"));
  dismiss.onclick = () => ($("notice").hidden = true);
  retry.hidden = !again;
  retry.onclick = async () => {
    $("notice").hidden = true;
    await attempt(again);
  };
}

/** Do something that may fail, and say so if it does. */
async function attempt(action) {
  try {
    await action();
  } catch (error) {
    notify(error, action);
  }
}

async function speak(language) {
  await setLanguage(language);
  document.querySelectorAll("[data-language]").forEach((button) => {
    button.setAttribute("aria-pressed", button.dataset.language === language);
  });
  $("limits").textContent = limits.seconds ? say("limits.size", sizes()) : "";
  announce("");
  recordingChanged(recording);
  showVoice();
  show(shown);
}

function chooseFiles(list) {
  add([...list].map((blob) => ({ name: blob.name, blob })));
}

function listenToPeople() {
  $("choose").addEventListener("click", () => $("files").click());
  $("files").addEventListener("change", ({ target }) => {
    chooseFiles(target.files);
    target.value = ""; // so that the same file can be chosen again
  });
  $("record").addEventListener("click", () => attempt(record));
  $("listen").addEventListener("click", listen);
  $("live-stop").addEventListener("click", () => live.stop());
  $("live-close").addEventListener("click", () => {
    $("live").hidden = true;
    show(shown);
    $("listen").focus();
  });
  $("adapt").addEventListener("click", () => voice.open());
  $("forget").addEventListener("click", () => attempt(() => voice.forget()));
  $("compare").addEventListener("change", ({ target }) =>
    show([shown[0], ...(target.value ? [clips[target.value]] : [])]),
  );
  document.querySelectorAll("[data-language]").forEach((button) => {
    button.addEventListener("click", () => attempt(() => speak(button.dataset.language)));
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    $("drop").classList.add("over");
  });
  document.addEventListener("dragleave", () => $("drop").classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    $("drop").classList.remove("over");
    chooseFiles(event.dataTransfer.files);
  });
}

async function begin() {
  await speak(preferredLanguage());
  listenToPeople();
  await attempt(async () => {
    Object.assign(limits, await askJson("v1/limits", { method: "GET" }));
    await speak(document.documentElement.lang);
  });
}

begin();
