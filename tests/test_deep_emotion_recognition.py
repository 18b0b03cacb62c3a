"""Networks and ensembles as recognizers: what is trained on what, and the methods of all.

The networks themselves are tested in test_networks.py. A network takes TensorFlow seconds to build,
so what needs no training of its own loads the weights that the shared `network` left.
"""

import copy
import inspect
from pathlib import Path

import numpy as np
import pytest
from conftest import BUNDLED, EMOTIONS, FEW, ODD_ORDER, without_graphs
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.svm import SVC

import deep_emotion_recognition as deep
import metrics
from adaptation import FrameScaler
from audio import load_audio
from augmentation import SPEEDS, at_speed, noisy_copy
from confidence import distances
from data_extractor import Views, ragged
from deep_emotion_recognition import DeepEmotionRecognizer, EnsembleRecognizer, FrameNetwork
from emotion_recognition import EmotionRecognizer, Recognizer, recommended
from evaluation import evaluate
from features import RECOMMENDED_FEATURES, extract
from functionals import STEPS
from model_file import ModelFileError
from predictor import EnsemblePredictor, Predictor
from tables import speaker_groups


def weights(recognizer):
    return recognizer.model.network_.get_weights()


def assert_same_weights(recognizer, other):
    for ours, theirs in zip(weights(recognizer), weights(other), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.fixture
def untrainable(monkeypatch):
    """No network is trained here: weights are there from before, or it is an InterruptedError."""

    def stop(*_, **__):
        raise InterruptedError

    monkeypatch.setattr(deep, "train_networks", stop)


# networks


def test_a_network_has_what_every_recognizer_has(network, bundled_clips):
    assert network.test_score() > 0.5 and network.train_score() > 0.6  # chance is a third
    some = bundled_clips[::9]
    together = network.predict_proba(some)
    for path, probabilities in zip(some[:3], together, strict=False):
        alone = network.predict_proba(path)
        assert list(alone) == ODD_ORDER and alone == pytest.approx(probabilities, abs=1e-5)
    assert network.predict(some) == [max(p, key=p.get) for p in together]
    assert network.predict([]) == network.predict_proba([]) == []
    table = network.confusion_matrix()
    assert table.shape == (3, 3) and table.sum(axis=1).tolist() == pytest.approx([100] * 3)
    assert network.get_samples_by_class().loc["total", "total"] == 87
    assert isinstance(network.model, FrameNetwork) and network.name == "FrameNetwork"


def test_the_history_is_drawn(network):
    assert set(network.history_["network"]) == {0, 1}
    ax = network.draw_history()
    assert len(ax.lines) == 3 and ax.get_xlabel() and ax.get_ylabel() and ax.get_title()
    assert network.draw_history(ax=ax) is ax
    with pytest.raises(NotFittedError, match=r"call train\(\)"):
        network.untrained().draw_history()


@pytest.fixture(scope="module")
def plain(network):
    """`network` without adaptation and with another test part, from the weights that it left."""
    other = network.untrained(normalize=None).load_data()
    other.X_test, other.y_test = other.X_test[:3] * 9, other.y_test[:3][::-1]
    return other.train()


def test_no_network_trains_on_the_test_part(network, plain, untrainable):
    assert_same_weights(plain, network)
    [*kept] = Path(network.model.results_dir).glob("*.npz")
    assert len(kept) == 2  # with that for adaptation
    with pytest.raises(InterruptedError):
        plain.untrained().train(override=True)
    changed = plain.untrained().load_data()
    changed.y_train = changed.y_train[::-1]
    with pytest.raises(InterruptedError):
        changed.train()


def test_a_network_for_adaptation_is_trained_unless_unwanted(network, plain):
    general, adaptable = network.predictor_.general, network.predictor_.by_speaker
    assert network.model is general.model is not adaptable.model
    X, groups = network.X_train, speaker_groups(network.train_rows_)
    own = adaptable.speakers.transform(X, groups)
    for fitted, frames in [(general, X), (adaptable, own)]:
        scaler = FrameScaler().fit(frames)
        np.testing.assert_array_equal(fitted.scaler.mean_, scaler.mean_)
        np.testing.assert_array_equal(fitted.scaler.scale_, scaler.scale_)
    assert plain.predictor_.by_speaker is None
    with pytest.raises(ValueError, match='normalize="speaker"'):
        plain.adapt([network.test_rows_["path"].iloc[0]])


def test_adaptation_to_a_speaker(network, bundled_clips):
    own = [path for path in bundled_clips if "v21_" in path]
    before = network.predict_proba(own[4])
    adapted = network.adapt(own[::3])
    after = adapted.predict_proba(own[4])
    assert sum(after.values()) == pytest.approx(1, abs=1e-5) and after != before
    assert adapted.model is network.predictor_.by_speaker.model
    assert network.predict_proba(own[4]) == before and network.predictor_.speaker is None
    assert network.adapt(own[::3], labels="sad").predict_proba(own[4]) != after


def test_networks_are_given_copies_of_the_clips(network, monkeypatch):
    seen = {}

    def fit(self, X, y, groups, copies):
        seen.update(X=X, groups=groups, **{name: make() for name, make in copies.items()})
        raise InterruptedError

    monkeypatch.setattr(FrameNetwork, "fit", fit)
    rec = network.untrained(speeds=1, noisy=1)
    with pytest.raises(InterruptedError):
        rec.fit(network.train_rows_.iloc[::7])
    signals = [load_audio(path) for path in rec.train_rows_["path"]]

    def steps(signals):
        return ragged([extract(y, features=rec.features, functionals=STEPS) for y in signals])

    scaler = FrameScaler().fit(steps(signals))
    expected = (
        signals,
        [noisy_copy(y, 0) for y in signals],
        [at_speed(y, SPEEDS[0]) for y in signals],
    )
    found = (seen[name] for name in ("X", "(None, 0)", f"({SPEEDS[0]}, None)"))
    for X, own in zip(found, expected, strict=True):
        for x, z in zip(X, scaler.transform(steps(own)), strict=True):
            np.testing.assert_allclose(x, z, atol=1e-5)
    np.testing.assert_array_equal(seen["groups"], speaker_groups(rec.train_rows_))
    assert len(seen) == 2 + 3  # the noisy copy of the other speed, too


def test_untrained_keeps_all_settings_but_those_that_change(network):
    other = network.untrained(rnn_units=6, voices=2, degraded=1)
    assert other.predictor_ is None and network.predictor_ is not None
    assert (other.model.rnn_units, other.speeds, other.noisy) == (6, 2, 1)
    same = other.untrained(rnn_units=4, speeds=0, noisy=0)
    assert repr(same.model) == repr(network.untrained().model)
    assert (same.emotions, same.features) == (network.emotions, network.features)
    with pytest.raises(TypeError, match="Did you mean 'rnn_units'"):
        network.untrained(rnn_unit=3)


def test_a_layer_class_will_do_for_a_cell():
    from keras.layers import GRU

    assert DeepEmotionRecognizer(cell=GRU).model.cell == "GRU"


def test_what_is_wrong_is_named():
    with pytest.raises(ValueError, match=r"Unknown cell 'LSTN'.*Did you mean 'LSTM'"):
        DeepEmotionRecognizer(cell="LSTN")
    with pytest.raises(ValueError, match=r"dropout has 2 numbers for 4 of 2 recurrent and 2 dense"):
        DeepEmotionRecognizer(dropout=[0.1, 0.2])
    with pytest.raises(TypeError, match=r"Unknown option 'rnn_unit'.*Did you mean 'rnn_units'"):
        DeepEmotionRecognizer(rnn_unit=3)
    with pytest.raises(ValueError, match="grid_search"):
        DeepEmotionRecognizer().determine_best_model()


@pytest.mark.slow
def test_a_network_of_numbers(network, tmp_path, bundled_clips):
    options = {"emotions": EMOTIONS, "normalize": None, "n_networks": 1}
    numbers = network.untrained(classification=False, results_dir=str(tmp_path), **options).train()
    assert numbers.test_score() < 0.66  # "neutral" for all
    assert all(isinstance(value, float) for value in numbers.predict(bundled_clips[:2]))
    with pytest.raises(ValueError, match="no probabilities"):
        numbers.predict_proba(bundled_clips[0])


def test_a_network_is_trained_where_nothing_can_be_written(network, tmp_path, eager):
    (tmp_path / "file").write_text("in the way")
    places = dict.fromkeys(("results_dir", "logs_dir"), str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="can't be written"):
        rec = network.untrained(epochs=1, n_networks=1, **places).train()
    assert rec.test_score() > 0.2 and [*tmp_path.iterdir()] == [tmp_path / "file"]


@pytest.mark.slow
def test_grid_search_tries_other_networks(network, tmp_path):
    options = {"epochs": 1, "n_networks": 1, "results_dir": str(tmp_path)}
    other = network.untrained(**options).load_data()
    model, params, score = other.grid_search({"dense_units": [2, 16]})
    assert params["dense_units"] == model.dense_units in (2, 16) and 0.2 < score < 1


@pytest.mark.slow
def test_recurrent_networks_learn(network, tmp_path):
    options = {"n_rnn_layers": 1, "rnn_units": 8, "dense_units": 16, "epochs": 12}
    rec = network.untrained(normalize=None, results_dir=str(tmp_path), **options).train()
    assert rec.test_score() > 0.5 and rec.train_score() > 0.6  # chance is a third
    first, last = (rec.history_.groupby("network")["loss"].nth(i).to_numpy() for i in (0, -1))
    assert (last < first).all()


# ensembles


@pytest.fixture(scope="module")
def mixed(odd_rec, network):
    """Vectors and frames: the recommended recognizer and the networks."""
    with pytest.MonkeyPatch.context() as patch, without_graphs():
        patch.setattr(deep, "MEMBER_FOLDS", 2)  # each takes seconds
        return EnsembleRecognizer([odd_rec, network]).train()


def test_an_ensemble_predicts_the_mean_of_its_members(mixed, odd_rec, network, bundled_clips):
    some = bundled_clips[:6:5]
    pairs = zip(odd_rec.predict_proba(some), network.predict_proba(some), strict=True)
    share, rest = mixed.predictor_.weights
    assert share + rest == pytest.approx(1) and min(share, rest) > 0
    expected = [{e: share * p[e] + rest * q[e] for e in ODD_ORDER} for p, q in pairs]
    for path, together, want in zip(some, mixed.predict_proba(some), expected, strict=True):
        assert list(together) == ODD_ORDER and together == pytest.approx(want, abs=1e-5)
        assert mixed.predict_proba(path) == pytest.approx(want, abs=1e-5)
        assert mixed.predict(path) == max(want, key=want.get)
    assert copy.copy(mixed).scores()["accuracy"] == mixed.test_score() > 0.6
    assert mixed.get_samples_by_class().loc["total", "total"] == 87
    assert mixed.model is None and mixed.classes_.tolist() == sorted(ODD_ORDER)
    assert [type(member.model).__name__ for member in mixed.members] == ["BlockLDA", "FrameNetwork"]


def test_an_ensemble_is_as_novel_as_its_members_find(ensemble, bundled_clips):
    signal = load_audio(bundled_clips[0])
    probabilities, novelty = ensemble.listen(signal)
    each = [member.listen(signal) for member in ensemble.members]
    weights = ensemble.predictor_.weights
    np.testing.assert_allclose(probabilities, np.average([p for p, _ in each], 0, weights))
    assert novelty == max(own for _, own in each)
    for member, (_, novelty) in zip(ensemble.members, each, strict=True):
        predictor = member.predictor_
        general, own = predictor.general, predictor.features(signal)
        if hasattr(general.model, "distances"):
            far = general.model.distances(general.scaler.transform(own))
        else:
            far = distances(own, general.scaler)
        assert novelty == far[0] / general.limit


def test_an_ensemble_of_numbers(regressor, bundled_clips):
    options = {"classification": False, "balance": False, "emotions": EMOTIONS}
    other = EmotionRecognizer(Ridge(), **options, **FEW, **BUNDLED)
    both = EnsembleRecognizer([regressor, other]).train()
    expected = np.add(
        regressor.predict(bundled_clips[:4]), other.train().predict(bundled_clips[:4])
    )
    np.testing.assert_allclose(both.predict(bundled_clips[:4]), expected / 2)
    assert 0 < both.test_score() < 0.67  # 1 for all
    with pytest.raises(ValueError, match="no probabilities"):
        both.predict_proba(bundled_clips[0])
    assert repr(both).startswith(
        "<EnsembleRecognizer of sad 0, neutral 1, happy 2: Ridge and Ridge"
    )


def test_the_weights_of_members_are_fitted_on_speakers_left_out(odd_rec):
    """A member that knows nothing counts next to nothing, and a file keeps the weights."""
    guess = EmotionRecognizer(
        DummyClassifier(), emotions=ODD_ORDER, balance=False, **FEW, **BUNDLED
    )
    both = EnsembleRecognizer([odd_rec, guess]).train()
    share, rest = both.predictor_.weights
    assert rest < 0.35 < 0.65 < share
    content = both._content()
    loaded = EnsembleRecognizer._restored(content, both._record())
    assert loaded.predictor_.weights == [share, rest]
    older = {name: part for name, part in content.items() if name != "weights"}
    assert EnsembleRecognizer._restored(older, both._record()).predictor_.weights is None
    for wrong in ([1.0], [0.5, -0.5], [0.0, 0.0], "ab", [float("nan"), 1.0]):
        with pytest.raises(ModelFileError, match="weights"):
            EnsembleRecognizer._restored(content | {"weights": wrong}, both._record())


def test_members_may_have_weights(odd_rec, few_svc, bundled_clips):
    members = odd_rec.predictor_, few_svc.predictor_
    predictor = EnsemblePredictor.of(members, (3, 1))
    X = Views([odd_rec.X_test, few_svc.X_test])
    p, q = (member.probabilities(own) for member, own in zip(members, X, strict=True))
    np.testing.assert_allclose(predictor.probabilities(X), (3 * p + q) / 4)
    best = predictor.labels[(3 * p + q).argmax(axis=1)]
    np.testing.assert_array_equal(predictor.predict(X), best)
    np.testing.assert_allclose(EnsemblePredictor.of(members).probabilities(X), (p + q) / 2)
    adapted = predictor.adapted(X[:5])
    p, q = (m.adapted(own[:5]).probabilities(own) for m, own in zip(members, X, strict=True))
    np.testing.assert_allclose(adapted.probabilities(X), (3 * p + q) / 4)
    assert not np.allclose(adapted.probabilities(X), predictor.probabilities(X))
    again = adapted.unadapted()
    np.testing.assert_array_equal(again.probabilities(X), predictor.probabilities(X))
    assert predictor.parts == members and not predictor.sources
    views = predictor.features(load_audio(bundled_clips[0]))
    assert [own.shape for own in views] == [(1, odd_rec.X_test.shape[1]), (1, 80)]


def test_an_ensemble_is_adapted_member_by_member(ensemble, bundled_clips):
    before = ensemble.predict_proba(bundled_clips[5])
    adapted = ensemble.adapt(bundled_clips[:4])
    each = [member.adapt(bundled_clips[:4]) for member in ensemble.members]
    for recognizer in (adapted, *adapted.members):
        assert recognizer.predictor_.speaker is not None and "adapted to one" in repr(recognizer)
    for recognizer in (ensemble, *ensemble.members):
        assert recognizer.predictor_.speaker is None and "adapted" not in repr(recognizer)
    found = adapted.predict_proba(bundled_clips[5])
    p, q = (own.predict_proba(bundled_clips[5]) for own in each)
    share, rest = adapted.predictor_.weights
    assert found == pytest.approx({e: share * p[e] + rest * q[e] for e in ODD_ORDER})
    assert found != before
    assert ensemble.predict_proba(bundled_clips[5]) == before
    assert [m.predict(bundled_clips[5]) for m in adapted.members] == [
        own.predict(bundled_clips[5]) for own in each
    ]
    known = ensemble.calibrate(bundled_clips[:4], labels="sad").predict_proba(bundled_clips[5])
    assert known != found
    for method in (adapted.test_score, adapted.train):
        with pytest.raises(ValueError, match="adapted"):
            method()


def test_what_notebooks_show_of_networks_and_ensembles(network, mixed, ensemble, tmp_path):
    assert repr(network.untrained()).startswith(
        "<DeepEmotionRecognizer of sad, angry, happy: FrameNetwork; not trained, will learn from"
    )
    trained = "FrameNetwork; trained on 63 clips of 7 speakers of custom"
    assert trained in repr(network) and "results_dir" not in network._repr_html_()
    assert "; not trained" in repr(mixed.untrained())
    shown = copy.copy(mixed)
    assert f"BlockLDA and {trained}>" in repr(shown)
    shown.scores()
    score = f"{metrics.scores_in_words(shown.scores())}; {shown.protocol()}>"
    assert repr(shown).endswith(f"{trained}; {score}")
    scored = copy.copy(ensemble)
    scored.scores()
    loaded = EnsembleRecognizer.load(scored.save(tmp_path / "e.ser") and tmp_path / "e.ser")
    assert "BlockLDA and SVC; trained on 63 clips of 7 speakers of custom; UAR 0." in repr(loaded)
    assert "UAR" in repr(scored) and "UAR" not in repr(scored.train())


def test_the_name_of_an_ensemble_is_in_titles_and_reports(ensemble):
    assert ensemble.name == "BlockLDA and SVC"
    title = ensemble.draw_confusion_matrix().get_title()
    assert title == "BlockLDA and SVC, 24 test clips (percent of the true emotion)"
    assert ensemble.model is None


def test_an_ensemble_has_nothing_to_choose_or_to_tune(ensemble):
    with pytest.raises(ValueError, match="uses all its members"):
        ensemble.determine_best_model()
    with pytest.raises(ValueError, match=r"members\[0\]\.grid_search"):
        ensemble.grid_search({"C": [1, 10]})
    best, params, score = ensemble.members[1].grid_search({"C": [1, 10]})
    assert params["C"] == best.C and 0.3 < score < 1


def test_members_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"agree in emotions; got \['sad', 'happy'\] and"):
        EnsembleRecognizer(
            [recommended(emotions=["sad", "happy"]), DeepEmotionRecognizer(emotions=EMOTIONS)]
        )
    with pytest.raises(ValueError, match="agree in corpora"):
        EnsembleRecognizer([recommended(), recommended(corpora=["custom"])])
    with pytest.raises(TypeError, match=r"emotions: options are for the default members"):
        EnsembleRecognizer([recommended()], emotions=["sad"])


def test_members_of_a_trained_ensemble_are_trained(ensemble, tmp_path):
    for i, member in enumerate(ensemble.members):
        assert "trained on 63 clips of 7 speakers of custom" in repr(member)
        predicted = member.predictor_.predict(ensemble.X_test.views[i])
        assert member.test_score() == np.mean(predicted == ensemble.y_test)
    trained = copy.copy(ensemble)
    trained.members[1].save(tmp_path / "svc.ser")
    loaded = EmotionRecognizer.load(tmp_path / "svc.ser")
    assert loaded.score_ == trained.members[1].scores()


def test_members_of_a_loaded_ensemble_read_clips_and_learn_anew(ensemble, tmp_path, monkeypatch):
    monkeypatch.setenv("SER_DATA_DIR", str(BUNDLED["data_dir"]))
    ensemble.save(tmp_path / "e.ser")
    loaded = EnsembleRecognizer.load(tmp_path / "e.ser")
    for recognizer in (loaded, *loaded.members):
        recognizer.n_jobs = 1
        with pytest.raises(ValueError, match="no clips"):
            recognizer.test_score()
    scores = [member.test_score() for member in ensemble.members]
    assert [member.test_score() for member in loaded.load_data().members] == scores
    assert all("loaded" in member.protocol() for member in loaded.members)
    assert [member.test_score() for member in loaded.train().members] == scores
    assert not any("loaded" in member.protocol() for member in loaded.members)


def test_members_stay_as_they_are(odd_rec):
    member = EmotionRecognizer(SVC(), emotions=ODD_ORDER, balance=False, **FEW, **BUNDLED)
    before = odd_rec.predictor_
    ensemble = EnsembleRecognizer([odd_rec, member])
    assert ensemble.predictor_ is None and ensemble.members[0] is not odd_rec
    ensemble.train()
    assert odd_rec.predictor_ is before and member.predictor_ is None


def test_the_members_of_the_usual_ensemble_learn_from_copies():
    def copies(**options):
        members = EnsembleRecognizer(**BUNDLED, **options).members
        return [(member.speeds, member.noisy) for member in members]

    assert copies() == [(4, 1), (2, 0)]
    assert copies(noisy=2) == copies(degraded=2) == [(4, 2), (2, 2)]
    assert copies(speeds=0) == copies(voices=0) == [(0, 1), (0, 0)]
    with pytest.raises(TypeError, match="Did you mean 'emotions'"):
        EnsembleRecognizer(emotion=["sad"])


def test_a_network_takes_frames_of_one_kind():
    own = DeepEmotionRecognizer(**BUNDLED)
    assert own.features == own.untrained().features == ["encoder"]
    other = DeepEmotionRecognizer(encoder="whisper-base@1", **BUNDLED)
    assert other.features == other.untrained().features == ["encoder:whisper-base@1"]
    plain = DeepEmotionRecognizer(encoder=None, **BUNDLED)
    assert plain.features == plain.untrained().features == ["spectrum", "prosody", "quality"]
    for wrong in (
        {"features": ["prosody"], "encoder": "whisper-base"},
        {"features": ["prosody", "encoder"]},
    ):
        with pytest.raises(ValueError, match=r"one kind.*got prosody, encoder.*\. features="):
            DeepEmotionRecognizer(**wrong, **BUNDLED)


def test_the_members_of_the_usual_ensemble_have_the_same_encoder():
    for encoder in (None, "whisper-base@1"):
        first, network = EnsembleRecognizer(encoder=encoder, **BUNDLED).members
        assert first.encoder == network.encoder == encoder
    first, network = EnsembleRecognizer(**BUNDLED).members
    assert first.features == [*RECOMMENDED_FEATURES] and network.features == ["encoder"]


def test_evaluation_runs_ensembles(ensemble):
    result = evaluate(ensemble, "group-2", verbose=0)
    assert len(result.clips) == 87 and result.to_dict()["uar"] > 0.4
    assert result.model == ensemble.name and "BlockLDA and SVC, group-2" in repr(result)
    assert result.draw_confusion_matrix().get_title().startswith("BlockLDA and SVC")


@pytest.mark.slow
def test_evaluation_runs_networks(mixed, tmp_path):
    fresh = EnsembleRecognizer([mixed.members[0], mixed.members[1].untrained(results_dir=tmp_path)])
    result = evaluate(fresh, "group-2", verbose=0)
    assert len(result.clips) == 87 and result.to_dict()["uar"] > 0.4


def test_the_base_classes_have_nothing_that_is_missing_here():
    assert issubclass(DeepEmotionRecognizer, EmotionRecognizer)
    assert issubclass(EnsembleRecognizer, Recognizer)
    assert not issubclass(EnsembleRecognizer, EmotionRecognizer)
    assert issubclass(EnsemblePredictor, Predictor)
    of_one_model = {"encoder", "scaler", "scaler_", "speaker_scaler", "training"}
    public = {name for name, _ in inspect.getmembers(EmotionRecognizer) if name[0] != "_"}
    for cls in (DeepEmotionRecognizer, EnsembleRecognizer):
        assert public - of_one_model <= set(dir(cls))
    assert FrameNetwork().get_params()["n_rnn_layers"] == 2
