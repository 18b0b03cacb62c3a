"""Evaluation protocols: folds, leaks between training and test, descriptions in one line."""

import hashlib
import re
import warnings
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from audio import AudioError, AudioWarning
from checks import check_name, folded, moved
from corpora import sentence
from fingerprints import SILENT, copies, fingerprint
from parameters import SAMPLE_RATE
from progress import Progress
from sampling import balanced, check_two_speakers
from segments import grouped, load_each
from tables import (
    PARTITIONS,
    all_known,
    names_of,
    recordings,
    speaker_groups,
    unclear_speakers,
    warn_of_labels,
)

N_RANDOM_FOLDS = 10  # as many training clips as without one of EMO-DB's ten speakers
NAMED = 10  # speakers, files or sentences that a message names
FACTS = "length", "loudness", "silence before", "silence after"
"""Properties of a clip that say little about its emotion if all are recorded and cut alike."""
GIVEAWAY = 0.5  # share of the way from chance to a UAR of 1 that shows leaked labels
SILENCE = -99.9  # dB; the lowest measured level is -100
N_BINS = 20  # bins of a property's values


class Protocol(NamedTuple):
    """A protocol: whether it is speaker-independent, and the line that describes it."""

    independent: bool  # no test speaker is in the training clips
    text: str


_CLAIM = ", each predicted by a model trained without its speaker"
_APART = " of {corpora}: {n_clips} clips of {n_speakers} speakers" + _CLAIM
_NO_CLAIM = "{}; {}, so independence of speakers can't be claimed"
PROTOCOLS = {
    "standard": Protocol(False, ""),  # see `describe_split`
    "loso": Protocol(True, "leave one speaker out (loso)" + _APART),
    "group-K": Protocol(True, "{name}, {n_folds} folds of speakers" + _APART),
    "loco": Protocol(
        True,
        "leave one corpus out (loco): {n_clips} clips of {n_speakers} speakers, each predicted by "
        "a model trained on the other corpora, {shared}",
    ),
    "cross-corpus": Protocol(
        True,
        "cross-corpus: trained on {n_train} clips of {n_train_speakers} speakers of "
        "{train_corpora}, tested on {n_clips} clips of {n_speakers} of {corpora}",
    ),
    "random": Protocol(
        False,
        "random, {n_folds} folds of clips of {corpora}: {n_clips} clips of {n_speakers} speakers, "
        "who are in training, too; it flatters, and only shows what leakage is worth",
    ),
}


# folds


class Fold(NamedTuple):
    """A fold: row numbers of the training clips and of the test clips."""

    name: str
    train: np.ndarray
    test: np.ndarray


def make_folds(
    protocol, clips, *, balance=False, train_corpora=None, test_corpora=None, random_state=0
):
    """Split clips into training and test by a protocol: list of Fold.

    Parameters
    ----------
    protocol : str
        "standard": the partitions of the clips. "loso": leave one speaker out. "group-K", for
        example "group-6": fold i tests on speakers[i::K] of each corpus, sorted. "loco": leave one
        corpus out, with the clips of the emotions that both sides have. "cross-corpus": train on
        some corpora, test on others. "random": ten folds of clips, stratified by emotion.
    clips : DataFrame (n_clips,)
        Columns emotion, speaker, corpus, and partition for "standard".
    balance : bool, default False
        Draw the same number of clips of each emotion in both parts of "standard", as `load_data`.
    train_corpora, test_corpora : list of str, optional
        For "cross-corpus", which needs test_corpora; train_corpora defaults to all others.
    random_state : int, default 0

    Raises
    ------
    ValueError
        For an unknown protocol or corpus, or if the clips can't be split in this way.
    """
    kind, n_folds = parse_protocol(protocol)
    if kind != "cross-corpus" and (train_corpora or test_corpora):
        raise ValueError(f"train_corpora and test_corpora are for 'cross-corpus', not {protocol!r}")
    if kind == "standard":
        return _standard_folds(clips, balance, random_state)
    if kind == "loco":
        return _left_out_corpora(clips)
    if kind == "cross-corpus":
        return _corpus_folds(clips, train_corpora, test_corpora)
    if kind == "random":
        return _random_folds(clips, random_state)
    return _speaker_folds(clips, n_folds)


def parse_protocol(protocol):
    """Find the key of a protocol in `PROTOCOLS`, and the K of group-K, else None: tuple.

    Parameters
    ----------
    protocol : str

    Raises
    ------
    ValueError
        For an unknown protocol.
    """
    match = re.fullmatch(r"group-(\d+)", str(protocol))
    if match and int(match[1]) > 1:
        return "group-K", int(match[1])
    if match or protocol == "group-K":
        raise ValueError(f"{protocol!r}: K is a number of folds, 2 or more; e.g. group-6.")
    return check_name(protocol, PROTOCOLS, "protocol"), None


def _standard_folds(clips, balance, random_state):
    sides = [np.flatnonzero(clips["partition"] == part) for part in PARTITIONS]
    for part, rows in zip(PARTITIONS, sides, strict=True):
        if not len(rows):
            raise ValueError(f"There are no {part} clips; choose another protocol, e.g. 'loso'.")
    trained, tested = (set(clips["emotion"].iloc[rows]) for rows in sides)
    if untested := sorted(trained - tested):
        warnings.warn(
            f"No test clips of {', '.join(untested)}: the score leaves it out.", stacklevel=4
        )
    if balance:
        emotions = clips["emotion"].to_numpy()
        sides = [rows[balanced(emotions[rows], random_state)] for rows in sides]
    return [Fold("test", *sides)]


def _speaker_folds(clips, n_folds):
    """Leave each speaker out in turn, or distribute speakers over n_folds: list of Fold."""
    groups = speaker_groups(clips)
    if n_folds is None:
        check_two_speakers(groups)
        fold_of = {speaker: speaker for speaker in sorted(set(groups.tolist()))}
    else:
        largest = clips.groupby("corpus")["speaker"].nunique().max()
        if n_folds > largest:
            raise ValueError(
                f"group-{n_folds} needs a corpus of at least {n_folds} speakers, and here the "
                f"largest has {largest}. Choose fewer folds, or 'loso'."
            )
        fold_of = {
            speaker: f"{i % n_folds + 1} of {n_folds}"
            for _, rows in clips.groupby("corpus")
            for i, speaker in enumerate(sorted(set(speaker_groups(rows))))
        }
    names = np.array([fold_of[speaker] for speaker in groups])
    return [
        Fold(name, np.flatnonzero(names != name), np.flatnonzero(names == name))
        for name in dict.fromkeys(fold_of.values())
    ]


def _left_out_corpora(clips):
    """Leave each corpus out in turn, with the emotions that both sides have: list of Fold."""
    corpora, emotions = clips["corpus"].to_numpy(), clips["emotion"].to_numpy()
    names = sorted(set(corpora))
    if len(names) < 2:
        raise ValueError(
            f"loco needs at least two corpora, and all clips here are of {', '.join(names)}. Add "
            "another corpus, or choose 'loso'."
        )
    folds = []
    for name in names:
        own = corpora == name
        shared = sorted(set(emotions[own]) & set(emotions[~own]))
        if len(shared) < 2 and shared != [""]:
            raise ValueError(
                f"loco needs two emotions that {name} shares with the other corpora, and it shares "
                f"{', '.join(shared) or 'none'}. Leave {name} out, or add recordings."
            )
        kept = np.isin(emotions, shared)
        folds.append(Fold(name, np.flatnonzero(~own & kept), np.flatnonzero(own & kept)))
    return folds


def _corpus_folds(clips, train_corpora, test_corpora):
    there = sorted(set(clips["corpus"]))
    if not test_corpora:
        raise ValueError(f"cross-corpus needs test_corpora, some of {', '.join(there)}.")
    train_corpora = train_corpora or [corpus for corpus in there if corpus not in test_corpora]
    for name in [*train_corpora, *test_corpora]:
        check_name(name, there, "corpus")
    if not train_corpora:
        raise ValueError("cross-corpus needs another corpus to train on; name it, or add it.")
    sides = [np.flatnonzero(clips["corpus"].isin(names)) for names in (train_corpora, test_corpora)]
    return [Fold(", ".join(test_corpora), *sides)]


def _random_folds(clips, random_state):
    rarest = clips["emotion"].value_counts().min()
    if rarest < 2:
        raise ValueError("random needs at least two clips of each emotion; add clips.")
    from sklearn.model_selection import StratifiedKFold

    n_folds = min(N_RANDOM_FOLDS, rarest)
    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=random_state)
    sides = splitter.split(np.zeros(len(clips)), clips["emotion"].to_numpy(dtype=str))
    return [Fold(f"{i} of {n_folds}", *side) for i, side in enumerate(sides, start=1)]


def trained_emotions(protocol, clips, folds, emotions, label_map=None):
    """Check that every fold can be trained on its emotions: list of str, the emotions.

    Parameters
    ----------
    protocol, clips, folds, label_map
        See `make_folds` and `tables.map_labels`.
    emotions : list of str
        The emotions asked for. "cross-corpus" keeps those that occur after label_map, and "loco"
        those of any fold.

    Raises
    ------
    ValueError
        If a fold has no training clips of an emotion, or the labels of corpora differ.
    """
    labels, (kind, _) = clips["emotion"].to_numpy(), parse_protocol(protocol)
    if kind == "loco":
        tested = {label for fold in folds for label in labels[fold.test]}
        return [emotion for emotion in emotions if emotion in tested]
    if kind == "cross-corpus":
        train, test = (set(labels[rows].tolist()) for rows in (folds[0].train, folds[0].test))
        sides = {"training": train - test, "test": test - train}
        only = [f"only {side} has {', '.join(sorted(own))}" for side, own in sides.items() if own]
        if only:
            raise ValueError(
                f"The labels of the corpora differ: {'; '.join(only)}. Pass a label_map that gives "
                "each of them a common label, or None to leave it out, e.g. "
                f"{{{min(train ^ test)!r}: None}}."
            )
        mapped = [(label_map or {}).get(emotion, emotion) for emotion in emotions]
        emotions = [emotion for emotion in dict.fromkeys(mapped) if emotion in train]
    for fold in folds:
        missing = [emotion for emotion in emotions if emotion not in labels[fold.train]]
        if missing:
            raise ValueError(
                f"Fold {fold.name!r} has no clips of {', '.join(missing)} to train on. Leave such "
                "an emotion out, or add recordings of it by other speakers."
            )
    return emotions


def calibration_blocks(n_clips, n, random_state=0):
    """Choose clips to predict, and others for adaptation: list of (block, handful).

    The clips are shuffled and cut into blocks, arrays of indices. The model is adapted for a block
    by the n clips that follow it (cyclically), or by all others if there are fewer.

    Parameters
    ----------
    n_clips : int
        Clips of a speaker, or of a recording condition.
    n : int or "all"
        Clips for adaptation; "all": all clips, including the predicted ones.
    random_state : int, default 0

    Examples
    --------
    >>> [(len(block), len(handful)) for block, handful in calibration_blocks(25, 10)]
    [(10, 10), (10, 10), (5, 10)]
    """
    order = np.random.default_rng(random_state).permutation(n_clips)
    if n == "all":
        return [(order, order)]
    size = max(1, min(n, n_clips - n))
    blocks = []
    for start in range(0, n_clips, size):
        block = order[start : start + size]
        blocks.append((block, np.roll(order, -start)[len(block) :][:n]))
    return blocks


# leaks


class LeakError(ValueError):
    """Training and test share a speaker or a recording, in a protocol that excludes this."""


@dataclass(frozen=True)
class Leaks:
    """What is on both sides of a split; prints as text, and is true for speakers and audio."""

    speakers: tuple = ()  # corpus/speaker
    audio: tuple = ()  # pairs of a training file and a test file that is a copy of it
    sentences: tuple = ()  # corpus/sentence
    giveaways: tuple = ()  # names of `FACTS`, with the UAR by each of them alone
    unclear: tuple = ()  # why speakers can't be told apart

    def __bool__(self):
        return bool(self.speakers or self.audio)

    def __or__(self, other):
        """Join the leaks of two splits: Leaks."""
        fields = zip(asdict(self).values(), asdict(other).values(), strict=True)
        return Leaks(*(tuple(sorted({*ours, *theirs})) for ours, theirs in fields))

    def lines(self):
        """Describe each kind of leak in a line: list of str."""
        both = "on both sides of the split"
        found = {
            f"the same speaker {both}": self.speakers,
            f"the same recording {both}": [" = ".join(pair) for pair in self.audio],
            f"the same sentence {both} (acted corpora share theirs)": self.sentences,
            "labels are given away; without their sound clips are recognised by": self.giveaways,
            "speakers can't be told apart": self.unclear,
        }
        lines = [f"{what}: {in_short(names)}" for what, names in found.items() if names]
        return lines or [f"no speaker, recording or known sentence is {both}"]

    def __str__(self):
        return "; ".join(self.lines())

    def __repr__(self):
        return f"<Leaks: {self}>"


def in_short(names):
    """List names, or the first ones and their number: str.

    Parameters
    ----------
    names : sequence of str
    """
    more = f", ... ({len(names)} in all)" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def find_leaks(train_rows, test_rows):
    """Find speakers, recordings and sentences that are on both sides of a split: Leaks.

    Copies of recordings are found in spite of other names, speakers or formats (see
    `audio_digests`). A file that can't be read equals no other. Sentences come from file names
    (`corpora.sentence`).

    Parameters
    ----------
    train_rows, test_rows : DataFrame
        Columns path, speaker, corpus. If both have digest (`audio_digests`), no file is read.
    """
    if "digest" not in train_rows or "digest" not in test_rows:
        digests = audio_digests([*recordings(train_rows), *recordings(test_rows)])
        train_rows = train_rows.assign(digest=digests[: len(train_rows)])
        test_rows = test_rows.assign(digest=digests[len(train_rows) :])
    known = train_rows.dropna(subset="digest")
    known = dict(zip(known["digest"], names_of(known), strict=True))
    again = test_rows[test_rows["digest"].isin(list(known))]
    pairs = [(known[d], p) for d, p in zip(again["digest"], names_of(again), strict=True)]
    return Leaks(
        _shared(speaker_groups(train_rows), speaker_groups(test_rows)),
        tuple(sorted(pairs)),
        tuple(sorted(_sentences(train_rows) & _sentences(test_rows))),
    )


def _shared(train_groups, test_groups):
    """The speakers in both, in the spelling of the test: sorted tuple."""
    known = {folded(str(name)) for name in set(train_groups)}
    return tuple(sorted(name for name in set(test_groups) if folded(str(name)) in known))


def _sentences(rows):
    if "sentence" in rows:
        texts = set(zip(rows["sentence"], rows["corpus"], strict=True))
    else:
        texts = {(sentence(p, c), c) for p, c in zip(rows["path"], rows["corpus"], strict=True)}
    return {f"{corpus}/{text}" for text, corpus in texts if text}


def audio_digests(paths, n_jobs=-1, verbose=0):
    """Hash recordings by their samples at 16 kHz: list of str, None for those that can't be read.

    Copies in another codec, at another rate or level, or with another start have the hash of the
    first of them; see `fingerprints.copies`.

    Parameters
    ----------
    paths : list of path or Segment
    n_jobs, verbose : int
        Threads, by default one for each core; verbose=1 draws a progress bar.
    """
    return _measured(paths, n_jobs, verbose)["digest"].tolist()


def _measured(paths, n_jobs=-1, verbose=0):
    """The digests, of copies and of samples, and the `FACTS` of recordings: DataFrame."""
    paths, found = list(paths), {}
    threads, groups = Parallel(n_jobs, prefer="threads", return_as="generator"), grouped(paths)
    style = {"unit": "clip", "disable": not verbose}
    with warnings.catch_warnings(), Progress(None, "Looking for leaks", len(paths), **style) as bar:
        warnings.simplefilter("ignore", AudioWarning)  # about silence
        every = threads(delayed(_digests)([paths[i] for i in group]) for group in groups)
        for group, own in zip(groups, every, strict=True):
            found |= zip(group, own, strict=True)
            bar.update(len(group))
    table = pd.DataFrame.from_dict(found, "index", columns=["digest", "print", *FACTS])
    table = table.loc[range(len(paths))]
    found = copies(table.pop("print").tolist())
    return table.assign(samples=table["digest"], digest=table["digest"].to_numpy()[found])


def _digests(recordings):
    """For each recording its hash (None if it can't be read), fingerprint and `FACTS`: list."""
    found = {i: _digest(y) for i, y in load_each(recordings)}
    return [found[i] for i in sorted(found)]


def _digest(y):
    if isinstance(y, AudioError):
        return None, SILENT, *[np.nan] * len(FACTS)
    samples = np.clip(np.round(y * 32768), -32768, 32767).astype("<i2")
    audible = np.flatnonzero(np.abs(y) > 1e-3 * np.abs(y).max(initial=0))
    first, last = audible[[0, -1]] if len(audible) else (0, 0)
    level = 10 * np.log10(np.square(y).mean() + 1e-10)
    silences = first / SAMPLE_RATE, (len(y) - last) / SAMPLE_RATE
    digest = hashlib.sha256(samples.tobytes()).hexdigest()[:32]
    return digest, fingerprint(y), len(y) / SAMPLE_RATE, level, *silences


def with_digests(clips, n_jobs=-1, verbose=0):
    """Add the columns digest and `FACTS`; leave out clips that can't be read: DataFrame.

    Warnings name these clips, silent ones, and recordings with several labels.

    Parameters
    ----------
    clips : DataFrame (n_clips,)
        Column path.
    n_jobs, verbose
        See `audio_digests`.
    """
    clips = clips.assign(**_measured(recordings(clips), n_jobs, verbose).set_index(clips.index))
    unread = names_of(clips[clips["digest"].isna()])
    if unread:
        warnings.warn(
            f"{len(unread)} clip(s) left out, as they can't be read: {in_short(unread)}",
            stacklevel=3,
        )
    clips = clips.dropna(subset="digest").reset_index(drop=True)
    warn_of_labels(clips, clips["loudness"] <= SILENCE)
    return clips


def guard(protocol, clips, folds):
    """Find the leaks of all folds together: Leaks.

    Parameters
    ----------
    protocol, clips, folds
        See `make_folds` and `find_leaks`.

    Raises
    ------
    LeakError
        If a speaker or a recording is on both sides in a protocol that excludes this.
    """
    leaks = Leaks()
    for fold in folds:
        leaks |= find_leaks(clips.iloc[fold.train], clips.iloc[fold.test])
    if leaks and PROTOCOLS[parse_protocol(protocol)[0]].independent:
        found = Leaks(leaks.speakers, leaks.audio)
        raise LeakError(
            f"{protocol} promises that training and test share no speaker and no recording, but: "
            f"{found}. Remove the copies, give each speaker one name, or choose corpora that "
            "don't overlap."
        )
    reason = unclear_speakers(clips)
    return leaks | Leaks(giveaways=_giveaways(clips, folds), unclear=(reason,) * bool(reason))


def _giveaways(clips, folds):
    """The `FACTS` that predict the labels of test clips, and how well: tuple of str."""
    from sklearn.metrics import recall_score

    labels = clips["emotion"].to_numpy(dtype=str)
    if len(set(labels)) == 1:  # the targets are numbers in place of emotions
        return ()
    tested = np.unique(np.concatenate([fold.test for fold in folds]))
    chance, found = 1 / len(set(labels[tested])), []
    for fact in FACTS:
        values, guesses = clips[fact].to_numpy(), labels.copy()
        for fold in folds:
            guesses[fold.test] = _likeliest(
                values[fold.train], labels[fold.train], values[fold.test]
            )
        uar = recall_score(labels[tested], guesses[tested], average="macro")
        if uar - chance > GIVEAWAY * (1 - chance):
            found.append(f"{fact} alone (average recall {uar:.2f}, chance {chance:.2f})")
    return tuple(found)


def _likeliest(values, labels, others):
    """Predict labels by the most frequent one among similar training values: ndarray of str."""
    edges = np.unique(np.quantile(values, np.arange(1, N_BINS) / N_BINS))
    names, columns = np.unique(labels, return_inverse=True)
    counts = np.zeros((len(edges) + 1, len(names)))
    np.add.at(counts, (np.searchsorted(edges, values), columns), 1)
    filled = np.flatnonzero(counts.any(axis=1))[::-1]  # an empty bin is as its nearest neighbour
    bins = np.abs(np.searchsorted(edges, others) - filled[:, np.newaxis]).argmin(axis=0)
    return names[(counts / counts.sum(axis=0))[filled[bins]].argmax(axis=1)]


# protocols in one line


def describe_split(train_rows, test_rows, train_groups, test_groups):
    """Describe a split in one line (corpora, clips, speakers, those on both sides): str.

    Parameters
    ----------
    train_rows, test_rows : DataFrame
        Columns path, speaker, corpus.
    train_groups, test_groups : array of str
        See `tables.speaker_groups`.
    """
    corpora = sorted(set(train_rows["corpus"]) | set(test_rows["corpus"]))
    shared = _shared(train_groups, test_groups)
    line = (
        f"standard split of {', '.join(corpora)}: trained on {len(train_rows)} clips of "
        f"{len(set(train_groups))} speakers, tested on {len(test_rows)} clips of "
        f"{len(set(test_groups))}"
    )
    rows, groups = pd.concat([train_rows, test_rows]), [*train_groups, *test_groups]
    if not all_known(groups) or (not shared and unclear_speakers(rows)):
        return _NO_CLAIM.format(line, _unclear(rows, groups))
    if shared:
        return f"{line}; on both sides: {', '.join(shared)}"
    return f"{line}, none of them in training"


def _unclear(rows, groups):
    """Why the speakers of clips are unclear: str, empty if they aren't."""
    return unclear_speakers(rows) if all_known(groups) else "no table names the speakers"


def describe(protocol, clips, folds, label_map=None, calibrate=0, adapt="speaker", noisy=False):
    """Describe a protocol in one line (corpora, clips, speakers, labels, adaptation): str.

    Parameters
    ----------
    protocol, clips, folds, label_map
        See `make_folds` and `tables.map_labels`.
    calibrate : int or "all", default 0
        Clips for adaptation.
    adapt : {"speaker", "condition"}
        The model is adapted to each speaker, or to each corpus.
    noisy : bool
        Whether noisy copies of the clips are predicted.
    """
    kind, _ = parse_protocol(protocol)
    train = clips.iloc[folds[0].train]
    test = clips.iloc[np.concatenate([fold.test for fold in folds])]
    if kind == "standard":
        line = describe_split(train, test, speaker_groups(train), speaker_groups(test))
    else:
        line = PROTOCOLS[kind].text.format(
            name=protocol,
            corpora=", ".join(sorted(set(test["corpus"]))),
            n_clips=len(test),
            n_speakers=len(set(speaker_groups(test))),
            n_folds=len(folds),
            shared=_in_common(test),
            train_corpora=", ".join(sorted(set(train["corpus"]))),
            n_train=len(train),
            n_train_speakers=len(set(speaker_groups(train))),
        )
        groups = speaker_groups(test)
        reason = _unclear(test, groups)
        if reason and (_CLAIM in line or not all_known(groups)):
            known = line.replace("without its speaker", "without its recording")
            line = _NO_CLAIM.format(known, reason)
    if kind == "loco" and len(test) < len(clips):
        alone = clips.drop(index=test.index)
        line += f"; without {len(alone)} clips of what one corpus alone has: {_in_corpora(alone)}"
    if label_map:
        changes = [f"{old} as {new}" if new else f"without {old}" for old, new in label_map.items()]
        line += f"; labels: {', '.join(changes)}"
    if noisy:
        line += "; a copy of each in noise, in a room or by telephone"
    if not calibrate:
        return line
    target, whose = {
        "speaker": ("each speaker", "their"),
        "condition": ("the recording condition of each corpus", "its"),
    }[adapt]
    if calibrate == "all":
        own = f"all {whose} unlabelled clips, the scored one included (transductive)"
    else:
        own = f"{calibrate} other unlabelled clips"
    return f"{line}; adapted to {target} with {own}"


def _in_common(test):
    """Describe the emotions that both sides have in loco: str."""
    if set(test["emotion"]) == {""}:  # the targets are numbers in place of emotions
        return f"which are {', '.join(sorted(set(test['corpus'])))}"
    return f"on the emotions that both have: {_in_corpora(test)}"


def _in_corpora(rows):
    """Describe the emotions of each corpus: str."""
    found = rows.groupby("corpus")["emotion"].unique().items()
    listed = {corpus: ", ".join(sorted(emotions)) for corpus, emotions in found}
    return "; ".join(f"{corpus} ({own})" for corpus, own in listed.items())


__getattr__ = moved(__name__, {"reports": "Comparison compare"})
