"""Short frames of speech: spectrum, prosody, voice quality and modulation.

The five features of librosa have frames of 128 ms. These four are made for speech: 25 ms every
10 ms, relative to the level of the clip; loudness and distance don't count. `SpeechFrames` measures
a clip, `features.extract` makes one vector of its frames by `SUMS` and `FACTS`.
"""

from functools import cached_property, lru_cache
from itertools import combinations, pairwise, product
from operator import attrgetter

import numpy as np

WINDOW, HOP = 0.025, 0.010  # seconds
PITCH_WINDOW = 0.050  # seconds: three periods of the deepest voice
CONTEXT = (PITCH_WINDOW - WINDOW) / 2  # seconds beside a frame that its pitch depends on
PITCH_RANGE = 60, 500  # Hz
OCTAVE_COST = 0.02  # subtracted from the autocorrelation for each octave that a pitch is lower
ACTIVE, VOICED = 1e-3, 1e-2  # energy of a frame, against the clip's level
HARMONIC = 0.5  # height of the autocorrelation's peak from which on a frame is voiced
FLOOR = 5e-8  # of a band's energy: -73 dB
N_BANDS, N_CEPSTRA, N_HARMONICS = 26, 14, 8
SLOPES = (0, 500), (500, 1500), (1500, 5000)  # Hz
SHARES = (0, 250), (250, 650), (4000, 8000)  # Hz
ROLLOFFS = 25, 50, 75, 90  # percent
BLOCK = 16  # bins; see `_rolloffs`
RATES = 0.5, 1, 2, 3, 4, 6, 8, 11, 16, 24  # Hz: edges of the modulation bands
N_GROUPS = 6  # of neighbouring bands, whose modulations are taken together
N_FLUXES = 5  # of neighbouring bands, whose rises and falls are taken together
SHORTEST_RUN = 5  # voiced frames in a row whose contour is measured


def _numbered(name, n):
    return [f"{name}_{i}" for i in range(1, n + 1)]


_BANDS, _CEPSTRA = _numbered("band", N_BANDS), _numbered("cepstrum", N_CEPSTRA)
_SHAPE = [
    *("centroid", "spread", "entropy", "alpha", "hammarberg", "flatness"),
    *(f"rolloff_{percent}" for percent in ROLLOFFS),
    *(f"slope_{low}_{high}" for low, high in SLOPES),
    *(f"share_{low}_{high}" for low, high in SHARES),
]
_HARMONICS = [*_numbered("harmonic", N_HARMONICS), *(f"harmonic_1_to_{i}" for i in (2, 3, 4))]

COLUMNS = {
    "spectrum": (
        *_BANDS,
        *(f"{band}_rasta" for band in _BANDS),
        *(f"{band}_delta" for band in _BANDS),
        *(f"{band}_delta2" for band in _BANDS),
        *_CEPSTRA,
        *(f"{cepstrum}_delta" for cepstrum in _CEPSTRA),
    ),
    "prosody": (
        *("energy", "flux", "contour", "pitch", "pitch_delta", "energy_delta"),
        *_numbered("rise", N_FLUXES),
        *_numbered("fall", N_FLUXES),
    ),
    "quality": (*_SHAPE, *(f"{name}_delta" for name in _SHAPE), "harmonicity", *_HARMONICS),
    "modulation": (),
}
"""Feature to its columns, one value per frame; modulation describes the whole clip only."""

FEATURES = tuple(COLUMNS)

SUMS = {
    "spectrum": {"active": COLUMNS["spectrum"][N_BANDS:]},  # the cepstra hold what the bands do
    "prosody": {
        "active": ("energy", "flux", "contour", *COLUMNS["prosody"][6:]),
        "voiced": ("energy", "flux", "pitch"),
        "gliding": ("pitch_delta", "energy_delta"),
    },
    "quality": {
        "active": (*_SHAPE, *(f"{name}_delta" for name in _SHAPE), "harmonicity"),
        "voiced": (*_SHAPE, "harmonicity", *_HARMONICS),
    },
    "modulation": {},
}
"""Feature to kinds of frames, and to the columns that functionals sum up over these.

active: from the first frame that isn't silent to the last; voiced: the periodic ones among them;
gliding: voiced ones that follow a voiced one. A clip without frames of a kind has the active ones
instead.
"""

_PAIRS = np.triu_indices(N_CEPSTRA, 1)
_SMOOTHING = np.hanning(11) / np.hanning(11).sum()
_STATISTICS = "mean", "std", "min", "max", "first", "last"
_RUN = "slope", "range", "pitch", "step", "energy_slope", "energy", "length", "peak", "loudest"
FACTS = {
    "spectrum": tuple(f"correlation_{i}_{j}" for i, j in combinations(range(1, N_CEPSTRA + 1), 2)),
    "prosody": (
        *("duration", "voiced_share", "voiced_mean", "voiced_std", "voiced_max", "voiced_rate"),
        *("pause_mean", "pause_max", "pause_rate", "active_share", "syllable_rate"),
        *(f"run_{statistic}_{name}" for statistic, name in product(_STATISTICS, _RUN)),
    ),
    "quality": (),
    "modulation": tuple(
        f"modulation_{name}_{low}_{high}"
        for low, high in pairwise(RATES)
        for name in [*_numbered("group", N_GROUPS), "energy"]
    ),
}
"""Feature to single values of the whole clip, beside the sums over its frames."""

_KIND = "(active_|voiced_|gliding_)?"
GROUPS = {
    "spectrum": {
        "spectrum: envelope": f"{_KIND}cepstrum_|correlation_",
        "spectrum: bands": f"{_KIND}band_",
    },
    "prosody": {
        "prosody: pitch": f"{_KIND}(pitch|contour)|run_[a-z]+_(slope|range|pitch|step|peak)$",
        "prosody: loudness": f"{_KIND}(energy|flux|rise_|fall_)|"
        "run_[a-z]+_(energy|energy_slope|loudest)$",
        "prosody: timing": "duration$|voiced_(share|mean|std|max|rate)$|pause_|active_share$|"
        "syllable_rate$|run_[a-z]+_length$",
    },
    "quality": {
        "quality: tilt": f"{_KIND}(centroid|spread|entropy|alpha|hammarberg|flatness|rolloff_|"
        r"slope_\d|share_\d)",
        "quality: harmonics": f"{_KIND}harmonic",
    },
}
"""Feature to groups of its elements in explanations, and to patterns of the elements' names."""


class SpeechFrames:
    """The frames of one clip; each measure is computed when it is first used.

    Parameters
    ----------
    y : ndarray (n_samples,) float
        Mono signal.
    sr : int
        Hz.
    context : int
        For a piece of a longer recording: samples at both ends that belong to its neighbours. The
        pitch of the outermost frames depends on them, up to `CONTEXT` seconds. Such a piece must
        have a mean of 0 already; a whole clip needn't.
    silence : bool
        Whether the pitch is measured in the silent frames at both ends, too. No vector depends on
        it; False gives them that of their nearest neighbours.

    Examples
    --------
    >>> clip = SpeechFrames(np.sin(2 * np.pi * 220 * np.arange(16_000) / 16_000), 16_000)
    >>> clip.n_frames, bool(clip.voiced.all()), round(float(np.median(clip.hz)))
    (98, True, 220)
    """

    frame_length = f"{1000 * WINDOW:.0f} ms"

    def __init__(self, y, sr, context=0, silence=True):
        self.sr, self.window, self.hop = sr, round(WINDOW * sr), round(HOP * sr)
        y, self.context = y if context else y - y.mean(dtype=np.float64), context
        inner = y[context : len(y) - context]
        frames = _windows(inner, self.window, self.hop)
        self._set_level(np.einsum("ij,ij->i", frames, frames) / self.window)
        self._wide = (y / np.sqrt(self.level)).astype(np.float32)
        self.y = self._wide[context : len(y) - context]
        first, after = (0, self.n_frames) if silence else (self._active.start, self._active.stop)
        self._pitched = slice(max(0, first - 1), after)  # the pitch may change in the first frame

    def _set_level(self, energy):
        """Relate the energy of the frames to that of the loud ones among them."""
        loud = np.sort(energy[energy >= ACTIVE * energy.max()])
        place = 0.95 * (len(loud) - 1)  # np.percentile takes thirty times as long
        self.level = np.interp(place, np.arange(len(loud)), loud) + 1e-12
        self.power_of_frames = energy / self.level
        self.n_frames = len(energy)

    @classmethod
    def joined(cls, pieces, frames=slice(None)):
        """Join the measured frames of consecutive pieces at one level: SpeechFrames.

        Parameters
        ----------
        pieces : list of SpeechFrames
            Each with the context that joins it to its neighbours.
        frames : slice
            Which of all their frames; default all.
        """
        clip, first = cls.__new__(cls), pieces[0]
        clip.sr, clip.window, clip.hop = first.sr, first.window, first.hop

        def together(values):
            return np.concatenate([values(piece) for piece in pieces])[frames]

        clip._set_level(together(lambda piece: piece.power_of_frames * piece.level))
        power = together(lambda piece: piece.power_of_bands * np.float32(piece.level))
        clip.power_of_bands = power / np.float32(clip.level)
        for name in ("shape", "hz", "periodic", "harmonics"):
            setattr(clip, name, together(attrgetter(name)))
        return clip

    @property
    def times(self):
        """Centre of each frame in seconds (n_frames,)."""
        return (self.window / 2 + self.hop * np.arange(self.n_frames)) / self.sr

    def columns(self, names):
        """The frame matrix of features (n_frames, n_columns) float32.

        Parameters
        ----------
        names : sequence of str
            Keys of `COLUMNS`.
        """
        return _side_by_side(*(getattr(self, name) for name in names))

    def facts(self, name):
        """The values of `FACTS` of a feature: ndarray (n_facts,).

        Parameters
        ----------
        name : str
            A key of `FACTS`.
        """
        return getattr(self, f"{name}_facts") if FACTS[name] else np.empty(0)

    def rows(self, kind):
        """The numbers of the frames of one kind, ascending: ndarray of int.

        Parameters
        ----------
        kind : {"active", "voiced", "gliding"}
            See `SUMS`.
        """
        active = np.arange(self.n_frames)[self._active]
        if kind == "active":
            return active
        voiced = self.voiced
        if kind == "gliding":
            voiced = np.append(False, voiced[1:] & voiced[:-1])
        rows = np.flatnonzero(voiced)
        return rows if len(rows) else active

    @cached_property
    def _active(self):
        """From the first frame that isn't silent to the last: slice."""
        loud = np.flatnonzero(self.power_of_frames > ACTIVE)
        return slice(loud[0], loud[-1] + 1) if len(loud) else slice(0, self.n_frames)

    # the spectrum

    @property
    def spectrum(self):
        """The columns of the spectrum (n_frames, 132): bands, cepstra and their changes."""
        change = delta(self.bands)
        bands = self.bands, rasta(self.bands), change, delta(change)
        return _side_by_side(*bands, self.cepstra, delta(self.cepstra))

    @property
    def spectrum_facts(self):
        """Correlations of the cepstra over the clip (91,)."""
        c = self.cepstra[self._active]
        c = c - c.mean(axis=0)
        covariance = c.T.astype(np.float64) @ c / len(c)
        scale = np.sqrt(covariance.diagonal() + 1e-6)
        return (covariance / scale / scale[:, None])[_PAIRS]

    @cached_property
    def power(self):
        """Power spectrum (n_frames, n_bins); its sum is about the power of the frame."""
        import scipy.fft

        window, scale = _hann(self.window, self._n_fft)
        frames = np.multiply(_windows(self.y, self.window, self.hop).T, window, order="C")
        return (_power(scipy.fft.rfft(frames, self._n_fft, axis=0)) * scale).T

    @property
    def _n_fft(self):
        return 1 << (self.window - 1).bit_length()

    @cached_property
    def power_of_bands(self):
        """Energies of mel bands (n_frames, 26)."""
        return self.power @ mel_filters(self.sr, self._n_fft).T

    @cached_property
    def bands(self):
        """Log energies of mel bands (n_frames, 26)."""
        return np.log(self.power_of_bands + np.float32(FLOOR))

    @cached_property
    def cepstra(self):
        """Mel cepstrum (n_frames, 14); the first is the level."""
        import scipy.fft

        return scipy.fft.dct(self.bands, norm="ortho", axis=1)[:, :N_CEPSTRA]

    @cached_property
    def shape(self):
        """Centre, width, slopes and balances of the spectrum (n_frames, 16), mostly logarithms.

        The alpha ratio, Hammarberg index and slopes follow eGeMAPS (Eyben et al. 2016).
        """
        freqs, sums, slopes = _shapes(self.sr, self._n_fft)
        p = self.power.T + np.float32(1e-12)
        log_p = np.log(p)
        total, first, second, *levels = (p.T @ sums).T
        centroid = first / total
        spread = np.sqrt(np.maximum(second / total - centroid**2, 0))
        entropy = np.log(total) - np.einsum("ij,ij->j", p, log_p) / total
        rolloffs = np.log(freqs[_rolloffs(p, total)] + 30)
        shares = np.log(levels)
        shares[:-2] -= np.log(total)  # the last two are those of the alpha ratio
        middle, edge = np.searchsorted(freqs, (2000, 5000))
        hammarberg = log_p[:middle].max(axis=0) - log_p[middle:edge].max(axis=0)
        mean_log, *tilts = slopes @ log_p
        flatness = mean_log - np.log(total / len(freqs))
        place = np.log(centroid + 1), np.log(spread + 1), entropy, shares[-1] - shares[-2]
        return np.stack([*place, hammarberg, flatness, *rolloffs, *tilts, *shares[:-2]]).T

    # pitch and harmonics: voice quality

    @property
    def quality(self):
        """The columns of voice quality (n_frames, 44): shape of the spectrum, and harmonics."""
        return _side_by_side(self.shape, delta(self.shape), self.harmonicity, self.harmonics)

    @cached_property
    def _periodicity(self):
        """Pitch in Hz, height of its peak, power spectra (of `_pitched` frames), and their n_fft.

        The pitch is the highest peak, interpolated, of the autocorrelation of the windowed frame
        over that of the window (Boersma 1993, "Accurate short-term analysis of the fundamental
        frequency").
        """
        import scipy.fft

        width = round(PITCH_WINDOW * self.sr)
        shortest, longest, n_fft, window, of_window, cost = _lags(width, self.sr)
        before = max(0, (width - self.window) // 2 - self.context)
        padded = np.concatenate([np.zeros(before, np.float32), self._wide, np.zeros_like(window)])
        rows = _windows(padded, width, self.hop)[self._pitched]
        rows = rows - (np.einsum("ij->i", rows) / width)[:, np.newaxis]
        rows *= window
        power = np.ascontiguousarray(_power(scipy.fft.rfft(rows, n_fft)))
        correlation = scipy.fft.dct(power, 1)[:, : longest + 1]  # as irfft, in less time
        correlation = correlation / (correlation[:, :1] + np.float32(1e-6 * n_fft))
        correlation /= of_window
        lag = shortest + np.argmax(correlation[:, shortest:longest] - cost, axis=1)
        frame = np.arange(len(lag))
        left, middle, right = (correlation[frame, lag + i] for i in (-1, 0, 1))
        bend = left - 2 * middle + right
        shift = np.where(bend < 0, (left - right) / np.where(bend < 0, 2 * bend, 1), 0)
        hz = self.sr / (lag + np.clip(shift, -1, 1))
        return hz, np.clip(middle, 1e-3, 1 - 1e-3), power, n_fft

    def _everywhere(self, pitched):
        """Values of all frames (n_frames, ...) from those of the `_pitched` ones."""
        if len(pitched) == self.n_frames:
            return pitched
        frames = np.arange(self.n_frames) - self._pitched.start
        return pitched[np.clip(frames, 0, len(pitched) - 1)]

    @cached_property
    def hz(self):
        """Pitch in Hz (n_frames,), of unvoiced frames too."""
        return self._everywhere(self._periodicity[0])

    @cached_property
    def periodic(self):
        """Periodicity, 0 to 1 (n_frames,): the height of the autocorrelation's peak."""
        return self._everywhere(self._periodicity[1])

    @cached_property
    def voiced(self):
        """Whether a frame is periodic and loud enough (n_frames,)."""
        return (self.periodic > HARMONIC) & (self.power_of_frames > VOICED)

    @cached_property
    def pitch(self):
        """Semitones over 1 Hz (n_frames,), of unvoiced frames too."""
        return 12 * np.log2(self.hz)

    @property
    def harmonicity(self):
        """Log ratio of a frame's harmonic to its other energy (n_frames,)."""
        return np.log(self.periodic / (1 - self.periodic))

    @cached_property
    def harmonics(self):
        """Log power at the harmonics over a frame's, and of the first over the next (n_frames, 11).

        The latter distinguish breathy from pressed voices (Hanson 1997).
        """
        hz, _, power, n_fft = self._periodicity
        n_bins = power.shape[1]
        bins = np.rint(np.outer(np.arange(1, N_HARMONICS + 1), hz) * n_fft / self.sr).astype(int)
        bins = np.clip(bins, 1, n_bins - 2) + n_bins * np.arange(len(hz))
        left, middle, right = (power.take(bins + i) for i in (-1, 0, 1))
        peaks = np.log(np.maximum(np.maximum(left, middle), right) + 1e-7)
        levels = peaks - np.log(np.einsum("ij->i", power) + np.float32(1e-7))
        return self._everywhere(np.concatenate([levels, peaks[0] - peaks[1:4]]).T)

    # the prosody

    @cached_property
    def energy(self):
        """Log power of the frames (n_frames,)."""
        return np.log(self.power_of_frames + 1e-6)

    @property
    def contour(self):
        """Pitch of the voiced frames, interpolated over the others (n_frames,), in semitones."""
        rows = self.rows("voiced")
        return np.interp(np.arange(self.n_frames), rows, self.pitch[rows])

    @property
    def prosody(self):
        """Energy, flux, pitch and their changes (n_frames, 16)."""
        change = _change(self.bands)
        rise, both = (x @ _averaging(N_FLUXES) for x in (np.maximum(change, 0), change))
        flux = np.einsum("ij->i", np.abs(change)) / N_BANDS
        glide = _change(self.pitch)
        glide = np.where(np.abs(glide) < 6, glide, 0)  # more in 10 ms is an octave error
        changes = glide, _change(self.energy), rise, rise - both
        return _side_by_side(self.energy, flux, self.contour, self.pitch, *changes)

    @property
    def prosody_facts(self):
        """Timing of the clip, and the contours of its voiced runs (65,)."""
        return np.concatenate([self._timing(), self._contours_of_runs()])

    def _timing(self):
        """Length of the clip, of its voiced runs and pauses, and its rate of loud peaks."""
        voiced = self.voiced[self._active]
        n, silent = len(voiced), self.power_of_frames[self._active] <= ACTIVE
        spoken, pauses = (_lengths(_runs(x)) for x in (voiced, silent))
        smooth = np.convolve(self.energy[self._active], _SMOOTHING)[5:-5]
        inner = smooth[1:-1]
        peaks = (inner > smooth[:-2]) & (inner > smooth[2:]) & (inner > -3)
        return np.array(
            [
                np.log(n),
                voiced.mean(),
                *_logs(spoken, "mean", "std", "max"),
                100 * len(spoken) / n,
                *_logs(pauses, "mean", "max"),
                100 * len(pauses) / n,
                1 - silent.mean(),
                100 * peaks.sum() / n,
            ]
        )

    def _contours_of_runs(self):
        """Pitch and energy within voiced runs: their mean, std, min, max, first and last."""
        runs = _runs(self.voiced)
        runs = runs[_lengths(runs) >= SHORTEST_RUN]
        first, n = runs[:, 0], _lengths(runs)
        if not len(n):
            return np.zeros(len(_STATISTICS) * len(_RUN))
        starts, length = np.cumsum(n) - n, np.repeat(n, n)  # all runs one after the other
        place = np.arange(len(length)) - np.repeat(starts, n)
        rows = place + np.repeat(first, n)
        both = np.stack([self.pitch[rows], self.energy[rows]])
        time = (2 * place + 1 - length) * 3 / (length * (length + 1))  # -1 to 1, over its squares
        slope = np.add.reduceat(time * both, starts, axis=1)
        top = np.maximum.reduceat(both, starts, axis=1)
        there = np.where(both == np.repeat(top, n, axis=1), place, length)
        peak = np.minimum.reduceat(there, starts, axis=1) / n
        pitch = both[0]
        span = top[0] - np.minimum.reduceat(pitch, starts)
        mean = np.add.reduceat(pitch, starts) / n
        step = pitch[starts + n - 1] - pitch[starts]
        runs = np.stack([slope[0], span, mean, step, slope[1], top[1], n, *peak])
        sums = [getattr(runs, name)(axis=1) for name in _STATISTICS[:4]]
        return np.concatenate([*sums, runs[:, 0], runs[:, -1]])

    # the modulation

    @property
    def modulation(self):
        """No columns (n_frames, 0): modulation describes the whole clip only."""
        return np.empty((self.n_frames, 0), np.float32)

    @property
    def modulation_facts(self):
        """Log power of the modulations of bands and energy, by their rate (63,)."""
        import scipy.fft

        groups = self.bands[self._active] @ _averaging(N_GROUPS)
        contours = np.vstack([groups.T, self.energy[self._active]])
        n = contours.shape[1]
        contours -= np.einsum("ij->i", contours)[:, np.newaxis] / n
        contours *= np.hanning(n + 2)[1:-1]
        n_fft = max(1024, 1 << (n - 1).bit_length())
        power = _power(scipy.fft.rfft(contours, n_fft))
        edges = np.ceil(np.array(RATES) * HOP * n_fft).astype(int)
        sums = np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1)
        return np.log(sums / np.diff(edges) / n + 1e-3).T.ravel()


def _side_by_side(*columns):
    """One matrix (n_frames, n_columns) float32 of columns, each (n_frames,) or (n_frames, n).

    The frames of a column are neighbours in memory, for what sums them up.
    """
    return np.concatenate([np.atleast_2d(x.T) for x in columns], dtype=np.float32).T


def _change(x):
    """What changes from each frame to the next, at first 0: ndarray like `x`."""
    change = np.zeros_like(x)
    np.subtract(x[1:], x[:-1], out=change[1:])
    return change


@lru_cache
def _averaging(n_groups):
    """What bands (n_frames, 26) are multiplied by for means of neighbours: (26, n_groups)."""
    width = N_BANDS // n_groups  # as many as fit; the last ones may count in none
    means = np.repeat(np.eye(n_groups, dtype=np.float32) / width, width, axis=0)
    return np.pad(means, ((0, N_BANDS - len(means)), (0, 0)))


def _windows(y, width, hop):
    """Cut a signal in frames (n_frames, width), one at least, as views of it."""
    if len(y) < width:
        y = np.pad(y, (0, width - len(y)))
    shape, step = (1 + (len(y) - width) // hop, width), y.itemsize
    return np.ndarray(shape, y.dtype, y, strides=(hop * step, step))


@lru_cache
def _shapes(sr, n_fft):
    """Frequencies in Hz of the bins, and what a spectrum and its logarithm are multiplied by.

    Returns
    -------
    freqs : ndarray (n_bins,) float32
    sums : ndarray (n_bins, 3 + 5) float32
        Of the powers: by no, first and second power of the frequency, then in `SHARES` and in the
        two ranges of the alpha ratio.
    slopes : ndarray (1 + 3, n_bins) float32
        Of the logarithms: the mean, then the slopes of a line in `SLOPES`.
    """
    freqs = np.fft.rfftfreq(n_fft, 1 / sr)

    def within(low, high):
        return (freqs >= low) & (freqs < high)

    def line(low, high):
        khz = np.where(within(low, high), freqs / 1000, np.nan)
        khz = np.nan_to_num(khz - np.nanmean(khz))
        return khz / np.sum(khz**2)

    ranges = [within(*edges) for edges in (*SHARES, (50, 1000), (1000, 5000))]
    sums = np.column_stack([np.ones_like(freqs), freqs, freqs**2, *ranges])
    slopes = np.stack([np.full_like(freqs, 1 / len(freqs)), *(line(*e) for e in SLOPES)])
    return tuple(x.astype(np.float32) for x in (freqs, sums, slopes))


def _rolloffs(p, total):
    """Numbers of the bins of p (n_bins, n_frames) below which are `ROLLOFFS` of it: (4, n_frames).

    First the block of bins in which a share is reached, then the bin there: a quarter of the time
    that adding up all bins takes.
    """
    n_frames = p.shape[1]
    frames, shares = np.arange(n_frames), np.array(ROLLOFFS, p.dtype)[:, np.newaxis] / 100
    ends = _cumulate(p[:-1].reshape(-1, BLOCK, n_frames).sum(axis=1))
    block = np.sum(ends[:-1, np.newaxis] / total < shares, axis=0)
    inside = n_frames * np.arange(BLOCK)[:, np.newaxis, np.newaxis]
    bins = _cumulate(p.take(n_frames * BLOCK * block + frames + inside))
    bins += np.where(block, ends[block - 1, frames], 0)
    bins /= total
    return BLOCK * block + np.sum(bins < shares, axis=0)


def _cumulate(x):
    """As np.cumsum(x, axis=0) in place, in a third of its time."""
    for before, row in pairwise(x):
        row += before
    return x


@lru_cache
def _hann(width, n_fft):
    """A Hann window (width, 1) float32, and what makes its power spectra sum to a frame's power."""
    window = np.hanning(width).astype(np.float32)[:, np.newaxis]
    return window, np.float32(2 / n_fft / np.square(window).sum())


@lru_cache
def _lags(width, sr):
    """Range of lags, n_fft, window, autocorrelation of the window, and octave cost."""
    import scipy.fft

    lowest, highest = PITCH_RANGE
    shortest, longest = int(sr // highest), int(sr // lowest) + 1
    n_fft = 2 * scipy.fft.next_fast_len((width + longest) // 2 + 1, real=True)  # even
    window = np.hanning(width).astype(np.float32)
    of_window = scipy.fft.irfft(np.abs(scipy.fft.rfft(window, n_fft)) ** 2, n_fft)
    of_window = of_window[: longest + 1] / of_window[0]
    cost = OCTAVE_COST * np.log2(np.arange(shortest, longest) / shortest)
    return shortest, longest, n_fft, window, of_window, cost.astype(np.float32)


def _power(spectrum):
    """Squares of the magnitudes (n_frames, n_bins)."""
    return (spectrum * spectrum.conj()).real


def _runs(mask):
    """First index, and index after the last, of each run of True: (n_runs, 2)."""
    padded = np.zeros(len(mask) + 2, bool)
    padded[1:-1] = mask
    return np.flatnonzero(padded[1:] != padded[:-1]).reshape(-1, 2)


def _lengths(runs):
    return runs[:, 1] - runs[:, 0]


def _logs(lengths, *statistics):
    """Logarithms of statistics of lengths, 0 without any: list."""
    return [np.log(getattr(lengths, f)() + 1) if len(lengths) else 0 for f in statistics]


def delta(x):
    """Slope of each column over five frames, as HTK's deltas: ndarray like `x`.

    Parameters
    ----------
    x : ndarray (n_frames, n_columns)

    Examples
    --------
    >>> delta(np.arange(0, 14, 2.0)[:, None]).ravel().round(1).tolist()
    [1.0, 1.6, 2.0, 2.0, 2.0, 1.6, 1.0]
    """
    padded = np.concatenate([x[:1], x[:1], x, x[-1:], x[-1:]])  # np.pad takes ten times as long
    return (padded[3:-1] - padded[1:-3] + 2 * (padded[4:] - padded[:-4])) / 10


def rasta(x):
    """Band-pass each column over time, 0.9 to 13.5 Hz (RASTA, Hermansky and Morgan 1994).

    Parameters
    ----------
    x : ndarray (n_frames, n_columns)
        100 frames a second; the result has the same shape.
    """
    padded = np.concatenate([*[x[:1]] * 4, x])
    filtered = 0.2 * (padded[4:] - padded[:-4]) + 0.1 * (padded[3:-1] - padded[1:-3])
    lag = 1  # y[n] = x[n] + 0.94 y[n - 1], unrolled: sums of 2, 4, 8, ... terms
    while lag < len(x):
        filtered[lag:] += 0.94**lag * filtered[:-lag]
        lag *= 2
    return filtered


@lru_cache
def mel_filters(sr, n_fft):
    """Triangles evenly spaced in mel (HTK), 20 Hz to 8 kHz: ndarray (26, 1 + n_fft // 2) float32.

    Parameters
    ----------
    sr, n_fft : int
        Hz, samples. Half of `sr` is the upper limit where it is below 8 kHz.
    """
    top = min(8000, sr / 2)
    edges = 700 * (10 ** (np.linspace(*np.log10(1 + np.array([20, top]) / 700), N_BANDS + 2)) - 1)
    ramps = edges[:, None] - np.fft.rfftfreq(n_fft, 1 / sr)
    rise = -ramps[:-2] / np.diff(edges)[:-1, None]
    fall = ramps[2:] / np.diff(edges)[1:, None]
    return np.maximum(0, np.minimum(rise, fall)).astype(np.float32)
