"""Networks over frames: padding, training on some speakers, repetition; discriminant as oracle.

The networks are as small as a test allows. Those without recurrent layers take TensorFlow a tenth
of the time.
"""

import pickle

import numpy as np
import pytest
from conftest import REPO
from matplotlib.image import imread
from test_frame_models import matrices

import deep_emotion_recognition as deep
from data_extractor import ragged
from deep_emotion_recognition import SHARE_DIVISOR, SHARES, FrameNetwork
from models import EmotionLDA, FrameScaler, clip_statistics
from networks import (
    SEGMENT,
    STEP,
    _precision,
    as_function,
    build_network,
    predict_batches,
    segments,
    varied,
)

SMALL = {
    "rnn_units": 4,
    "dense_units": 8,
    "n_rnn_layers": 0,
    "n_dense_layers": 1,
    "epochs": 2,
    "n_jobs": 1,
    "verbose": 0,
    "logs_dir": None,
}


@pytest.fixture(scope="module")
def clips():
    """Frames, emotions and speakers of 72 clips, whose columns move by the emotion."""
    rng = np.random.default_rng(0)
    y, groups = np.tile(["sad", "neutral", "happy"], 24), np.repeat(list("abcdefgh"), 9)
    X = []
    for emotion in y:
        x = rng.normal(size=(rng.integers(20, 90), 5))
        x[:, 0] += {"sad": -0.5, "neutral": 0, "happy": 0.5}[emotion]
        X.append(x.astype(np.float32))
    return FrameScaler().fit(X).transform(X), y, groups


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deep")
    return {"results_dir": str(folder / "results"), "logs_dir": str(folder / "logs")}


@pytest.fixture(scope="module")
def network(clips, folders):
    """Trained long enough to have learned something."""
    return FrameNetwork(**SMALL | folders | {"epochs": 12}).fit(*clips)


def weights(network):
    return network.network_.get_weights()


def like(network, **changes):
    return FrameNetwork(**network.get_params() | {"epochs": 1, "logs_dir": None} | changes)


# the parts


@pytest.mark.parametrize("cell", ["LSTM", pytest.param("GRU", marks=pytest.mark.slow)])
def test_padding_never_changes_a_prediction(cell):
    X = matrices()
    steps, statistics = [segments(x) for x in X], clip_statistics(X)
    network = build_network(
        5, statistics.shape[1], 3, n_rnn_layers=2, rnn_units=6, dense_units=6, cell=cell
    )
    function = as_function(network)
    together = predict_batches(function, steps, statistics)
    alone = [predict_batches(function, [steps[i]], statistics[[i]])[0] for i in range(len(X))]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.ptp(together, axis=0).max() > 1e-3  # the clips are told apart
    noise = function(
        np.pad(steps[1][None], ((0, 0), (0, 93), (0, 0)), constant_values=9.0),
        np.pad(np.ones((1, len(steps[1])), dtype=np.float32), ((0, 0), (0, 93))),
        statistics[[1]],
    ).numpy()
    np.testing.assert_allclose(noise[0].mean(axis=0), alone[1], atol=1e-5)


def test_a_clip_of_a_few_frames_has_a_prediction():
    X = matrices((1, 2, SEGMENT))
    statistics = clip_statistics(X)
    options = {"n_rnn_layers": 1, "rnn_units": 4, "dense_units": 4, "cell": "SimpleRNN"}
    network = build_network(5, statistics.shape[1], 2, **options)
    steps = [segments(x) for x in X]
    assert [len(own) for own in steps] == [1, 1, 1]
    assert np.isfinite(predict_batches(as_function(network), steps, statistics)).all()


def test_segments_are_mean_and_deviation_of_overlapping_frames():
    X = matrices((SEGMENT + 2 * STEP + 3,))[0]
    steps = segments(X)
    assert steps.shape == (3, 10) and steps.dtype == np.float32
    third = X[2 * STEP : 2 * STEP + SEGMENT]
    np.testing.assert_allclose(steps[2], [*third.mean(axis=0), *third.std(axis=0)], rtol=1e-5)


def test_variations_keep_the_columns_and_repeat_by_seed():
    frames = matrices((100,))[0]
    first, again = (varied(frames, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    lengths = {len(varied(frames, np.random.default_rng(seed))) for seed in range(20)}
    assert len(lengths) > 5 and 80 < min(lengths) < 100 < max(lengths) < 125
    assert first.dtype == np.float32 and first.shape[1] == 5
    assert len(varied(frames[:1], np.random.default_rng(0))) == 1


# training


def test_it_learns_and_leaves_a_picture_of_its_curves(network, clips, folders):
    X, y, _ = clips
    assert np.mean(network.predict(X) == y) > 0.6  # chance is a third
    history = network.history_
    assert set(history["network"]) == {0, 1} and {"loss", "val_loss"} <= set(history)
    assert history.groupby("network")["loss"].agg(lambda loss: loss.iloc[-1] < loss.iloc[0]).all()
    pictures = [imread(path) for path in (REPO / folders["logs_dir"]).glob("*/curves.png")]
    assert pictures and all(picture.std() > 0.01 for picture in pictures)  # none is blank


def test_the_same_clip_alone_and_among_others_has_the_same_probabilities(network, clips):
    X = clips[0]
    together = network.predict_proba(X)
    np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-5)
    for i in (0, 7, len(X) - 1):
        np.testing.assert_allclose(network.predict_proba(X[[i]])[0], together[i], atol=1e-5)
    np.testing.assert_array_equal(network.classes_[together.argmax(axis=1)], network.predict(X))


def test_an_identical_run_is_loaded_and_any_other_is_trained(network, clips, folders, tmp_path):
    X, y, groups = clips
    same = FrameNetwork(**network.get_params()).fit(X, y, groups)
    [path] = (REPO / folders["results_dir"]).glob("*.npz")
    for ours, theirs in zip(weights(network), weights(same), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert same.history_.equals(network.history_) and same.share_ == network.share_
    copy = pickle.loads(pickle.dumps(same))
    np.testing.assert_array_equal(copy.predict_proba(X[:9]), network.predict_proba(X[:9]))
    other = X.copy()
    other[0] = X[0] + np.float32(1e-3)
    marks = set()
    for data in ((X, y, groups), (other, y, groups), (X, y[::-1], groups), (X, y, groups[::-1])):
        mark = same._fingerprint(*data, [])
        marks |= {mark, same._fingerprint(*data, ["speed"])}
    for changes in ({"dense_units": 4}, {"random_state": 1}, {"features": ["prosody"]}):
        marks.add(like(network, epochs=12, **changes)._fingerprint(X, y, groups, []))
    assert len(marks) == 11 and any(mark in path.stem for mark in marks)


def test_the_same_seed_gives_the_same_weights(network, clips, tmp_path):
    fresh = {"results_dir": str(tmp_path), "n_networks": 1}
    first = like(network, **fresh).fit(*clips)
    [path] = tmp_path.glob("*.npz")
    stamp = path.stat().st_mtime_ns
    again = like(network, override=True, **fresh).fit(*clips)
    assert path.stat().st_mtime_ns != stamp
    other = like(network, random_state=5, **fresh).fit(*clips)
    for a, b, c in zip(*map(weights, (first, again, other)), strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.ndim == 1 or not np.array_equal(a, c)  # biases begin as zeros


def spy(monkeypatch, train=deep.train_networks):
    """The data and folds that networks are trained on: list, filled by training."""
    seen = []

    def train_networks(data, folds, settings, **options):
        seen.append((data, folds))
        return train(data, folds, settings, **options)

    monkeypatch.setattr(deep, "train_networks", train_networks)
    return seen


def test_each_network_stops_by_speakers_that_it_does_not_learn_from(
    monkeypatch, network, clips, tmp_path
):
    def stop(*_, **__):
        raise InterruptedError

    seen, groups = spy(monkeypatch, stop), clips[2]
    with pytest.raises(InterruptedError):
        like(network, results_dir=str(tmp_path)).fit(*clips)
    [(_, folds)] = seen
    assert len(folds) == 2
    for train, held_out in folds:
        assert not set(groups[train]) & set(groups[held_out])
        assert sorted([*train, *held_out]) == list(range(len(groups)))
    assert not set(folds[0][1]) & set(folds[1][1])


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"n_rnn_layers": 0, "n_dense_layers": 0},
        {"n_rnn_layers": 1, "n_dense_layers": 0},
        {"n_rnn_layers": 1, "cell": "GRU", "bidirectional": False},
        {"n_rnn_layers": 2, "dropout": [0.1, 0.2, 0.3]},
        {"n_rnn_layers": 1, "features": None, "optimizer": "rmsprop", "augment": False},
    ],
)
def test_every_architecture_trains_and_predicts(network, clips, changes, tmp_path):
    other = like(network, n_networks=1, results_dir=str(tmp_path), **changes).fit(*clips)
    np.testing.assert_allclose(other.predict_proba(clips[0][:3]).sum(axis=1), 1, atol=1e-5)


def test_a_rate_for_each_layer():
    assert FrameNetwork().rates() == [0.4] * 4
    assert FrameNetwork(n_rnn_layers=1, n_dense_layers=1, dropout=(0, 0.5)).rates() == [0, 0.5]
    with pytest.raises(ValueError, match=r"dropout has 2 numbers for 2 recurrent and 2 dense"):
        FrameNetwork(dropout=[0.1, 0.2]).rates()


def test_regression(network, clips, tmp_path):
    X, y, groups = clips
    numbers = np.select([y == "sad", y == "neutral"], [0.0, 1.0], 2.0)
    options = {"n_networks": 1, "results_dir": str(tmp_path)}
    own = like(network, classification=False, **options)
    predicted = own.fit(X, numbers, groups).predict(X)
    assert predicted.dtype == float and np.abs(predicted - numbers).mean() < 0.6  # 0.67 for all 1


@pytest.mark.slow
def test_mixed_precision_is_for_training_only(network, clips, tmp_path):
    with _precision(True):
        small = build_network(5, 7, 3, n_rnn_layers=0)
    *hidden, last = [part.compute_dtype for part in small.layers if "dense" in part.name]
    assert (set(hidden), last) == ({"float16"}, "float32")
    own = {"epochs": 12, "results_dir": str(tmp_path)}
    mixed = like(network, mixed_precision=True, **own).fit(*clips)
    assert {layer.compute_dtype for layer in mixed.network_.layers} == {"float32"}
    assert not all(map(np.array_equal, weights(mixed), weights(network)))
    assert np.mean(mixed.predict(clips[0]) == clips[1]) > 0.5  # chance is a third


def assert_is_discriminant(network, X, y, n_components, rtol):
    """The linear head of a network is the discriminant of the statistics of these clips."""
    statistics = np.concatenate([network._scaled(*network._summed(own))[1] for own in X])
    discriminant = EmotionLDA(n_components, clip=4).fit(statistics, y)
    weights, offsets = network.network_.get_layer("linear").get_weights()
    scores, expected = statistics @ weights + offsets, discriminant.decision_function(statistics)
    ratio = np.ptp(expected, axis=1) / np.ptp(scores, axis=1)
    np.testing.assert_allclose(ratio, ratio[0], rtol=rtol)  # the temperature
    np.testing.assert_array_equal(scores.argmax(axis=1), expected.argmax(axis=1))


def test_the_linear_head_is_the_discriminant_of_the_statistics(network, clips):
    assert_is_discriminant(network, [clips[0]], clips[1], 400, 1e-3)
    share = network.share_
    assert np.isclose(SHARE_DIVISOR * share, SHARES).any() and share <= 1 / SHARE_DIVISOR


def test_networks_learn_from_copies_and_are_judged_by_the_clips(
    network, clips, tmp_path, monkeypatch
):
    X, y, groups = clips
    seen, n = spy(monkeypatch), len(y)
    made = [ragged([x[::2] for x in X]), ragged([np.repeat(x, 2, axis=0) for x in X])]
    copies = {"fast": lambda: made[0], "slow": lambda: made[1]}
    options = {"n_networks": 1, "results_dir": str(tmp_path)}
    own = like(network, **options).fit(X, y, groups, copies)
    [(data, folds)] = seen
    assert len(data.targets) == len(data.weights) == len(data.statistics) == 3 * n
    for train, held_out in folds:
        assert max(held_out) < n <= min(np.sort(train)[len(train) // 3 :])
        assert set(groups[train % n]) == set(groups) - set(groups[held_out])
        assert sorted([*np.unique(train % n), *held_out]) == list(range(n))
    assert_is_discriminant(own, [X, *made], np.tile(y, 3), 800, 0.01)
    unused = dict.fromkeys(copies)  # copies aren't made where weights are kept
    again = like(network, **options).fit(X, y, groups, unused)
    np.testing.assert_array_equal(again.predict_proba(X), own.predict_proba(X))
