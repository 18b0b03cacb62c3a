/** Live mode: the emotion while somebody speaks. */

import { showBars, showEmotion, swatch } from "./bars.js";
import { level, openMicrophone, showLevel, toPcm } from "./microphone.js";
import { coloursOf } from "./picture.js";
import { Refused, listenTo } from "./server.js";
import { emotionName, percent, say, seconds, timeOfDay } from "./words.js";

const BEHIND = 2 ** 20; // bytes that wait for a server that can't keep up

/** Open the microphone and a stream to the server, and show what comes back. */
export class Live {
  /**
   * @param {Element} section
   * @param {(error: ?Refused) => void} onEnd
   */
  constructor(section, onEnd) {
    this.section = section;
    this.meter = section.querySelector(".meter");
    this.onEnd = onEnd;
  }

  /** @throws {Refused} */
  async start(recognizer) {
    this.waiting = [];
    this.began = Date.now();
    this.microphone = await openMicrophone((block) => this.hear(block));
    const query = { rate: this.microphone.rate, encoding: "pcm_s16le", recognizer };
    this.socket = listenTo(query);
    this.socket.onmessage = ({ data }) => this.show(JSON.parse(data));
    this.socket.onclose = () => this.end(this.stopping ? null : new Refused("unreachable"));
  }

  hear(block) {
    showLevel(this.meter, level(block));
    if (this.socket?.readyState !== WebSocket.OPEN) {
      this.waiting.push(toPcm(block)); // what is said before the server is ready isn't lost
      return;
    }
    [...this.waiting.splice(0), toPcm(block)].forEach((part) => this.socket.send(part));
    if (this.socket.bufferedAmount > BEHIND) {
      this.end(new Refused("slow"));
    }
  }

  /** Stop listening; what has been said is still recognised. */
  stop() {
    this.stopping = true;
    this.microphone.close();
    if (this.socket?.readyState === WebSocket.OPEN) {
      this.socket.send(JSON.stringify({ type: "end" }));
    } else {
      this.end(null);
    }
  }

  end(error) {
    this.microphone.close();
    if (this.socket) {
      this.socket.onclose = null;
      this.socket.close();
    }
    showLevel(this.meter, -60);
    this.onEnd(error);
  }

  show(event) {
    if (event.type === "error") {
      this.end(new Refused(event.code, event.message));
    } else if (event.type === "window") {
      showEmotion(this.section.querySelector(".emotion"), event);
      showBars(this.section.querySelector(".bars"), event);
    } else if (event.type === "utterance") {
      this.add(event);
    }
  }

  add({ start, end, emotion, confidence, probabilities, warnings }) {
    const item = document.createElement("li");
    const texts = [
      `${timeOfDay(this.began + 1000 * start)}, ${seconds(end - start)}`,
      `${emotionName(emotion)} ${emotion ? percent(confidence) : ""}`,
      ...Object.entries(warnings ?? {}).map(([code, sentence]) =>
        say(`warning.${code}`, {}, sentence),
      ),
    ];
    const parts = texts.map((text) =>
      Object.assign(document.createElement("span"), { textContent: text }),
    );
    item.append(swatch(coloursOf(Object.keys(probabilities))[emotion]), ...parts);
    this.section.querySelector("ol").prepend(item);
  }
}
