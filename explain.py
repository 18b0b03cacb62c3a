"""What spoke for an emotion: which features, and which seconds.

    table = rec.explain("call.wav")                     # DataFrame: the effect of each
    rec.explain("call.wav", emotion="sad")              # for and against another emotion
    draw_explanation("call.wav", table).savefig("why.png")

From the shell, see `python emotion_recognition.py explain --help`. What is explained is the
recognizer, what it listened to; not the person who speaks.
"""

import re
from functools import lru_cache
from math import comb

import numpy as np
import pandas as pd
from scipy.special import logit
from tqdm.auto import tqdm

import features as ft
from audio import load_audio
from evaluation import new_figure
from parameters import SAMPLE_RATE
from utils import check_name

_KIND = "(active_|voiced_|gliding_)?"  # of frames that a functional sums up; see voice.SUMS
_RUN = "run_[a-z]+_"
GROUPS = {
    **{name: f"{name}_" for name in ft.FEATURES},
    "spectrum: envelope": f"{_KIND}cepstrum_|correlation_",
    "spectrum: bands": f"{_KIND}band_",
    "prosody: pitch": f"{_KIND}(pitch|contour)|{_RUN}(slope|range|pitch|step|peak)$",
    "prosody: loudness": f"{_KIND}(energy|flux|rise_|fall_)|{_RUN}(energy|energy_slope|loudest)$",
    "prosody: timing": "duration$|voiced_(share|mean|std|max|rate)$|pause_|active_share$|"
                       f"syllable_rate$|{_RUN}length$",
    "quality: tilt": f"{_KIND}(centroid|spread|entropy|alpha|hammarberg|flatness|rolloff_|"
                     r"slope_\d|share_\d)",
    "quality: harmonics": f"{_KIND}harmonic",
    "modulation": "modulation_",
}  # fmt: skip
"""What a reader knows by name, to a pattern of the names that `features.feature_names` gives."""

SPAN = 0.5  # seconds that are cut out at a time
N_SPANS = 60  # about that many in a long recording, whose spans are longer
FEWEST = 4  # spans that fit into a short recording, one beside the other
N_COLUMNS = 1200  # of the picture
LEAST = 1e-6  # probability whose log-odds are told from those of never
N_VARIANTS = 64  # that a model hears at a time
METHOD = (
    "features: Shapley values of groups, a hidden group being as in the average training clip; "
    "seconds: occlusion, each span being cut out"
)


def explain(rec, audio, *, sr=None, emotion=None, span=None):
    """What spoke for an emotion; see `EmotionRecognizer.explain`."""
    rec._check_trained()
    emotion = _check_emotion(rec, emotion)
    y = load_audio(audio, orig_sr=sr)
    X, duration = rec._window(y), len(y) / SAMPLE_RATE
    if rec.classification:
        emotion = emotion or str(rec._predict(X)[0])
    said, times = float(_says(rec, X, emotion)[0]), spans(duration, span)
    effects, average = shapley(rec, X, emotion)
    rows = [("features", name, np.nan, np.nan, effect) for name, effect in effects.items()]
    rows.sort(key=lambda row: -row[-1])
    for start, end in tqdm(times, "Explaining", unit="span", disable=not rec.verbose):
        left = float(_says(rec, rec._window(without(y, start, end)), emotion)[0])
        rows.append(("seconds", f"{start:.2f} to {end:.2f} s", start, end, said - left))
    table = pd.DataFrame(rows, columns=["kind", "name", "start", "end", "effect"])
    unit = f"log-odds of {emotion}" if rec.classification else "number"
    table.attrs = {"emotion": emotion, "unit": unit, "said": said, "average": average,
                   "duration": duration, "method": METHOD}  # fmt: skip
    return table


def _check_emotion(rec, emotion):
    if emotion is not None and not rec.classification:
        raise ValueError("A regressor says a number, which is what is explained: leave emotion out")
    return emotion if emotion is None else check_name(emotion, rec.emotions, "emotion")


def _says(rec, X, emotion, like=None):
    """The log-odds of an emotion, or what a regressor says: (n_clips,).

    With `like`, the features of a clip, all are as sure as of that clip: what is shown in part is
    nearer to what the recognizer knows, which speaks for nothing.
    """
    if not rec.classification:
        return np.asarray(rec._numbers(X), dtype=float)
    probabilities = rec._probabilities(X, like)[:, list(rec.classes_).index(emotion)]
    return logit(np.clip(probabilities.astype(float), LEAST, 1 - LEAST))


# features


@lru_cache(maxsize=16384)
def group_of(name):
    """The group in `GROUPS` that an element of a vector, or a column of frames, belongs to.

    Examples
    --------
    >>> group_of("voiced_pitch_mean"), group_of("duration"), group_of("mfcc_1")
    ('prosody: pitch', 'prosody: timing', 'mfcc')
    """
    return next(group for group, pattern in GROUPS.items() if re.match(pattern, name))


def shapley(rec, X, emotion=None):
    """How much each group of features adds to what a recognizer says of a clip.

    The Shapley value of a group (Shapley 1953) is what it adds on average over all orders in which
    groups may come to light, beginning with the average training clip ("baseline Shapley" of
    Sundararajan and Najmi 2020, The Many Shapley Values for Model Explanation). All subsets are
    heard, none is drawn, with the temperature of the whole clip; for a model that is linear in its
    log-odds, the value is the sum of weight times feature over the group.

    Parameters
    ----------
    rec : EmotionRecognizer
        Trained.
    X : features of one clip, as `rec` extracts them
    emotion : str, optional
        For a classifier.

    Returns
    -------
    effects : dict of str to float
        Log-odds (natural logarithm), or in the unit of what a regressor predicts. Their sum is
        what is said of the clip, less `average`.
    average : float
        What is said of the average training clip.
    """
    names = [name for name in GROUPS if name in _groups_of_columns(rec)]
    subsets = np.arange(2 ** len(names))
    shown = (subsets[:, np.newaxis] >> np.arange(len(names)) & 1).astype(bool)
    values = np.concatenate([
        _says(rec, _showing(rec, X, pd.DataFrame(some, columns=names)), emotion, X)
        for some in np.array_split(shown, -(-len(shown) // N_VARIANTS))
    ])  # fmt: skip
    effects = [_shapley_value(values, shown, i) for i in range(len(names))]
    return dict(zip(names, effects, strict=True)), float(values[0])


def _groups_of_columns(rec):
    """The groups of all that a recognizer, or a member of it, hears: list of str."""
    if hasattr(rec, "members"):
        return [group for member in rec.members for group in _groups_of_columns(member)]
    return [group_of(name) for name in ft.feature_names(rec.features, rec.functionals)]


def _showing(rec, X, shown):
    """Some groups of a clip's features, and the average clip's in place of the others.

    Parameters
    ----------
    rec : EmotionRecognizer
    X : ndarray (1, n_columns) or (1, n_frames, n_columns), or an ensemble's views of them
    shown : DataFrame (n_variants, n_groups) of bool

    Returns
    -------
    ndarray (n_variants, ...) float32, or an ensemble's views of them
    """
    if hasattr(rec, "members"):
        pairs = zip(rec.members, X, strict=True)
        return type(X)([_showing(member, own, shown) for member, own in pairs])
    average = rec.scaler_.mean_
    if rec.voice_ is not None:
        mean, std = rec.voice_
        average = mean + std * average
    columns = shown[_groups_of_columns(rec)].to_numpy()
    return np.stack([np.where(row, X[0], average) for row in columns]).astype(np.float32)


def _shapley_value(values, shown, group):
    """The weighted mean of what a group adds to all subsets of the others.

    Parameters
    ----------
    values : ndarray (n_subsets,)
    shown : ndarray (n_subsets, n_groups) of bool
        Subset i holds group j if bit j of i is set.
    group : int
    """
    n_groups = shown.shape[1]
    without = np.flatnonzero(~shown[:, group])
    weights = [1 / (n_groups * comb(n_groups - 1, size)) for size in shown[without].sum(axis=1)]
    return float(weights @ (values[without | 1 << group] - values[without]))


# seconds


def spans(duration, length=None):
    """Spans that cover a recording, each beginning in the middle of the one before.

    Parameters
    ----------
    duration : float
        Seconds.
    length : float, optional
        Seconds; default `SPAN`, less in a recording under 2 s, more in one over 15 s.

    Returns
    -------
    list of (start, end)
        Seconds.

    Raises
    ------
    ValueError
        If a span is longer than half of the recording.

    Examples
    --------
    >>> spans(1.25, 0.5)
    [(0.0, 0.5), (0.25, 0.75), (0.5, 1.0), (0.75, 1.25)]
    """
    if length is None:
        length = max(min(SPAN, duration / FEWEST), 2 * duration / N_SPANS)
    if not 0.02 <= length <= duration / 2:
        raise ValueError(
            f"A span is from 0.02 s to half of the recording, {duration / 2:.2f} s; got {length!r}"
        )
    n = 1 + max(0, int(np.ceil(2 * (duration - length) / length - 1e-6)))
    starts = [i * length / 2 for i in range(n)]
    return [(start, min(start + length, duration)) for start in starts]


def without(y, start, end):
    """A signal (n_samples,) at 16 kHz without what is between two times in seconds.

    Silence in its place would be a pause that nobody made: emotions are told by pauses, too, and
    its effect was often greater than that of what it hid.
    """
    return np.concatenate([y[: round(start * SAMPLE_RATE)], y[round(end * SAMPLE_RATE) :]])


# text and picture

FOR, AGAINST, NEITHER = "#0072B2", "#D55E00", "#DDDDDD"
"""Told apart by people with any colour vision (Okabe and Ito 2008)."""


def to_text(table):
    """An explanation in lines, each effect as a bar: str.

    Parameters
    ----------
    table : DataFrame
        Of `EmotionRecognizer.explain`.
    """
    lines = [f"  {_in_words(table)}"]
    largest = max(table["effect"].abs().max(), 1e-9)
    for kind, rows in table.groupby("kind", sort=False):
        lines.append(f"  {kind}")
        for name, effect in zip(rows["name"], rows["effect"], strict=True):
            bar = ("█" if effect > 0 else "░") * round(30 * abs(effect) / largest)
            lines.append(f"    {name:20s} {effect:+6.2f} {bar}".rstrip())
    return "\n".join(lines)


def _in_words(table):
    found = table.attrs
    return f"{found['unit']}: {found['said']:+.2f}; of the average clip: {found['average']:+.2f}"


def draw_explanation(audio, table, *, sr=None, figure=None):
    """Draw a recording, coloured by what its seconds spoke for, and the effects of its features.

    Parameters
    ----------
    audio, sr
        What `table` is of; see `EmotionRecognizer.explain`.
    table : DataFrame
    figure : matplotlib Figure, optional

    Returns
    -------
    matplotlib Figure
    """
    figure = figure or new_figure(11, 4.5)
    axes = figure.subplot_mosaic([["wave", "features"], ["seconds", "features"]],
                                 width_ratios=[3, 2])  # fmt: skip
    y = load_audio(audio, orig_sr=sr)
    columns = np.array_split(y, min(N_COLUMNS, len(y)))
    time = (np.arange(len(columns)) + 0.5) * len(y) / SAMPLE_RATE / len(columns)
    _draw_seconds(axes["wave"], axes["seconds"], columns, time, table)
    axes["seconds"].set_ylabel(f"effect\n({table.attrs['unit']})")
    _draw_features(axes["features"], table[table["kind"] == "features"])
    axes["features"].set_xlabel(f"effect ({table.attrs['unit']})")
    figure.suptitle(_in_words(table))
    return figure


def _draw_seconds(wave, course, columns, time, table):
    """The waveform in the colours of its effects, and their course below."""
    from matplotlib.colors import LinearSegmentedColormap

    rows = table[table["kind"] == "seconds"]
    start, end, effect = rows[["start", "end", "effect"]].to_numpy().T
    within = (start <= time[:, np.newaxis]) & (time[:, np.newaxis] < end)
    effects = within @ effect / within.sum(axis=1)  # the mean of the spans that a moment is in
    largest = max(np.abs(effects).max(), 1e-9)
    shade = LinearSegmentedColormap.from_list("effect", [AGAINST, NEITHER, FOR])
    wave.vlines(time, list(map(min, columns)), list(map(max, columns)),
                colors=shade(effects / largest / 2 + 0.5))  # fmt: skip
    course.fill_between(time, np.maximum(effects, 0), step="mid", color=FOR, label="for")
    course.fill_between(time, np.minimum(effects, 0), step="mid", color=AGAINST, label="against")
    for ax in (wave, course):
        ax.set_xlim(0, table.attrs["duration"])
    course.axhline(0, color="black", linewidth=0.8)
    course.legend(loc="upper right", fontsize=8)
    course.set_xlabel("time (s)")
    wave.set_ylabel("amplitude")
    wave.tick_params(labelbottom=False)


def _draw_features(ax, rows):
    """A bar for each group of features, the first at the top."""
    colours = [FOR if effect > 0 else AGAINST for effect in rows["effect"]]
    ax.barh(rows["name"], rows["effect"], color=colours)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.invert_yaxis()
