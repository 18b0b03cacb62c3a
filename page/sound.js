/** Sound as samples, and its spectrogram. */

const RATE = 16000;
const BINS = 128; // of the picture, from 0 to 8 kHz
const FFT = 512;
const RANGE = 70; // dB from the lightest to the darkest

/**
 * The samples of a file, mono at 16 kHz.
 * @param {Blob} blob
 * @returns {Promise<Float32Array|null>} null if the browser can't decode it (the server may)
 */
export async function decode(blob) {
  try {
    const context = new OfflineAudioContext(1, 1, RATE);
    return mono(await context.decodeAudioData(await blob.arrayBuffer()));
  } catch {
    return null;
  }
}

function mono(buffer) {
  const samples = buffer.getChannelData(0).slice();
  for (let c = 1; c < buffer.numberOfChannels; c++) {
    buffer.getChannelData(c).forEach((x, i) => (samples[i] += x));
  }
  return samples.map((x) => x / buffer.numberOfChannels);
}

/**
 * The least and the largest sample of each column of a picture.
 * @returns {Array<[number, number]>}
 */
export function envelope(samples, columns) {
  return Array.from({ length: columns }, (_, i) => {
    let [low, high] = [0, 0];
    const end = Math.ceil(((i + 1) * samples.length) / columns);
    for (let k = Math.floor((i * samples.length) / columns); k < end; k++) {
      low = Math.min(low, samples[k]);
      high = Math.max(high, samples[k]);
    }
    return [low, high];
  });
}

/**
 * A spectrogram of 0 to 8 kHz.
 * @returns {{columns: number, bins: number, values: Float32Array}} 0 to 1, row by row from the top
 */
export function spectrogram(samples) {
  const columns = Math.max(1, Math.min(900, Math.floor(samples.length / 80)));
  const values = new Float32Array(columns * BINS);
  let loudest = -Infinity;
  for (let i = 0; i < columns; i++) {
    const powers = spectrum(samples, Math.round((i + 0.5) * (samples.length / columns)) - FFT / 2);
    for (let k = 0; k < BINS; k++) {
      const decibels = 10 * Math.log10(powers[2 * k] + powers[2 * k + 1] + 1e-9);
      values[(BINS - 1 - k) * columns + i] = decibels;
      loudest = Math.max(loudest, decibels);
    }
  }
  return { columns, bins: BINS, values: values.map((x) => Math.max(0, 1 + (x - loudest) / RANGE)) };
}

/** The power in each of 256 bands of a Hann window of samples from `first` on. */
function spectrum(samples, first) {
  const re = new Float32Array(FFT);
  const im = new Float32Array(FFT);
  for (let i = 0; i < FFT; i++) {
    re[i] = (samples[first + i] ?? 0) * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / FFT));
  }
  transform(re, im);
  return re.slice(0, FFT / 2).map((x, k) => x * x + im[k] * im[k]);
}

/** The fast Fourier transform of Cooley and Tukey of real numbers, in place; `im` is zero before. */
function transform(re, im) {
  const n = re.length;
  for (let i = 0, j = 0; i < n; i++) {
    if (i < j) {
      [re[i], re[j]] = [re[j], re[i]];
    }
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) {
      j ^= bit;
    }
    j ^= bit;
  }
  for (let size = 2; size <= n; size *= 2) {
    for (let k = 0; k < size / 2; k++) {
      const [c, s] = [Math.cos((2 * Math.PI * k) / size), -Math.sin((2 * Math.PI * k) / size)];
      for (let i = k; i < n; i += size) {
        butterfly(re, im, i, i + size / 2, c, s);
      }
    }
  }
}

function butterfly(re, im, i, j, c, s) {
  const x = c * re[j] - s * im[j];
  const y = c * im[j] + s * re[j];
  re[j] = re[i] - x;
  im[j] = im[i] - y;
  re[i] += x;
  im[i] += y;
}
