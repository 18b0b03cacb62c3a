/** Adaptation to a voice: three sentences are read, and the server makes a recognizer of them. */

import { startRecording } from "./microphone.js";
import { ask, askJson } from "./server.js";
import { clock, say, sentenceOf } from "./words.js";

const SENTENCES = 3;

/** The dialog that has a voice read to it, and the recognizer that comes of it. */
export class Voice {
  /**
   * @param {HTMLDialogElement} dialog
   * @param {() => void} onChange is called when there is another recognizer, or none
   */
  constructor(dialog, onChange) {
    this.dialog = dialog;
    this.onChange = onChange;
    this.recognizer = null;
    this.read = []; // in the dialog
    this.kept = []; // of the recognizer
    this.part("#reading-record").addEventListener("click", () =>
      this.next().catch((error) => this.refuse(error)),
    );
    this.part("#reading-cancel").addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => this.stop());
  }

  part(selector) {
    return this.dialog.querySelector(selector);
  }

  /** Begin with the first sentence. */
  open() {
    this.read = [];
    this.show();
    this.dialog.showModal();
  }

  show() {
    const n = Math.min(this.read.length + 1, SENTENCES);
    const word = this.recording ? "stop" : this.complete ? "retry" : "record";
    this.part("#reading-step").textContent = say("voice.step", { n, of: SENTENCES });
    this.part("#sentence").textContent = say(`voice.sentence.${n}`);
    this.part("#reading-record").textContent = say(word);
    this.part("#reading-error").textContent = "";
  }

  get complete() {
    return this.read.length === SENTENCES;
  }

  refuse(error) {
    if (error.code === "no_speech") {
      this.read = [];
    }
    this.show();
    this.part("#reading-error").textContent = sentenceOf(error);
  }

  /** Begin or end the recording of a sentence; after the last one, adapt. */
  async next() {
    if (this.recording) {
      this.read.push({ name: `${this.read.length + 1}.wav`, blob: this.stop() });
    } else if (!this.complete) {
      await this.start();
    }
    this.show();
    if (this.complete) {
      await this.adapt(this.read);
      this.dialog.close();
    }
  }

  async start() {
    const button = this.part("#reading-record");
    const onTime = (seconds) => (button.textContent = say("voice.read", { time: clock(seconds) }));
    button.disabled = true;
    try {
      this.recording = await startRecording(this.part(".meter"), onTime);
    } finally {
      button.disabled = false;
    }
    if (!this.dialog.open) {
      this.stop(); // closed while the browser asked whether the page may listen
    }
  }

  stop() {
    const blob = this.recording?.stop();
    this.recording = null;
    return blob;
  }

  /**
   * Have the server adapt to recordings of the usual voice. They are kept: it can be done again
   * when the server has forgotten them.
   */
  async adapt(recordings = this.kept) {
    const button = this.part("#reading-record");
    button.disabled = true;
    try {
      const found = await askJson("v1/adapt", { files: recordings, query: { labels: "neutral" } });
      this.kept = recordings;
      this.recognizer = found.recognizer;
      this.until = new Date(Date.now() + 1000 * found.expires_in);
      this.onChange();
    } finally {
      button.disabled = false;
    }
  }

  /** Forget the voice, here and on the server. */
  async forget() {
    await ask(`v1/adapt/${this.recognizer}`, { method: "DELETE" }).catch((error) => {
      if (error.code !== "unknown_recognizer") {
        throw error;
      }
    });
    this.recognizer = null;
    this.kept = [];
    this.onChange();
  }
}
