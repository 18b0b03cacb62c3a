"""From desc_files to feature matrices: in parallel, cached per clip, resumable.

    from data_extractor import load_data
    data = load_data(["data/train_emodb.csv"], ["data/test_emodb.csv"])
    data["X_train"].shape, len(data["y_train"]), set(data["train_speakers"])

The cache is one SQLite file, `cache/features.sqlite` (or $SER_CACHE_DIR/features.sqlite): any
number of processes may share it, a killed run loses at most the batch it was in, and it can be
deleted at any time.
"""

import hashlib
import importlib.metadata
import inspect
import json
import os
import sqlite3
import time
import warnings
import zlib
from contextlib import closing, contextmanager, suppress
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed, parallel_config
from sklearn.base import BaseEstimator, TransformerMixin
from tqdm.auto import tqdm

import audio
import degradations
import features as ft
import voice
from create_csv import find_cache_dir, read_desc_file
from parameters import SAMPLE_RATE
from utils import (
    check_name,
    emotion_scale,
    extract_batch,
    extract_feature,
    get_audio_config,
    replacing,
)

DEFAULT_EMOTIONS = ("sad", "neutral", "happy")
BATCH_SIZE = 16  # clips a task: long enough to be worth sending to another process
SQL_VARIABLES = 500  # names a query: SQLite allows 999 everywhere
SEALED = 0x2144DF1C  # the CRC-32 of whatever ends in its own CRC-32
FRESH = 2  # seconds: a clip edited twice within a file system's tick has the same stamp
NAMED_FAILURES = 50
CLUSTER_TIMEOUT = 10  # seconds for a scheduler to answer


# Read at import: an editor may have changed the files before the first vector is made.
_SOURCES = [Path(module.__file__).read_bytes() for module in (audio, degradations, ft, voice)]
_SOURCES += [inspect.getsource(extract_feature).encode(), str(SAMPLE_RATE).encode()]


def source_version():
    """Say which code of ours makes the vectors: a digest."""
    return hashlib.sha256(b"".join(_SOURCES)).hexdigest()[:16]


@lru_cache(maxsize=1)
def extraction_version():
    """Say which code makes the vectors: a digest of our sources and of the libraries they call."""
    digest = hashlib.sha256(b"".join(_SOURCES))
    for library in ("librosa", "numba", "numpy", "scipy", "soundfile", "soxr"):
        digest.update(f"{library} {importlib.metadata.version(library)}".encode())
    return digest.hexdigest()[:16]


def cache_settings(options):
    """What a vector depends on besides its clip: the code and its options, as one string."""
    return json.dumps([extraction_version(), options])


class FeatureCache:
    """Vectors on disk, found by what a clip contains, not by what it is called.

    A clip whose size, times and inode are as they were is known by its path alone; any other is
    read and hashed. A vector belongs to that hash, the feature settings and the version of the
    extraction code, so that none of them ever meets another's values. Each carries a checksum of
    all this: what a failing disk has altered counts as not there.

    Parameters
    ----------
    cache_dir : path or False, optional
        See `create_csv.find_cache_dir`; False keeps nothing beyond this object. A damaged file is
        set aside for a new one. One that can't be written to is read, and what is added lasts as
        long as this object. Either way a warning says so.
    """

    def __init__(self, cache_dir=None):
        if cache_dir is False:
            self._db = self._with_tables(sqlite3.connect(":memory:"))
            return
        self.path = find_cache_dir(cache_dir) / "features.sqlite"
        self._file_id = _file_id(self.path)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = self._open(self.path)
        except (OSError, sqlite3.DatabaseError) as error:
            self._db = self._open_instead(error)

    def _open_instead(self, error):
        """What serves where the file can't: a new one if it is damaged, else a copy in memory."""
        if isinstance(error, (OSError, sqlite3.OperationalError)):
            warnings.warn(
                f"{self.path} can't be written ({error}); new features are not kept. "
                "Set SER_CACHE_DIR to a folder of your own.",
                stacklevel=4,
            )
            memory = sqlite3.connect(":memory:")
            with suppress(sqlite3.Error):
                uri = f"{self.path.absolute().as_uri()}?mode=ro"
                with closing(sqlite3.connect(uri, uri=True)) as file:
                    file.backup(memory)
            return self._with_tables(memory)
        with closing(sqlite3.connect(self.path.with_suffix(".lock"), timeout=60)) as lock:
            lock.execute("BEGIN EXCLUSIVE")  # one process sets it aside, however many have met it
            if _file_id(self.path) == self._file_id:  # else another one has already done it
                damaged = self.path.with_suffix(".damaged")
                with replacing(self.path) as new:  # has its tables first: journals go by names
                    self._open(new).close()
                    self.path.replace(damaged)
                warnings.warn(f"{self.path} was damaged; kept as {damaged.name}", stacklevel=4)
            db = self._open(self.path)
            self._file_id = _file_id(self.path)
        return db

    def _open(self, path):
        db = sqlite3.connect(path, timeout=60)  # seconds to wait for another process's write
        try:
            db.execute("PRAGMA synchronous = NORMAL")
            return self._with_tables(db)
        except sqlite3.DatabaseError:
            db.close()
            raise

    @staticmethod
    def _with_tables(db):
        with db:
            db.execute("BEGIN IMMEDIATE")  # several processes may start at once
            db.execute(
                "CREATE TABLE IF NOT EXISTS clips (path BLOB PRIMARY KEY, stamp TEXT, digest BLOB)"
            )
            db.execute(
                "CREATE TABLE IF NOT EXISTS vectors "
                "(digest BLOB, settings TEXT, vector BLOB, PRIMARY KEY (digest, settings))"
            )
        return db

    def _select(self, query, keys, *arguments):
        """Rows of a query over many keys, a chunk of keys at a time."""
        rows = []
        try:
            for start in range(0, len(keys), SQL_VARIABLES):
                chunk = keys[start : start + SQL_VARIABLES]
                marks = ",".join("?" * len(chunk))
                rows += self._db.execute(query.format(marks=marks), [*arguments, *chunk])
        except sqlite3.DatabaseError as error:
            self._db.close()
            self._db = self._open_instead(error)
        return rows

    def _insert(self, table, rows):
        """Write rows of three columns: all of them or, if that fails, none."""
        try:
            with self._db:
                self._db.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)", rows)
        except sqlite3.DatabaseError as error:
            self._db.close()
            self._db = self._open_instead(error)

    def digests(self, paths):
        """The content hash of each clip.

        Parameters
        ----------
        paths : list of str
            Absolute.

        Returns
        -------
        dict of str to bytes
            Without the paths that can't be read.
        """
        settled = time.time_ns() - FRESH * 10**9
        stamps = {path: stamp for path in paths if (stamp := _stamp(path))}
        names = {os.fsencode(path): path for path in stamps}  # not every file name is Unicode
        known = self._select(
            "SELECT path, stamp, digest FROM clips WHERE path IN ({marks})", list(names)
        )
        found = {
            names[name]: digest for name, stamp, digest in known if stamp == stamps[names[name]][0]
        }
        unknown = stamps.keys() - found.keys()
        new = {path: digest for path in unknown if (digest := _digest(path))}
        rows = [
            (os.fsencode(path), stamps[path][0], digest)
            for path, digest in new.items()
            if stamps[path][1] < settled
        ]
        if rows:
            self._insert("clips", rows)
        return found | new

    def get(self, digests, settings):
        """The vectors that are there, as a dict of digest to ndarray (n_features,) float32."""
        rows = self._select(
            "SELECT digest, vector FROM vectors WHERE settings = ? AND digest IN ({marks})",
            list(dict.fromkeys(digests)),
            settings,
        )
        salt = settings.encode()
        return {
            digest: np.frombuffer(vector, dtype=np.float32, count=len(vector) // 4 - 1)
            for digest, vector in rows
            if isinstance(vector, bytes) and zlib.crc32(vector, zlib.crc32(digest + salt)) == SEALED
        }

    def put(self, vectors, settings):
        """Keep vectors, a dict of digest to ndarray (n_features,) float32; whole or not at all."""
        rows = [
            (digest, settings, _seal(digest, settings, vector.tobytes()))
            for digest, vector in vectors.items()
        ]
        self._insert("vectors", rows)

    def close(self):
        """Give the file back."""
        self._db.close()


def _digest(path):
    """The content hash of a file; None if it can't be read."""
    try:
        content = Path(path).read_bytes()
    except OSError:
        return None
    return hashlib.sha256(content).digest()[:16]


def _seal(digest, settings, vector):
    """The bytes of a vector, then a checksum of them and of what they belong to."""
    checksum = zlib.crc32(vector, zlib.crc32(digest + settings.encode()))
    return vector + checksum.to_bytes(4, "little")


def _file_id(path):
    """Tells a file from another one that has taken its name; None where there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _stamp(path):
    """What changes when a file is edited or replaced, even if its size and date were put back.

    Returns
    -------
    (str, int) or None
        The stamp, and when it last changed in ns; None where there is no file.
    """
    try:
        stat = os.stat(path)  # noqa: PTH116 - Path(path).stat() takes three times as long
    except OSError:
        return None
    stamp = f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}"
    return stamp, max(stat.st_mtime_ns, stat.st_ctime_ns)


def extract_features(
    paths,
    audio_config,
    *,
    functionals=None,
    min_duration=0.1,
    n_jobs=-1,
    verbose=1,
    on_error="warn",
    cache_dir=None,
    speed=None,
    degraded=None,
):
    """The vectors of many clips, from the cache where it has them.

    Parameters
    ----------
    paths : list of path
    audio_config : dict of str to bool
        See `utils.get_audio_config`.
    functionals : sequence of str, optional
        See `features.extract`.
    min_duration : float
        Seconds; a shorter clip can't be read.
    n_jobs : int
        Processes, as joblib counts them; a joblib backend that is active (Dask, Ray) serves too.
    verbose : int
        0 draws no progress bar.
    on_error : {"warn", "raise"}
        What a clip that can't be read does: it is left out and named in one warning at the end,
        or its AudioError is raised.
    cache_dir : path or False, optional
        See `FeatureCache`.
    speed, degraded : optional
        Which version of each clip is heard; see `utils.extract_feature`.

    Returns
    -------
    X : ndarray (n_read, n_features) float32
        With functionals="frames" an array (n_read,) of matrices (n_frames, n_columns), which the
        cache doesn't keep: they are large, and made nearly as fast as read.
    read : ndarray (n_paths,) bool
        Which of the paths have a row in X, in the order of `paths`.

    Raises
    ------
    AudioError
        For the first clip that can't be read, if `on_error` is "raise".
    """
    check_name(on_error, ("warn", "raise"), "on_error")
    folder = str(Path.cwd())
    paths = [os.path.join(folder, path) for path in paths]  # noqa: PTH118 - Path is 10 times slower
    names = [name for name, on in audio_config.items() if on]
    options = get_audio_config(names) | {
        "functionals": ft.check_functionals(functionals),
        "min_duration": min_duration,
        **({} if speed is None else {"speed": speed}),
        **({} if degraded is None else {"degraded": degraded}),
    }
    settings, framewise = cache_settings(options), functionals == ft.FRAMES
    cache = FeatureCache(False if framewise else cache_dir)
    try:
        digests = {} if framewise else cache.digests(list(dict.fromkeys(paths)))
        keys = {path: path for path in paths} | digests
        vectors = cache.get([key for key in keys.values() if isinstance(key, bytes)], settings)
        missing = list({key: path for path, key in keys.items() if key not in vectors}.values())
        failures = {}
        for done, outcomes in _run_batches(missing, options, n_jobs, verbose):
            made, failed = _sort_outcomes(done, outcomes, on_error)
            if not framewise:
                now = cache.digests(list(made))
                fresh = [path for path in now if now[path] == keys[path]]  # not edited meanwhile
                cache.put({now[path]: made[path] for path in fresh}, settings)
            vectors |= {keys[path]: vector for path, vector in made.items()}
            failures |= {keys[path]: reason for path, reason in failed.items()}
    finally:
        cache.close()
    left_out = [f"{path!r}: {failures[keys[path]]}" for path in paths if keys[path] in failures]
    if left_out:
        _warn_left_out(left_out)
    read = np.array([keys[path] in vectors for path in paths], dtype=bool)
    found = [vectors[keys[path]] for path in paths if keys[path] in vectors]
    if framewise:
        return ragged(found), read
    n_features = len(ft.feature_names(names, functionals))
    return np.concatenate([np.empty(0, np.float32), *found]).reshape(-1, n_features), read


def ragged(matrices):
    """An array (n_clips,) whose elements are matrices (n_frames, n_columns)."""
    array = np.empty(len(matrices), dtype=object)
    for i, matrix in enumerate(matrices):  # at once, numpy would stack those of equal length
        array[i] = matrix
    return array


def _sort_outcomes(paths, outcomes, on_error):
    """Tell vectors from failures: dicts of path to vector, and of path to the reason."""
    made, failed = {}, {}
    for path, outcome in zip(paths, outcomes, strict=True):
        if not isinstance(outcome, audio.AudioError):
            made[path] = outcome
        elif on_error == "raise":
            raise outcome
        else:
            failed[path] = str(outcome).removeprefix(f"{path!r}: ")
    return made, failed


def _run_batches(clips, options, n_jobs, verbose, in_order=False):
    """Yield (clips, outcomes) of one batch after the other, as they end or in order."""
    batches = [clips[i : i + BATCH_SIZE] for i in range(0, len(clips), BATCH_SIZE)]
    return_as = "generator" if in_order else "generator_unordered"
    n_jobs = n_jobs if len(batches) > 1 else 1
    workers = Parallel(n_jobs, return_as=return_as, batch_size=1, pre_dispatch="4 * n_jobs")
    with tqdm(total=len(clips), desc="Extracting features", unit="clip",
              disable=not verbose or not clips) as bar:  # fmt: skip
        for done, outcomes in workers(delayed(extract_batch)(b, options) for b in batches):
            yield done, outcomes
            bar.update(len(done))


def _warn_left_out(messages):
    """Name the clips that were left out, in one warning."""
    lines = [f"\n  {message}" for message in messages[:NAMED_FAILURES]]
    if len(messages) > NAMED_FAILURES:
        lines.append(f"\n  ... and {len(messages) - NAMED_FAILURES} more")
    warnings.warn(
        f"{len(messages)} clip(s) left out with their labels, they can't be read:{''.join(lines)}",
        stacklevel=4,
    )


class SpeechFeatures(TransformerMixin, BaseEstimator):
    """Recordings in, feature matrix out: the first step of a scikit-learn pipeline.

    Parameters
    ----------
    features : sequence of str
        Any of `features.FEATURES` and `features.VOICE_FEATURES`.
    functionals : sequence of str, optional
        See `features.extract`.
    sr : int
        Hz; the sampling rate of recordings that are given as arrays. Files know their own.
    n_jobs : int, optional
        Processes, as joblib counts them.
    cache : bool or path
        Keep the vectors of files in the cache (see `FeatureCache`); a path says where.
    min_duration : float
        Seconds; a shorter recording is an error.
    verbose : int
        0 draws no progress bar.

    Examples
    --------
    >>> from sklearn.pipeline import Pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.svm import SVC
    >>> pipeline = Pipeline(
    ...     [("features", SpeechFeatures()), ("scale", StandardScaler()), ("svc", SVC())]
    ... )
    >>> pipeline.fit(paths, emotions)  # doctest: +SKIP
    """

    def __init__(
        self,
        features=ft.DEFAULT_FEATURES,
        functionals=None,
        *,
        sr=SAMPLE_RATE,
        n_jobs=None,
        cache=True,
        min_duration=0.1,
        verbose=0,
    ):
        self.features = features
        self.functionals = functionals
        self.sr = sr
        self.n_jobs = n_jobs
        self.cache = cache
        self.min_duration = min_duration
        self.verbose = verbose

    def fit(self, X, y=None):
        """Check the settings; there is nothing to learn.

        Parameters
        ----------
        X : list of recordings
            See `transform`.
        y : ignored

        Returns
        -------
        self
        """
        self.get_feature_names_out()
        return self

    def transform(self, X):
        """Extract the features of recordings.

        Parameters
        ----------
        X : list or array of paths, list of arrays (n_samples,), or array (n_clips, n_samples)

        Returns
        -------
        ndarray (n_clips, n_features) float32
            With functionals="frames" an array (n_clips,) of matrices (n_frames, n_columns).

        Raises
        ------
        AudioError
            For the first recording that can't be read.
        """
        clips = list(X)
        if all(isinstance(clip, (str, os.PathLike)) for clip in clips):
            return self.extract(clips, on_error="raise")[0]
        options = get_audio_config(self.features) | {
            "functionals": self.functionals,
            "sr": self.sr,
            "min_duration": self.min_duration,
        }
        vectors = []
        for _, outcomes in _run_batches(clips, options, self.n_jobs, self.verbose, in_order=True):
            for outcome in outcomes:
                if isinstance(outcome, audio.AudioError):
                    raise outcome
                vectors.append(outcome)
        return ragged(vectors) if self.functionals == ft.FRAMES else np.stack(vectors)

    def extract(self, paths, on_error="warn"):
        """Extract the features of files, leaving out those that can't be read if wished.

        Parameters
        ----------
        paths : list of path
        on_error : {"warn", "raise"}
            See `extract_features`.

        Returns
        -------
        X : ndarray (n_read, n_features) float32
        read : ndarray (n_paths,) bool
        """
        return extract_features(
            paths,
            get_audio_config(self.features),
            functionals=self.functionals,
            min_duration=self.min_duration,
            n_jobs=self.n_jobs,
            verbose=self.verbose,
            on_error=on_error,
            cache_dir=None if self.cache is True else self.cache,
        )

    def get_feature_names_out(self, input_features=None):
        """Name the columns of the matrix: ndarray (n_features,) of str."""
        return np.array(ft.feature_names(self.features, self.functionals), dtype=object)

    def __sklearn_tags__(self):
        """Tell scikit-learn that there is nothing to fit, and that X may be paths."""
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.string = True
        return tags


class AudioExtractor:
    """Reads desc_files into feature matrices whose rows keep their path, emotion and speaker.

    Parameters
    ----------
    audio_config : dict of str to bool, optional
        See `utils.get_audio_config`; default mfcc, chroma and mel.
    functionals : sequence of str, optional
        See `features.extract`.
    emotions : list of str
        Clips of other emotions are not read.
    corpora : list of str, optional
        Clips of other corpora are not read; default all.
    classification : bool
        Labels are names; else numbers on one of `utils.EMOTION_SCALES`.
    balance : bool
        Draw as many clips of every emotion as the rarest one has, in each partition.
    shuffle : bool
        Put the rows in random order.
    n_jobs, verbose, on_error, cache_dir
        See `extract_features`.
    random_state : int
        Seed of the drawing and the shuffling.
    """

    def __init__(self, audio_config=None, *, functionals=None, emotions=DEFAULT_EMOTIONS,
                 corpora=None, classification=True, balance=True, shuffle=True, n_jobs=-1,
                 verbose=1, on_error="warn", cache_dir=None, random_state=0):  # fmt: skip
        self.audio_config = audio_config
        self.functionals = functionals
        self.emotions = emotions
        self.corpora = corpora
        self.classification = classification
        self.balance = balance
        self.shuffle = shuffle
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.on_error = on_error
        self.cache_dir = cache_dir
        self.random_state = random_state

    def load(self, desc_files, partition="train"):
        """Read one partition.

        Parameters
        ----------
        desc_files : list of path, or one
        partition : {"train", "test"}
            Only in messages, and in that a train partition must have every emotion.

        Returns
        -------
        X : ndarray (n_clips, n_features) float32
        y : ndarray (n_clips,)
            Emotions, or their numbers.
        rows : DataFrame (n_clips,)
            Columns path, emotion, speaker, corpus.

        Raises
        ------
        ValueError
            If there is no clip of a wanted emotion to train on, or no clip at all; if the emotions
            have no numbers to regress on.
        AudioError
            See `extract_features`.
        """
        if isinstance(desc_files, (str, Path)):
            desc_files = [desc_files]
        rows = pd.concat([read_desc_file(path) for path in desc_files], ignore_index=True)
        return self.read(rows, partition, ", ".join(map(str, desc_files)))

    def read(self, rows, partition="train", source="these rows"):
        """Read the clips of a table, as `load` those of desc_files.

        Parameters
        ----------
        rows : DataFrame
            Columns path, emotion, speaker, corpus.
        partition : {"train", "test"}
        source : str
            Where the rows are from, for messages.

        Returns
        -------
        X, y, rows
            See `load`.
        """
        if not self.classification:
            emotion_scale(self.emotions)  # raises before hours of extraction, not after
        rows = rows[rows["emotion"].isin(list(self.emotions))]
        if self.corpora is not None:
            rows = rows[rows["corpus"].isin(list(self.corpora))]
        X, read = self.extractor().extract(rows["path"], on_error=self.on_error)
        rows = rows[read].reset_index(drop=True)
        self._check_counts(rows, partition, source)
        kept = self.draw(rows["emotion"].to_numpy())
        rows = rows.iloc[kept].reset_index(drop=True)
        return X[kept], self._labels(rows), rows

    def extractor(self, **changes):
        """The `SpeechFeatures` of these settings, or of others where `changes` says so."""
        audio_config = self.audio_config or get_audio_config(ft.DEFAULT_FEATURES)
        settings = {
            "features": [name for name, on in audio_config.items() if on],
            "functionals": self.functionals,
            "n_jobs": self.n_jobs,
            "cache": True if self.cache_dir is None else self.cache_dir,
            "verbose": self.verbose,
        }
        return SpeechFeatures(**settings | changes)

    def _check_counts(self, rows, partition, source):
        """Every emotion must have a clip to train on; in the test part a lack is said."""
        absent = [emotion for emotion in self.emotions if emotion not in set(rows["emotion"])]
        if not absent:
            return
        message = f"No {partition} clips of {', '.join(absent)} in {source}."
        if partition == "train" or rows.empty:
            raise ValueError(f"{message} Add such clips, or leave the emotion out.")
        warnings.warn(f"{message} Scores are over the other emotions.", stacklevel=3)

    def draw(self, emotions):
        """Indices of the clips to keep, balanced and shuffled as wished, by seed."""
        rng = np.random.default_rng(self.random_state)
        kept = np.arange(len(emotions))
        if self.balance:
            smallest = min(np.unique(emotions, return_counts=True)[1])
            groups = [np.flatnonzero(emotions == emotion) for emotion in np.unique(emotions)]
            kept = np.sort(np.concatenate([rng.permutation(g)[:smallest] for g in groups]))
        return rng.permutation(kept) if self.shuffle else kept

    def _labels(self, rows):
        if self.classification:
            return rows["emotion"].to_numpy(dtype=str)
        return rows["emotion"].map(emotion_scale(self.emotions)).to_numpy(dtype=float)


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
    """Read both partitions.

    Parameters
    ----------
    train_desc_files, test_desc_files : list of path
        See `create_csv.read_desc_file`.
    audio_config, classification, shuffle, balance, emotions, **options
        See `AudioExtractor`.

    Returns
    -------
    dict
        X_train, X_test: ndarray (n_clips, n_features) float32; y_train, y_test: ndarray (n_clips,);
        train_audio_paths, test_audio_paths, train_speakers, test_speakers: lists (n_clips,), a
        speaker as corpus/speaker; train_rows, test_rows: DataFrames that hold all of it; balance:
        whether the emotions have as many clips each.

    Raises
    ------
    FileNotFoundError, ValueError, AudioError
        See `AudioExtractor.load`.

    Examples
    --------
    >>> data = load_data("train_emodb.csv", "test_emodb.csv")  # doctest: +SKIP
    >>> data["X_train"].shape  # doctest: +SKIP
    (147, 180)
    """
    extractor = AudioExtractor(
        audio_config,
        classification=classification,
        shuffle=shuffle,
        balance=balance,
        emotions=emotions,
        **options,
    )
    data = {"balance": balance}
    for partition, desc_files in (("train", train_desc_files), ("test", test_desc_files)):
        X, y, rows = extractor.load(desc_files, partition)
        data[f"X_{partition}"], data[f"y_{partition}"] = X, y
        data[f"{partition}_audio_paths"] = rows["path"].tolist()
        data[f"{partition}_speakers"] = speaker_groups(rows).tolist()
        data[f"{partition}_rows"] = rows
    return data


def stratified_order(y, random_state=0):
    """An order of clips of which every beginning holds the labels in their proportions.

    Returns
    -------
    ndarray (n_clips,) of int

    Examples
    --------
    >>> y = np.array(["sad"] * 4 + ["happy"] * 8)
    >>> y[stratified_order(y)[:3]].tolist()
    ['happy', 'sad', 'happy']
    """
    order = np.random.default_rng(random_state).permutation(len(y))
    place = np.empty(len(y))
    for label in np.unique(y):
        own = order[y[order] == label]
        place[own] = (np.arange(len(own)) + 0.5) / len(own)
    return np.argsort(place, kind="stable")


@contextmanager
def on_cluster(scheduler=None, *arrays):
    """A block in which joblib's parallel work runs on a Dask cluster.

    Parameters
    ----------
    scheduler : str, optional
        Its address; None leaves the work on this machine. The workers need the project's files on
        their path, and recordings under the same paths as here.
    *arrays : ndarray
        Sent to the workers once, not with every task.

    Raises
    ------
    ModuleNotFoundError
        If dask.distributed isn't installed.
    OSError
        If nobody answers at the address.
    """
    if scheduler is None:
        yield
        return
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise ModuleNotFoundError(
            "A cluster needs dask.distributed: pip install -r requirements-cluster.txt"
        ) from error
    scatter = {"scatter": list(arrays)} if arrays else {}
    with Client(scheduler, timeout=CLUSTER_TIMEOUT), parallel_config("dask", **scatter):
        yield


def speaker_groups(rows):
    """One name a speaker over all corpora, as corpus/speaker: ndarray (n_clips,) of str."""
    return (rows["corpus"] + "/" + rows["speaker"]).to_numpy(dtype=str)
