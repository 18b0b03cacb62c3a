"""Scores of predicted labels, numbers and confidences, with intervals that resample speakers."""

import warnings

import numpy as np
import pandas as pd
from scipy.stats import entropy

CONFIDENCE = 95  # percent
N_RESAMPLES = 2000
N_BINS = 15  # of confidence, as in Guo et al. 2017
SURE = 0.8  # people read a confidence over this as certainty
NO_INTERVAL = "one speaker, no interval"

TITLES = {"uar": "UAR", "accuracy": "accuracy", "macro_f1": "macro F1"}
TITLES |= {"ccc": "CCC", "mae": "MAE", "rmse": "RMSE"}


def confusion_by_speaker(y_true, y_pred, groups, labels):
    """Count the confusion matrix of each speaker: ndarray (n_speakers, n_labels, n_labels) of int.

    Speakers are sorted; rows are true labels, columns predicted ones.

    Parameters
    ----------
    y_true, y_pred, groups : array (n_clips,)
        Labels, predicted labels and speakers.
    labels : list (n_labels,)
        Order of rows and columns.
    """
    index = {label: i for i, label in enumerate(labels)}
    speakers, s = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(speakers), len(labels), len(labels)), dtype=int)
    np.add.at(counts, (s, [index[t] for t in y_true], [index[p] for p in y_pred]), 1)
    return counts


def classification_measures(counts):
    """Compute the scores of confusion matrices: dict of str to ndarray.

    The keys are uar, accuracy, macro_f1 (...), recall (..., n_labels), and confusion, the shares of
    each row (..., n_labels, n_labels). UAR leaves out labels without clips, macro F1 those that are
    neither true nor predicted. A value without clips is NaN.

    Parameters
    ----------
    counts : ndarray (..., n_labels, n_labels)
        Rows are true labels, columns predicted ones.
    """
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    true, predicted = counts.sum(axis=-1), counts.sum(axis=-2)
    with np.errstate(invalid="ignore"):
        recall, f1 = hits / true, 2 * hits / (true + predicted)
        confusion = counts / true[..., np.newaxis]
        accuracy = hits.sum(axis=-1) / true.sum(axis=-1)
    return {
        "uar": mean_of_known(recall, -1),
        "accuracy": accuracy,
        "macro_f1": mean_of_known(f1, -1),
        "recall": recall,
        "confusion": confusion,
    }


def mean_of_known(values, axis):
    """Average the values that aren't NaN: ndarray, NaN where there is none.

    Parameters
    ----------
    values : ndarray
    axis : int
    """
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0).sum(axis=axis) / known.sum(axis=axis)


def moments_by_speaker(y_true, y_pred, groups):
    """Sum up targets t and predictions p for each speaker: ndarray (n_speakers, ..., 7).

    Speakers are sorted; columns are the sums of 1, |p - t|, t, p, t², p², t p over their clips.

    Parameters
    ----------
    y_true, y_pred : array (n_clips,), or (n_clips, n_targets)
        Targets and predictions.
    groups : array (n_clips,)
        Speakers.
    """
    t, p = np.asarray(y_true, dtype=float), np.asarray(y_pred, dtype=float)
    speakers, s = np.unique(groups, return_inverse=True)
    sums = np.zeros((len(speakers), *t.shape[1:], 7))
    np.add.at(sums, s, np.stack([np.ones_like(t), abs(p - t), t, p, t * t, p * p, t * p], axis=-1))
    return sums


def regression_measures(sums):
    """Compute the scores of predicted numbers, ccc, mae and rmse: dict of str to ndarray (...).

    The mean absolute error and the root mean squared error are in units of the targets. The
    concordance correlation coefficient (Lin 1989, A Concordance Correlation Coefficient to Evaluate
    Reproducibility) is 1 if all predictions are right, 0 for a constant prediction, and NaN if
    targets and predictions are the same constant, or without clips.

    Parameters
    ----------
    sums : ndarray (..., 7)
        See `moments_by_speaker`.
    """
    n, error, t, p, tt, pp, tp = np.moveaxis(sums, -1, 0)
    with np.errstate(invalid="ignore"):
        variances = (tt - t * t / n) / n + (pp - p * p / n) / n
        ccc = 2 * (tp - t * p / n) / n / (variances + ((t - p) / n) ** 2)
        rmse = np.sqrt(np.maximum(tt - 2 * tp + pp, 0) / n)
        return {"ccc": ccc, "mae": error / n, "rmse": rmse}


def mean_regression_measures(sums):
    """Average the scores over the targets: dict of str to ndarray (...).

    Parameters
    ----------
    sums : ndarray (..., n_targets, 7)
    """
    return {name: mean_of_known(x, -1) for name, x in regression_measures(sums).items()}


def over_corpora(tallies, measures, corpora):
    """Weight all corpora equally, whatever their size: tallies and measures in the given form.

    The tallies get one more axis, the corpora; the measures become means over the corpora that have
    a value.

    Parameters
    ----------
    tallies, measures
        See `with_intervals`.
    corpora : array (n_speakers,) of str
        The corpus of each speaker.
    """
    names, place = np.unique(corpora, return_inverse=True)
    apart = np.zeros((len(tallies), len(names), *tallies.shape[1:]), dtype=tallies.dtype)
    apart[np.arange(len(tallies)), place] = tallies

    def means(sums):
        axis = sums.ndim - tallies.ndim  # of the corpora; axes of resamples may come before it
        return {name: mean_of_known(value, axis) for name, value in measures(sums).items()}

    return apart, means


def resample_speakers(n_speakers, random_state=0, corpora=None):
    """Draw speakers with replacement; how often each: ndarray (N_RESAMPLES, n_speakers) float.

    Parameters
    ----------
    n_speakers, random_state : int
    corpora : array (n_speakers,) of str, optional
        The corpus of each speaker: each draw has as many speakers of it as there are.
    """
    rng = np.random.default_rng(random_state)
    corpora = np.zeros(n_speakers) if corpora is None else np.asarray(corpora)
    drawn = np.empty((N_RESAMPLES, n_speakers))  # numpy multiplies matrices of integers slowly
    for corpus in np.unique(corpora):
        own = np.flatnonzero(corpora == corpus)
        drawn[:, own] = rng.multinomial(len(own), np.full(len(own), 1 / len(own)), N_RESAMPLES)
    return drawn


def percentiles(draws):
    """Compute the bounds of the 95 % interval of resampled values: ndarray (2, ...).

    Parameters
    ----------
    draws : ndarray (n_resamples, ...)
        NaN where a resample has no value.
    """
    tail = (100 - CONFIDENCE) / 2
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All-NaN slice")  # an emotion without clips
        return np.nanpercentile(draws, [tail, 100 - tail], axis=0)


def with_intervals(tallies, measures, random_state=0, corpora=None):
    """Compute scores with their 95 % intervals: dict of str to ndarray (3, ...).

    The three are value, lower and upper bound. Clips of one speaker resemble each other, so whole
    speakers are resampled (cluster bootstrap, Field and Welsh 2007): the interval shows how the
    score varies with the speakers. The bounds of a score from one speaker are NaN.

    Parameters
    ----------
    tallies : ndarray (n_speakers, ...)
        Sums over the clips of each speaker; see `confusion_by_speaker` and `moments_by_speaker`.
    measures : callable
        `classification_measures` or `regression_measures`.
    random_state : int, default 0
    corpora : array (n_speakers,) of str, optional
        Draw speakers within each corpus.
    """
    total = tallies.sum(axis=0)
    values = measures(total)
    if len(tallies) == 1:
        none = {name: np.full_like(value, np.nan) for name, value in values.items()}
        return {name: np.stack([value, none[name], none[name]]) for name, value in values.items()}
    weights = resample_speakers(len(tallies), random_state, corpora)
    drawn = measures(np.tensordot(weights, tallies, axes=1))
    without_one = measures(total - tallies)
    rests_on_one = {name: np.isnan(value).any(axis=0) for name, value in without_one.items()}
    return {
        name: np.stack([value, *np.where(rests_on_one[name], np.nan, percentiles(drawn[name]))])
        for name, value in values.items()
    }


def score(y_true, y_pred, groups, labels=None, random_state=0, names=("mae", "ccc", "rmse")):
    """Score predicted labels or numbers, with 95 % intervals: dict of str to (float or None).

    The keys are accuracy, accuracy_low, accuracy_high, uar, ...; for numbers mae, ..., ccc, ...,
    rmse, ..., means over the targets where there are several. A bound that can't be estimated is
    None (see `with_intervals`).

    Parameters
    ----------
    y_true, y_pred : array (n_clips,), for numbers also (n_clips, n_targets)
        True and predicted labels or numbers.
    groups : array (n_clips,)
        Speakers.
    labels : list, optional
        The classes; without them y_true and y_pred are numbers.
    random_state : int, default 0
    names : tuple of str
        Scores of numbers, in the order of the result.
    """
    if labels is None:
        tallies = moments_by_speaker(y_true, y_pred, groups)
        measures = regression_measures if tallies.ndim == 2 else mean_regression_measures
    else:
        names, measures = ("accuracy", "uar"), classification_measures
        tallies = confusion_by_speaker(y_true, y_pred, groups, labels)
    values = with_intervals(tallies, measures, random_state)
    return without_nan(flat({name: values[name] for name in names}))


def unweighted_recall(y_true, y_pred):
    """Compute the unweighted average recall (scikit-learn's balanced accuracy): float.

    Parameters
    ----------
    y_true, y_pred : array (n_clips,)
        Labels.
    """
    from sklearn.metrics import balanced_accuracy_score

    return balanced_accuracy_score(y_true, y_pred)


def absolute_error(y_true, y_pred):
    """Compute the mean absolute error over all targets: float.

    Parameters
    ----------
    y_true, y_pred : ndarray (n_clips,), or (n_clips, n_targets)
    """
    return float(np.abs(y_true - y_pred).mean())


def flat(values):
    """Turn name to (value, low, high) into name, name_low, name_high: dict of str to float.

    Parameters
    ----------
    values : dict of str to array (3,)
    """
    return {
        f"{name}{ending}": float(number)
        for name, triple in values.items()
        for ending, number in zip(("", "_low", "_high"), triple, strict=True)
    }


def without_nan(values):
    """Replace NaN by None, JSON's null: dict of str to (float or None).

    Parameters
    ----------
    values : dict of str to float
    """
    return {name: None if np.isnan(number) else number for name, number in values.items()}


def reliability(confidence, right, n_bins=N_BINS):
    """Compute accuracy by confidence, a reliability diagram as a table: DataFrame of n_bins rows.

    Columns are low, high, n_clips, confidence, accuracy; the last two are NaN in an empty bin.

    Parameters
    ----------
    confidence, right : array (n_clips,)
        Probability of the predicted emotion, 0 to 1, and whether it is the true one.
    n_bins : int, default 15
        Bins of equal width; a bin holds its upper edge.

    Examples
    --------
    >>> reliability([0.4, 0.9, 1.0], [False, True, False], n_bins=2)
       low  high  n_clips  confidence  accuracy
    0  0.0   0.5        1        0.40       0.0
    1  0.5   1.0        2        0.95       0.5
    """
    confidence, right = np.asarray(confidence, dtype=float), np.asarray(right, dtype=float)
    edges = np.linspace(0, 1, n_bins + 1)
    bins = np.digitize(confidence, edges[1:-1], right=True)
    n_clips, confidences, hits = (
        np.bincount(bins, weights=weights, minlength=n_bins)
        for weights in (np.ones_like(confidence), confidence, right)
    )
    with np.errstate(invalid="ignore"):
        columns = {"confidence": confidences / n_clips, "accuracy": hits / n_clips}
    shape = {"low": edges[:-1], "high": edges[1:], "n_clips": n_clips.astype(int)}
    return pd.DataFrame(shape | columns)


def mutual_information(probabilities):
    """Estimate the mutual information of clip and class, in nats: float.

    It is the entropy of the mean probabilities less the mean entropy: 0 if all clips have the same
    probabilities, log(n_classes) if they are certain and the classes equally frequent.

    Parameters
    ----------
    probabilities : ndarray (n_clips, n_classes)

    Examples
    --------
    >>> mutual_information(np.eye(2)).round(3), mutual_information(np.full((2, 2), 0.5))
    (np.float64(0.693), np.float64(0.0))
    """
    return entropy(probabilities.mean(axis=0)) - entropy(probabilities, axis=1).mean()


def calibration_error(confidence, right, n_bins=N_BINS):
    """Compute the expected calibration error (ECE): float, 0 to 1.

    It is the mean distance of confidence and accuracy over the bins, weighted by their clips: 0 if
    70 % of the predictions with a confidence of 0.7 are right, and so on (Guo et al. 2017, On
    Calibration of Modern Neural Networks, section 2).

    Parameters
    ----------
    confidence, right, n_bins
        See `reliability`.
    """
    table = reliability(confidence, right, n_bins)
    gaps = (table["confidence"] - table["accuracy"]).abs()
    return float((gaps * table["n_clips"]).sum() / table["n_clips"].sum())


def confidence_measures(confidence, right):
    """Compute how well confidence agrees with accuracy: dict of str to float.

    The keys are ece (see `calibration_error`), confidence_right and confidence_wrong, the mean
    confidence of right and of wrong predictions, over, the share of predictions whose confidence is
    over `SURE`, and right_over, the share of these that is right. A value without clips is NaN.

    Parameters
    ----------
    confidence, right
        See `reliability`.

    Examples
    --------
    >>> found = confidence_measures([0.4, 0.9, 0.9, 1.0], [False, True, False, True])
    >>> found["confidence_right"], found["confidence_wrong"], found["over"]
    (0.95, 0.65, 0.75)
    """
    confidence, right = np.asarray(confidence, dtype=float), np.asarray(right, dtype=bool)
    over = confidence > SURE
    return {
        "ece": calibration_error(confidence, right),
        "confidence_right": float(mean_of_known(confidence[right], 0)),
        "confidence_wrong": float(mean_of_known(confidence[~right], 0)),
        "over": float(over.mean()),
        "right_over": float(mean_of_known(right[over].astype(float), 0)),
    }


TIMES = "false_alarm", "missed", "confusion", "overlap", "duration"


def timeline_scores(truth, table, neutral="neutral", duration=None):
    """Score emotions over time: dict.

    The predicted emotion of a true segment is the one that covers most of it in the table; a
    segment without any counts as wrong. Segment UAR is the mean, over the true emotions, of the
    share of segments that are right.

    The emotion diarization error rate (EDER; Wang, Ravanelli and Yacoubi 2023, Speech Emotion
    Diarization: Which Emotion Appears When?) is the time of errors over that of the utterances.
    Errors are a false alarm (an emotion where there is none), a missed emotion (none where there is
    one), confusion (only wrong ones), and overlap (wrong ones beside the true one). Neutral speech
    and pauses have no emotion. 0 is perfect; false alarms can raise it over 1.

    If both tables have speakers, emotions are compared within each speaker, and the times added up.

    Parameters
    ----------
    truth, table : DataFrame
        Columns start, end (seconds), emotion and, optionally, speaker. Rows of `table` without an
        emotion are ignored.
    neutral : str or None
        The label of speech without emotion; None: all labels are emotions.
    duration : float, optional
        Seconds of the utterances. Default: what the segments of the truth cover. Pass the duration
        of the recording if the truth has only the segments with emotions.

    Returns
    -------
    dict
        uar, recall (dict by emotion), n_segments; eder; false_alarm, missed, confusion, overlap and
        duration in seconds.

    Examples
    --------
    >>> truth = pd.DataFrame({"start": [0, 2], "end": [2, 4], "emotion": ["sad", "happy"]})
    >>> table = pd.DataFrame({"start": [0, 1.5], "end": [1.5, 4], "emotion": ["sad", "happy"]})
    >>> found = timeline_scores(truth, table)
    >>> found["uar"], found["eder"]
    (1.0, 0.125)
    """
    table = table[table["emotion"].notna()]
    own = [(truth, table)]
    if "speaker" in truth and "speaker" in table:
        speakers = sorted({*truth["speaker"], *table["speaker"]})
        own = [[t[t["speaker"] == who] for t in (truth, table)] for who in speakers]
    labels = sorted({*truth["emotion"], *table["emotion"]})
    counts = np.zeros((len(labels) + 1, len(labels) + 1), int)  # the last: nothing was recognised
    for pair in own:
        np.add.at(counts, _longest(*pair, labels), 1)
    measures = classification_measures(counts)
    times = np.sum([_times(*pair, labels, neutral) for pair in own], axis=0)
    times = dict(zip(TIMES, times.tolist(), strict=True))
    errors = sum(times[name] for name in TIMES[:-1])
    if duration is not None:
        times["duration"] = float(duration)
    recall = zip(labels, measures["recall"].tolist(), strict=False)
    return {
        "uar": float(measures["uar"]),
        "recall": {label: share for label, share in recall if not np.isnan(share)},
        "n_segments": len(truth),
        "eder": errors / times["duration"],
        **times,
    }


def _longest(truth, table, labels):
    """The true emotion of each segment and the one recognised in most of it: two lists of int."""
    place = {label: i for i, label in enumerate(labels)}
    table = table.sort_values("start", kind="stable")
    start, end = table["start"].to_numpy(), table["end"].to_numpy()
    latest, codes = np.maximum.accumulate(end), table["emotion"].map(place).to_numpy(int)
    found = []
    for row in truth.itertuples():
        some = slice(np.searchsorted(latest, row.start), np.searchsorted(start, row.end))
        common = np.minimum(end[some], row.end) - np.maximum(start[some], row.start)
        seconds = np.bincount(codes[some], np.maximum(common, 0), len(labels))
        found.append(int(seconds.argmax()) if seconds.any() else len(labels))
    return [place[label] for label in truth["emotion"]], found


def _times(truth, table, labels, neutral):
    """Seconds of each kind of error, and of the utterances, in the order of `TIMES`: list."""
    cuts = np.unique(np.concatenate([t[c] for t in (truth, table) for c in ("start", "end")]))
    seconds = np.diff(cuts)
    true, found = (_between(cuts, t, labels) for t in (truth, table))
    covered = true.any(axis=1)
    emotional = [label != neutral for label in labels]
    true, found = true[:, emotional], found[:, emotional]
    some, any_found, right = true.any(axis=1), found.any(axis=1), (true & found).any(axis=1)
    more = (found & ~true).any(axis=1)
    where = ~some & any_found, some & ~any_found, some & any_found & ~right, right & more, covered
    return [seconds[own].sum() for own in where]


def _between(cuts, rows, labels):
    """Which labels rows have in each interval between cuts: bool ndarray (n_cuts - 1, n_labels)."""
    changes = np.zeros((len(cuts), len(labels)), int)
    codes = [labels.index(label) for label in rows["emotion"]]
    for column, sign in (("start", 1), ("end", -1)):
        np.add.at(changes, (np.searchsorted(cuts, rows[column]), codes), sign)
    return changes.cumsum(axis=0)[:-1] > 0


def timeline_scores_in_words(scores):
    """Describe the scores in one line: str.

    Parameters
    ----------
    scores : dict of `timeline_scores`
    """
    errors = ", ".join(f"{name.replace('_', ' ')} {scores[name]:.1f} s" for name in TIMES[:-1])
    return (
        f"{scores['n_segments']} segments of {len(scores['recall'])} emotions: UAR "
        f"{scores['uar']:.3f}; emotion diarization error rate {scores['eder']:.3f} ({errors}, of "
        f"{scores['duration']:.1f} s)"
    )


def in_words(value, low=None, high=None):
    """Write a score with its interval: str.

    Parameters
    ----------
    value, low, high : float
        A value of NaN is written "-". Bounds may be NaN (one speaker) or left out.

    Examples
    --------
    >>> in_words(0.75, 0.7, 0.8), in_words(0.75, float("nan"), float("nan")), in_words(0.75)
    ('0.750 (0.700 to 0.800)', '0.750 (one speaker, no interval)', '0.750')
    """
    if np.isnan(value):
        return "-"
    if low is None:
        return f"{value:.3f}"
    return f"{value:.3f} ({NO_INTERVAL if np.isnan(low) else f'{low:.3f} to {high:.3f}'})"


def scores_in_words(scores):
    """Write the scores listed in `TITLES` with their 95 % intervals: str, one line.

    Parameters
    ----------
    scores : dict of str to (float or None)
        See `score`.
    """
    numbers = {name: np.nan if value is None else value for name, value in scores.items()}
    order = TITLES if "uar" in scores else scores
    return ", ".join(
        f"{TITLES[name]} {in_words(*(numbers[f'{name}{end}'] for end in ('', '_low', '_high')))}"
        for name in order
        if name in scores and name in TITLES
    )


def labeled_confusion(matrix, emotions):
    """Name the rows true_<emotion> and the columns predicted_<emotion>: DataFrame.

    Parameters
    ----------
    matrix : ndarray (n_emotions, n_emotions)
    emotions : list of str
    """
    rows, columns = ([f"{kind}_{e}" for e in emotions] for kind in ("true", "predicted"))
    return pd.DataFrame(matrix, index=rows, columns=columns)


class Scored:
    """Mixin: the scores of a recognizer on its own training and test part.

    Subclasses have `classification`, `emotions`, `targets`, `random_state`, and the methods
    `_predicted(partition)` (true and predicted labels, speakers) and `protocol()`.
    """

    def test_score(self):
        """Compute accuracy on the test part, for regression the mean absolute error: float."""
        return self._score("test")

    def train_score(self):
        """Compute the same as `test_score` on the training part: float."""
        return self._score("train")

    def _score(self, partition):
        y, predicted, _ = self._predicted(partition)
        right = predicted == y if self.classification else np.abs(predicted - y)
        return float(np.mean(right))

    def test_fbeta_score(self, beta):
        """Compute F-beta on the test part, averaged over the emotions: float.

        Parameters
        ----------
        beta : float
            Weight of recall relative to precision.
        """
        return self._fbeta("test", beta)

    def train_fbeta_score(self, beta):
        """Compute the same as `test_fbeta_score` on the training part: float.

        Parameters
        ----------
        beta : float
        """
        return self._fbeta("train", beta)

    def _fbeta(self, partition, beta):
        from sklearn.metrics import fbeta_score

        self._check_classifier("F-beta")
        y, predicted, _ = self._predicted(partition)
        return float(fbeta_score(y, predicted, beta=beta, average="macro", zero_division=0))

    def _check_classifier(self, what):
        if not self.classification:
            raise ValueError(f"{what} needs a classifier; for a regressor call test_score().")

    def scores(self):
        """Compute accuracy and UAR (regression: CCC, MAE, RMSE) on the test part; see `score`."""
        return self._test_scores()

    def _test_scores(self):
        y, predicted, groups = self._predicted("test")
        labels = self.emotions if self.classification else None
        names = ("ccc", "mae", "rmse") if self.targets else ("mae", "ccc", "rmse")
        found = score(y, predicted, groups, labels, self.random_state, names)
        self._scored = {"score": found, "protocol": self.protocol()}
        return found

    def confusion_matrix(self, percentage=True, labeled=True):
        """Compute the confusion matrix of the test part, in the order of `emotions`.

        Parameters
        ----------
        percentage : bool, default True
            Percent of the true emotion's clips; False: numbers of clips.
        labeled : bool, default True
            Return a DataFrame with rows true_<emotion> and columns predicted_<emotion>; False: an
            ndarray (n_emotions, n_emotions).

        Raises
        ------
        ValueError
            For a regressor.
        """
        self._check_classifier("A confusion matrix")
        y, predicted, _ = self._predicted("test")
        counts = confusion_by_speaker(y, predicted, np.zeros(len(y)), self.emotions)[0]
        if percentage:
            counts = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        return labeled_confusion(counts, self.emotions) if labeled else counts
