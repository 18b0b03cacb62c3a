"""A Predictor: one road from sound to answer, nothing that changes, nothing left to fit."""

import copy
import dataclasses
import math
import pickle
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import no_speech
import numpy as np
import pytest
import soundfile as sf
from conftest import BUNDLED, EMOTIONS, FEW, ODD_ORDER, bundled_clip
from joblib import Parallel, delayed
from scipy.special import softmax
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from adaptation import SpeakerScaler, standardised
from audio import AudioError, load_audio
from augmentation import at_speed
from confidence import distances
from data_extractor import SpeechFeatures, Views
from emotion_recognition import EmotionRecognizer, load_recognizer
from features import RECOMMENDED_FEATURES, SPEECH_FEATURES, sources
from models import BlockLDA, EmotionLDA
from parameters import SAMPLE_RATE as SR
from predictor import EnsemblePredictor, Predictor, recognise
from timeline import Timeline, predict_timeline
from training import Training

CLIP = bundled_clip("angry")
SOUND = load_audio(CLIP)
WINDOW = SOUND[:20000]  # of whole steps of a timeline
NETWORK = pytest.param("network", marks=pytest.mark.slow)
ALL = "rec", "adapted", "few_svc", "ensemble", NETWORK
"""Fixtures: one predictor for speech frames, one for a speaker, one for other features, two."""


@pytest.fixture
def trained(request):
    """The recognizer of a fixture's name."""
    return request.getfixturevalue(request.param)


def several(clips):
    """The signals of some clips."""
    return [load_audio(path) for path in clips[::6]]


# one road


def opened(ask):
    """What a recognizer answers for the open file."""
    with Path(CLIP).open("rb") as file:
        return ask(file)


def as_window(rec):
    """What a timeline of one window answers."""
    duration = len(WINDOW) / SR
    timeline = Timeline(rec, window=duration, hop=duration, vad=False)
    [row] = timeline.push(WINDOW) + timeline.finish()
    return {emotion: row[emotion] for emotion in rec.emotions}


ROADS = {
    "a path": lambda rec: rec.predict_proba(CLIP),
    "a Path": lambda rec: rec.predict_proba(Path(CLIP)),
    "a list of paths": lambda rec: rec.predict_proba([CLIP])[0],
    "an array": lambda rec: rec.predict_proba(SOUND, sr=SR),
    "whole numbers": lambda rec: rec.predict_proba(sf.read(CLIP, dtype="int16")[0], sr=SR),
    "two channels": lambda rec: rec.predict_proba(np.stack([SOUND, SOUND], axis=1), sr=SR),
    "a list of arrays": lambda rec: rec.predict_proba([SOUND], sr=SR)[0],
    "an open file": lambda rec: opened(rec.predict_proba),
    "a list of open files": lambda rec: opened(lambda file: rec.predict_proba([file])[0]),
    "a sound": lambda rec: rec.by_emotion(rec.listen(SOUND)[0]),
    "the microphone": lambda rec: recognise(rec, SOUND)["probabilities"],
    "a predictor": lambda rec: recognise(rec.predictor_, SOUND)["probabilities"],
}


@pytest.fixture
def seen(monkeypatch):
    """What plain predictors were given: list of bytes, of the first clips, each once."""
    calls = []

    def wrapped(real):
        def spied(self, X, *others):
            if self.parts == (self,) and (first := X[0].tobytes()) not in calls:
                calls.append(first)
            return real(self, X, *others)

        return spied

    for name in ("probabilities", "answered"):
        monkeypatch.setattr(Predictor, name, wrapped(getattr(Predictor, name)))
    return calls


@pytest.mark.parametrize("trained", ALL, indirect=True)
def test_a_clip_has_the_same_features_and_answers_down_every_road(trained, seen):
    predictor = trained.predictor_
    views = predictor.views(predictor.features(SOUND))
    expected = [X[0].tobytes() for X in views]
    answers = {}
    for name, road in ROADS.items():
        seen.clear()
        answers[name] = road(trained)
        assert seen == expected, name
        assert list(answers[name]) == trained.emotions, name
    assert all(answer == answers["a path"] for answer in answers.values())
    for part, view in zip(predictor.parts, views, strict=True):
        for recordings in ([CLIP], [SOUND], [CLIP, bundled_clip("sad"), SOUND]):
            X = SpeechFeatures(part.names, part.functionals, n_jobs=1).transform(recordings)
            assert X[0].tobytes() == X[-1].tobytes() == view[0].tobytes()


def test_a_window_has_the_same_features_as_its_samples(few_svc, rec, seen):
    answer, window = few_svc.predict_proba(WINDOW, sr=SR), as_window(few_svc)
    assert window == answer and len(seen) == 1
    predictor = rec.predictor_
    assert predictor.sources == sources(predictor.names) and not few_svc.predictor_.sources
    measured = {source: source(SOUND, SR) for source in predictor.sources}
    assert predictor.features(measured).tobytes() == predictor.features(SOUND).tobytes()
    for functionals in (None, "frames"):
        for source, names in zip(predictor.sources, (SPEECH_FEATURES, ("encoder",)), strict=True):
            own = dataclasses.replace(predictor, names=names, functionals=functionals)
            found, expected = (own.features(y) for y in (source(SOUND, SR), SOUND))
            assert found[0].tobytes() == expected[0].tobytes()
            assert own.features(measured)[0].tobytes() == expected[0].tobytes()
    # a stream is measured piece by piece; the last frames of it wait for what comes after them
    assert as_window(rec) == pytest.approx(rec.predict_proba(WINDOW, sr=SR), abs=0.1)


@pytest.mark.parametrize("trained", ["few_svc", "ensemble"], indirect=True)
def test_every_road_has_the_same_gate(trained, tmp_path):
    short, broken = tmp_path / "short.wav", tmp_path / "broken.wav"
    sf.write(short, SOUND[:800], SR)
    broken.write_bytes(b"RIFF")
    for wrong, words in ((short, "at least 0.1 s"), (broken, "broken")):
        with pytest.raises(AudioError, match=words) as one:
            trained.predict(wrong)
        with pytest.raises(AudioError) as listed:
            trained.predict([CLIP, wrong])
        assert str(one.value) == str(listed.value)
    for y in (SOUND[:800], np.full(SR, np.nan)):
        with pytest.raises(AudioError) as one:
            trained.predict(y, sr=SR)
        with pytest.raises(AudioError) as listed:
            trained.predict([SOUND, y], sr=SR)
        assert str(one.value) == str(listed.value)


SPOILED = {
    "as it is": WINDOW,
    "quiet": WINDOW * np.float32(1e-3),
    "clipped": np.clip(20 * WINDOW, -1, 1),
    "noisy": WINDOW + np.random.default_rng(0).normal(0, 0.05, len(WINDOW)).astype(np.float32),
    "short": WINDOW[:4800],
}


@pytest.mark.parametrize("name", SPOILED)
def test_every_road_reports_the_same(few_svc, rec, name):
    y, duration = SPOILED[name], len(SPOILED[name]) / SR
    for trained in (few_svc, rec):
        recognised = recognise(trained, y)
        window = {"window": duration, "hop": duration, "vad": False}
        table = predict_timeline(trained, y, sr=SR, verbose=0, **window)
        sides = [recognised["warnings"], table.attrs["warnings"]]
        if trained.predictor_.sources:  # its window lacks the last frames
            sides = [{code: side[code] for code in side if code != "novel"} for side in sides]
        else:
            assert recognised["probabilities"] == dict(table.iloc[0][trained.emotions])
        assert sides[0] == sides[1] and bool(sides[0]) >= (name != "as it is")


# one predictor


@pytest.mark.parametrize("trained", ["rec", "adapted", "few_svc"], indirect=True)
def test_probabilities_are_a_softmax_over_a_temperature(trained, bundled_clips):
    predictor = trained.predictor_
    X = np.concatenate([predictor.features(y) for y in several(bundled_clips)])
    scores, probabilities = predictor.scores(X), predictor.probabilities(X)
    assert scores.shape == probabilities.shape == (len(X), 3)
    Z = X if predictor.speaker is None else standardised(X, *predictor.speaker)
    factor, power = predictor.fitted.temperature
    fitted = predictor.fitted
    if hasattr(fitted.model, "distances"):
        far = fitted.model.distances(fitted.scaler.transform(Z))
    else:
        far = distances(Z, fitted.scaler)
    far = np.maximum(far, 0.1)[:, np.newaxis]
    expected = softmax(scores / (factor * far**power), axis=1)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-4)  # distances have 32 bits
    like = predictor.probabilities(X, like=X[:1])
    np.testing.assert_allclose(
        like, softmax(scores / (factor * far[0] ** power), axis=1), rtol=1e-4
    )
    assert predictor.predict(X).tolist() == predictor.labels[scores.argmax(axis=1)].tolist()
    assert predictor.scores(X[:0]).shape == predictor.probabilities(X[:0]).shape == (0, 3)
    assert predictor.novelty(X[:0]).shape == predictor.predict(X[:0]).shape == (0,)


def test_answers_are_named_in_the_order_of_the_user(few_svc):
    predictor = few_svc.predictor_
    assert predictor.emotions == ODD_ORDER and predictor.labels.tolist() == sorted(ODD_ORDER)
    named = predictor.by_emotion(np.array([0.5, 0.2, 0.3]))  # angry, happy, sad
    assert named == {"sad": 0.3, "angry": 0.5, "happy": 0.2} and list(named) == ODD_ORDER


@pytest.mark.parametrize("trained", ["rec", "adapted", "few_svc"], indirect=True)
def test_columns_have_names_and_an_average(trained):
    predictor = trained.predictor_
    assert len(predictor.columns) == predictor.features(SOUND).shape[1] == len(predictor.average)
    average = predictor.average[np.newaxis]
    if predictor.speaker is not None:
        average = standardised(average, *predictor.speaker)
    np.testing.assert_allclose(predictor.fitted.scaler.transform(average), 0, atol=1e-6)
    assert predictor.parts == (predictor,)
    X = predictor.features(SOUND)
    assert predictor.joined(predictor.views(X)) is X


def test_novelty_is_over_1_for_what_is_unlike_training(rec):
    predictor = rec.predictor_
    assert np.mean(predictor.novelty(rec.X_train) > 1) < 0.05
    noise = np.random.default_rng(0).normal(0, 0.1, SR).astype(np.float32)
    assert predictor.novelty(predictor.features(noise)) > 1
    strange = at_speed(SOUND, 2.0)  # speech, as from a cartoon
    assert predictor.novelty(predictor.features(strange)) > 1
    assert "novel" in recognise(predictor, strange)["warnings"]
    assert recognise(predictor, strange, abstain=0)["emotion"] == "unsure"
    assert rec.predict(strange, sr=SR, abstain=0) == "unsure" != rec.predict(strange, sr=SR)


SILENCE = np.zeros(SR, np.float32)
NOT_SPEECH = [no_speech.sound(kind, 1) for kind in ("pink", "organ", "keyboard")] + [SILENCE]


@pytest.mark.filterwarnings("ignore::audio.AudioWarning")
@pytest.mark.parametrize("y", NOT_SPEECH)
def test_a_recording_without_speech_has_no_emotion(few_svc, regressor, y):
    found = recognise(few_svc, y)
    assert (found["emotion"], found["confidence"], found["probabilities"]) == (None, 0.0, {})
    assert "no-speech" in found["warnings"] and "novel" not in found["warnings"]
    assert few_svc.predict(y, sr=SR) is None and few_svc.predict_proba(y, sr=SR) == {}
    assert few_svc.predict(y, sr=SR, abstain=0.9) is None
    assert math.isnan(regressor.predict(y, sr=SR))
    assert few_svc.predict(y, sr=SR, check_speech=False) in few_svc.emotions


def test_places_without_speech_in_a_list_are_empty(few_svc, tmp_path):
    sf.write(tmp_path / "hum.wav", no_speech.sound("hum", 1), SR)
    alone = few_svc.predict_proba(CLIP)
    for _ in range(2):  # the second time from the cache
        with Path(CLIP).open("rb") as file:
            mixture = [CLIP, tmp_path / "hum.wav", SOUND, file, SILENCE]
            probabilities = few_svc.predict_proba(mixture, sr=SR)
        assert [bool(own) for own in probabilities] == [True, False, True, True, False]
        assert list(probabilities[0].values()) == pytest.approx([*alone.values()], abs=1e-6)
    assert few_svc.predict([tmp_path / "hum.wav", CLIP]) == [None, few_svc.predict(CLIP)]
    assert few_svc.predict([SILENCE], sr=SR) == [None] and few_svc.predict([]) == []


def test_a_regressor_predicts_numbers(regressor):
    predictor = regressor.predictor_
    X = predictor.features(SOUND)
    assert predictor.labels is None and not predictor.classification
    assert (
        predictor.predict(X).tolist() == predictor.scores(X).tolist() == [regressor.predict(CLIP)]
    )
    assert predictor.scores(X[:0]).shape == (0,) and predictor.novelty(X).shape == (1,)
    expected = predictor.adapted(X, ["happy"]).predict(X)
    assert regressor.adapt([CLIP], "happy").predict(CLIP) == expected[0] != predictor.predict(X)[0]
    with pytest.raises(ValueError, match="numbers, not emotions"):
        recognise(predictor, SOUND)


def test_recognise_chooses_among_some_emotions_and_abstains(few_svc):
    whole = few_svc.predict_proba(CLIP)
    some = recognise(few_svc, SOUND, emotions=["happy", "sad"])
    share = whole["happy"] / (whole["happy"] + whole["sad"])
    assert list(some["probabilities"]) == ["happy", "sad"]
    assert some["probabilities"]["happy"] == pytest.approx(share)
    assert some["confidence"] == max(some["probabilities"].values())
    assert some["emotion"] == max(some["probabilities"], key=some["probabilities"].get)
    assert recognise(few_svc, SOUND, abstain=0.9999)["emotion"] == "unsure"
    assert recognise(few_svc, SOUND, abstain=0)["emotion"] == few_svc.predict(CLIP)
    with pytest.raises(ValueError, match="Did you mean 'happy'"):
        recognise(few_svc, SOUND, emotions=["sad", "hapy"])


def test_an_adapted_predictor_is_another_one(few_svc, bundled_clips):
    predictor = few_svc.predictor_
    X = np.concatenate([predictor.features(y) for y in several(bundled_clips)])
    adapted = predictor.adapted(X)
    assert adapted.speaker is not None and predictor.speaker is None
    assert adapted.fitted is predictor.by_speaker and predictor.fitted is predictor.general
    again = adapted.adapted(X)
    np.testing.assert_array_equal(again.probabilities(X), adapted.probabilities(X))
    back = adapted.unadapted()
    np.testing.assert_array_equal(back.probabilities(X), predictor.probabilities(X))
    np.testing.assert_array_equal(adapted.novelty(X), predictor.novelty(X))
    assert (adapted.probabilities(X) != predictor.probabilities(X)).any()
    with pytest.raises(ValueError, match="Unknown emotion 'bored'"):
        predictor.adapted(X, ["bored"] * len(X))
    with pytest.raises(ValueError, match='normalize="speaker"'):
        dataclasses.replace(predictor, by_speaker=None).adapted(X)


# immutable


@pytest.mark.parametrize("trained", ["rec", "ensemble"], indirect=True)
def test_nothing_can_be_assigned(trained):
    predictor = trained.predictor_
    names = [field.name for field in dataclasses.fields(predictor)]
    for name in (*names, "something", "labels"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(predictor, name, None)
    for name in names:
        with pytest.raises(dataclasses.FrozenInstanceError):
            delattr(predictor, name)
    assert len({predictor, copy.copy(predictor), predictor}) == 2  # compared as objects


@pytest.mark.parametrize("trained", ALL[:-1], indirect=True)
def test_predictions_change_nothing(trained):
    predictor, before = trained.predictor_, joblib.hash(trained.predictor_)
    trained.predict([CLIP])
    trained.adapt([CLIP], "sad").predict_proba(CLIP)
    trained.predict_timeline(CLIP)
    trained.explain(CLIP, span=0.5)
    recognise(predictor, SOUND)
    assert trained.predictor_ is predictor and joblib.hash(predictor) == before


def answers(predictor, y):
    """All that a predictor tells about a sound."""
    X = predictor.features(y)
    adapted = predictor.adapted(X)
    found = predictor.probabilities(X), predictor.novelty(X), adapted.probabilities(X)
    return np.concatenate([values.ravel() for values in found])


@pytest.mark.parametrize("trained", ALL, indirect=True)
def test_threads_share_it(trained, bundled_clips):
    predictor, sounds = trained.predictor_, several(bundled_clips)
    one_by_one = [answers(predictor, y) for y in sounds]
    with ThreadPoolExecutor(8) as threads:
        at_once = [*threads.map(lambda y: answers(predictor, y), 3 * sounds)]
    np.testing.assert_array_equal(at_once, 3 * one_by_one)


@pytest.mark.parametrize("trained", ALL, indirect=True)
def test_a_pickled_one_answers_the_same(trained, bundled_clips):
    predictor = trained.predictor_
    restored = pickle.loads(pickle.dumps(predictor))
    assert restored.emotions == predictor.emotions and restored.versions == predictor.versions
    for y in several(bundled_clips)[:3]:
        np.testing.assert_array_equal(answers(restored, y), answers(predictor, y))


@pytest.mark.slow
def test_it_goes_to_worker_processes(ensemble):
    sounds = [SOUND, SOUND[:8000]]
    work = Parallel(n_jobs=2, backend="loky")
    elsewhere = work(delayed(recognise)(ensemble.predictor_, y) for y in sounds)
    for found, y in zip(elsewhere, sounds, strict=True):
        here = recognise(ensemble.predictor_, y)
        assert found["probabilities"] == pytest.approx(here["probabilities"], abs=1e-12)
        assert (found["emotion"], found["warnings"]) == (here["emotion"], here["warnings"])


@pytest.fixture
def nothing_fits(monkeypatch):
    """Whatever is fitted raises."""

    def forbidden(*_, **__):
        raise AssertionError("fitted after training")

    fitting = Predictor, Training, StandardScaler, SpeakerScaler, EmotionLDA, BlockLDA, SVC
    for cls in fitting:
        monkeypatch.setattr(cls, "fit", forbidden)
    monkeypatch.setattr(Training, "one", forbidden)
    monkeypatch.setattr(StandardScaler, "partial_fit", forbidden)


@pytest.mark.parametrize("name", ["rec", "few_svc", "ensemble"])
def test_nothing_is_fitted_after_training(name, request, tmp_path):
    trained = request.getfixturevalue(name)
    request.getfixturevalue("nothing_fits")
    with pytest.raises(AssertionError, match="after training"):
        copy.copy(trained).train()
    expected = trained.predict_proba(CLIP)
    assert trained.predict(CLIP) == max(expected, key=expected.get)
    assert trained.listen(SOUND)[1] > 0 and trained.scores()["uar"] > 0
    for labels in (None, "sad"):
        adapted = trained.adapt([CLIP], labels)
        assert sum(adapted.predict_proba(CLIP).values()) == pytest.approx(1)
    assert len(trained.predict_timeline(CLIP)) and len(trained.explain(CLIP))
    trained.save(tmp_path / "own.ser")
    loaded = load_recognizer(tmp_path / "own.ser")
    assert loaded.predict_proba(CLIP) == expected
    assert loaded.adapt([CLIP], "sad").predict_proba(CLIP) == adapted.predict_proba(CLIP)


# ensembles


def test_an_ensemble_averages_its_members(ensemble, rec, bundled_clips):
    predictor = ensemble.predictor_
    assert isinstance(predictor, EnsemblePredictor) and predictor.parts == predictor.members
    clips = bundled_clips[::6]
    X = ensemble.features_of(clips)
    each = [member.probabilities(x) for member, x in zip(predictor.members, X, strict=True)]
    assert len(predictor.weights) == 2 and sum(predictor.weights) == pytest.approx(1)
    averaged = np.average(each, axis=0, weights=predictor.weights)
    np.testing.assert_allclose(predictor.probabilities(X), averaged)
    plain = EnsemblePredictor.of(predictor.members)
    np.testing.assert_array_equal(plain.probabilities(X), np.mean(each, axis=0))
    np.testing.assert_array_equal(predictor.scores(X), predictor.probabilities(X))
    weighted = EnsemblePredictor.of(predictor.members, weights=(3, 1))
    np.testing.assert_allclose(weighted.probabilities(X), 0.75 * each[0] + 0.25 * each[1])
    assert weighted.adapted(X).weights == weighted.unadapted().weights == (3, 1)
    novelties = [member.novelty(x) for member, x in zip(predictor.members, X, strict=True)]
    np.testing.assert_array_equal(predictor.novelty(X), np.max(novelties, axis=0))
    assert ensemble.predict(clips) == predictor.labels[averaged.argmax(axis=1)].tolist()
    like = predictor.probabilities(X, like=X[:1])
    pairs = zip(predictor.members, X, strict=True)
    each = [member.probabilities(x, like=x[:1]) for member, x in pairs]
    averaged = np.average(each, axis=0, weights=predictor.weights)
    np.testing.assert_allclose(like, averaged)


def test_an_ensemble_is_adapted_member_by_member(ensemble, bundled_clips):
    own = [path for path in bundled_clips if "v21" in path][:6]
    adapted = ensemble.adapt(own)
    members = [member.adapt(own).predict_proba(CLIP) for member in ensemble.members]
    for emotion, share in adapted.predict_proba(CLIP).items():
        shares, weights = [member[emotion] for member in members], adapted.predictor_.weights
        assert share == pytest.approx(np.average(shares, weights=weights))
    assert ensemble.predictor_.speaker is None and adapted.predictor_.speaker is not None
    back = adapted.predictor_.unadapted()
    assert recognise(back, SOUND) == recognise(ensemble, SOUND)
    with pytest.raises(ValueError, match="adapted to one speaker"):
        adapted.test_score()


def test_an_ensemble_of_regressors_averages_their_numbers(regressor):
    options = BUNDLED | FEW | {"emotions": EMOTIONS, "classification": False}
    other = EmotionRecognizer(Ridge(), **options).train()
    both = EnsemblePredictor.of([regressor.predictor_, other.predictor_])
    expected = np.mean([regressor.predict(CLIP), other.predict(CLIP)])
    assert both.predict(both.features(SOUND)) == pytest.approx(expected) and both.labels is None


def test_members_of_an_ensemble_take_what_they_need_of_measured_frames(rec):
    both = replace_names(rec.predictor_, ("prosody",)), replace_names(rec.predictor_, ("encoder",))
    ensemble = EnsemblePredictor.of(both)
    assert ensemble.sources == sources(["prosody", "encoder"])
    measured = {source: source(SOUND, SR) for source in ensemble.sources}
    found, expected = ensemble.features(measured), ensemble.features(SOUND)
    for x, y in zip(found, expected, strict=True):
        assert x.tobytes() == y.tobytes()


def replace_names(predictor, names):
    return dataclasses.replace(predictor, names=names)


def test_an_ensemble_is_known_by_its_members(ensemble):
    assert ensemble.name == "BlockLDA and SVC"
    assert repr(ensemble).startswith("<EnsembleRecognizer of sad, angry, happy: BlockLDA and SVC")
    assert "BlockLDA and SVC" in ensemble.draw_confusion_matrix().get_title()
    assert set(ensemble.predictor_.names) == {*RECOMMENDED_FEATURES, "mfcc"}
    assert not ensemble.predictor_.sources
    for ask in (lambda: ensemble.grid_search({"C": [1]}), ensemble.determine_best_model):
        with pytest.raises(ValueError, match="ensemble"):
            ask()


def test_views_are_features_of_the_same_clips():
    views = Views([np.arange(6).reshape(3, 2), np.arange(3)])
    assert len(views) == 3
    left, right = views[1:]
    assert left.tolist() == [[2, 3], [4, 5]] and right.tolist() == [1, 2]
    assert [x.tolist() for x in views[[0]]] == [[[0, 1]], [0]]


def test_adaptation_is_to_a_speaker_or_to_a_condition(few_svc, ensemble, bundled_clips):
    own = [path for path in bundled_clips if "v21" in path][:5]
    for rec in (few_svc, ensemble):
        predictor = rec.predictor_
        X = rec.features_of(own)
        adapted = predictor.adapted(X, by="condition").probabilities(X)
        assert not np.allclose(adapted, predictor.probabilities(X))
        found = rec.adapt(own, by="condition").predict_proba(own)
        assert np.allclose([[row[e] for e in predictor.labels] for row in found], adapted)
        with pytest.raises(ValueError, match=r"Unknown by 'corpus'.*speaker, condition"):
            rec.adapt(own, by="corpus")


# what to label next


def test_recordings_are_ranked_as_their_probabilities_say(rec, bundled_clips, tmp_path):
    silent = tmp_path / "silent.wav"
    sf.write(silent, np.zeros(16000), 16000)
    some = [*bundled_clips[:6], silent]
    table = rec.rank(some)
    assert sorted(table["path"]) == sorted(map(str, some)) and table["path"].iloc[-1] == str(silent)
    shares = [rec.predict_proba(path) for path in table["path"][:-1]]
    assert table["emotion"][:-1].tolist() == [max(own, key=own.get) for own in shares]
    entropies = [-sum(p * np.log(p) for p in own.values()) / np.log(3) for own in shares]
    np.testing.assert_allclose(table["uncertainty"][:-1], entropies, atol=1e-6)
    assert table["uncertainty"][:-1].is_monotonic_decreasing
    novel = rec.rank(some, "novelty")
    X = rec.features_of(novel["path"][:-1].tolist())
    np.testing.assert_allclose(novel["novelty"][:-1], rec.predictor_.novelty(X), atol=1e-5)
    assert novel["novelty"][:-1].is_monotonic_decreasing
    shutil.copy(bundled_clips[0], tmp_path)
    assert len(rec.rank(tmp_path)) == 2


def test_what_cannot_be_ranked_is_refused(rec, regressor, bundled_clips):
    with pytest.raises(ValueError, match=r"uncertainty, novelty\. Did you mean 'novelty'"):
        rec.rank(bundled_clips[:1], by="novel")
    with pytest.raises(ValueError, match="list of one or more recordings"):
        rec.rank(bundled_clips[0])
    with pytest.raises(ValueError, match="classification=True"):
        regressor.rank(bundled_clips[:1])


@pytest.mark.parametrize("scale", [1e-30, 1e-9, 10.0, 1e5, 4e9])
def test_no_level_of_a_recording_makes_a_library_warn(bundled, bundled_clips, tmp_path, scale):
    path = tmp_path / "a.wav"
    y = load_audio(bundled_clips[0])
    sf.write(path, y / np.abs(y).max() * scale, 16000, subtype="FLOAT")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = recognise(bundled, path)
        predict_timeline(bundled, path, verbose=0)
    assert ("unscaled" in found["warnings"]) == (scale > 10)
