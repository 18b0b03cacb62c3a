"""Folds, the leak guard, the clips that a model is adapted with."""

import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import ODD_ORDER as LABELS
from conftest import REPO

import protocols
from create_csv import list_clips
from data_extractor import load_data
from protocols import Leaks, find_leaks, guard, make_folds
from tables import COLUMNS, speaker_groups


@pytest.fixture(scope="module")
def custom():
    """The bundled clips of three emotions: 11 speakers, 87 clips."""
    clips = list_clips("custom", data_dir=REPO / "data")
    return clips[clips["emotion"].isin(LABELS)].reset_index(drop=True)


# folds


def many_speakers():
    """18 speakers of RAVDESS and 10 of EMO-DB; a number may be in both."""
    rows = [
        (e, f"{s:02d}", c)
        for c, n in (("ravdess", 18), ("emodb", 10))
        for s in range(1, n + 1)
        for e in LABELS
        for _ in range(2)
    ]
    clips = pd.DataFrame(rows, columns=["emotion", "speaker", "corpus"])
    return clips.sample(frac=1, random_state=0).reset_index(drop=True)


@pytest.mark.parametrize("protocol", ["loso", "group-2", "group-6", "random"])
def test_every_clip_is_tested_once_and_speakers_are_kept_apart_where_it_is_claimed(protocol):
    clips = many_speakers()
    folds = make_folds(protocol, clips)
    tested = np.concatenate([fold.test for fold in folds])
    assert sorted(tested) == list(range(len(clips)))
    groups = speaker_groups(clips)
    for fold in folds:
        assert set(fold.train) == set(range(len(clips))) - set(fold.test)
        shared = set(groups[fold.train]) & set(groups[fold.test])
        assert shared if protocol == "random" else not shared


def test_loso_leaves_out_one_speaker_of_one_corpus():
    clips = many_speakers()
    folds = make_folds("loso", clips)
    assert [fold.name for fold in folds] == sorted(set(speaker_groups(clips)))
    held_out = clips.iloc[folds[0].test]
    assert set(zip(held_out["corpus"], held_out["speaker"], strict=True)) == {("emodb", "01")}
    assert "01" in set(clips.iloc[folds[0].train]["speaker"])  # the one of RAVDESS
    with pytest.raises(ValueError, match="at least two"):
        make_folds("loso", clips[clips["speaker"] == "18"])


def test_groups_are_dealt_out_in_order():
    clips = many_speakers()
    folds = make_folds("group-6", clips)
    for i, fold in enumerate(folds):
        tested = clips.iloc[fold.test]
        for corpus, n in (("ravdess", 18), ("emodb", 10)):
            speakers = sorted(set(tested.loc[tested["corpus"] == corpus, "speaker"]))
            assert speakers == [f"{s:02d}" for s in range(1, n + 1)][i::6]


def three_corpora():
    """Two speakers of each of three corpora, four clips of each emotion; some emotions are rare."""
    emotions = {"a": "sad happy fear bored", "b": "sad happy fear calm", "c": "sad calm"}
    rows = [
        (emotion, speaker, corpus)
        for corpus, names in emotions.items()
        for emotion in names.split()
        for speaker in ("1", "2")
        for _ in range(4)
    ]
    clips = pd.DataFrame(rows, columns=["emotion", "speaker", "corpus"])
    return clips.sample(frac=1, random_state=0).reset_index(drop=True)


def test_loco_leaves_out_each_corpus_with_the_emotions_that_both_sides_have():
    clips = three_corpora()
    shared = {  # by hand
        "a": {"sad", "happy", "fear"},
        "b": {"sad", "happy", "fear", "calm"},
        "c": {"sad", "calm"},
    }
    folds = make_folds("loco", clips)
    assert [fold.name for fold in folds] == list(shared)
    for fold in folds:
        for i, (emotion, _, corpus) in enumerate(clips.itertuples(index=False)):
            known = emotion in shared[fold.name]
            assert (i in fold.test) == (corpus == fold.name and known)
            assert (i in fold.train) == (corpus != fold.name and known)
    asked = ["calm", "bored", "sad", "fear", "happy"]
    found = protocols.trained_emotions("loco", clips, folds, asked)
    assert found == ["calm", "sad", "fear", "happy"]
    assert protocols.describe("loco", clips, folds) == (
        "leave one corpus out (loco): 72 clips of 6 speakers, each predicted by a model trained on "
        "the other corpora, on the emotions that both have: a (fear, happy, sad); b (calm, fear, "
        "happy, sad); c (calm, sad); without 8 clips of what one corpus alone has: a (bored)"
    )
    line = protocols.describe("loco", clips, folds, None, 30, "condition")
    assert line.endswith(
        "; adapted to the recording condition of each corpus with 30 other unlabelled clips"
    )


def test_loco_needs_two_corpora_that_share_two_emotions():
    clips = three_corpora()
    with pytest.raises(ValueError, match=r"two corpora, and all clips here are of a\. Add"):
        make_folds("loco", clips[clips["corpus"] == "a"])
    with pytest.raises(ValueError, match=r"two emotions that a shares.*it shares sad"):
        make_folds("loco", clips[clips["corpus"] != "b"])
    apart = clips[clips["emotion"].isin(["bored", "calm"])]
    with pytest.raises(ValueError, match="it shares none"):
        make_folds("loco", apart)


def test_random_folds_are_stratified_and_seeded():
    clips = many_speakers()
    first, again, other = (make_folds("random", clips, random_state=seed) for seed in (0, 0, 1))
    assert first[0].test.tolist() == again[0].test.tolist() != other[0].test.tolist()
    for fold in first:
        assert set(clips["emotion"].iloc[fold.test].value_counts()) <= {5, 6}  # 56 of each, tenths
    with pytest.raises(ValueError, match="two clips"):
        make_folds("random", clips.drop_duplicates("emotion"))


@pytest.mark.parametrize(
    ("protocol", "message"),
    [
        ("lso", "Did you mean 'loso'"),
        ("group-K", "a number of folds"),
        ("group-1", "2 or more"),
        ("group-19", "at least 19 speakers.*largest has 18"),
        ("cross-corpus", "some of emodb, ravdess"),
        (None, "choose from standard, loso, group-K, loco, cross-corpus, random"),
    ],
)
def test_a_protocol_that_cant_be_says_what_can(protocol, message):
    with pytest.raises(ValueError, match=message):
        make_folds(protocol, many_speakers())


def test_corpora_are_for_cross_corpus_and_must_be_there():
    clips = many_speakers()
    with pytest.raises(ValueError, match="not 'loso'"):
        make_folds("loso", clips, test_corpora=["emodb"])
    with pytest.raises(ValueError, match=r"'emo'.*Did you mean 'emodb'"):
        make_folds("cross-corpus", clips, test_corpora=["emo"])
    with pytest.raises(ValueError, match="another corpus to train on"):
        make_folds("cross-corpus", clips, test_corpora=["emodb", "ravdess"])
    (fold,) = make_folds("cross-corpus", clips, test_corpora=["emodb"])
    assert set(clips["corpus"].iloc[fold.train]) == {"ravdess"}
    assert set(clips["corpus"].iloc[fold.test]) == {"emodb"}


def test_standard_draws_what_the_recognizer_draws(custom):
    (whole,) = make_folds("standard", custom)
    assert (custom["partition"].iloc[whole.train] == "train").all()
    assert len(whole.train) + len(whole.test) == len(custom)
    uneven = custom.drop(custom.index[custom["emotion"] == "sad"][[0, 1, -1]])
    uneven = uneven.reset_index(drop=True)
    (drawn,) = make_folds("standard", uneven, balance=True, random_state=3)
    for rows, n in ((drawn.train, 19), (drawn.test, 7)):
        assert uneven["emotion"].iloc[rows].value_counts().tolist() == [n] * 3
    with pytest.raises(ValueError, match="no test clips"):
        make_folds("standard", custom[custom["partition"] == "train"])


def test_standard_is_the_classic_split(tmp_path, custom):
    uneven = custom.drop(custom.index[custom["emotion"] == "sad"][[0, 1, -1]])
    uneven = uneven.reset_index(drop=True)
    files = [tmp_path / f"{part}.csv" for part in ("train", "test")]
    for part, file in zip(("train", "test"), files, strict=True):
        uneven.loc[uneven["partition"] == part, COLUMNS].to_csv(file, index=False)
    data = load_data(*files, emotions=LABELS, verbose=0, n_jobs=1, random_state=3)
    (drawn,) = make_folds("standard", uneven, balance=True, random_state=3)
    assert set(uneven["path"].iloc[drawn.train]) == set(data["train_audio_paths"])
    assert set(uneven["path"].iloc[drawn.test]) == set(data["test_audio_paths"])


# adaptation to test speakers


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10])
def test_every_clip_is_adapted_with_others(n):
    for n_clips in range(1, 35):
        blocks = protocols.calibration_blocks(n_clips, n)
        assert sorted(np.concatenate([block for block, _ in blocks])) == list(range(n_clips))
        for block, handful in blocks:
            assert not set(block) & set(handful)
            assert len(set(handful)) == len(handful) == min(n, n_clips - 1)


def test_blocks_follow_one_another_in_a_shuffled_order():
    blocks = protocols.calibration_blocks(20, 5)
    for (_, handful), (following, _) in zip(blocks, blocks[1:] + blocks[:1], strict=True):
        assert handful.tolist() == following.tolist()
    assert blocks[0][0].tolist() != list(range(5))
    assert blocks[0][0].tolist() != protocols.calibration_blocks(20, 5, 1)[0][0].tolist()
    ((block, handful),) = protocols.calibration_blocks(7, "all")
    assert sorted(block) == sorted(handful) == list(range(7))


# leaks


def rows_of(*paths, speaker="a", corpus="custom"):
    return pd.DataFrame({"path": map(str, paths), "speaker": speaker, "corpus": corpus})


def test_nothing_is_found_where_nothing_is(custom):
    paths = custom["path"].tolist()
    leaks = find_leaks(rows_of(*paths[:5]), rows_of(*paths[5:10], speaker="b"))
    assert not leaks
    assert str(leaks) == "no speaker, recording or known sentence is on both sides of the split"


def test_a_speaker_on_both_sides_is_found(custom):
    paths = custom["path"].tolist()
    leaks = find_leaks(rows_of(*paths[:5]), rows_of(*paths[5:10]))
    assert leaks and leaks.speakers == ("custom/a",) and not leaks.audio
    assert str(leaks) == "the same speaker on both sides of the split: custom/a"
    other = find_leaks(rows_of(*paths[:5]), rows_of(*paths[5:10], corpus="mine"))
    assert not other.speakers  # another corpus's "a" is another person


@pytest.mark.parametrize("ending", [".wav", ".flac"])
def test_a_recording_is_found_under_another_name_speaker_and_format(custom, tmp_path, ending):
    original = custom["path"][0]
    copy = tmp_path / f"bob_1_sad{ending}"
    soundfile.write(copy, *soundfile.read(original, dtype="int16"))
    assert copy.read_bytes() != Path(original).read_bytes() or ending == ".wav"
    test = rows_of(custom["path"][5], copy, speaker="bob")
    leaks = find_leaks(rows_of(*custom["path"][:3]), test)
    assert leaks.audio == ((original, str(copy)),) and not leaks.speakers
    assert str(leaks) == f"the same recording on both sides of the split: {original} = {copy}"


def test_what_was_done_to_a_copy_doesnt_hide_it(custom, tmp_path):
    y, rate = soundfile.read(custom["path"][0])
    soundfile.write(tmp_path / "softer.wav", 0.5 * y, rate)
    soundfile.write(tmp_path / "later.wav", y[1234:], rate)
    soundfile.write(tmp_path / "lossy.mp3", y, rate)
    paths = [str(tmp_path / name) for name in ("later.wav", "lossy.mp3", "softer.wav")]
    leaks = find_leaks(rows_of(*custom["path"][:2]), rows_of(*paths, speaker="b"))
    assert leaks.audio == tuple((custom["path"][0], path) for path in paths)


@pytest.mark.parametrize(
    ("corpus", "train", "test", "found"),
    [
        ("emodb", "03a01Fa.wav", "08a01Nc.wav", ("emodb/a01",)),
        ("emodb", "03a01Fa.wav", "08a02Nc.wav", ()),
        ("emodb", "03a01Fa.wav", "08b01Na.wav", ()),
        ("ravdess", "03-01-01-01-02-01-01_sad.wav", "03-01-04-02-02-02-07_x.wav", ("ravdess/02",)),
        ("ravdess", "03-01-02-01-01-01-01_sad.wav", "03-01-02-01-02-01-01_sad.wav", ()),
        ("tess", "25_01_01_01_back_angry.wav", "26_01_01_01_back_sad.wav", ("tess/back",)),
        ("tess", "OAF_back_angry.wav", "OAF_bar_angry.wav", ()),
        ("custom", "a_hello_sad.wav", "b_hello_sad.wav", ()),
    ],
)
def test_a_sentence_on_both_sides_is_reported_but_no_leak(corpus, train, test, found):
    leaks = find_leaks(
        rows_of(train, speaker="1", corpus=corpus), rows_of(test, speaker="2", corpus=corpus)
    )
    assert leaks.sentences == found and not leaks
    assert ("the same sentence" in str(leaks)) == bool(found)


def test_the_real_corpora_share_sentences_but_no_recordings(real_data):
    groups = "emodb", "tess_ravdess"
    clips = pd.concat([list_clips(group, data_dir=real_data) for group in groups])
    clips = clips.assign(digest=protocols.audio_digests(clips["path"]))
    for corpus, speaker, n_sentences in (("emodb", "16", 10), ("ravdess", "05", 2)):
        held_out = (clips["corpus"] == corpus) & (clips["speaker"] == speaker)
        if held_out.any():
            leaks = find_leaks(clips[~held_out], clips[held_out])
            assert not leaks
            assert len([s for s in leaks.sentences if s.startswith(corpus)]) == n_sentences


GIVEN_AWAY = {  # what the number of a label may do to its clips
    "length": lambda y, n: np.resize(y, 16000 + 1000 * n),
    "loudness": lambda y, n: y * 2.0**-n,
    "silence before": lambda y, n: np.pad(y, (1000 * n, 0)),
    "silence after": lambda y, n: np.pad(y, (0, 1000 * n)),
}


@pytest.mark.parametrize("fact", GIVEN_AWAY)
def test_labels_that_the_recording_gives_away_are_named(custom, tmp_path, fact):
    emotions, paths = sorted(set(custom["emotion"])), []
    for i, (path, emotion) in enumerate(zip(custom["path"], custom["emotion"], strict=True)):
        y, rate = soundfile.read(path)
        paths.append(str(tmp_path / f"{i}.wav"))
        soundfile.write(paths[-1], GIVEN_AWAY[fact](y, emotions.index(emotion)), rate)
    clips, folds = protocols.with_digests(custom.assign(path=paths)), make_folds("group-3", custom)
    lines = guard("group-3", clips, folds).lines()
    assert any(f"{fact} alone (average recall" in line for line in lines), lines
    assert "silence" not in str(guard("group-3", protocols.with_digests(custom), folds))


def test_leaks_are_text_in_notebooks():
    assert repr(Leaks(speakers=("emodb/03",))).startswith("<Leaks: the same speaker on both sides")


# protocols in one line


def test_the_split_is_described_and_shared_speakers_are_named():
    rows = pd.DataFrame({"corpus": ["tess", "emodb"]})
    line = protocols.describe_split(rows, rows, ["tess/25", "emodb/03"], ["tess/25", "emodb/15"])
    assert line == (
        "standard split of emodb, tess: trained on 2 clips of 2 speakers, tested on 2 clips of 2; "
        "on both sides: tess/25"
    )
    line = protocols.describe_split(rows, rows, ["a", "b"], ["c", "d"])
    assert line.endswith("clips of 2, none of them in training")


def own_clips(names, partition="train"):
    """Rows of one's own recordings, as their names tell speaker and emotion."""
    stems = [Path(name).stem.split("_") for name in names]
    return pd.DataFrame(
        {
            "path": [f"/data/{partition}-custom/{name}" for name in names],
            "emotion": [parts[-1] for parts in stems],
            "speaker": [parts[0] for parts in stems],
            "corpus": "custom",
            "partition": partition,
        }
    )


COUNTED = [f"f{i:02d}_{('sad', 'happy')[i % 2]}.wav" for i in range(48)]
"""Clips of two speakers, whose names but count them."""
IN_FOLDERS = [
    f"{who}/f0{i}_{e}.wav" for who in ("DC", "JE") for i in (1, 2) for e in ("sad", "happy")
]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (
            COUNTED,
            "nearly every clip of custom counts as its own speaker (48 speakers of 48 clips)",
        ),
        (
            IN_FOLDERS,
            "clips of one name lie in different folders (DC/f01_sad.wav and JE/f01_sad.wav)",
        ),
    ],
)
def test_no_protocol_claims_unheard_speakers_where_names_dont_tell_them(names, reason):
    clips = own_clips(names)
    folds = make_folds("loso", clips)
    line = protocols.describe("loso", clips, folds)
    assert reason in line and "so independence of speakers can't be claimed" in line
    assert "without its speaker" not in line
    half = clips.index % 2 == 0
    sides = clips[half].assign(speaker="f00"), clips[~half]
    if names is COUNTED:
        sides = clips[half], clips[~half]
    groups = [speaker_groups(side) for side in sides]
    line = protocols.describe_split(*sides, *groups)
    assert "none of them in training" not in line
    known = clips.assign(digest=None, **dict.fromkeys(protocols.FACTS, 1.0))
    leaks = protocols.guard("loso", known, folds)
    assert leaks.unclear == (reason,) and f"can't be told apart: {reason}" in str(leaks)
    assert "no speaker, recording" not in str(leaks)


def test_speakers_with_several_clips_are_claimed_to_be_unheard():
    names = [f"{who}_{i}_sad.wav" for who in ("anna", "bob", "cleo") for i in range(4)]
    clips = own_clips(names)
    assert "without its speaker" in protocols.describe("loso", clips, make_folds("loso", clips))
    tables = clips.assign(path=[f"/x/{s}/1_sad.wav" for s in clips["speaker"]])  # not by the name
    assert "without its speaker" in protocols.describe("loso", tables, make_folds("loso", tables))


def test_a_voice_is_the_same_however_it_is_spelled():
    train, test = (
        own_clips(["anna_1_sad.wav", "Jörg_1_sad.wav"]),
        own_clips(["Anna_2_sad.wav"], "test"),
    )
    mac = own_clips([unicodedata.normalize("NFD", "jörg_2_happy.wav")], "test")
    test = pd.concat([test, mac])
    line = protocols.describe_split(train, test, speaker_groups(train), speaker_groups(test))
    assert "on both sides: custom/Anna, " in line
    leaks = find_leaks(train.assign(digest=None), test.assign(digest=None))
    assert len(leaks.speakers) == 2
    both = pd.concat([train, test], ignore_index=True)
    assert [len(fold.test) for fold in make_folds("loso", both)] == [2, 2]


def test_an_emotion_without_test_clips_is_named():
    clips = pd.concat(
        [own_clips(["a_1_sad.wav", "a_1_calm.wav"]), own_clips(["b_1_sad.wav"], "test")]
    )
    with pytest.warns(UserWarning, match="^No test clips of calm"):
        make_folds("standard", clips)


def test_silent_clips_and_recordings_with_several_labels_are_named(tmp_path):
    noise = np.random.default_rng(0).standard_normal((2, 8000)) / 10
    sounds = {"a_1_sad": noise[0], "a_2_happy": noise[0], "b_1_sad": noise[1]}
    sounds |= {"b_2_sad": np.zeros(8000), "b_3_happy": np.zeros(8000)}
    for name, y in sounds.items():
        soundfile.write(tmp_path / f"{name}.wav", y, 16000)
    clips = own_clips([f"{name}.wav" for name in sounds])
    clips["path"] = [str(tmp_path / f"{name}.wav") for name in sounds]
    with pytest.warns(UserWarning) as caught:
        assert len(protocols.with_digests(clips)) == 5
    assert [str(warning.message) for warning in caught] == [
        "2 clip(s) of digital silence have a label: b_2_sad.wav (sad), b_3_happy.wav (happy)",
        "The same recording has several labels: a_1_sad.wav (sad) = a_2_happy.wav (happy)",
    ]
