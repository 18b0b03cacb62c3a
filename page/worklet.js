/** Runs in the thread of the sound: joins its short blocks, and hands them to the page. */
class Blocks extends AudioWorkletProcessor {
  held = new Float32Array(2048);
  n = 0;

  process([[channel]]) {
    if (channel) {
      this.held.set(channel, this.n);
      this.n += channel.length;
    }
    if (this.n === this.held.length) {
      this.port.postMessage(this.held);
      this.n = 0;
    }
    return true;
  }
}

registerProcessor("blocks", Blocks);
