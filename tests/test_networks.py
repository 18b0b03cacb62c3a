"""Networks over frames: padding, training on some speakers, repetition, what order tells.

The networks are as small as a test allows. Those without recurrent layers take TensorFlow a tenth
of the time.
"""

import pickle

import numpy as np
import pytest
from conftest import REPO
from matplotlib.image import imread
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

import deep_emotion_recognition as deep
import networks
from adaptation import FrameScaler
from confidence import temperature
from data_extractor import ragged
from deep_emotion_recognition import FrameNetwork
from functionals import STEP, steps_of
from networks import (
    GAP,
    _precision,
    as_function,
    build_network,
    mean_network,
    predict_batches,
    varied,
)

SMALL = {
    "rnn_units": 4,
    "dense_units": 16,
    "n_rnn_layers": 0,
    "n_dense_layers": 1,
    "learning_rate": 0.01,
    "dropout": 0.1,
    "epochs": 2,
    "batch_size": 32,
    "n_jobs": 1,
    "verbose": 0,
    "logs_dir": None,
}

LEARNS = {"epochs": 12, "batch_size": 72}
"""Something, in steps of all clips at once."""


def matrices(lengths=(15, 2, 8, 33), n_columns=5):
    rng = np.random.default_rng(0)
    return ragged([rng.normal(size=(n, n_columns)).astype(np.float32) for n in lengths])


@pytest.fixture(scope="module")
def clips():
    """Steps, emotions and speakers of 72 clips, whose columns move by the emotion."""
    rng = np.random.default_rng(0)
    y, groups = np.tile(["sad", "neutral", "happy"], 24), np.repeat(list("abcdefgh"), 9)
    X = []
    for emotion in y:
        x = rng.normal(size=(rng.integers(5, 23), 5))
        x[:, 0] += {"sad": -1, "neutral": 0, "happy": 1}[emotion]
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
    steps = matrices()
    settings = {"rnn_units": [6, 6], "dense_units": [6], "dropout": [0.1] * 3}
    function = as_function(build_network(5, 3, cell=cell, **settings))
    together = predict_batches(function, steps)
    alone = [predict_batches(function, [own])[0] for own in steps]
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.ptp(together, axis=0).max() > 1e-3  # the clips are told apart
    padded = np.pad(steps[1][None], ((0, 0), (0, 93), (0, 0)), constant_values=9.0)
    mask = np.pad(np.ones((1, len(steps[1]))), ((0, 0), (0, 93)))
    found = function(padded.astype(np.float32), mask.astype(np.float32)).numpy()
    np.testing.assert_allclose(found[0], alone[1], atol=1e-5)


def test_the_mean_of_networks_is_that_of_their_log_probabilities():
    both = [build_network(5, 3, dense_units=[4], dropout=[0]) for _ in range(2)]
    inputs = np.ones((2, 4, 5), np.float32), np.ones((2, 4), np.float32)
    first, second = (network(inputs).numpy().astype(float) for network in both)
    expected = (log_softmax(first, axis=1) + log_softmax(second, axis=1)) / 2
    np.testing.assert_allclose(mean_network(both)(inputs), expected, atol=1e-5)
    numbers = mean_network(both, classification=False)(inputs)
    np.testing.assert_allclose(numbers, (first + second) / 2, atol=1e-5)


def test_steps_are_means_of_frames_of_which_none_is_lost():
    X = matrices((2 * STEP + 3,))[0]
    steps = steps_of(X)
    assert steps.shape == (2, 5) and steps.dtype == np.float16
    np.testing.assert_allclose(steps[0], X[:STEP].mean(axis=0), atol=1e-3)
    np.testing.assert_allclose(steps[1], X[STEP:].mean(axis=0), atol=1e-3)
    for n in range(1, STEP):
        np.testing.assert_allclose(steps_of(X[:n]), X[:n].mean(axis=0)[None], atol=1e-3)


def test_variations_erase_steps_and_columns_and_repeat_by_seed():
    steps = matrices((100,), 50)[0]
    first, again = (varied(steps, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    erased = [varied(steps, np.random.default_rng(seed)) == 0 for seed in range(20)]
    gaps = [own.all(axis=1).mean() for own in erased]
    lost = [own.all(axis=0).mean() for own in erased]
    assert len(set(gaps)) > 5 and max(gaps) <= GAP and 0.02 < np.mean(lost) < 0.2
    assert len(varied(steps[:1], np.random.default_rng(0))) == 1


@pytest.mark.slow
def test_a_network_sees_the_order_of_frames(tmp_path):
    """The same frames in another order: nothing that is summed up over time tells them apart."""
    rng = np.random.default_rng(0)
    y, X, half = np.tile(["up", "down"], 160), [], 160
    for direction in y:
        x = np.sort(rng.normal(size=(40, 4)), axis=0)[:: 1 if direction == "up" else -1]
        X.append(x.astype(np.float32))
    settings = SMALL | {"n_rnn_layers": 1, "rnn_units": 8, "epochs": 15, "batch_size": 8}
    X, sums = ragged(X), np.array([[*x.mean(axis=0), *x.std(axis=0)] for x in X])
    linear = LogisticRegression().fit(sums[:half], y[:half])
    assert linear.score(sums[half:], y[half:]) < 0.7
    settings |= {"n_networks": 1, "results_dir": str(tmp_path)}
    network = FrameNetwork(**settings).fit(X[:half], y[:half])
    assert np.mean(network.predict(X[half:]) == y[half:]) > 0.9


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
    assert same.history_.equals(network.history_)
    assert same.temperature_ == network.temperature_
    copy = pickle.loads(pickle.dumps(same))
    np.testing.assert_array_equal(copy.predict_proba(X[:9]), network.predict_proba(X[:9]))
    other = X.copy()
    other[0] = X[0] + np.float32(1e-3)
    marks = set()
    for data in ((X, y, groups), (other, y, groups), (X, y[::-1], groups), (X, y, groups[::-1])):
        mark = same._fingerprint(*data, [])
        marks |= {mark, same._fingerprint(*data, ["speed"])}
    for changes in ({"dense_units": 4}, {"random_state": 1}, {"batch_size": 8}):
        marks.add(like(network, epochs=12, **changes)._fingerprint(X, y, groups, []))
    assert len(marks) == 11 and any(mark in path.stem for mark in marks)


@pytest.mark.parametrize("graphs", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_same_seed_gives_the_same_weights(network, clips, tmp_path, graphs, request):
    graphs or request.getfixturevalue("eager")
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


def test_the_first_network_leaves_speakers_out_and_the_others_learn_from_all(
    monkeypatch, network, clips, tmp_path
):
    def stop(*_, **__):
        raise InterruptedError

    seen, groups = spy(monkeypatch, stop), clips[2]
    with pytest.raises(InterruptedError):
        like(network, results_dir=str(tmp_path), n_networks=3).fit(*clips)
    [(_, [(train, held_out), *others])] = seen
    assert len(set(groups[held_out])) == 2 and not set(groups[train]) & set(groups[held_out])
    assert sorted([*train, *held_out]) == list(range(len(groups)))
    assert len(others) == 2
    for every, none in others:
        assert every.tolist() == list(range(len(groups))) and not len(none)


def test_no_networks_are_refused(network, clips):
    with pytest.raises(ValueError, match=r"n_networks is 0"):
        like(network, n_networks=0).fit(*clips)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"n_rnn_layers": 0, "n_dense_layers": 0},
        {"n_rnn_layers": 1, "n_dense_layers": 0},
        {"n_rnn_layers": 1, "cell": "GRU"},
        {"n_rnn_layers": 2, "rnn_units": [3, 5], "dropout": [0.1, 0.2, 0.3]},
        {"n_rnn_layers": 1, "cell": "SimpleRNN", "n_dense_layers": 2, "dense_units": (7, 5)},
    ],
)
def test_every_architecture_trains_and_predicts(network, clips, changes, tmp_path):
    other = like(network, n_networks=1, results_dir=str(tmp_path), **changes).fit(*clips)
    np.testing.assert_allclose(other.predict_proba(clips[0][:3]).sum(axis=1), 1, atol=1e-5)


def test_a_number_for_each_layer():
    plain = {"cell": "LSTM", "rnn_units": [128] * 2, "dense_units": [128] * 2}
    assert FrameNetwork().layers() == plain | {"dropout": [0.4] * 4}
    own = FrameNetwork(n_rnn_layers=1, rnn_units=[9], dense_units=(8, 7), dropout=(0, 0.5, 0.1))
    assert own.layers()["rnn_units"] == [9] and own.layers()["dense_units"] == [8, 7]
    assert own.layers()["dropout"] == [0, 0.5, 0.1]
    with pytest.raises(ValueError, match=r"dropout has 2 numbers for 4 of 2 recurrent and 2 dense"):
        FrameNetwork(dropout=[0.1, 0.2]).layers()
    with pytest.raises(
        ValueError, match=r"rnn_units has 3 numbers for 2 of 2 rec.*one number, or 2"
    ):
        FrameNetwork(rnn_units=[1, 2, 3]).layers()


def test_regression(network, clips, tmp_path, eager):
    X, y, groups = clips
    numbers = np.select([y == "sad", y == "neutral"], [0.0, 1.0], 2.0)
    options = {"n_networks": 1, "results_dir": str(tmp_path)}
    own = like(network, classification=False, **LEARNS | options)
    predicted = own.fit(X, numbers, groups).predict(X)
    assert predicted.dtype == float and np.abs(predicted - numbers).mean() < 0.6  # 0.67 for all 1


def test_several_numbers(network, clips, tmp_path, eager):
    """Of any size: they are standardised."""
    X, y, groups = clips
    numbers = np.select([y == "sad", y == "neutral"], [0.0, 1.0], 2.0)
    numbers = np.column_stack([numbers, 1000 - 500 * numbers])
    options = LEARNS | {"n_networks": 1, "results_dir": str(tmp_path)}
    own = like(network, classification=False, **options).fit(X, numbers, groups)
    predicted = own.predict(X)
    error = np.abs(predicted - numbers).mean(axis=0)
    assert predicted.shape == (len(y), 2) and error[0] < 0.6 and error[1] < 300


@pytest.mark.slow
def test_mixed_precision_is_for_training_only(network, clips, tmp_path):
    with _precision(True):
        small = build_network(5, 3, dense_units=[8], dropout=[0])
    *hidden, last = [part.compute_dtype for part in small.layers if "dense" in part.name]
    assert (set(hidden), last) == ({"float16"}, "float32")
    own = {"epochs": 12, "results_dir": str(tmp_path)}
    mixed = like(network, mixed_precision=True, **own).fit(*clips)
    assert {layer.compute_dtype for layer in mixed.network_.layers} == {"float32"}
    assert not all(map(np.array_equal, weights(mixed), weights(network)))
    assert np.mean(mixed.predict(clips[0]) == clips[1]) > 0.5  # chance is a third


def test_the_temperature_is_that_of_the_speakers_left_out(clips, tmp_path, monkeypatch, eager):
    outputs, settings = [], SMALL | {"n_networks": 2, "results_dir": str(tmp_path)}

    def train_networks(*args, train=networks.train_networks, **options):
        weights, own, history = train(*args, **options)
        outputs.extend(own)
        return weights, own, history

    seen = spy(monkeypatch, train_networks)
    own = FrameNetwork(**settings).fit(*clips)
    [(data, [(_, held_out), _])] = seen
    truth = data.targets[held_out].argmax(axis=1)
    assert own.temperature_ == pytest.approx(temperature(outputs[0], truth))
    assert outputs[1] is None


def test_the_bar_is_there_at_once_and_shows_the_scores(clips, tmp_path, monkeypatch, capsys, eager):
    settings = SMALL | {"n_networks": 2, "results_dir": str(tmp_path), "verbose": 1}
    load, shown = networks.load_tensorflow, []
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)

    def slow():
        shown.append(capsys.readouterr().err)
        return load()

    monkeypatch.setattr(networks, "load_tensorflow", slow)
    FrameNetwork(**settings).fit(*clips)
    assert "Training:   0%" in shown[0]
    last = "".join(shown[1:]) + capsys.readouterr().err
    assert all(name in last for name in ("100%", "epoch 2", "loss", "uar", "val_loss", "val_uar"))


def test_networks_learn_from_copies_and_are_judged_by_the_clips(
    network, clips, tmp_path, monkeypatch, eager
):
    X, y, groups = clips
    seen, n = spy(monkeypatch), len(y)
    made = [ragged([x[::2] for x in X]), ragged([np.repeat(x, 2, axis=0) for x in X])]
    copies = {"fast": lambda: made[0], "slow": lambda: made[1]}
    options = {"n_networks": 1, "results_dir": str(tmp_path)}
    own = like(network, **options).fit(X, y, groups, copies)
    [(data, folds)] = seen
    assert len(data.targets) == len(data.weights) == len(data.starts) - 1 == 3 * n
    for train, held_out in folds[:1]:
        assert max(held_out) < n <= min(np.sort(train)[len(train) // 3 :])
        assert set(groups[train % n]) == set(groups) - set(groups[held_out])
        assert sorted([*np.unique(train % n), *held_out]) == list(range(n))
    for i, x in enumerate((X, *made)):
        first = data.steps[data.starts[i * n] : data.starts[i * n + 1]]
        np.testing.assert_array_equal(first, x[0])
    unused = dict.fromkeys(copies)  # copies aren't made where weights are kept
    again = like(network, **options).fit(X, y, groups, unused)
    np.testing.assert_array_equal(again.predict_proba(X), own.predict_proba(X))
