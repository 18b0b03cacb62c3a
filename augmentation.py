"""Augmentation: noise, babble, a room, a telephone line or another speed for a recording.

    noisy = mixed(y, noise("pink", len(y), rng), 20)           # 20 dB below the speech
    echoing = in_room(y, rng, rt60=0.5)
    narrow = telephone(y, "GSM610")
    copy = noisy_copy(y, copy=1)                                # one of these, drawn by the samples
    slower = at_speed(y, 0.88)                                  # a larger, slower speaker

Pure functions of a mono signal at 16 kHz. They make training copies, and noisy clips for testing.
"""

import io
import zlib

import numpy as np
import soundfile as sf
import soxr

from parameters import SAMPLE_RATE

FRAME = 400  # samples, 25 ms
SILENT = 1e-3  # power of a frame relative to the loudest one; below it there is no speech
NOISES = {"white": 0, "pink": 1}
"""Kind of noise to the exponent a of its power spectral density, 1 / frequency**a."""

LOWEST = 20  # Hz; below it the power of pink noise is constant
LINE = 300, 3400  # Hz, the pass band of a telephone line
LINE_RATE = 8000  # Hz
CODECS = "ULAW", "ALAW", "GSM610"  # libsndfile's names of G.711 (both laws) and GSM 06.10
HEADROOM = 0.5  # of full scale, the peak of a codec's input
EARLIEST = 0.0025  # seconds from the direct sound to the first echo

# The ranges that `noisy_copy` draws from
SNR = 5, 25  # dB
BABBLE = 0.5  # share of the noises
RT60 = 0.2, 0.8  # seconds
DIRECT = -3, 9  # dB
N_TALKERS = 6
RATES = 0.8, 1.25  # speed of a talker of the babble relative to the clip

SPEEDS = 0.88, 1.14, 0.94, 1.07
"""Factors of speed perturbation, those farthest from 1 first."""


def speech_power(y):
    """Mean power of the frames within 30 dB of the loudest, those with speech: float.

    Parameters
    ----------
    y : ndarray (n_samples,)
        At 16 kHz.
    """
    if len(y) < FRAME:
        return float(np.mean(np.square(y, dtype=np.float64)))
    frames = np.square(y[: len(y) // FRAME * FRAME], dtype=np.float64).reshape(-1, FRAME)
    power = frames.mean(axis=1)
    return float(power[power >= SILENT * power.max()].mean())


def mixed(y, disturbance, snr):
    """Add a disturbance to speech at a signal-to-noise ratio: ndarray (n_samples,) float32.

    Parameters
    ----------
    y, disturbance : ndarray (n_samples,)
    snr : float
        Signal-to-noise ratio in dB: power of the speech (see `speech_power`) over that of the
        disturbance.

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
    """Change pitch, formants and tempo by one factor: ndarray (n_samples / speed,) float32.

    The signal is resampled and sounds like another speaker (speed perturbation: Ko et al. 2015,
    "Audio augmentation for speech recognition").

    Parameters
    ----------
    y : ndarray (n_samples,)
        At 16 kHz.
    speed : float
        Over 1 is faster and higher.

    Examples
    --------
    >>> len(at_speed(np.zeros(16000, np.float32), 1.25))
    12800
    """
    return soxr.resample(y, SAMPLE_RATE * speed, SAMPLE_RATE).astype(np.float32)


def noise(kind, n_samples, rng):
    """Stationary noise: ndarray (n_samples,).

    Parameters
    ----------
    kind : {"white", "pink"}
        A key of `NOISES`.
    n_samples : int
    rng : numpy Generator
    """
    spectrum = np.fft.rfft(rng.standard_normal(n_samples))
    hz = np.maximum(np.fft.rfftfreq(n_samples, 1 / SAMPLE_RATE), LOWEST)
    return np.fft.irfft(spectrum * hz ** (-NOISES[kind] / 2), n_samples)


def babble(talkers, n_samples, rng):
    """Several talkers at once, equally loud, with random starting points: ndarray (n_samples,).

    Parameters
    ----------
    talkers : list of ndarray
        Speech of any length, repeated as needed.
    n_samples : int
    rng : numpy Generator
    """
    total = np.zeros(n_samples)
    for y in talkers:
        long = np.resize(y, max(n_samples, len(y)))
        start = rng.integers(len(long))
        total += np.roll(long, -start)[:n_samples] / np.sqrt(speech_power(y) + 1e-20)
    return total


def in_room(y, rng, *, rt60=0.5, direct=0.0):
    """Add the reverberation of a synthetic room: ndarray (n_samples + rt60 * rate,) float32.

    The impulse response is the direct sound and exponentially decaying noise, a model of diffuse
    reverberation (Polack 1988; Moorer 1979, "About This Reverberation Business") without early
    reflections of single walls.

    Parameters
    ----------
    y : ndarray (n_samples,)
        At 16 kHz.
    rng : numpy Generator
    rt60 : float
        Reverberation time: seconds until the echoes have fallen by 60 dB.
    direct : float
        Direct-to-reverberant ratio in dB; 0 is a few steps away from the speaker.
    """
    from scipy.signal import fftconvolve

    n = round(rt60 * SAMPLE_RATE)
    response = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    response[: round(EARLIEST * SAMPLE_RATE)] = 0
    response /= np.sqrt(np.sum(np.square(response)) * 10 ** (direct / 10))
    response[0] = 1
    return fftconvolve(y, response).astype(np.float32)


def telephone(y, codec="ULAW"):
    """Pass speech through a telephone line and a codec at 8 kHz: ndarray (n_samples,) float32.

    Parameters
    ----------
    y : ndarray (n_samples,)
    codec : {"ULAW", "ALAW", "GSM610"}
        G.711 by either law, or GSM 06.10 full rate, by libsndfile.
    """
    from scipy.signal import butter, sosfilt

    line = butter(4, LINE, "bandpass", fs=LINE_RATE, output="sos")
    narrow = sosfilt(line, soxr.resample(y, SAMPLE_RATE, LINE_RATE))
    gain = HEADROOM / max(np.abs(narrow).max(), 1e-9)
    file = io.BytesIO()
    sf.write(file, narrow * gain, LINE_RATE, format="WAV", subtype=codec)
    file.seek(0)
    received = soxr.resample(sf.read(file, dtype="float32")[0], LINE_RATE, SAMPLE_RATE) / gain
    return np.append(received, np.zeros(len(y)))[: len(y)].astype(np.float32)


def noisy_copy(y, copy=0):
    """A copy of speech in noise, in a room or over a telephone line.

    The samples are the seed, so a clip always gives the same copy. Every second copy is in noise,
    and half of these in babble made of the clip itself, backwards, faster and slower; the others
    alternate between a room and a telephone.

    Parameters
    ----------
    y : ndarray (n_samples,) float32
        At 16 kHz.
    copy : int
        Number of the copy.

    Returns
    -------
    ndarray (n_samples,) float32
        Longer by the reverberation if it is in a room.
    """
    digest = zlib.crc32(np.ascontiguousarray(y, np.float32).tobytes())
    rng = np.random.default_rng([copy, digest])
    way = (digest + copy) % 4
    if way == 1:
        return in_room(y, rng, rt60=rng.uniform(*RT60), direct=rng.uniform(*DIRECT))
    if way == 3:
        return telephone(y, rng.choice(CODECS))
    if rng.random() < BABBLE:
        talkers = [at_speed(y[::-1], speed) for speed in rng.uniform(*RATES, N_TALKERS)]
        disturbance = babble(talkers, len(y), rng)
    else:
        disturbance = noise(rng.choice([*NOISES]), len(y), rng)
    return mixed(y, disturbance, rng.uniform(*SNR))
