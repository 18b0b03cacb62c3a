"""Draw the pictures of docs/FEATURES.md: what features see of a sentence, spoken angry and sad.

    python images/draw_features.py                              # the bundled clips, into images/
    python images/draw_features.py --only mfcc,prosody
    python images/draw_features.py a_angry.wav a_sad.wav --output pictures   # two of your own

The bundled clips are of one synthetic voice, so the pictures show how a feature reacts to the rules
that this voice follows (`data/make_custom.py`). What people do is in the tables of that page.
"""

import argparse
import sys
from collections.abc import Callable
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import features
import kernels
import speech_features as speech
from audio import load_audio
from checks import check_name, guarded, replacing
from parameters import SAMPLE_RATE

FOLDER = Path(__file__).resolve().parent
RECORDINGS = FOLDER.parent / "data" / "train-custom"
CLIPS = tuple(RECORDINGS / f"v02_s2_{emotion}.wav" for emotion in ("angry", "sad"))
"""Synthetic speech, "We leave again on Monday.", without background noise."""

DECIBEL = 10 / np.log(10)  # of a natural logarithm of power
DEPTH = 60  # dB under the loudest that a spectrum shows
LAYER, N_DIRECTIONS = 3, 12  # of the encoder: the layer that is drawn, and in how many rows
HZ = 250, 500, 1000, 2000, 4000, 8000  # ticks of the frequency axes
NOTHING = "#EEEEEE"  # behind the pictures: the clip has ended
VOICED, OTHER, MEAN = "#0072B2", "#999999", "#D55E00"  # Okabe and Ito: for any colour vision
WIDTH, DPI = 10, 110


class Clip:
    """A recording, and its features as they are asked for."""

    def __init__(self, path):
        self.path = Path(path)
        self.y = load_audio(path)

    @property
    def title(self):
        """The emotion, as the last part of the name says, and the name."""
        return f"{self.path.stem.split('_')[-1]} ({self.path.name})"

    @cached_property
    def speech(self):
        """The frames of the features of speech."""
        return speech.SpeechFrames(self.y, SAMPLE_RATE)

    def frames(self, name):
        """Times of the frames in seconds (n_frames,), and their values (n_frames, n_columns)."""
        y = self.speech if name in features.SPEECH_FEATURES else self.y
        found = features.frames(y, features=[name])
        return found.times, found.values

    def contour(self, name, column):
        """Times in seconds, and values of one column of a feature of speech: two (n_frames,)."""
        times, values = self.frames(name)
        return times, values[:, speech.COLUMNS[name].index(column)]


class Map(NamedTuple):
    """How a matrix becomes a picture: columns upwards, and colours for values."""

    values: Callable  # Clip to edges of the steps to the right (n + 1,), and matrix (n, n_rows)
    ylabel: str
    colours: str  # label of the colour bar
    ticks: Callable  # to places upwards, and what is written there
    xlabel: str = "time (s)"
    cmap: str = "viridis"  # its lightness rises evenly
    limits: Callable = lambda values: (values.min(), values.max())
    first: float = 0  # where the lowest row begins
    rates: tuple = ()  # to the right, on a logarithmic scale, in place of time
    reduced: Callable = lambda matrices: matrices  # those of all clips, before they are drawn


class Curve(NamedTuple):
    """A value over time, of voiced and of other frames."""

    feature: str
    column: str
    ylabel: str
    scale: float = 1.0
    everywhere: str | None = None  # the column that is drawn where frames are unvoiced


def edges(times):
    """Where evenly spaced frames begin and end: (n_frames + 1,), from their centres."""
    half = (times[1] - times[0]) / 2
    return np.append(times - half, times[-1] + half)


def matrix(name, columns=slice(None), change=lambda values: values):
    """What draws columns of a feature over time."""

    def values(clip):
        times, frames = clip.frames(name)
        return edges(times), change(frames[:, columns])

    return values


def decibels(power):
    """Decibels of power, relative to 1."""
    return 10 * np.log10(np.maximum(power, 1e-10))


def modulations(clip):
    """The power of a clip's ups and downs in dB, (n_rates, n_groups + 1)."""
    values = clip.speech.facts("modulation").reshape(len(speech.RATES) - 1, -1)
    return np.array(speech.RATES, float), DECIBEL * values


def layer(clip):
    """The frames of one layer of the encoder, (n_frames, 512), and their edges."""
    times, frames = clip.frames("encoder")
    columns = features.REGISTRY["encoder"].columns
    return edges(times), frames[:, [name.startswith(f"layer{LAYER}_") for name in columns]]


def directions(matrices):
    """The principal components of the frames of all clips together: list of (n_frames, n_rows)."""
    joined = np.concatenate(matrices)
    centre = joined.mean(axis=0)
    *_, axes = np.linalg.svd(joined - centre, full_matrices=False)
    axes = axes[:N_DIRECTIONS]
    heaviest = np.abs(axes).argmax(axis=1)  # it is positive: the sign is nobody's
    axes = axes * np.sign(axes[np.arange(len(axes)), heaviest])[:, np.newaxis]
    return [(values - centre) @ axes.T for values in matrices]


def in_hz(filters, freqs):
    """Ticks of mel bands: where round frequencies lie among the bands' centres."""
    centres = freqs[filters.argmax(axis=1)]
    hz = [f for f in HZ if centres[0] <= f <= freqs[-1]]
    return np.interp(hz, centres, np.arange(len(centres)) + 0.5), hz


def mel_ticks():
    freqs = np.fft.rfftfreq(kernels.N_FFT, 1 / SAMPLE_RATE)
    return in_hz(kernels.mel_filters(SAMPLE_RATE), freqs)


def speech_ticks():
    n_fft = 512
    return in_hz(speech.mel_filters(SAMPLE_RATE, n_fft), np.fft.rfftfreq(n_fft, 1 / SAMPLE_RATE))


def named(*names):
    """Ticks in the middle of rows: one name each."""
    return lambda: (np.arange(len(names)) + 0.5, names)


def octave_bands():
    """Names of the bands of the spectral contrast, in Hz."""
    tops = [*kernels.CONTRAST_EDGES[:-1], SAMPLE_RATE // 2]
    return [f"{low} to {high}" for low, high in pairwise(tops)]


def group_names():
    """Names of the bands whose modulations are taken together, in Hz."""
    mel = np.linspace(*np.log10(1 + np.array([20, 8000]) / 700), speech.N_BANDS + 2)
    hz = 700 * (10**mel - 1)
    centres = [hz[4 * i + 1 : 4 * i + 5] for i in range(speech.N_GROUPS)]
    return [*(f"{low:.0f} to {high:.0f}" for low, *_, high in centres), "all"]


def even(values):
    """Limits at the same distance from 0, which the rarest values lie beyond."""
    top = np.percentile(np.abs(values), 99)
    return -top, top


def deep(values):
    """Limits: the loudest, and `DEPTH` under it."""
    return values.max() - DEPTH, values.max()


MAPS = {
    "mfcc": Map(
        matrix("mfcc", slice(1, None)),
        "coefficient (number)",
        "value (dB)",
        lambda: ([2, 10, 20, 30, 40], [2, 10, 20, 30, 40]),
        cmap="PuOr_r",
        limits=even,
        first=1.5,
    ),
    "chroma": Map(
        matrix("chroma"),
        "pitch class (note)",
        "energy (1 = loudest class)",
        named(*features.NOTES),
        limits=lambda values: (0, 1),
    ),
    "mel": Map(
        matrix("mel", change=decibels),
        "mel band, by its centre (Hz)",
        "power (dB)",
        mel_ticks,
        cmap="magma",
        limits=deep,
    ),
    "contrast": Map(
        matrix("contrast"), "octave band (Hz)", "peak over valley (dB)", named(*octave_bands())
    ),
    "tonnetz": Map(
        matrix("tonnetz"),
        "axis of the tonal space (interval)",
        "coordinate (no unit)",
        named(*(f"{i} {xy}" for i in ("fifth", "minor third", "major third") for xy in "xy")),
        cmap="PuOr_r",
        limits=even,
    ),
    "spectrum": Map(
        matrix("spectrum", slice(speech.N_BANDS), lambda v: DECIBEL * v),
        "mel band, by its centre (Hz)",
        "power against the loud frames (dB)",
        speech_ticks,
        cmap="magma",
        limits=deep,
    ),
    "modulation": Map(
        modulations,
        "centres of the bands (Hz)",
        "power of the ups and downs (dB)",
        named(*group_names()),
        xlabel="rate of the ups and downs (Hz)",
        rates=speech.RATES,
    ),
    "encoder": Map(
        layer,
        "direction (number)",
        "place along it (no unit)",
        lambda: ([1, 4, 8, 12], [1, 4, 8, 12]),
        cmap="PuOr_r",
        limits=even,
        first=0.5,
        reduced=directions,
    ),
}
"""Feature to its picture in colours."""

CURVES = {
    "prosody": (
        Curve("prosody", "pitch", "pitch (semitones)", everywhere="contour"),
        Curve("prosody", "energy", "energy (dB)", DECIBEL),
    ),
    "quality": (
        Curve("quality", "alpha", "alpha ratio (dB)", DECIBEL),
        Curve("quality", "harmonicity", "harmonicity (dB)", DECIBEL),
    ),
}
"""Feature to the values over time of its picture, one above the other."""

TITLES = {
    "mfcc": "mfcc: the envelope of the spectrum, without the level (coefficient 1)",
    "chroma": "chroma: how loud each pitch class is, octaves folded into one",
    "mel": "mel: power in 128 bands as the ear spaces them",
    "contrast": "contrast: peaks of the spectrum over its valleys",
    "tonnetz": "tonnetz: the pitch classes of the harmonic part as a point in a tonal space",
    "spectrum": "spectrum: 26 mel bands of short frames, the clip's level taken out",
    "prosody": "prosody: pitch over 1 Hz, and energy against the clip's loud frames",
    "quality": "quality: 1 to 5 kHz against what lies below, and harmonic against other energy",
    "modulation": "modulation: how strongly bands go up and down, and how fast",
    "encoder": "encoder: layer 3, along the 12 directions in which both clips' frames vary most",
}


def draw(name, clips):
    """Draw what a feature sees of two clips, side by side on the same scales.

    Parameters
    ----------
    name : str
        Of `TITLES`.
    clips : sequence of Clip

    Returns
    -------
    matplotlib Figure
    """
    from matplotlib.figure import Figure

    check_name(name, TITLES, "feature")
    figure = Figure(figsize=(WIDTH, 3.4 if name in MAPS else 4.4), layout="constrained", dpi=DPI)
    figure.suptitle(TITLES[name], fontsize=11)
    if name in MAPS:
        draw_maps(figure, clips, MAPS[name])
    else:
        draw_curves(figure, clips, CURVES[name])
    return figure


def draw_maps(figure, clips, kind):
    """Draw a matrix of each clip, and the bar of their common colours."""
    axes = figure.subplots(1, len(clips), sharex=True, sharey=True)
    steps_of, matrices = zip(*(kind.values(clip) for clip in clips), strict=True)
    matrices = kind.reduced(matrices)
    low, high = kind.limits(np.concatenate([values.ravel() for values in matrices]))
    for ax, clip, steps, values in zip(axes, clips, steps_of, matrices, strict=True):
        rows = kind.first + np.arange(values.shape[1] + 1)
        mesh = ax.pcolormesh(steps, rows, values.T, cmap=kind.cmap, vmin=low, vmax=high)
        ax.set_title(clip.title, fontsize=10)
        ax.set(xlabel=kind.xlabel, facecolor=NOTHING)
    places, names = kind.ticks()
    axes[0].set_yticks(places, names)
    axes[0].set(ylabel=kind.ylabel, ylim=(rows[0], rows[-1]))
    if kind.rates:
        axes[0].set_xscale("log")
        axes[0].set_xticks(kind.rates, [f"{rate:g}" for rate in kind.rates])
        axes[0].minorticks_off()
    figure.colorbar(mesh, ax=axes, label=kind.colours, pad=0.01, fraction=0.05)


def draw_curves(figure, clips, curves):
    """Draw values over time, one above the other, for each clip."""
    axes = figure.subplots(len(curves), len(clips), sharex=True, sharey="row")
    for row, curve in zip(axes, curves, strict=True):
        for ax, clip in zip(row, clips, strict=True):
            draw_curve(ax, clip, curve)
        row[0].set_ylabel(curve.ylabel)
        if curve.column == "pitch":
            beside = row[-1].secondary_yaxis("right", functions=(to_hz, to_semitones))
            beside.set_ylabel("pitch (Hz)")
            beside.set_yticks([75, 150, 300])
    for ax, clip in zip(axes[0], clips, strict=True):
        ax.set_title(clip.title, fontsize=10)
    for ax in axes[-1]:
        ax.set_xlabel("time (s)")
    figure.align_ylabels(axes)
    figure.legend(handles=axes[0, 0].lines, loc="outside lower center", ncols=3, fontsize=9)


def draw_curve(ax, clip, curve):
    """Draw one value over the active frames, the voiced ones and their mean in colours."""
    active = clip.speech.rows("active")
    voiced = np.isin(active, clip.speech.rows("voiced"))
    times, values = clip.contour(curve.feature, curve.column)
    _, other = clip.contour(curve.feature, curve.everywhere or curve.column)
    times, values = times[active], curve.scale * values[active]
    ax.plot(times, curve.scale * other[active], color=OTHER, lw=1, label="other frames")
    ax.plot(times, np.where(voiced, values, np.nan), color=VOICED, lw=2, label="voiced frames")
    ax.axhline(values[voiced].mean(), color=MEAN, ls="--", lw=1, label="mean of the voiced")
    ax.grid(alpha=0.3)


def to_hz(semitones):
    return 2 ** (np.asarray(semitones, float) / 12)


def to_semitones(hz):
    return 12 * np.log2(np.maximum(hz, 1e-3))


def parse_args(argv):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="two recordings; default bundled")
    parser.add_argument("--only", default=",".join(TITLES), help="default %(default)s")
    parser.add_argument("--output", type=Path, default=FOLDER, help="a folder; default images/")
    args = parser.parse_args(argv)
    if len(args.files) not in (0, 2):
        parser.error(f"two recordings are needed, or none for the bundled; got {len(args.files)}")
    return args


def main(argv=None):
    """The command line; see the module's docstring."""
    args = parse_args(argv)
    names = [check_name(name, TITLES, "feature") for name in args.only.split(",")]
    clips = [Clip(path) for path in args.files or CLIPS]
    for name in names:
        with replacing(args.output / f"feature_{name}.png") as temporary:
            draw(name, clips).savefig(temporary, format="png")
    print(f"{len(names)} pictures: {args.output}")


if __name__ == "__main__":
    sys.exit(guarded("draw_features.py", main))
