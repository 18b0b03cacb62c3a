/** The microphone: blocks of samples, their level, and recordings as WAV. */

import { Refused } from "./server.js";

const PLAIN = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

/**
 * Open the microphone, as it is: what browsers do for calls takes some of the emotion away.
 * @param {(block: Float32Array) => void} onBlock is given some 40 ms of samples at a time
 * @returns {Promise<{rate: number, close: () => void}>}
 * @throws {Refused}
 */
export async function openMicrophone(onBlock) {
  if (!navigator.mediaDevices) {
    throw new Refused("insecure"); // browsers lend it to https and to this machine only
  }
  const context = new AudioContext();
  await context.audioWorklet.addModule("page/worklet.js").catch(() => {
    throw new Refused("unreachable");
  });
  const stream = await navigator.mediaDevices.getUserMedia({ audio: PLAIN }).catch((error) => {
    throw new Refused(error.name === "NotAllowedError" ? "denied" : "no_microphone");
  });
  const mono = { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" };
  const blocks = new AudioWorkletNode(context, "blocks", mono);
  blocks.port.onmessage = ({ data }) => onBlock(data);
  context.createMediaStreamSource(stream).connect(blocks);
  await context.resume();
  const close = () => {
    blocks.port.onmessage = null;
    stream.getTracks().forEach((track) => track.stop());
    if (context.state !== "closed") {
      context.close();
    }
  };
  return { rate: context.sampleRate, close };
}

/**
 * Record until `stop` is called.
 * @param {Element} meter shows the level
 * @param {(seconds: number) => void} onTime is told how long the recording is
 * @returns {Promise<{stop: () => Blob}>} a WAV file
 */
export async function startRecording(meter, onTime = () => {}) {
  const blocks = [];
  let length = 0;
  const microphone = await openMicrophone((block) => {
    blocks.push(toPcm(block));
    length += block.length;
    showLevel(meter, level(block));
    onTime(length / microphone.rate);
  });
  const stop = () => {
    microphone.close();
    showLevel(meter, -60);
    return wav(blocks, length, microphone.rate);
  };
  return { stop };
}

/** Decibels of full scale. */
export function level(block) {
  const power = block.reduce((sum, x) => sum + x * x, 0) / block.length;
  return 10 * Math.log10(power + 1e-6);
}

/** Show a level from -60 to 0 dB. */
export function showLevel(meter, decibels) {
  meter.setAttribute("aria-valuenow", Math.round(decibels));
  meter.firstElementChild.style.width = `${Math.max(0, Math.min(100, (decibels + 60) / 0.6))}%`;
}

/** Samples from -1 to 1 as 16-bit numbers. */
export function toPcm(block) {
  return Int16Array.from(block, (x) => Math.max(-1, Math.min(1, x)) * 32767);
}

function wav(blocks, length, rate) {
  const header = new DataView(new ArrayBuffer(44));
  const text = (at, word) => [...word].forEach((c, i) => header.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF");
  header.setUint32(4, 36 + 2 * length, true);
  text(8, "WAVEfmt ");
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true); // PCM
  header.setUint16(22, 1, true); // mono
  header.setUint32(24, rate, true);
  header.setUint32(28, 2 * rate, true);
  header.setUint16(32, 2, true);
  header.setUint16(34, 16, true);
  text(36, "data");
  header.setUint32(40, 2 * length, true);
  return new Blob([header, ...blocks], { type: "audio/wav" });
}
