"""Evaluation: what is fitted on what, the leak guard, adaptation, scores, the command line.

Most tests use a `Parrot` in place of a recognizer: it has the same methods, stores only the
speakers of its training clips, and logs what it was fitted on. scikit-learn's metrics and loops in
plain Python are the oracles of scores.
"""

import itertools
import json
import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import BUNDLED, EMOTIONS, REPO
from conftest import ODD_ORDER as LABELS
from sklearn.dummy import DummyClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.svm import SVC, SVR

import evaluation
import plotting
import protocols
from create_csv import list_clips
from emotion_recognition import Recognizer, named_recognizer
from evaluation import RegressionEvaluation, evaluate
from protocols import LeakError, make_folds
from tables import COLUMNS
from utils import emotion_scale

pytestmark = pytest.mark.usefixtures("one_process")
DATA = ["--data-dir", str(REPO / "data")]
FEW = "--features mfcc --functionals mean"  # quickly extracted


@pytest.fixture(scope="module", autouse=True)
def once():
    """The recordings, which are the same in most tests, are digested once each."""
    known, digest = {}, protocols._digest

    def digested(y):
        key = y.tobytes() if isinstance(y, np.ndarray) else y
        if key not in known:
            known[key] = digest(y)
        return known[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocols, "_digest", digested)
        yield


@pytest.fixture(scope="module")
def custom():
    """The bundled clips of three emotions: 11 speakers, 87 clips."""
    clips = list_clips("custom", data_dir=REPO / "data")
    return clips[clips["emotion"].isin(LABELS)].reset_index(drop=True)


class Parrot(Recognizer):
    """Predicts the true labels of its training speakers, and a hash of the file name for others."""

    balance, random_state, verbose, n_jobs, features = False, 0, 0, 1, ["mfcc"]
    name, comparison_, normalize = "Parrot", None, None

    def __init__(self, clips, emotions=LABELS, *, classification=True, log=None, **settings):
        self.all_clips, self.emotions, self.classification = clips, list(emotions), classification
        self.log = {"fit": [], "adapt": [], "predict": [], "normalize": []} if log is None else log
        self.settings = settings
        vars(self).update(settings)
        self.known, self.handful = None, None

    def clips(self):
        return self.all_clips.copy()

    def untrained(self, **changes):
        options = {"emotions": self.emotions, "classification": self.classification}
        options |= self.settings | {"log": self.log} | changes
        return type(self)(self.all_clips, **options)

    def fit(self, rows):
        assert self.known is None, "fitted a second time"
        self.log["fit"].append(rows)
        self.log["normalize"].append(self.normalize)
        self.known = {Path(path).name.split("_")[0] for path in rows["path"]}
        return self

    @property
    def predictor_(self):
        return None if self.known is None else self

    def features_of(self, paths, sr=None, noisy=None):
        return np.array(paths, dtype=object)

    def adapted(self, paths, *, by):
        if self.normalize != "speaker":
            raise ValueError('adapt needs normalize="speaker"')
        self.log.setdefault("by", []).append(by)
        adapted = self.untrained()
        adapted.known, adapted.handful = self.known, paths.tolist()
        return adapted

    @property
    def labels(self):
        return np.array(self.emotions)

    def predict(self, paths):
        labels = []
        for path in paths:
            if self.handful is not None:
                self.log["adapt"].append((path, self.handful))
            name = Path(path).stem
            guess = self.emotions[zlib.crc32(name.encode()) % len(self.emotions)]
            labels.append(name.split("_")[-1] if name.split("_")[0] in self.known else guess)
        self.log["predict"] += list(paths)
        if self.classification:
            return labels
        return np.array([float(emotion_scale(self.emotions)[label]) for label in labels])

    def probabilities(self, paths):
        rest = 0.4 / (len(self.emotions) - 1)
        labels = self.predict(paths)
        return np.array([[0.6 if e == label else rest for e in self.emotions] for label in labels])


# nothing that is fitted sees what it is tested on


def test_a_balanced_recognizer_draws_the_standard_test_part_by_its_own_seed(custom):
    uneven = custom.drop(custom.index[custom["emotion"] == "sad"][-1]).reset_index(drop=True)
    (drawn,) = make_folds("standard", uneven, balance=True, random_state=3)
    parrot = Parrot(uneven, balance=True, random_state=3)
    result = evaluate(parrot, "standard", random_state=7, verbose=0)
    assert set(result.clips["path"]) == set(uneven["path"].iloc[drawn.test])
    whole = evaluate(parrot, "loso", verbose=0)
    assert len(whole.clips) == len(uneven)  # elsewhere all test clips count


@pytest.mark.parametrize("protocol", ["loso", "group-3"])
def test_no_fold_is_fitted_on_a_speaker_that_it_is_tested_on(custom, protocol):
    parrot = Parrot(custom)
    result = evaluate(parrot, protocol, verbose=0)
    assert parrot.known is None, "the recognizer that was given is changed"
    assert len(parrot.log["fit"]) == result.clips["fold"].nunique() == {"loso": 11}.get(protocol, 3)
    for rows, (_, tested) in zip(parrot.log["fit"], result.clips.groupby("fold"), strict=False):
        assert rows.columns.tolist() == COLUMNS
        assert len(rows) + len(tested) == len(custom) or protocol == "group-3"
    for rows in parrot.log["fit"]:
        fold = set(custom["speaker"]) - set(rows["speaker"])
        tested = result.clips[result.clips["speaker"].isin(fold)]
        assert tested["fold"].nunique() == 1
        assert len(rows) + len(tested) == len(custom)
    assert result.clips["path"].tolist() == custom["path"].tolist()
    assert 0.15 < result.scores()["uar"] < 0.55  # no label was in its training


def test_a_leak_shows(custom):
    """The parrot is right about the speakers of its training: a random split flatters it."""
    assert evaluate(Parrot(custom), "random", verbose=0).scores()["uar"] == 1
    independent = evaluate(Parrot(custom), "standard", verbose=0)
    assert set(independent.clips["speaker"]) == {"v21", "v22", "v23", "v24"}
    assert independent.scores()["uar"] < 0.6


def test_labels_are_those_of_predict(custom):
    result = evaluate(Parrot(custom), "loso", verbose=0)
    parrot = Parrot(custom).fit(custom.iloc[:0])
    assert result.clips["predicted"].tolist() == parrot.predict(custom["path"])
    columns = ["p_sad", "p_angry", "p_happy"]
    assert result.clips.columns.tolist()[-3:] == columns
    assert (result.clips["confidence"] == 0.6).all()
    np.testing.assert_allclose(result.clips[columns].sum(axis=1), 1)


def test_an_estimator_is_wrapped(custom):
    model = DummyClassifier(strategy="prior")
    result = evaluate(model, "standard", emotions=LABELS, **BUNDLED)
    assert not hasattr(model, "classes_")
    assert result.model == "DummyClassifier"
    assert evaluation._recognizer(model, BUNDLED).balance is False
    assert len(result.clips) == 24
    assert result.scores()["uar"] == pytest.approx(1 / 3)


def test_a_model_that_was_chosen_is_chosen_anew_in_every_fold(custom):
    class Chooser(Parrot):
        comparison_ = "of the models"

        def determine_best_model(self):
            self.log["chosen"].append(self.known)

    chooser = Chooser(custom)
    chooser.log["chosen"] = []
    result = evaluate(chooser, "group-3", verbose=0)
    assert result.model == "best of each fold"
    assert chooser.log["chosen"] == [set(rows["speaker"]) for rows in chooser.log["fit"]]


def test_a_regressor_is_scored_as_one():
    result = evaluate(SVR(), "group-3", features=["mfcc"], **BUNDLED)
    assert isinstance(result, RegressionEvaluation)
    measures = itertools.product(("mae", "ccc", "rmse"), ("", "_low", "_high"))
    assert result.scores().keys() == {"".join(parts) for parts in measures}
    assert 0 < result.scores()["mae"] < result.chance() == 2 / 3
    assert set(result.clips["target"]) == {0, 1, 2}
    plain = abs(result.clips["target"] - result.clips["predicted"]).mean()
    assert result.scores()["mae"] == pytest.approx(plain)


@pytest.mark.parametrize("wrong", ["SVC", SVC, Parrot, None])
def test_what_isnt_a_system_is_refused(wrong):
    with pytest.raises(TypeError, match="a scikit-learn estimator"):
        evaluate(wrong, "loso")


def test_arguments_that_would_have_no_effect_are_refused(custom):
    parrot = Parrot(custom)
    with pytest.raises(TypeError, match="emodb: options are only for an estimator"):
        evaluate(parrot, "loso", emodb=True)
    with pytest.raises(ValueError, match="label_map is for 'cross-corpus'"):
        evaluate(parrot, "loso", label_map={"sad": "happy"})
    with pytest.raises(ValueError, match="not 'loso'"):
        evaluate(parrot, "loso", train_corpora=["custom"], verbose=0)
    for wrong in (-1, True, 2.5, "some"):
        with pytest.raises(ValueError, match="a number of clips, or 'all'"):
            evaluate(parrot, "loso", calibrate=wrong)
    assert not parrot.log["fit"]


def test_an_emotion_that_a_fold_cant_learn_is_named_before_anything_is_fitted(custom):
    one_speaker = custom[(custom["emotion"] != "sad") | (custom["speaker"] == "v01")]
    parrot = Parrot(one_speaker)
    with pytest.raises(ValueError, match=r"'custom/v01' has no clips of sad to train on"):
        evaluate(parrot, "loso", verbose=0)
    assert not parrot.log["fit"]


def test_the_model_may_be_given_a_name_and_the_bootstrap_a_seed(custom):
    first = evaluate(Parrot(custom), "group-3", verbose=0)
    other = evaluate(Parrot(custom), "group-3", verbose=0, name="Polly", random_state=1)
    assert (first.model, other.model) == ("Parrot", "Polly")
    assert first.scores()["uar"] == other.scores()["uar"]
    assert first.scores()["uar_low"] != other.scores()["uar_low"]


def test_progress_is_shown_only_if_wished(custom, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    evaluate(Parrot(custom), "group-3", verbose=0)
    assert capsys.readouterr() == ("", "")
    evaluate(Parrot(custom), "group-3")
    printed = capsys.readouterr()
    assert "group-3: 100%" in printed.err and "3/3" in printed.err
    assert printed.out == ""


# several corpora


@pytest.fixture
def two_corpora(custom):
    """The test speakers are another corpus, with fear in place of angry, and with boredom."""
    is_other = custom["partition"] == "test"
    clips = custom.assign(corpus=np.where(is_other, "other", "custom"))
    clips.loc[is_other & (clips["emotion"] == "angry"), "emotion"] = "fear"
    bored = list_clips("custom", data_dir=REPO / "data")
    bored = bored[(bored["emotion"] == "boredom") & (bored["partition"] == "test")]
    return pd.concat([clips, bored.assign(corpus="other")], ignore_index=True)


MAP = {"fear": "angry", "boredom": None}
TO_OTHER = {"test_corpora": ["other"], "verbose": 0}


def test_cross_corpus_trains_on_one_and_tests_on_the_other(two_corpora):
    parrot = Parrot(two_corpora, ["sad", "fear", "happy", "angry", "boredom"])
    result = evaluate(parrot, "cross-corpus", label_map=MAP, **TO_OTHER)
    (rows,) = parrot.log["fit"]
    assert set(rows["corpus"]) == {"custom"} and set(result.clips["corpus"]) == {"other"}
    assert result.emotions == ["sad", "angry", "happy"]
    assert set(rows["emotion"]) == set(result.clips["emotion"]) == set(result.emotions)
    assert len(result.clips) == 24  # without the bored ones
    line = str(result).splitlines()[0]
    assert "trained on 63 clips of 7 speakers of custom, tested on 24 clips of 4 of other" in line
    assert line.endswith("labels: fear as angry, without boredom")


def test_labels_that_differ_need_a_map(two_corpora):
    parrot = Parrot(two_corpora, ["sad", "fear", "happy", "angry", "boredom"])
    only = "only training has angry; only test has boredom, fear"
    with pytest.raises(ValueError, match=f"{only}.*label_map.*None to leave it out"):
        evaluate(parrot, "cross-corpus", **TO_OTHER)
    with pytest.raises(ValueError, match="Did you mean 'fear'"):
        evaluate(parrot, "cross-corpus", label_map={"feer": "sad"}, **TO_OTHER)
    assert not parrot.log["fit"]


def test_a_corpus_on_both_sides_is_a_leak(two_corpora):
    parrot = Parrot(two_corpora, ["sad", "fear", "happy", "angry", "boredom"])
    with pytest.raises(LeakError, match=r"the same speaker.*other/v21, other/v22"):
        both = ["custom", "other"]
        evaluate(parrot, "cross-corpus", train_corpora=both, label_map=MAP, **TO_OTHER)


THREE = {"custom": "v01 v02 v03 v04", "other": "v05 v06 v07", "third": "v21 v22 v23 v24"}
SHARED = {
    "custom": {"sad", "happy", "angry"},
    "other": {"sad", "happy", "calm"},
    "third": {"sad", "happy", "angry", "calm"},
}


@pytest.fixture(scope="module")
def three_corpora():
    """The bundled clips as three corpora: one without calm, one without angry, one has boredom."""
    clips = list_clips("custom", data_dir=REPO / "data")
    corpus_of = {speaker: corpus for corpus, names in THREE.items() for speaker in names.split()}
    clips = clips.assign(corpus=clips["speaker"].map(corpus_of))
    alone = (clips["emotion"] == "boredom") & (clips["corpus"] == "other")
    kept = [e in SHARED[c] for e, c in zip(clips["emotion"], clips["corpus"], strict=True)]
    return clips[np.array(kept) | alone].reset_index(drop=True)


FIVE = ["calm", "boredom", "sad", "angry", "happy"]


class KnowsItsEmotions(Parrot):
    """Logs the emotions that it can answer with, too."""

    def fit(self, rows):
        self.log.setdefault("emotions", []).append(self.emotions)
        return super().fit(rows)


def test_loco_trains_and_tests_on_the_emotions_that_both_sides_have(three_corpora):
    parrot = KnowsItsEmotions(three_corpora, FIVE)
    result = evaluate(parrot, "loco", verbose=0)
    for rows, emotions, (corpus, shared) in zip(
        parrot.log["fit"], parrot.log["emotions"], SHARED.items(), strict=True
    ):
        own = result.clips[result.clips["corpus"] == corpus]
        assert set(rows["corpus"]) == set(THREE) - {corpus}
        assert set(rows["emotion"]) == set(own["emotion"]) == set(emotions) == shared
        assert emotions == [emotion for emotion in FIVE if emotion in shared]
        assert own[[f"p_{e}" for e in FIVE if e in shared]].notna().all(axis=None)
        known = (three_corpora["corpus"] == corpus) & three_corpora["emotion"].isin(shared)
        assert set(own["path"]) == set(three_corpora.loc[known, "path"])
    assert result.emotions == ["calm", "sad", "angry", "happy"]  # boredom is in one corpus only
    assert "what one corpus alone has: other (boredom)" in result.protocol
    oracle = [
        balanced_accuracy_score(own["emotion"], own["predicted"])
        for _, own in result.clips.groupby("corpus")
    ]
    assert result.scores()["uar"] == pytest.approx(np.mean(oracle))
    assert result.chance() == pytest.approx(np.mean([1 / 3, 1 / 3, 1 / 4]))


@pytest.mark.parametrize("n", [1, 5, "all"])
@pytest.mark.parametrize("adapt", ["speaker", "condition"])
def test_loco_adapts_to_speakers_or_conditions_without_the_predicted_clips(three_corpora, adapt, n):
    parrot = Parrot(three_corpora, FIVE, normalize="speaker")
    result = evaluate(parrot, "loco", calibrate=n, adapt=adapt, verbose=0)
    rows = result.clips.set_index("path")
    assert sorted(path for path, *_ in parrot.log["adapt"]) == sorted(rows.index)
    assert set(parrot.log["by"]) == {adapt}
    speakers = set()
    for path, handful in parrot.log["adapt"]:
        whose = rows.loc[handful]
        assert set(whose["corpus"]) == {rows.loc[path, "corpus"]}
        assert (path in handful) == (n == "all")
        if adapt == "speaker":
            assert set(whose["speaker"]) == {rows.loc[path, "speaker"]}
        speakers |= set(whose["speaker"]) - {rows.loc[path, "speaker"]}
        assert n == "all" or len(handful) == n
    assert (len(speakers) > 8) == (adapt == "condition")
    target = {"speaker": "each speaker", "condition": "the recording condition of each corpus"}
    assert f"; adapted to {target[adapt]} with " in result.protocol


def test_several_adaptations_are_trained_once_and_are_those_of_evaluate(three_corpora):
    parrot = Parrot(three_corpora, FIVE, normalize="speaker")
    ways = [(0, "speaker"), (8, "condition"), ("all", "speaker")]
    found = evaluation.evaluate_states(parrot, "loco", ways, verbose=0)
    assert len(parrot.log["fit"]) == 3
    for result, (n, adapt) in zip(found, ways, strict=True):
        alone = evaluate(parrot, "loco", calibrate=n, adapt=adapt, verbose=0)
        assert str(result) == str(alone)
        pd.testing.assert_frame_equal(result.clips, alone.clips)
    difference = protocols.compare(found[1], found[0])
    assert difference.n_clips == len(found[0].clips) and difference.low <= difference.difference


def test_a_condition_is_adapted_to_in_other_protocols_too(custom):
    parrot = Parrot(custom, normalize="speaker")
    result = evaluate(parrot, "group-3", calibrate=10, adapt="condition", verbose=0)
    fold = dict(zip(result.clips["path"], result.clips["fold"], strict=True))
    for path, handful in parrot.log["adapt"]:
        assert path not in handful and {fold[other] for other in handful} == {fold[path]}
    for wrong, message in (("corpus", "Unknown adapt 'corpus'"), ("condition", "give calibrate")):
        with pytest.raises(ValueError, match=message):
            evaluate(parrot, "loso", adapt=wrong)


def test_regressors_of_left_out_corpora_keep_their_scale(three_corpora):
    both = three_corpora[three_corpora["emotion"].isin(["sad", "happy"])]
    neutral = list_clips("custom", data_dir=REPO / "data").query("emotion == 'neutral'")
    neutral = neutral[neutral["speaker"].isin(["v01", "v21"])].reset_index(drop=True)
    neutral["corpus"] = np.where(neutral["speaker"] == "v01", "custom", "third")
    clips = pd.concat([both, neutral], ignore_index=True)
    result = evaluate(Parrot(clips, EMOTIONS, classification=False), "loco", verbose=0)
    assert set(result.clips["target"]) == {0, 1, 2}
    errors = abs(result.clips["target"] - result.clips["predicted"])
    mean = errors.groupby(result.clips["corpus"]).mean().mean()
    assert result.scores()["mae"] == pytest.approx(mean)


# adaptation


@pytest.mark.parametrize("n", [3, 5, 20, "all"])
def test_adaptation_is_by_speaker_and_without_the_clip_itself(custom, n):
    parrot = Parrot(custom, normalize="speaker")
    result = evaluate(parrot, "group-3", calibrate=n, verbose=0)
    assert len(result.clips) == len(custom)
    assert {path for path, _ in parrot.log["adapt"]} == set(custom["path"])
    speakers = dict(zip(custom["path"], custom["speaker"], strict=True))
    counts = custom["speaker"].value_counts()
    for path, handful in parrot.log["adapt"]:
        assert {speakers[other] for other in handful} == {speakers[path]}
        assert (path in handful) == (n == "all")
        n_clips = counts[speakers[path]]
        assert len(handful) == (n_clips if n == "all" else min(n, n_clips - 1))
    line = str(result).splitlines()[0]
    assert ("transductive" if n == "all" else f"with {n} other unlabelled clips") in line


def test_a_speaker_of_one_clip_is_predicted_without_adaptation(custom):
    others = custom[custom["speaker"] != "v01"]
    one = custom[custom["speaker"] == "v01"].iloc[:1]
    parrot = Parrot(pd.concat([one, others], ignore_index=True), normalize="speaker")
    result = evaluate(parrot, "group-3", calibrate=5, verbose=0)
    assert len(result.clips) == len(others) + 1
    assert {path for path, _ in parrot.log["adapt"]} == set(others["path"])


def test_without_adaptation_nothing_is_fitted_for_it(custom):
    parrot = Parrot(custom, normalize="speaker")
    result = evaluate(parrot, "group-3", verbose=0)
    assert not parrot.log["adapt"]
    assert parrot.log["normalize"] == [None] * 3
    assert "adapted" not in str(result)
    with pytest.raises(ValueError, match='normalize="speaker"'):
        evaluate(Parrot(custom), "group-3", calibrate=5, verbose=0)


# leaks


@pytest.fixture
def with_copy(custom, tmp_path):
    """Clips, one of which has been copied under another speaker's name."""
    copy = tmp_path / "bob_s1_sad.wav"
    original = custom.loc[custom["emotion"] == "sad", "path"].iloc[0]
    shutil.copy(original, copy)
    row = pd.DataFrame([[str(copy), "sad", "bob", "custom", "test"]], columns=custom.columns)
    return original, str(copy), pd.concat([custom, row], ignore_index=True)


@pytest.mark.parametrize("protocol", ["loso", "group-4"])
def test_a_copy_under_another_name_stops_a_protocol_that_claims_independence(with_copy, protocol):
    original, copy, clips = with_copy
    parrot = Parrot(clips)
    with pytest.raises(LeakError) as caught:
        evaluate(parrot, protocol, verbose=0)
    message = str(caught.value)
    assert protocol in message and original in message and copy in message and "\n" not in message
    assert not parrot.log["fit"], "it was found only after training"


@pytest.mark.parametrize("protocol", ["standard", "random"])
def test_other_protocols_report_the_copy(with_copy, protocol):
    original, copy, clips = with_copy
    result = evaluate(Parrot(clips), protocol, verbose=0)
    assert len(result.clips) in (25, 88)
    if protocol == "standard":
        assert result.leaks.audio == ((original, copy),)
        assert f"leak guard: the same recording on both sides of the split: {original}" in str(
            result
        )
    else:
        assert "custom/v01" in result.leaks.speakers
        assert "leak guard: the same speaker on both sides of the split: custom/v01" in str(result)


def test_a_file_that_cant_be_read_is_left_out_and_named(custom, tmp_path):
    broken = tmp_path / "v01_x_sad.wav"
    broken.write_bytes(b"no audio")
    row = pd.DataFrame([[str(broken), "sad", "v01", "custom", "train"]], columns=custom.columns)
    clips = pd.concat([row, custom], ignore_index=True)
    other = row.assign(speaker="b")
    assert protocols.find_leaks(row, row) and not protocols.find_leaks(row, other).audio
    parrot = Parrot(clips)
    with pytest.warns(UserWarning, match=r"1 clip\(s\) left out.*v01_x_sad\.wav"):
        result = evaluate(parrot, "group-3", verbose=0)
    assert len(result.clips) == len(custom)
    assert str(broken) not in set(parrot.log["predict"]) | set(parrot.log["fit"][0]["path"])


def test_audio_is_read_once_an_evaluation(custom, monkeypatch):
    read = []
    load = protocols.load_each
    monkeypatch.setattr(protocols, "load_each", lambda paths: read.extend(paths) or load(paths))
    evaluate(Parrot(custom), "loso", verbose=0)
    assert sorted(read) == sorted(custom["path"])


@pytest.mark.parametrize(
    ("protocol", "start"),
    [
        ("loso", "leave one speaker out (loso) of custom: 87 clips of 11 speakers"),
        ("group-3", "group-3, 3 folds of speakers of custom: 87 clips of 11 speakers"),
        ("random", "random, 10 folds of clips of custom: 87 clips of 11 speakers"),
        ("standard", "standard split of custom: trained on 63 clips of 7 speakers, tested on 24 "),
    ],
)
def test_protocol_lines(custom, protocol, start):
    result = evaluate(Parrot(custom), protocol, verbose=0)
    assert str(result).startswith(start)
    assert ("flatters" in result.protocol) == (protocol == "random")


# the command line


def run_cli(capsys, arguments, *more):
    """Run main in this process on the bundled clips, by default of three emotions."""
    capsys.readouterr()
    three = "" if "--emotions" in arguments else "--emotions sad,neutral,happy"
    evaluation.main([*f"{arguments} {three} --corpus custom".split(), *DATA, *more])
    return capsys.readouterr().out


def run_json(capsys, arguments):
    return json.loads(run_cli(capsys, f"{arguments} --json"))


@pytest.mark.slow
def test_the_command_prints_json_from_a_fresh_process(tmp_path):
    options = BUNDLED | {"balance": False, "features": ["mfcc"], "functionals": ["mean"]}
    expected = evaluate(named_recognizer("KNeighbors", **options), verbose=0)
    arguments = f"--corpus custom --json --model KNeighbors --emotions sad,neutral,happy {FEW}"
    command = [sys.executable, REPO / "evaluation.py", *arguments.split(), *DATA]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["protocol"].startswith("leave one speaker out (loso) of custom: 87 clips of 11")
    assert result["model"] == "KNeighbors"
    assert (result["n_speakers"], result["n_clips"]) == (11, 87)
    assert result["uar_low"] < result["uar"] < result["uar_high"]
    assert result["per_class_recall"].keys() == {"sad", "neutral", "happy"}
    assert result["uar"] == pytest.approx(np.mean(list(result["per_class_recall"].values())))
    assert list(tmp_path.iterdir()) == [] and result["pictures"] == []
    assert result["accuracy"] == expected.scores()["accuracy"]


def test_a_failing_command_says_so_in_one_line(capsys):
    code, (out, err) = evaluation.main(["--protocol", "lso"]), capsys.readouterr()
    assert code == 1 and out == ""
    assert re.fullmatch(r"evaluation\.py: .*Did you mean 'loso'\?\n", err)


@pytest.mark.slow
def test_a_reader_that_has_enough_ends_the_command_quietly():
    arguments = f"--protocol standard --model SVC --json --emotions sad,neutral,happy {FEW}"
    command = [sys.executable, "evaluation.py", "--corpus", "custom", *arguments.split(), *DATA]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=REPO, **pipes) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


def test_results_are_printed_before_pictures_are_drawn(capsys, monkeypatch, tmp_path):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(plotting, "save_figure", fail)
    arguments = f"--corpus custom --model SVC --protocol standard {FEW} --pictures".split()
    three = ["--emotions", "sad,neutral,happy"]
    assert evaluation.main([*DATA, *three, *arguments, str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("standard split of custom: trained on 63 clips")
    assert err.endswith("evaluation.py: disk full\n")
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="file can't be written .*Name a folder of your own"):
        assert evaluation.main([*DATA, *three, *arguments, str(tmp_path / "file")]) == 0
    out, _ = capsys.readouterr()
    assert out.startswith("standard split of custom: ") and "pictures" not in out


def test_the_command_prints_the_table_and_writes_the_pictures(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = run_cli(capsys, f"--model SVC --protocol group-3 --emotions sad,happy {FEW}")
    assert printed.startswith("group-3, 3 folds of speakers of custom: 58 clips of 11 speakers")
    assert "SVC: sad, happy" in printed
    stem = Path("results") / "custom_group-3_SVC"
    written = [f"{stem}_{name}.png" for name in ("confusion_matrix", "speakers", "reliability")]
    assert printed.splitlines()[-1] == f"pictures: {', '.join(written)}"
    for path in written:
        assert Path(path).read_bytes().startswith(b"\x89PNG")
    result = run_json(capsys, f"--protocol standard --model SVC --pictures here {FEW}")
    assert len(result["pictures"]) == len(list(Path("here").iterdir())) == 3


@pytest.mark.parametrize(
    "model", ["recommended", "default", pytest.param("classic", marks=pytest.mark.slow)]
)
def test_the_recommended_and_the_classic_recognizer(capsys, model):
    result = run_json(capsys, f"--model {model} --protocol standard --emotions sad,happy")
    assert result["model"] == model
    assert result["n_speakers"] == 4 and result["n_clips"] == 16
    assert result["uar"] > 0.6  # chance is 0.5


def test_adaptation_from_the_command_line(capsys):
    results = {
        n: run_json(capsys, f"--model SVC --protocol group-2 --calibrate {n} {FEW}")
        for n in ("5", "all")
    }
    assert "with 5 other unlabelled clips" in results["5"]["protocol"]
    assert "transductive" in results["all"]["protocol"]
    assert {result["n_clips"] for result in results.values()} == {87}


def test_leakage_side_by_side(capsys, monkeypatch):
    monkeypatch.setattr(plotting, "save_figure", lambda *_: None)
    arguments = f"--leakage --protocol group-3 --model KNeighbors --emotions sad,happy {FEW}"
    result = run_json(capsys, arguments)
    assert result["random"]["protocol"].startswith("random, 10 folds")
    gap = result["random"]["uar"] - result["group-3"]["uar"]
    assert result["difference"]["difference"] == pytest.approx(gap)
    printed = run_cli(capsys, arguments)
    lines = printed.splitlines()
    assert lines[0] == result["random"]["protocol"]
    assert lines[1] == result["group-3"]["protocol"]
    assert re.search(r"^random +11 +58 +0\.", printed, re.MULTILINE)
    assert re.search(r"^group-3 +11 +58 +0\.", printed, re.MULTILINE)
    assert "What leakage is worth: UAR of KNeighbors (random) minus that of KNeighbors (" in printed


def test_regression_from_the_command_line(capsys, tmp_path):
    arguments = f"--regression --model SVR --protocol group-2 {FEW}"
    printed = run_cli(capsys, arguments, "--pictures", str(tmp_path))
    assert "MAE" in printed and "CCC" in printed and "UAR" not in printed
    assert [path.name for path in tmp_path.iterdir()] == ["custom_group-2_SVR_speakers.png"]
    result = run_json(capsys, f"{arguments} --emotions angry,sad,neutral,ps,happy")
    assert result["mae_low"] < result["mae"] < result["mae_high"]
    assert -1 < result["ccc_low"] < result["ccc"] < result["ccc_high"] < 1
    assert result["n_clips"] == 145


def test_features_and_the_seed_have_their_effect(capsys):
    common = "--model KNeighbors --protocol group-2 --features"
    plain, mel = (run_json(capsys, f"{common} {name}") for name in ("mfcc", "mel"))
    assert plain["confusion"] != mel["confusion"]
    seeded = run_json(capsys, f"{common} mfcc --seed 1")
    assert plain["confusion"] == seeded["confusion"] and plain != seeded  # but for the bounds


def test_functionals_have_their_effect(capsys):
    common = "--model SVC --protocol standard --features mfcc --functionals"
    plain, more = (run_json(capsys, f"{common} {names}") for names in ("mean", "mean,std"))
    assert plain["confusion"] != more["confusion"]


@pytest.fixture(scope="module")
def two_corpora_folder(tmp_path_factory):
    """Bundled clips of four speakers as own recordings, and of three others as EMO-DB."""
    folder = tmp_path_factory.mktemp("corpora")
    (folder / "emodb" / "wav").mkdir(parents=True)
    (folder / "train-custom").mkdir()
    numbers = {"v05": "03", "v06": "08", "v07": "09"}
    codes = {"sad": "T", "happy": "F", "boredom": "L"}
    for path in sorted((REPO / "data" / "train-custom").glob("*.wav")):
        speaker, text, emotion = path.stem.split("_")
        if speaker not in numbers and emotion in ("sad", "happy", "calm"):
            shutil.copy(path, folder / "train-custom")
        elif speaker in numbers and emotion in codes:
            name = f"{numbers[speaker]}a0{text[1]}{codes[emotion]}a.wav"
            shutil.copy(path, folder / "emodb" / "wav" / name)
    return folder


def test_cross_corpus_from_the_command_line(two_corpora_folder, capsys):
    sides = "--corpus emodb --train-corpora custom --protocol cross-corpus"
    arguments = f"{sides} --model SVC --json {FEW} --emotions"
    data = ["--data-dir", str(two_corpora_folder)]
    evaluation.main([*f"{arguments} all --label-map calm=sad,boredom=-".split(), *data])
    result = json.loads(capsys.readouterr().out)
    assert "trained on 36 clips of 4 speakers of custom" in result["protocol"]
    assert result["protocol"].endswith("labels: calm as sad, without boredom")
    assert result["corpora"] == ["emodb"] and result["n_clips"] == 18
    assert result["emotions"] == ["sad", "happy"]
    assert evaluation.main([*f"{arguments} sad,happy,calm".split(), *data]) == 1
    assert re.search(r"only training has calm.*Pass a label_map", capsys.readouterr().err)


def test_loco_from_the_command_line(two_corpora_folder, capsys, tmp_path):
    arguments = f"--corpus emodb,custom --protocol loco --model SVC {FEW}".split()
    arguments += ["--data-dir", str(two_corpora_folder)]
    evaluation.main([*arguments, "--json"])
    plain = json.loads(capsys.readouterr().out)
    assert plain["protocol"].endswith("boredom)") and "calm" in plain["protocol"]
    uars = [plain["by_corpus"][corpus]["uar"] for corpus in ("custom", "emodb")]
    assert plain["uar"] == pytest.approx(np.mean(uars))
    assert plain["emotions"] == ["happy", "sad"]
    arguments += ["--adapt", "condition", "--calibrate", "6", "--pictures", str(tmp_path)]
    evaluation.main(arguments)
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].endswith("of each corpus with 6 other unlabelled clips")
    assert re.search(r"^corpus emodb +3 +18 +2 +0\.", printed, re.MULTILINE)
    stem = "custom-emodb_loco_SVC_adapted-condition-6"
    assert (tmp_path / f"{stem}_reliability_by_corpus.png").is_file()
    alone = f"--corpus custom --protocol loco --model SVC {FEW}".split()
    assert evaluation.main([*DATA, *alone]) == 1
    assert "two corpora, and all clips here are of custom" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--adapt condition --model SVC", "give calibrate"),
        ("--model SVG", "Unknown model 'SVG'.*Did you mean 'SVC'"),
        ("--regression --model SVC", "Unknown model 'SVC'.*Did you mean 'SVR'"),
        ("--corpus emod", "Unknown corpus 'emod'.*Did you mean 'emodb'"),
        ("--emotions sad,hapy", "Unknown emotion 'hapy'.*Did you mean 'happy'"),
        ("--features mfc --model SVC", "Unknown feature 'mfc'"),
        ("--train-corpora emodb", "--train-corpora is for --protocol cross-corpus"),
        ("--protocol cross-corpus", "needs --train-corpora, and --corpus"),
        ("--leakage --protocol standard", "compares random with loso or group-K"),
        ("--label-map sad=happy --model SVC", "label_map is for 'cross-corpus'"),
        ("--data-dir nowhere", "doesn't exist"),
    ],
)
def test_one_line_says_what_is_wrong_with_a_command(arguments, message, capsys):
    assert evaluation.main([*DATA, *arguments.split()]) == 1
    text = capsys.readouterr().err
    assert re.fullmatch(f"evaluation.py: .*{message}.*\n", text), text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--calibrate many", "a number of clips, or all"),
        ("--calibrate -1", "a number of clips, or all"),
        ("--label-map ps:happy", "OLD=NEW"),
        ("--seed x", "invalid int"),
    ],
)
def test_arguments_that_cant_be_read_are_refused(arguments, message, capsys):
    with pytest.raises(SystemExit) as caught:
        evaluation.main(arguments.split())
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_a_trained_recognizer_keeps_what_it_knows(few_svc):
    paths = few_svc.test_rows_["path"].tolist()
    before = few_svc.model, few_svc.predict_proba(paths)
    evaluate(few_svc, "group-2", verbose=0)
    assert (few_svc.model, few_svc.predict_proba(paths)) == before
