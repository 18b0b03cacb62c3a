"""Explain predictions: which features, and which seconds, contribute to an emotion.

    table = rec.explain("call.wav")                     # DataFrame: the effect of each
    rec.explain("call.wav", emotion="sad")              # for and against another emotion
    draw_explanation("call.wav", table).savefig("why.png")

From the shell, see `python emotion_recognition.py explain --help`. An explanation is about the
model, not about the speaker.
"""

from math import comb

import numpy as np
import pandas as pd
from scipy.special import logit

from audio import load_audio
from checks import check_name, moved
from features import ENCODER, group_of, groups_of, is_encoder
from parameters import SAMPLE_RATE
from plotting import AGAINST, FOR, NEITHER, new_figure
from predictor import predictor_of
from progress import Progress

SPAN = 0.5  # seconds that are cut out at a time
N_SPANS = 60  # about, in a long recording, whose spans are longer
FEWEST = 4  # spans, without overlaps, in a short recording
N_COLUMNS = 1200  # in the picture
LEAST = 1e-6  # probabilities are clipped here and at 1 less this
N_VARIANTS = 64  # clips that are predicted at a time
MOST_GROUPS = 12  # if there are more, all layers of an encoder are one group
LAYERS = f"{ENCODER}: all layers"
METHOD = (
    "features: Shapley values of groups, a hidden group being as in the average training clip; "
    "seconds: occlusion, each span being cut out"
)
OF_ENCODER = (
    "encoder: numbers that a pre-trained network computes in its layers; they have no phonetic "
    "names, and hold much of what the other groups measure"
)


def explain(predictor, audio, *, sr=None, emotion=None, span=None, verbose=1):
    """Compute how much features and seconds contribute to an emotion, or against it.

    Features: Shapley values of groups, see `shapley`. They add up to the log-odds of the emotion in
    this clip, minus those in the average training clip (with probabilities clipped to 1e-6 and
    1 - 1e-6). Correlated groups share their effect. The groups of an encoder are layers of a
    pre-trained network: its numbers have no phonetic names, and include much of what others
    measure.

    Seconds: occlusion (Zeiler and Fergus 2014, Visualizing and Understanding Convolutional
    Networks). Each span is cut out in turn; its effect is the decrease of the log-odds. Spans
    overlap, and features are extracted again from the rest, so these effects don't add up.

    Parameters
    ----------
    predictor : Predictor or trained recognizer
    audio, sr
        The recording, and the rate of an array in Hz; see `audio.load_audio`.
    emotion : str, optional
        Default: the predicted one. For a model of several numbers, the name of one; default: the
        first.
    span : float, optional
        Seconds; see `spans`.
    verbose : int, default 1
        0 draws no progress bar.

    Returns
    -------
    DataFrame
        kind ("features", largest effect first, or "seconds"), name, start and end (seconds; NaN for
        features), effect (natural log-odds; for a regressor, its unit). `attrs` has emotion, unit,
        predicted (for this clip), average (for the average training clip), duration, method and
        warnings (see `audio.load_audio`: faults).

    Raises
    ------
    ValueError
        For an unknown emotion, any emotion with a regressor, or a span longer than half of the
        recording.
    """
    predictor = predictor_of(predictor)
    if predictor.targets:
        emotion = check_name(emotion or predictor.targets[0], predictor.targets, "number")
    elif emotion is not None:
        if not predictor.classification:
            raise ValueError("A regressor predicts a number, not an emotion: leave emotion out.")
        check_name(emotion, predictor.emotions, "emotion")
    y = load_audio(audio, orig_sr=sr, faults=(faults := {}))
    X, duration = predictor.features(y), len(y) / SAMPLE_RATE
    if predictor.classification:
        emotion = emotion or str(predictor.predict(X)[0])
    predicted, times = float(_output(predictor, X, emotion)[0]), spans(duration, span)
    effects, average = shapley(predictor, X, emotion)
    rows = [("features", name, np.nan, np.nan, effect) for name, effect in effects.items()]
    rows.sort(key=lambda row: -row[-1])
    for start, end in Progress(times, "Explaining", unit="span", disable=not verbose):
        rest = predictor.features(without(y, start, end))
        effect = predicted - float(_output(predictor, rest, emotion)[0])
        rows.append(("seconds", f"{start:.2f} to {end:.2f} s", start, end, effect))
    table = pd.DataFrame(rows, columns=["kind", "name", "start", "end", "effect"])
    unit = f"log-odds of {emotion}" if predictor.classification else emotion or "number"
    table.attrs = {"emotion": emotion, "unit": unit, "predicted": predicted, "average": average}
    method = f"{METHOD}; {OF_ENCODER}" if any(map(is_encoder, effects)) else METHOD
    table.attrs |= {"duration": duration, "method": method, "said": predicted}  # its former name
    table.attrs["warnings"] = faults
    return table


def _output(predictor, X, emotion, like=None):
    """The log-odds of an emotion, or the numbers of a regressor: (n_clips,).

    With `like`, the features of a clip, its temperature is used for all: clips with hidden groups
    are nearer to the training clips, and this mustn't affect the effects.
    """
    if not predictor.classification:
        numbers = np.asarray(predictor.scores(X), dtype=float).reshape(len(X), -1)
        return numbers[:, predictor.targets.index(emotion) if emotion else 0]
    place = list(predictor.labels).index(emotion)
    probabilities = predictor.probabilities(X, like)[:, place].astype(float)
    return logit(np.clip(probabilities, LEAST, 1 - LEAST))


# features


def shapley(predictor, X, emotion=None):
    """Compute the Shapley value of each group of features for the prediction of a clip.

    It is what the group adds to the prediction, averaged over all orders of adding groups to the
    average training clip (Shapley 1953; "baseline Shapley" of Sundararajan and Najmi 2020, The Many
    Shapley Values for Model Explanation). It is exact: all subsets are predicted, with the
    temperature of the whole clip. For log-odds that are linear in the features, the value is the
    sum of weight times feature over the group.

    Parameters
    ----------
    predictor : Predictor or trained recognizer
    X : features of one clip, see `Predictor.features`
    emotion : str, optional
        For a classifier; for a model of several numbers, the name of one.

    Returns
    -------
    effects : dict of str to float
        Group (see `features.group_of`) to natural log-odds, or for a regressor to its unit. Their
        sum is the output for the clip, minus `average`. With more than `MOST_GROUPS` groups the
        layers of an encoder are one group.
    average : float
        The output for the average training clip.
    """
    predictor = predictor_of(predictor)
    names = groups_of([name for part in predictor.parts for name in part.columns])
    if len(names) > MOST_GROUPS:
        names = [*dict.fromkeys(LAYERS if is_encoder(name) else name for name in names)]
    subsets = np.arange(2 ** len(names))[:, np.newaxis]
    shown = (subsets >> np.arange(len(names)) & 1).astype(bool)  # (n_subsets, n_groups)
    place, values = {name: i for i, name in enumerate(names)}, []
    groups = [[group_of(name) for name in part.columns] for part in predictor.parts]
    places = [[place[name if name in place else LAYERS] for name in own] for own in groups]
    for some in np.array_split(shown, -(-len(shown) // N_VARIANTS)):
        values.append(_output(predictor, _showing(predictor, X, some, places), emotion, X))
    values = np.concatenate(values)
    effects = [_shapley_value(values, shown, i) for i in range(len(names))]
    return dict(zip(names, effects, strict=True)), float(values[0])


def _showing(predictor, X, shown, places):
    """Features of variants of a clip: columns of hidden groups are those of the average clip.

    `shown` is (n_variants, n_groups) of bool; `places` has the group of each column, by part.
    """
    views = []
    for part, view, own in zip(predictor.parts, predictor.views(X), places, strict=True):
        variants = [np.where(row[own], view[0], part.average) for row in shown]
        views.append(np.stack(variants).astype(np.float32))
    return predictor.joined(views)


def _shapley_value(values, shown, group):
    """The weighted mean of what a group adds to each subset of the others."""
    n_groups = shown.shape[1]
    hidden = np.flatnonzero(~shown[:, group])
    weights = [1 / (n_groups * comb(n_groups - 1, size)) for size in shown[hidden].sum(axis=1)]
    with_group = hidden | 1 << group  # subset i shows group j if bit j of i is set
    return float(weights @ (values[with_group] - values[hidden]))


# seconds


def spans(duration, length=None):
    """Cover a recording with spans that overlap by half: list of (start, end) in seconds.

    Parameters
    ----------
    duration : float
        Seconds.
    length : float, optional
        Seconds; default 0.5, less in a recording under 2 s, more in one over 15 s.

    Raises
    ------
    ValueError
        If a span is under 0.02 s or longer than half of the recording.

    Examples
    --------
    >>> spans(1.25, 0.5)
    [(0.0, 0.5), (0.25, 0.75), (0.5, 1.0), (0.75, 1.25)]
    """
    if length is None:
        length = max(min(SPAN, duration / FEWEST), 2 * duration / N_SPANS)
    if not 0.02 <= length <= duration / 2:
        raise ValueError(
            f"A span has 0.02 s to half of the recording, {duration / 2:.2f} s; got {length!r}."
        )
    n = 1 + max(0, int(np.ceil(2 * (duration - length) / length - 1e-6)))
    starts = [i * length / 2 for i in range(n)]
    return [(start, min(start + length, duration)) for start in starts]


def without(y, start, end):
    """Cut a span out of a signal: ndarray (n_samples_left,).

    It isn't replaced by silence, as a pause itself influences predictions, often more than the
    span.

    Parameters
    ----------
    y : ndarray (n_samples,) at 16 kHz
    start, end : float
        Seconds.
    """
    return np.concatenate([y[: round(start * SAMPLE_RATE)], y[round(end * SAMPLE_RATE) :]])


# text and picture


def to_text(table):
    """Format an explanation as text, each effect as a bar: str.

    Parameters
    ----------
    table : DataFrame of `explain`
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
    unit, predicted, average = (table.attrs[name] for name in ("unit", "predicted", "average"))
    return f"{unit}: {predicted:+.2f}; average training clip: {average:+.2f}"


def draw_explanation(audio, table, *, sr=None, figure=None):
    """Draw a recording, coloured by the effects of its seconds, and the effects of features.

    Parameters
    ----------
    audio, sr
        The recording; see `explain`.
    table : DataFrame
        Its explanation.
    figure : matplotlib Figure, optional
        Default: a new one.

    Returns
    -------
    matplotlib Figure
    """
    figure = figure or new_figure(11, 4.5)
    layout = [["wave", "features"], ["seconds", "features"]]
    axes = figure.subplot_mosaic(layout, width_ratios=[3, 2])
    _draw_seconds(axes["wave"], axes["seconds"], load_audio(audio, orig_sr=sr, faults={}), table)
    rows, bars = table[table["kind"] == "features"], axes["features"]
    bars.barh(rows["name"], rows["effect"], color=np.where(rows["effect"] > 0, FOR, AGAINST))
    bars.axvline(0, color="black", linewidth=0.8)
    bars.invert_yaxis()
    bars.set(xlabel=f"effect ({table.attrs['unit']})", ylabel="group of features")
    figure.suptitle(_in_words(table))
    return figure


def _draw_seconds(wave, curve, y, table):
    """Draw the waveform, coloured by the effects, and below it their curve."""
    from matplotlib.colors import LinearSegmentedColormap

    columns = np.array_split(y, min(N_COLUMNS, len(y)))
    time = (np.arange(len(columns)) + 0.5) * len(y) / SAMPLE_RATE / len(columns)
    rows = table[table["kind"] == "seconds"]
    start, end, effect = rows[["start", "end", "effect"]].to_numpy().T
    within = (start <= time[:, np.newaxis]) & (time[:, np.newaxis] < end)
    effects = within @ effect / within.sum(axis=1)  # the mean over the spans at each time
    largest = max(np.abs(effects).max(), 1e-9)
    shade = LinearSegmentedColormap.from_list("effect", [AGAINST, NEITHER, FOR])
    low, high = (list(map(extreme, columns)) for extreme in (min, max))
    wave.vlines(time, low, high, colors=shade(effects / largest / 2 + 0.5))
    wave.set(ylabel="amplitude\n(1 = full scale)", xlim=(0, table.attrs["duration"]))
    wave.tick_params(labelbottom=False)
    curve.fill_between(time, np.maximum(effects, 0), step="mid", color=FOR, label="for")
    curve.fill_between(time, np.minimum(effects, 0), step="mid", color=AGAINST, label="against")
    curve.axhline(0, color="black", linewidth=0.8)
    curve.legend(loc="upper right", fontsize=8)
    curve.set(xlabel="time (s)", ylabel=f"effect\n({table.attrs['unit']})")
    curve.set_xlim(0, table.attrs["duration"])


__getattr__ = moved(__name__, {"features": "GROUPS"})
