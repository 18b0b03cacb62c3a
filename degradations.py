"""What a recording goes through on its way: noise, other people's talk, a room, a telephone line.

    noisy = mixed(y, noise("pink", len(y), rng), 20)           # 20 dB under the speech
    echoing = in_room(y, rng, rt60=0.5)
    narrow = telephone(y, "GSM610")
    another = degraded(y, copy=1)                               # one of these, drawn by what y is
    stranger = at_speed(y, 0.88)                                # a larger, slower speaker

Pure functions of a mono signal at 16 kHz, for training on more than clean clips and for measuring
what a recognizer loses.
"""

import io
import zlib

import numpy as np
import soundfile as sf
import soxr

from parameters import SAMPLE_RATE

FRAME = 400  # samples, 25 ms
SILENT = 1e-3  # power of a frame over the loudest one's, under which nobody speaks
NOISES = {"white": 0, "pink": 1}
"""Kind of noise to the exponent by which its power falls with the frequency."""

LOWEST = 20  # Hz, under which pink noise doesn't rise any more
LINE = 300, 3400  # Hz: what a telephone line lets through
LINE_RATE = 8000  # Hz
CODECS = "ULAW", "ALAW", "GSM610"  # as libsndfile calls G.711 (both laws) and GSM 06.10
HEADROOM = 0.5  # of full scale: the peak of what goes into a codec
EARLIEST = 0.0025  # seconds from the direct sound to the first echo

# What `degraded` draws from
SNR = 5, 25  # dB
BABBLE = 0.5  # of the noises
RT60 = 0.2, 0.8  # seconds
DIRECT = -3, 9  # dB
N_TALKERS = 6
RATES = 0.8, 1.25  # how much faster a talker of the babble is than the voice it is made of

SPEEDS = 0.88, 1.14, 0.94, 1.07
"""How much faster than the clip its copies in other voices are, the widest first."""


def speech_power(y):
    """Mean power of the frames in which somebody speaks, within 30 dB of the loudest: float."""
    if len(y) < FRAME:
        return float(np.mean(np.square(y, dtype=np.float64)))
    frames = np.square(y[: len(y) // FRAME * FRAME], dtype=np.float64).reshape(-1, FRAME)
    power = frames.mean(axis=1)
    return float(power[power >= SILENT * power.max()].mean())


def mixed(y, disturbance, snr):
    """Speech with a disturbance at a signal-to-noise ratio.

    Parameters
    ----------
    y, disturbance : ndarray (n_samples,)
    snr : float
        dB; the power of the speech (see `speech_power`) over that of the disturbance.

    Returns
    -------
    ndarray (n_samples,) float32

    Examples
    --------
    >>> tone = np.sin(np.arange(16000) / 10)
    >>> added = mixed(tone, np.ones(16000), 20) - tone
    >>> round(float(10 * np.log10(np.mean(tone**2) / np.mean(added**2))), 1)
    20.0
    """
    power = np.mean(np.square(disturbance, dtype=np.float64))
    gain = np.sqrt(speech_power(y) / 10 ** (snr / 10) / max(power, 1e-20))
    return (y + gain * disturbance).astype(np.float32)


def at_speed(y, speed):
    """The same said by another: pitch, formants and tempo are all higher, or lower, by a factor.

    It is what a tape does that runs at another speed (Ko et al. 2015, "Audio augmentation for
    speech recognition").

    Parameters
    ----------
    y : ndarray (n_samples,)
        At 16 kHz.
    speed : float
        Over 1 is faster.

    Returns
    -------
    ndarray (n_samples / speed,) float32

    Examples
    --------
    >>> len(at_speed(np.zeros(16000, np.float32), 1.25))
    12800
    """
    return soxr.resample(y, SAMPLE_RATE * speed, SAMPLE_RATE).astype(np.float32)


def noise(kind, n_samples, rng):
    """Stationary noise of one of `NOISES`: ndarray (n_samples,)."""
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    hz = np.maximum(np.fft.rfftfreq(n_samples, 1 / SAMPLE_RATE), LOWEST)
    return np.fft.irfft(spectrum * hz ** (-NOISES[kind] / 2), n_samples)


def babble(voices, n_samples, rng):
    """Voices that talk at once, each as loud as the others and from some moment on.

    Parameters
    ----------
    voices : list of ndarray
        Each of any length; it is repeated.
    n_samples : int
    rng : numpy Generator

    Returns
    -------
    ndarray (n_samples,)
    """
    total = np.zeros(n_samples)
    for y in voices:
        long = np.resize(y, max(n_samples, len(y)))
        start = rng.integers(len(long))
        total += np.roll(long, -start)[:n_samples] / np.sqrt(speech_power(y) + 1e-20)
    return total


def in_room(y, rng, *, rt60=0.5, direct=0.0):
    """Speech in a synthetic room: the direct sound, then decaying noise for its echoes.

    That is how diffuse sound decays (Polack 1988; Moorer 1979, About This Reverberation Business);
    early echoes of single walls are missing.

    Parameters
    ----------
    y : ndarray (n_samples,)
    rng : numpy Generator
    rt60 : float
        Seconds until the echoes are 60 dB down.
    direct : float
        dB; power of the direct sound over that of all echoes. 0 is some steps from the speaker.

    Returns
    -------
    ndarray (n_samples + rt60,) float32
    """
    from scipy.signal import fftconvolve

    n = round(rt60 * SAMPLE_RATE)
    response = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    response[: round(EARLIEST * SAMPLE_RATE)] = 0
    response /= np.sqrt(np.sum(np.square(response)) * 10 ** (direct / 10))
    response[0] = 1
    return fftconvolve(y, response).astype(np.float32)


def telephone(y, codec="ULAW"):
    """Speech over a telephone line: 300 to 3,400 Hz, 8 kHz, through a codec and back.

    Parameters
    ----------
    y : ndarray (n_samples,)
    codec : {"ULAW", "ALAW", "GSM610"}
        G.711 by either law, or GSM 06.10 full rate; libsndfile's.

    Returns
    -------
    ndarray (n_samples,) float32
    """
    from scipy.signal import butter, sosfilt

    line = butter(4, LINE, "bandpass", fs=LINE_RATE, output="sos")
    narrow = sosfilt(line, soxr.resample(y, SAMPLE_RATE, LINE_RATE))
    gain = HEADROOM / max(np.abs(narrow).max(), 1e-9)
    file = io.BytesIO()
    sf.write(file, narrow * gain, LINE_RATE, format="WAV", subtype=codec)
    file.seek(0)
    heard = soxr.resample(sf.read(file, dtype="float32")[0], LINE_RATE, SAMPLE_RATE) / gain
    return np.resize(np.append(heard, np.zeros(len(y))), len(y)).astype(np.float32)


def degraded(y, copy=0):
    """Another recording of the same: noise, a room or a telephone line, drawn by seed.

    The samples are the seed, so that the same clip is degraded in the same way wherever it lies.
    Every second copy is in noise, half of them in a babble made of the clip itself, backwards,
    faster and slower; the others take turns in a room and over a telephone.

    Parameters
    ----------
    y : ndarray (n_samples,) float32 at 16 kHz
    copy : int
        Number of the copy.

    Returns
    -------
    ndarray (n_samples,) float32
        Longer in a room, by its echoes.

    Examples
    --------
    >>> y = np.sin(np.arange(16000) / 10).astype(np.float32)
    >>> bool(np.array_equal(degraded(y, 1), degraded(y, 1)))
    True
    """
    digest = zlib.crc32(np.ascontiguousarray(y, np.float32).tobytes())
    rng = np.random.default_rng([copy, digest])
    ways = _in_some_noise, _in_some_room, _in_some_noise, _by_some_telephone
    return ways[(digest + copy) % len(ways)](y, rng)


def _in_some_noise(y, rng):
    if rng.random() >= BABBLE:
        return mixed(y, noise(rng.choice([*NOISES]), len(y), rng), rng.uniform(*SNR))
    talkers = [at_speed(y[::-1], speed) for speed in rng.uniform(*RATES, N_TALKERS)]
    return mixed(y, babble(talkers, len(y), rng), rng.uniform(*SNR))


def _in_some_room(y, rng):
    return in_room(y, rng, rt60=rng.uniform(*RT60), direct=rng.uniform(*DIRECT))


def _by_some_telephone(y, rng):
    return telephone(y, rng.choice(CODECS))
