"""Extract feature matrices from labelled rows: in parallel, cached per clip, resumable.

    from data_extractor import load_split
    from tables import read_desc_file
    split = load_split(read_desc_file("data/train_emodb.csv"), ["mfcc", "prosody"])
    split.X.shape, split.y, split.groups

A killed run loses at most the batches that were being extracted; see `feature_cache`.
"""

import copy
import io
import os
import warnings
import zlib
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import replace
from numbers import Number
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from joblib import delayed
from sklearn.base import BaseEstimator, TransformerMixin

import features as ft
from audio import AudioError, AudioWarning, copy_stream, load_audio
from checks import check_name, moved, printable
from feature_cache import VERSION, FeatureCache, cache_settings
from functionals import FRAMES, MATRICES
from listening import has_speech
from parameters import DEFAULT_EMOTIONS, SAMPLE_RATE, SPEECH_FROM, SPEECH_MEASURES
from processes import parallel, task
from progress import Progress
from sampling import balanced
from segments import Segment, grouped, load_each
from tables import listed_once, read_desc_file, recordings, speaker_groups
from utils import AS_FEATURES, Doubtful, emotion_scale, enabled, extract_batch, with_encoder

BATCH_SIZE = 16  # clips in one task, so that it takes longer than sending it to a process
NAMED_FAILURES = 50
N_COLUMNS, LEAST, N_SUSPECTS = 512, 0.15, 50
"""Silent clips have the least value of all clips in at least a fourth of the columns, speech in a
tenth at most, if there are enough clips; numbers of columns and clips that are examined."""


# recordings to vectors


class SpeechFeatures(TransformerMixin, BaseEstimator):
    """Transform recordings into a feature matrix: the first step of a scikit-learn pipeline.

    Parameters
    ----------
    features : sequence of str, or dict of str to bool
        See `features.check_features`; or a dict as `utils.get_audio_config` returns it.
    functionals : sequence of str, optional
        See `features.extract`.
    encoder : str or None
        The encoder among the features; see `utils.with_encoder`. Default: as in `features`.
    sr : int
        Sampling rate of arrays in Hz. Files have their own.
    n_jobs : int, optional
        Processes, as joblib counts them; an active joblib backend (Dask, Ray) is used as well.
    cache : bool or path
        Keep the vectors of files in the cache (see `FeatureCache`); a path is its folder.
    min_duration : float
        Seconds; a shorter recording can't be read.
    verbose : int
        0 draws no progress bar.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> make_pipeline(SpeechFeatures(), SVC()).fit(paths, emotions)  # doctest: +SKIP
    """

    def __init__(
        self,
        features=ft.RECOMMENDED_FEATURES,
        functionals=None,
        *,
        encoder=AS_FEATURES,
        sr=SAMPLE_RATE,
        n_jobs=None,
        cache=True,
        min_duration=0.1,
        verbose=0,
    ):
        self.features = features
        self.functionals = functionals
        self.encoder = encoder
        self.sr = sr
        self.n_jobs = n_jobs
        self.cache = cache
        self.min_duration = min_duration
        self.verbose = verbose

    def fit(self, X, y=None):
        """Check the settings; nothing is learned: self.

        Parameters
        ----------
        X, y : ignored
        """
        self.get_feature_names_out()
        return self

    def transform(self, X):
        """Extract the features of recordings, all of which must be readable.

        Parameters
        ----------
        X : list of recordings, or array (n_clips, n_samples)
            Paths, segments of files (see `segments.Segment`), binary file objects, arrays
            (n_samples,).

        Returns
        -------
        ndarray (n_clips, n_features) float32
            With functionals="frames" an array (n_clips,) of matrices (n_frames, n_columns), with
            "steps" of (n_steps, n_columns) float16.

        Raises
        ------
        AudioError
            For a recording that can't be read.
        """
        return self.extract(X, on_error="raise")[0]

    def extract(self, recordings, on_error="warn", *, speed=None, noisy=None):
        """Extract the features of all recordings that can be read.

        Parameters
        ----------
        recordings : list of recordings
            See `transform`.
        on_error : {"warn", "raise"}
            Leave out recordings that can't be read and list them in one warning, or raise.
        speed : float, optional
            Extract copies at another speed; see `augmentation.at_speed`.
        noisy : int, optional
            Extract noisy copies of this number; see `augmentation.noisy_copy`.

        Returns
        -------
        X : ndarray (n_read, n_features) float32
            See `transform`.
        read : ndarray (n_recordings,) of bool
            Which recordings have a row in X, in the order given.

        Raises
        ------
        AudioError
            For a recording that can't be read, if `on_error` is "raise".
        """
        check_name(on_error, ("warn", "raise"), "on_error")
        names, framewise = self._names(), self.functionals in MATRICES
        options = {
            "functionals": ft.check_functionals(self.functionals),
            "min_duration": self.min_duration,
            **({} if speed is None else {"speed": speed}),
            **({} if noisy is None else {"noisy": noisy}),
        }
        keys, clips = _by_key(recordings)
        # Frames aren't cached: they are large, and computed almost as fast as read.
        by_name = self.functionals != FRAMES
        n_columns = len(ft.feature_names(names, self.functionals))
        files = [key for key in clips if by_name and not isinstance(key, int)]
        cache_dir = None if self.cache is True else self.cache
        settings, options = cache_settings(names, options), {"features": names, **options}
        with closing(FeatureCache(cache_dir if files else False)) as cache:
            digests = cache.digests(files)
            contents = {key: digests.get(key, key) for key in clips}
            vectors = cache.get(list(digests.values()), settings, n_columns if framewise else None)
            failures, doubts = {}, {}  # never cached: each run has to report them
            missing = {content: key for key, content in contents.items() if content not in vectors}
            missing = {key: clips[key] for key in missing.values()}  # each content once
            for done, outcomes in self._batches(missing, options):
                for key, outcome in zip(done, outcomes, strict=True):
                    if isinstance(outcome, Doubtful):
                        vector, faults = outcome
                        outcome = AudioError(faults.get("truncated"))
                        if on_error == "raise" or "truncated" not in faults:
                            doubts[contents[key]] = vector, "; ".join(faults.values())
                            continue
                    if not isinstance(outcome, AudioError):
                        vectors[contents[key]] = outcome
                    elif on_error == "raise":
                        raise outcome
                    else:
                        failures[contents[key]] = str(outcome).removeprefix(f"{_name(key)}: ")
                now = cache.digests([key for key in done if key in digests])
                made = [now[key] for key in now if now[key] == contents[key]]  # unchanged
                cache.put({own: vectors[own] for own in made if own in vectors}, settings)
        if failures:
            failed = [key for key in keys if contents[key] in failures]
            lines = [f"\n  {_name(key)}: {failures[contents[key]]}" for key in failed]
            _warn_of(lines, "left out, as they can't be read:", UserWarning)
        if doubts:
            named = [key for key in keys if contents[key] in doubts]
            _warn_of([f"\n  {_name(key)}: {doubts[contents[key]][1]}" for key in named])
            vectors |= {content: vector for content, (vector, _) in doubts.items()}
        read = np.array([contents[key] in vectors for key in keys], dtype=bool)
        found = [vectors[contents[key]] for key in keys if contents[key] in vectors]
        if framewise:
            return ragged(found), read
        return np.concatenate([np.empty(0, np.float32), *found]).reshape(-1, n_columns), read

    def _batches(self, clips, options):
        """Yield (keys, outcomes) of batches, in the order in which they end."""
        kinds = {"path": [], "segment": [], "file": [], "array": []}
        for key, clip in clips.items():
            named = "segment" if isinstance(key, Segment) else "path"
            kind = "file" if hasattr(clip, "read") else "array" if isinstance(key, int) else named
            kinds[kind].append(key)
        for kind, keys in kinds.items():
            batches = [[keys[i] for i in group] for group in grouped(keys, BATCH_SIZE)]
            batches = [{key: clips[key] for key in batch} for batch in batches]
            # An open file can't be sent to another process.
            n_jobs = self.n_jobs if len(batches) > 1 and kind != "file" else 1
            own = options | {"sr": self.sr} if kind == "array" else options
            work = parallel(
                n_jobs, return_as="generator_unordered", batch_size=1, pre_dispatch="4 * n_jobs"
            )
            silent = not self.verbose or not keys
            shown = {"total": len(keys), "desc": "Extracting features", "unit": "clip"}
            with Progress(**shown, disable=silent) as bar:
                for done, outcomes in work(delayed(task(_extracted))(b, own) for b in batches):
                    yield done, outcomes
                    bar.update(len(done))

    def _names(self):
        """Names of features in the order of the columns: list of str."""
        names, switches = self.features, isinstance(self.features, Mapping)
        return with_encoder(enabled(names) if switches else names, self.encoder)

    def get_feature_names_out(self, input_features=None):
        """The names of the columns of the matrix: ndarray (n_features,) of str.

        Parameters
        ----------
        input_features : ignored
        """
        return np.array(ft.feature_names(self._names(), self.functionals), dtype=object)

    def __sklearn_tags__(self):
        """The tags for scikit-learn: there is nothing to fit, and X may be paths."""
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.string = True
        return tags


def extract_features(
    paths,
    features,
    *,
    functionals=None,
    min_duration=0.1,
    n_jobs=-1,
    verbose=1,
    cache_dir=None,
    **options,
):
    """Compute the vectors of many clips, or read them from the cache.

    Parameters
    ----------
    paths : list of path
    features, functionals, min_duration, n_jobs, verbose
        See `SpeechFeatures`.
    cache_dir : path or False, optional
        See `FeatureCache`.
    **options
        on_error, speed, noisy.

    Returns
    -------
    X, read
        See `SpeechFeatures.extract`, which takes the options.
    """
    settings = {"n_jobs": n_jobs, "min_duration": min_duration, "verbose": verbose}
    settings["cache"] = True if cache_dir is None else cache_dir
    return SpeechFeatures(features, functionals, **settings).extract(paths, **options)


def ragged(matrices):
    """Put matrices of different lengths into one array: (n_clips,) of object.

    Parameters
    ----------
    matrices : list of ndarray (n_frames, n_columns)
    """
    array = np.empty(len(matrices), dtype=object)
    for i, matrix in enumerate(matrices):  # np.array would stack matrices of equal length
        array[i] = matrix
    return array


def _by_key(recordings):
    """Keys of recordings, and a dict of key to recording.

    A key is an absolute path, a segment of one, or the index in the list.
    """
    folder = os.getcwd()  # noqa: PTH109 - in this loop Path is 10 times slower than os.path
    keys, clips = [], {}
    for i, clip in enumerate(recordings):
        if isinstance(clip, Segment):
            key = replace(clip, path=os.path.join(folder, clip.path))  # noqa: PTH118
        else:
            is_path = isinstance(clip, (str, os.PathLike))
            key = os.path.join(folder, clip) if is_path else i  # noqa: PTH118
        keys.append(key)
        clips[key] = clip if isinstance(key, int) else key
    return keys, clips


def _name(key):
    """The name of a recording in messages; see `_by_key`."""
    return repr(key) if isinstance(key, int) else repr(str(key))


def _extracted(clips, options):
    """Keys and vectors of a batch, for workers, whose batches may end in another order."""
    sources = list(clips.values())
    if not isinstance(sources[0], Segment):
        return list(clips), extract_batch(sources, options)[1]
    outcomes, own = {}, options | {"sr": SAMPLE_RATE}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AudioWarning)
        for i, y in load_each(sources, min_duration=options["min_duration"]):
            outcomes[i] = y if isinstance(y, AudioError) else extract_batch([y], own)[1][0]
    return list(clips), [outcomes[i] for i in range(len(sources))]


def _warn_of(lines, what="used in spite of faults:", category=AudioWarning):
    """List recordings in one warning."""
    named = "".join(lines[:NAMED_FAILURES])
    if len(lines) > NAMED_FAILURES:
        named += f"\n  ... and {len(lines) - NAMED_FAILURES} more"
    warnings.warn(f"{len(lines)} clip(s) {what}{named}", category, stacklevel=4)


# which recordings have speech


def kept(recordings):
    """Copy open files, which can be read only once, into memory: list of recordings.

    Parameters
    ----------
    recordings : list of recordings
        See `SpeechFeatures.transform`.

    Raises
    ------
    AudioError
        If the list has numbers, such as samples.
    """
    for x in recordings:
        if isinstance(x, Number):
            raise AudioError(
                f"a list must have recordings, and {x!r} isn't one; pass samples as an array: "
                "np.asarray(samples), with sr in Hz"
            )
    return [_in_memory(x) if hasattr(x, "read") else x for x in recordings]


def _in_memory(file):
    copied = io.BytesIO()
    copy_stream(file, copied)
    copied.seek(0)
    return copied


def copies_of(recordings):
    """The same recordings (see `kept`), with open files that have their own positions: list."""
    return [copy.copy(x) if isinstance(x, io.BytesIO) else x for x in recordings]


def find_speech(recordings, *, sr=None, n_jobs=None, cache_dir=None):
    """Whether each recording has speech: list of bool, cached for files.

    Parameters
    ----------
    recordings : list of recordings
        See `SpeechFeatures.transform`.
    sr : int, optional
        Hz, the sampling rate of arrays.
    n_jobs, cache_dir
        See `SpeechFeatures` and `FeatureCache`.

    Raises
    ------
    AudioError
        For a recording that can't be read.
    """
    settings = f"{VERSION} has_speech {zlib.crc32(repr((SPEECH_MEASURES, SPEECH_FROM)).encode())}"
    keys, clips = _by_key(recordings)
    files = [key for key in clips if not isinstance(key, int)]
    with closing(FeatureCache(cache_dir if files else False)) as cache:
        digests = cache.digests(files)
        kept = cache.get(list(digests.values()), settings)
        found = {key: kept[own] for key, own in digests.items() if own in kept}
        missing = [key for key in clips if key not in found]
        batches = [[missing[i] for i in group] for group in grouped(missing, BATCH_SIZE)]
        is_open = any(hasattr(clips[key], "read") for key in missing)
        work = parallel(1 if is_open or len(batches) < 2 else n_jobs, batch_size=1)
        sounds = ([clips[key] for key in batch] for batch in batches)
        every = work(delayed(task(_spoken))(batch, sr) for batch in sounds)
        for batch, spoken in zip(batches, every, strict=True):
            found |= zip(batch, spoken, strict=True)
        now = cache.digests([key for key in missing if key in digests])
        made = {own: found[key] for key, own in now.items() if own == digests[key]}
        cache.put(made, settings)
    return [bool(found[key][0]) for key in keys]


def _spoken(sounds, sr):
    """1 for recordings with speech, else 0: list of ndarray (1,)."""
    found = {}
    for knows_rate in (True, False):
        own = [i for i, sound in enumerate(sounds) if _is_file(sound) == knows_rate]
        rate = None if knows_rate else sr
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AudioWarning)
            for i, y in load_each([sounds[i] for i in own], orig_sr=rate):
                if isinstance(y, AudioError):
                    raise y
                found[own[i]] = np.array([has_speech(y)], np.float32)
    return [found[i] for i in range(len(sounds))]


def _is_file(recording):
    """Whether a recording is a file, which knows its rate: bool."""
    return isinstance(recording, (str, Segment)) or hasattr(recording, "read")


# labelled rows to matrices


def _warn_of_silence(X, rows):
    """Warn of clips of digital silence; those with the least values in many columns are read."""
    if X.dtype == object or not X.size:
        return
    some = X[:, :: X.shape[1] // N_COLUMNS + 1]
    share = (some == some.min(axis=0)).mean(axis=1)
    suspects = rows[share > LEAST][:N_SUSPECTS]
    silent = [
        f"{printable(r.path)} ({r.emotion})" for r in suspects.itertuples() if _silent(r.path)
    ]
    if silent:
        named = ", ".join(silent[:NAMED_FAILURES])
        warnings.warn(
            f"{len(silent)} clip(s) of digital silence have a label: {named}", stacklevel=3
        )


def _silent(path):
    with warnings.catch_warnings(), suppress(AudioError):  # it may have been deleted
        warnings.simplefilter("ignore", AudioWarning)
        return not load_audio(path).any()
    return False


class Split(NamedTuple):
    """The clips of a training or test part, row by row."""

    X: np.ndarray
    """(n_clips, n_features) float32; with functionals of `MATRICES` (n_clips,) of matrices."""
    y: np.ndarray
    """(n_clips,): emotions, or their numbers; (n_clips, n_targets) for several targets."""
    groups: np.ndarray
    """(n_clips,) of str: speakers as corpus/speaker."""
    rows: pd.DataFrame
    """(n_clips,): columns path, emotion, speaker, corpus and all others that were given."""


class Views:
    """The features of the same clips for each member of an ensemble.

    Parameters
    ----------
    views : list
        For each member, the features of the clips.
    """

    def __init__(self, views):
        self.views = list(views)

    def __len__(self):
        return len(self.views[0])

    def __getitem__(self, rows):
        return Views([X[rows] for X in self.views])

    def __iter__(self):
        return iter(self.views)


def load_split(
    rows,
    features,
    *,
    functionals=None,
    emotions=DEFAULT_EMOTIONS,
    classification=True,
    targets=(),
    balance=True,
    shuffle=True,
    partition="train",
    random_state=0,
    **extraction,
):
    """Extract the features of a table's clips for training or testing: Split.

    Parameters
    ----------
    rows : DataFrame
        Columns path, emotion, speaker, corpus; optionally start and end, see `tables.recordings`.
    features, functionals, **extraction
        See `extract_features`.
    emotions : list of str
        Clips of other emotions aren't read.
    classification : bool
        True: y has names of emotions; False: numbers on one of `parameters.EMOTION_SCALES`.
    targets : sequence of str
        Columns of numbers to learn in place of emotions; then clips of all emotions are used. For
        one column y is (n_clips,), for several (n_clips, n_targets).
    balance : bool
        Draw as many clips of every emotion as the rarest one has.
    shuffle : bool
        Put the rows in random order.
    partition : {"train", "test"}
        A train partition must have every emotion; for a test partition a warning names missing
        ones.
    random_state : int
        Seed of the drawing and the shuffling.

    Raises
    ------
    ValueError
        If a train partition has no clip of an emotion, or there are no clips.
    """
    source = rows.attrs.get("source", "these rows")
    rows = listed_once(rows.assign(emotion="") if targets else rows)
    if targets:
        emotions, balance = (), False
        numbers_of(rows, targets)  # to raise before the extraction, which may take hours
    else:
        rows = rows[rows["emotion"].isin(list(emotions))]
        if not classification:
            emotion_scale(emotions)  # also to raise early
    X, read = extract_features(recordings(rows), features, functionals=functionals, **extraction)
    rows = rows[read]
    if targets and rows.empty:
        raise ValueError(f"No {partition} clips in {source}. Add some.")
    _warn_of_silence(X, rows)
    if absent := [emotion for emotion in emotions if emotion not in set(rows["emotion"])]:
        message = f"No {partition} clips of {', '.join(absent)} in {source}."
        if partition == "train" or rows.empty:
            raise ValueError(f"{message} Add some, or leave the emotion out.")
        warnings.warn(f"{message} Scores are over the other emotions.", stacklevel=2)
    rng = np.random.default_rng(random_state)
    names = rows["emotion"].to_numpy()
    drawn = balanced(names, rng) if balance else np.arange(len(names))
    drawn = rng.permutation(drawn) if shuffle else drawn
    rows = rows.iloc[drawn].reset_index(drop=True)
    if targets:
        y = numbers_of(rows, targets)
    elif classification:
        y = rows["emotion"].to_numpy(dtype=str)
    else:
        y = rows["emotion"].map(emotion_scale(emotions)).to_numpy(dtype=float)
    return Split(X[drawn], y, speaker_groups(rows), rows)


def numbers_of(rows, targets):
    """The regression targets of clips: ndarray (n_clips,), or (n_clips, n_targets).

    Parameters
    ----------
    rows : DataFrame (n_clips,)
    targets : sequence of str
        Names of columns.

    Raises
    ------
    ValueError
        If there is no such column, or it has a value that isn't a finite number.
    """
    for name in targets:
        check_name(name, list(rows), "column of numbers")
        found = pd.to_numeric(rows[name], errors="coerce").to_numpy(dtype=float)
        if not np.isfinite(found).all():
            place = rows.index[~np.isfinite(found)][0]
            raise ValueError(
                f"{name!r} is {rows.loc[place, name]!r} for {rows.loc[place, 'path']!r}: a target "
                "must be a finite number. Correct it, or leave the clip out."
            )
    y = rows[list(targets)].to_numpy(dtype=float)
    return y if len(targets) > 1 else y[:, 0]


class AudioExtractor:
    """Reads desc_files: `load_split` with the interface of this project's first version.

    Parameters
    ----------
    audio_config : dict of str to bool, optional
        See `utils.get_audio_config`; default mfcc, chroma and mel.
    corpora : list of str, optional
        Clips of other corpora aren't read; default all.
    **options
        See `load_split`.
    """

    def __init__(self, audio_config=None, *, corpora=None, **options):
        self.audio_config = audio_config
        self.corpora = corpora
        self.options = options

    def load(self, desc_files, partition="train"):
        """Read one partition: X, y and rows of a `Split`.

        Parameters
        ----------
        desc_files : list of path, or one path
            See `tables.read_desc_file`.
        partition : {"train", "test"}
        """
        if isinstance(desc_files, (str, Path)):
            desc_files = [desc_files]
        rows = pd.concat([read_desc_file(path) for path in desc_files], ignore_index=True)
        if self.corpora is not None:
            rows = rows[rows["corpus"].isin(list(self.corpora))]
        rows.attrs["source"] = ", ".join(map(str, desc_files))
        features = self.audio_config or ft.DEFAULT_FEATURES
        split = load_split(rows, features, partition=partition, **self.options)
        return split.X, split.y, split.rows


def load_data(
    train_desc_files,
    test_desc_files,
    audio_config=None,
    classification=True,
    shuffle=True,
    balance=True,
    emotions=DEFAULT_EMOTIONS,
    **options,
):
    """Read the features and labels of both partitions.

    Parameters
    ----------
    train_desc_files, test_desc_files : list of path
        See `tables.read_desc_file`.
    audio_config, classification, shuffle, balance, emotions, **options
        See `AudioExtractor`.

    Returns
    -------
    dict
        X_train, X_test: ndarray (n_clips, n_features) float32; y_train, y_test: ndarray (n_clips,);
        train_audio_paths, test_audio_paths, train_speakers, test_speakers: lists (n_clips,),
        speakers as corpus/speaker; train_rows, test_rows: DataFrames with all of these; balance:
        whether all emotions have the same number of clips.
    """
    options |= {"classification": classification, "shuffle": shuffle, "balance": balance}
    extractor = AudioExtractor(audio_config, emotions=emotions, **options)
    data = {"balance": balance}
    for partition, desc_files in (("train", train_desc_files), ("test", test_desc_files)):
        X, y, rows = extractor.load(desc_files, partition)
        data[f"X_{partition}"], data[f"y_{partition}"] = X, y
        data[f"{partition}_audio_paths"] = rows["path"].tolist()
        data[f"{partition}_speakers"] = speaker_groups(rows).tolist()
        data[f"{partition}_rows"] = rows
    return data


__getattr__ = moved(
    __name__,
    {
        "feature_cache": "FRESH SEALED SQL_VARIABLES extraction_version find_cache_dir"
        " source_version=extraction_version",
        "checks": "replacing",
        "processes": "CLUSTER_TIMEOUT on_cluster sequential without_own_jobs",
        "sampling": "stratified_order",
        "utils": "extract_feature get_audio_config",
    },
)
