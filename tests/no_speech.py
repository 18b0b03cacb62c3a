"""Synthetic sounds without speech, by kind: what `listening.has_speech` has to refuse.

    from no_speech import KINDS, SEEN, UNSEEN, sound
    y = sound("siren", seed=3)

Constants of `has_speech` are fitted to the kinds of `SEEN` (see benchmarks/bench_no_speech.py);
those of `UNSEEN` are for measuring only.
"""

from itertools import pairwise

import numpy as np
from scipy.fft import next_fast_len
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

SR = 16000


def _time(n):
    return np.arange(n) / SR


def coloured(rng, n, exponent):
    """Noise whose power falls with the frequency by an exponent: 0 white, 1 pink, 2 brown."""
    m = next_fast_len(n)
    spectrum = np.fft.rfft(rng.standard_normal(m))
    hz = np.maximum(np.fft.rfftfreq(m, 1 / SR), 20)
    y = np.fft.irfft(spectrum * hz ** (-exponent / 2), m)[:n]
    return y / (y.std() or 1)


def band(y, low, high, order=2):
    """Sound between two frequencies."""
    return sosfilt(butter(order, (low, min(high, 7900)), "bandpass", fs=SR, output="sos"), y)


def slow(rng, n, rate):
    """A random contour from 0 to 1 with so many nodes a second."""
    nodes = rng.random(max(4, int(n / SR * rate) + 2))
    return np.interp(np.arange(n), np.linspace(0, n, len(nodes)), nodes)


def tone(hz, n, weights=(1,), phase=0.0):
    """A sum of harmonics; `hz` is a number or a contour."""
    angle = 2 * np.pi * np.cumsum(np.broadcast_to(hz, n)) / SR
    harmonics = (w * np.sin(k * angle + k * phase) for k, w in enumerate(weights, 1))
    nyquist = np.max(hz) * np.arange(1, len(weights) + 1) < SR / 2
    return sum((h for h, ok in zip(harmonics, nyquist, strict=True) if ok), np.zeros(n))


def _harmonics(rng, n=12):
    return rng.random(n) / np.arange(1, n + 1) ** rng.uniform(0.3, 2)


def _struck(rng, n, onsets, make):
    """Sounds that begin at some samples: `make(length)` gives each."""
    y = np.zeros(n)
    for start in onsets:
        if start < n:
            y[start:] += make(n - start)
    return y


def _onsets(rng, n, rate, jitter=0.3):
    """Samples at which something happens, about `rate` times a second."""
    steps = SR / rate * (1 + jitter * rng.uniform(-1, 1, int(n / SR * rate) + 3))
    return (rng.uniform(0, 0.5) * SR / rate + np.cumsum(steps) - steps[0]).astype(int)


def _decay(n, seconds):
    return np.exp(-_time(n) / seconds)


# stationary


def digital_silence(rng, n):
    """Nothing."""
    return np.zeros(n)


def constant(rng, n):
    """A constant voltage, with or without the least noise."""
    return np.full(n, 0.3) + rng.choice([0, 1e-4]) * rng.standard_normal(n)


def dither(rng, n):
    """The last bit of 16."""
    return np.round(rng.uniform(0.4, 1.5) * rng.standard_normal(n)) / 32768


def white(rng, n):
    """White noise."""
    return coloured(rng, n, 0)


def pink(rng, n):
    """Pink noise."""
    return coloured(rng, n, 1)


def brown(rng, n):
    """Brown noise."""
    return coloured(rng, n, 2)


def room(rng, n):
    """Room noise: something between pink and brown, an air conditioner's band, and some hum."""
    y = coloured(rng, n, rng.uniform(1, 2)) + rng.uniform(0, 1) * band(
        coloured(rng, n, 0), rng.uniform(100, 400), rng.uniform(600, 3000)
    )
    return y + rng.uniform(0, 0.5) * hum(rng, n)


def hum(rng, n):
    """Mains hum of 50 or 60 Hz with harmonics, and some noise."""
    hz = rng.choice([50, 60]) * rng.uniform(0.998, 1.002)
    y = tone(hz, n, _harmonics(rng, 20), rng.uniform(0, 6))
    return y / y.std() + rng.choice([0, 0.03, 0.2]) * coloured(rng, n, 1)


def fan(rng, n):
    """A fan: noise, the tone of its blades, slow beats."""
    blades = tone(rng.uniform(60, 300), n, _harmonics(rng, 5))
    beat = 1 + rng.uniform(0, 0.5) * np.sin(2 * np.pi * rng.uniform(0.3, 3) * _time(n))
    return beat * (coloured(rng, n, rng.uniform(0.5, 2)) + rng.uniform(0, 0.7) * blades)


# tones


def pure_tone(rng, n):
    """A sine, perhaps in noise."""
    return tone(rng.uniform(80, 4000), n) + rng.choice([0, 0.01, 0.1]) * coloured(rng, n, 0)


def glide(rng, n):
    """A sine or harmonics that glide."""
    ends = np.exp(rng.uniform(np.log(100), np.log(3000), 2))
    weights = (1,) if rng.random() < 0.5 else _harmonics(rng)
    return tone(np.geomspace(*ends, n), n, weights)


def beeps(rng, n):
    """Beeps of one or two pitches, as of an alarm clock or a telephone that is engaged."""
    rate, share = rng.uniform(1, 8), rng.uniform(0.3, 0.8)
    place = _time(n) * rate
    hz = np.where(place.astype(int) % 2, *rng.uniform(400, 3000, 2))
    hz = hz if rng.random() < 0.4 else hz[0]
    weights = (1,) if rng.random() < 0.5 else (1, 0, 0.3, 0, 0.2)
    return tone(hz, n, weights) * (place % 1 < share)


def dial_tones(rng, n):
    """Keys of a telephone: two tones each."""
    y = np.zeros(n)
    for start in _onsets(rng, n, rng.uniform(2, 6), 0.1):
        length = min(n - start, int(rng.uniform(0.06, 0.15) * SR))
        if length > 0:
            pair = rng.choice([697, 770, 852, 941]), rng.choice([1209, 1336, 1477])
            y[start : start + length] = sum(tone(hz, length) for hz in pair)
    return y


def siren(rng, n):
    """A siren: pitch up and down, or two pitches in turn."""
    low = rng.uniform(300, 900)
    high, rate = low * rng.uniform(1.3, 2.5), rng.uniform(0.2, 4)
    swing = 0.5 - 0.5 * np.cos(2 * np.pi * rate * _time(n) + rng.uniform(0, 6))
    swing = swing if rng.random() < 0.6 else np.round(swing)
    return tone(low + (high - low) * swing, n, _harmonics(rng, 8))


# music without a voice


def _pitches(rng, count, low=110.0, steps=20):
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    degree = rng.integers(0, steps, count)
    return low * 2 ** ((scale[degree % 7] + 12 * (degree // 7)) / 12)


def _plucked(rng, hz, n):
    """A plucked string (Karplus and Strong 1983)."""
    period = max(2, round(SR / hz))
    excitation = np.zeros(n)
    excitation[: min(period, n)] = rng.uniform(-1, 1, min(period, n))
    a = np.zeros(period + 2)
    a[0], a[period], a[period + 1] = 1, -0.498, -0.498
    return lfilter([1], a, excitation)


def plucked_strings(rng, n):
    """Notes of plucked strings, one after the other."""
    return _struck(
        rng,
        n,
        _onsets(rng, n, rng.uniform(1.5, 6), 0.05),
        lambda m: _plucked(rng, _pitches(rng, 1)[0], m),
    )


def guitar_chords(rng, n):
    """Chords of plucked strings."""
    return _struck(
        rng,
        n,
        _onsets(rng, n, rng.uniform(0.7, 3), 0.05),
        lambda m: sum(_plucked(rng, hz, m) for hz in _pitches(rng, 4)),
    )


def organ(rng, n):
    """Chords of an organ that change."""
    y, weights = np.zeros(n), _harmonics(rng, 8)
    edges = np.append(_onsets(rng, n, rng.uniform(0.5, 2.5), 0.02), n).clip(0, n)
    edges[0] = 0
    for start, end in pairwise(edges):
        if end > start:
            m = end - start
            fade = np.minimum(1, np.minimum(_time(m), _time(m)[::-1]) / 0.02)
            y[start:end] = fade * sum(tone(hz, m, weights) for hz in _pitches(rng, 3))
    return y


def static_chord(rng, n):
    """One chord."""
    return sum(tone(hz, n, _harmonics(rng, 6)) for hz in _pitches(rng, rng.integers(2, 5)))


def drums(rng, n):
    """Kick, snare and hi-hat."""
    beat, y = rng.uniform(1.5, 4), np.zeros(n)
    for kind in range(3):
        onsets = _onsets(rng, n, beat * (1, 0.5, 2)[kind], 0.03)

        def hit(m, kind=kind):
            if kind == 0:
                return tone(50 + 100 * _decay(m, 0.03), m) * _decay(m, rng.uniform(0.05, 0.2))
            noise = coloured(rng, m, 0)
            noise = band(noise, 300, 6000) if kind == 1 else band(noise, 5000, 7900)
            return 0.4 * noise * _decay(m, (0.08, 0.02)[kind - 1] * rng.uniform(0.7, 1.5))

        y += rng.uniform(0.3, 1) * _struck(rng, n, onsets, hit)
    return y


def vibrato_melody(rng, n):
    """A melody with vibrato and changing loudness, as of a violin or a flute."""
    rate = rng.uniform(1, 5)
    notes = _pitches(rng, int(n / SR * rate) + 2, rng.choice([110.0, 196.0, 330.0]), 14)
    place = (_time(n) * rate).astype(int)
    hz = fftconvolve(notes[place], np.ones(400) / 400, mode="same")
    hz[:400], hz[-400:] = notes[0], notes[place[-1]]
    hz = hz * (1 + rng.uniform(0, 0.02) * np.sin(2 * np.pi * rng.uniform(4.5, 7) * _time(n)))
    loud = 0.15 + slow(rng, n, rng.uniform(1, 6))
    return loud * (tone(hz, n, _harmonics(rng, 14)) + 0.02 * coloured(rng, n, 1))


def piano(rng, n):
    """Notes with decaying, slightly inharmonic partials."""

    def note(m):
        hz, y = _pitches(rng, 1)[0], np.zeros(m)
        for k in range(1, 9):
            stretched = k * hz * np.sqrt(1 + 4e-4 * k * k)
            if stretched < SR / 2:
                y += np.sin(2 * np.pi * stretched * _time(m)) * _decay(m, 0.8 / k) / k
        return y

    return _struck(rng, n, _onsets(rng, n, rng.uniform(1, 7), 0.1), note)


def band_playing(rng, n):
    """Drums, chords and a melody together."""
    parts = drums, guitar_chords, vibrato_melody
    return sum(rng.uniform(0.3, 1) * y / (y.std() + 1e-9) for y in (p(rng, n) for p in parts))


def marimba(rng, n):
    """Struck bars: two partials that decay fast."""

    def note(m):
        hz = _pitches(rng, 1, 165.0)[0]
        return tone(hz, m) * _decay(m, 0.2) + 0.4 * tone(3.9 * hz, m) * _decay(m, 0.05)

    return _struck(rng, n, _onsets(rng, n, rng.uniform(1, 8), 0.2), note)


def wah_synthesizer(rng, n):
    """Notes of a synthesizer whose filter opens and closes."""
    rate = rng.uniform(1, 5)
    hz = _pitches(rng, int(n / SR * rate) + 2, 82.0, 10)[(_time(n) * rate).astype(int)]
    y, out = tone(hz, n, 1 / np.arange(1, 30)), np.zeros(n)
    swing = 0.5 - 0.5 * np.cos(2 * np.pi * rng.uniform(0.5, 4) * _time(n))
    centres = np.geomspace(300, 3000, 6)
    for i, centre in enumerate(centres):
        weight = np.exp(-((6 * swing - i) ** 2))
        out += weight * band(y, centre / 1.3, centre * 1.3)
    return out


# impulses


def clicks(rng, n):
    """Clicks, regular as of a clock or not."""
    y = np.zeros(n)
    onsets = _onsets(rng, n, rng.uniform(1, 12), rng.choice([0, 0.5]))
    y[onsets[onsets < n]] = rng.uniform(0.3, 1, (onsets < n).sum())
    low = rng.uniform(500, 2000)
    return band(y, low, low * rng.uniform(1.5, 4)) + rng.choice([0, 0.002]) * coloured(rng, n, 1)


def knocks(rng, n):
    """Knocks on wood."""

    def knock(m):
        modes = rng.uniform(100, 900, 3)
        return sum(tone(hz, m) * _decay(m, rng.uniform(0.01, 0.05)) for hz in modes)

    y = _struck(rng, n, _onsets(rng, n, rng.uniform(1, 6)), knock)
    return y + rng.choice([0, 0.01]) * coloured(rng, n, 1)


def keyboard(rng, n):
    """Keys of a keyboard: a press and a softer release each."""

    def key(m):
        noise = band(coloured(rng, m, 0), rng.uniform(800, 2000), rng.uniform(3000, 7000))
        return noise * _decay(m, rng.uniform(0.003, 0.015)) * rng.uniform(0.4, 1)

    y = sum(_struck(rng, n, _onsets(rng, n, rng.uniform(2, 7), 0.6), key) for _ in range(2))
    return y + rng.choice([0.002, 0.02]) * coloured(rng, n, 1)


def footsteps(rng, n):
    """Footsteps: a dull and a scraping part."""

    def step(m):
        dull = band(coloured(rng, m, 1), 60, 300) * _decay(m, 0.04)
        scrape = band(coloured(rng, m, 0), 1000, 5000) * _time(m) * _decay(m, 0.03) * 20
        return dull + 0.3 * scrape

    y = _struck(rng, n, _onsets(rng, n, rng.uniform(1.2, 3), 0.1), step)
    return y + 0.01 * coloured(rng, n, 1)


def applause(rng, n):
    """Many hands."""
    y = np.zeros(n)
    onsets = rng.integers(0, n, int(n / SR * rng.uniform(30, 300)))
    np.add.at(y, onsets, rng.uniform(0.1, 1, len(onsets)))
    low = rng.uniform(500, 1500)
    return band(fftconvolve(y, coloured(rng, 400, 0) * _decay(400, 0.004))[:n], low, 4 * low)


# machines and weather


def engine(rng, n):
    """An engine: pulses at a rate that changes slowly, through resonances, and noise."""
    hz = rng.uniform(20, 120) * (1 + rng.uniform(0, 0.6) * slow(rng, n, rng.uniform(0.3, 2)))
    y = band(tone(hz, n, np.ones(30)), rng.uniform(50, 200), rng.uniform(400, 2500), 1)
    y = y / y.std() + rng.uniform(0.05, 1) * coloured(rng, n, rng.uniform(0.5, 1.5))
    return y * (1 + rng.uniform(0, 0.8) * np.sin(2 * np.pi * rng.uniform(1, 15) * _time(n)))


def helicopter(rng, n):
    """Noise that is chopped 8 to 20 times a second."""
    chop = np.maximum(0, np.sin(2 * np.pi * rng.uniform(8, 20) * _time(n))) ** rng.uniform(1, 4)
    return (0.1 + chop) * coloured(rng, n, rng.uniform(1, 2))


def drill(rng, n):
    """A drill: a buzz that goes up when it is switched on, and noise."""
    hz = rng.uniform(120, 400) * (1 - 0.5 * _decay(n, rng.uniform(0.05, 0.5)))
    hz = hz * (1 + 0.05 * slow(rng, n, 5))
    on = slow(rng, n, 1) > rng.uniform(0, 0.5)
    return on * (tone(hz, n, _harmonics(rng, 25)) + rng.uniform(0.1, 1) * coloured(rng, n, 0))


def rain(rng, n):
    """Rain: noise, and drops."""
    y = np.zeros(n)
    drops = rng.integers(0, n, int(n / SR * rng.uniform(5, 200)))
    np.add.at(y, drops, rng.exponential(size=len(drops)))
    y = band(y, rng.uniform(800, 2500), rng.uniform(4000, 7500))
    return y / (y.std() + 1e-9) * rng.uniform(0, 1) + coloured(rng, n, rng.uniform(0, 1))


def wind(rng, n):
    """Wind: noise whose band and loudness change slowly."""
    gust = slow(rng, n, rng.uniform(0.5, 3))
    y = sum(
        np.exp(-((4 * gust - i) ** 2)) * band(coloured(rng, n, 1), c / 1.5, c * 1.5)
        for i, c in enumerate(np.geomspace(120, rng.uniform(600, 2000), 5))
    )
    return (0.2 + gust) * y + rng.uniform(0, 0.1) * coloured(rng, n, 1)


def waves(rng, n):
    """The sea: noise that swells."""
    swell = (
        0.5 - 0.5 * np.cos(2 * np.pi * rng.uniform(0.1, 0.6) * _time(n) + rng.random() * 6)
    ) ** 2
    return (0.1 + swell) * coloured(rng, n, rng.uniform(0.3, 1.5))


def modulated_noise(rng, n):
    """Noise in one band whose loudness changes as fast as that of syllables."""
    shape = slow(rng, n, rng.uniform(3, 12)) ** rng.uniform(1, 3)
    low = rng.uniform(100, 1000)
    return shape * band(coloured(rng, n, rng.uniform(0, 2)), low, low * rng.uniform(2, 8))


def train(rng, n):
    """A train: rumble, and double knocks of its wheels."""
    rate = rng.uniform(0.8, 3)
    onsets = _onsets(rng, n, rate, 0.02)
    onsets = np.concatenate([onsets, onsets + int(0.25 * SR / rate)])

    def knock(m):
        return band(coloured(rng, m, 1), 80, 1500) * _decay(m, 0.05)

    return rng.uniform(0.5, 3) * _struck(rng, n, onsets, knock) + coloured(rng, n, 2)


def crackle(rng, n):
    """A fire or an old record: crackles over noise."""
    y = np.zeros(n)
    places = rng.integers(0, n, int(n / SR * rng.uniform(10, 100)))
    y[places] = rng.standard_t(2, len(places)).clip(-5, 5)
    y = band(y, 300, 7000, 1)
    return y / (y.std() + 1e-9) + rng.uniform(0.05, 0.5) * coloured(rng, n, 1)


# animals, roughly


def chirps(rng, n):
    """Birds: short whistles that glide."""

    def chirp(m):
        length = min(m, int(rng.uniform(0.03, 0.25) * SR))
        hz = np.geomspace(*rng.uniform(1500, 6500, 2), max(length, 2))[:length]
        y = np.zeros(m)
        y[:length] = tone(hz, length) * np.sin(np.pi * np.arange(length) / length)
        return y

    y = _struck(rng, n, _onsets(rng, n, rng.uniform(1, 8), 0.5), chirp)
    return y + rng.choice([0.002, 0.03]) * coloured(rng, n, 1)


def crickets(rng, n):
    """Crickets: a high tone in fast pulses."""
    pulse = np.maximum(0, np.sin(2 * np.pi * rng.uniform(15, 60) * _time(n)))
    group = np.sin(2 * np.pi * rng.uniform(0.5, 3) * _time(n)) > rng.uniform(-1, 0.3)
    return tone(rng.uniform(2500, 6500), n) * pulse * group + 0.02 * coloured(rng, n, 1)


def bees(rng, n):
    """An insect that passes: a buzz that wavers."""
    hz = rng.uniform(120, 300) * (1 + 0.15 * (slow(rng, n, 4) - 0.5))
    return (0.2 + slow(rng, n, 2)) * tone(hz, n, _harmonics(rng, 20)) + 0.05 * coloured(rng, n, 1)


UNSEEN = {
    kind.__name__: kind
    for kind in (brown, fan, glide, organ, piano, marimba) + (helicopter, waves, train, crickets)
}
"""Kinds that nothing was fitted to."""
SEEN = {
    kind.__name__: kind
    for kind in (digital_silence, constant, dither, white, pink, room, hum, pure_tone, beeps, siren)
    + (plucked_strings, guitar_chords, static_chord, drums, vibrato_melody, band_playing)
    + (wah_synthesizer, clicks, knocks, keyboard, applause, engine, rain, wind)
    + (modulated_noise, crackle, chirps, bees, footsteps, dial_tones, drill)
}
KINDS = SEEN | UNSEEN
"""Kind to its maker: (numpy Generator, number of samples) to a signal at any level."""
AS_MADE = "digital_silence", "constant", "dither"  # whose level isn't changed


def sound(kind, seed=0, seconds=None):
    """A sound of a kind: ndarray (n_samples,) float32 at 16 kHz.

    Parameters
    ----------
    kind : str
        A key of `KINDS`.
    seed : int
        It decides on all that varies, from the length to the level.
    seconds : float, optional
        Default: 0.5 to 6.
    """
    rng = np.random.default_rng([[*KINDS].index(kind), seed])
    n = 800 * round(SR / 800 * (seconds or rng.uniform(0.5, 6)))  # numbers that FFTs like
    y = KINDS[kind](rng, n)
    if kind not in AS_MADE:
        if rng.random() < 0.3:  # in a room
            m = int(rng.uniform(0.1, 0.6) * SR)
            y = (
                y
                + rng.uniform(0.02, 0.15)
                * fftconvolve(y, coloured(rng, m, 0) * _decay(m, m / SR / 7))[:n]
            )
        y = y / (np.abs(y).max() + 1e-9) * 10 ** rng.uniform(-2.5, 0)
        if rng.random() < 0.3:
            y = y + 10 ** rng.uniform(-4.5, -3) * coloured(rng, n, 1)
    return y.astype(np.float32)
