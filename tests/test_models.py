"""Models: scikit-learn's discriminant analysis and plain loops are the oracles."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import BaggingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

import estimators
from models import BlockLDA, EmotionLDA, components, recommended_model
from utils import LEAST_PROBABLE, model_scores, pipeline, two_sided


@parametrize_with_checks([EmotionLDA()])
def test_emotion_lda_is_a_scikit_learn_classifier(estimator, check):
    check(estimator)


@pytest.mark.parametrize("shape", [(90, 40), (60, 200)])
def test_emotion_lda_is_scikit_learns_behind_its_pca(shape):
    rng = np.random.default_rng(0)
    n, n_columns = shape
    y = np.repeat(["happy", "sad", "angry"], [n // 2, n // 4, n // 4])
    y = y[rng.permutation(len(y))]
    X = rng.normal(size=(len(y), n_columns))
    X += rng.normal(size=(3, n_columns))[np.unique(y, return_inverse=True)[1]]
    X[0] = 50  # beyond the clip
    clipped = np.clip(X, -4, 4)
    lda = LinearDiscriminantAnalysis("lsqr", shrinkage=0.3, priors=np.full(3, 1 / 3))
    oracle = make_pipeline(PCA(20), lda).fit(clipped, y)
    ours = EmotionLDA(n_components=20).fit(X, y)
    scores, expected = ours.decision_function(X), oracle.decision_function(clipped)
    expected += np.log(3)  # scikit-learn adds the log of the priors
    np.testing.assert_allclose(
        scores - scores[:, :1], expected - expected[:, :1], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(ours.predict(X), oracle.predict(clipped))


def two_blocks(n_classes, sizes=(6, 9), n=120):
    """Standardised clips with two blocks of columns, the first one clearer: X, y."""
    rng, index = np.random.default_rng(0), np.arange(n) % n_classes
    means = rng.normal(size=(n_classes, sum(sizes))) * np.repeat([1.5, 0.4], sizes)
    X = StandardScaler().fit_transform(means[index] + rng.normal(size=(n, sum(sizes))))
    return X, np.array(["angry", "happy", "sad"])[index]


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("weights", [None, (0.8, 0.2), (3, 1)])
def test_blocks_are_averaged_by_their_weights(n_classes, weights):
    X, y = two_blocks(n_classes)
    X /= np.maximum(1, np.sqrt(np.square(X).mean(axis=1, keepdims=True))) * 2  # none is far
    model = BlockLDA((6, 9), weights, n_components=5, shrinkage=0.1, clip=3).fit(X, y)
    scores = [
        two_sided(EmotionLDA(5, 0.1, 3).fit(block, y).decision_function(block))
        for block in (X[:, :6], X[:, 6:])
    ]
    logs = [score - np.logaddexp.reduce(score, axis=1, keepdims=True) for score in scores]
    np.testing.assert_allclose(model.log_probabilities(X), logs, atol=1e-9)
    share = {None: 0.5, (0.8, 0.2): 0.8, (3, 1): 0.75}[weights]
    np.testing.assert_allclose(model.weights_, [share, 1 - share])
    average = share * logs[0] + (1 - share) * logs[1]
    found = two_sided(model.decision_function(X))
    assert model.decision_function(X).shape == ((len(X),) if n_classes == 2 else (len(X), 3))
    np.testing.assert_allclose(np.diff(found, axis=1), np.diff(average, axis=1), atol=1e-9)
    np.testing.assert_array_equal(model.predict(X), model.classes_[average.argmax(axis=1)])


def corpora_and_clips(labels, n=360):
    """Three corpora, each shifted, with these labels: X, y, corpora."""
    rng, corpora = np.random.default_rng(0), np.repeat(["a", "b", "c"], n // 3)
    own = dict(zip("abc", labels, strict=True))
    y = np.array([own[corpus][i % len(own[corpus])] for i, corpus in enumerate(corpora)])
    means = dict(zip(["angry", "happy", "sad"], 1.5 * rng.normal(size=(3, 15)), strict=True))
    shift = dict(zip("abc", 2 * rng.normal(size=(3, 15)), strict=True))
    X = np.array([means[label] + shift[corpus] for label, corpus in zip(y, corpora, strict=True)])
    return X + rng.normal(size=X.shape), y, corpora


def test_corpora_give_evidence_of_the_labels_that_they_have():
    """By hand, from discriminants of single blocks and corpora."""
    X, y, corpora = corpora_and_clips(
        [("angry", "happy"), ("angry", "happy", "sad"), ("happy", "sad")]
    )
    model = BlockLDA((6, 9), (3, 1), n_components=8).fit(X, y, corpora)

    def weighted(X, y, n, new):  # likelihoods of blocks, and the mean square of the clip
        blocks = [slice(0, 6), slice(6, 15)]
        far = np.array([np.square(np.clip(new[:, own], -10, 10)).mean(axis=1) for own in blocks])
        lda = [EmotionLDA(n).fit(X[:, own], y) for own in blocks]
        scores = [m.likelihoods(new[:, own]) for m, own in zip(lda, blocks, strict=True)]
        scores = [s / np.maximum(f, 1)[:, None] for s, f in zip(scores, far, strict=True)]
        return lda[0].classes_, 0.75 * scores[0] + 0.25 * scores[1], far.mean(axis=0)

    def worth(z):
        odds = np.exp(z / 2)
        return odds / odds.sum(axis=1, keepdims=True) + np.tanh(z / 5) / 2

    new = X[::7] + 0.3
    found, nearness = [], []
    for name in "abc":
        own = corpora == name
        scaler = StandardScaler().fit(X[own])
        classes, z, far = weighted(scaler.transform(X[own]), y[own], 4, scaler.transform(new))
        found.append((classes.tolist(), worth(z)))
        nearness.append(1 / far)
    nearness = 3 * np.array(nearness) / np.sum(nearness, axis=0)
    _, pooled, _ = weighted(X, y, 8, new)
    expected = 0.3 * worth(pooled)
    for i, label in enumerate(model.classes_):
        total, count = 0, 0
        for (classes, z), near in zip(found, nearness, strict=True):
            if label in classes:
                total, count = total + near * z[:, classes.index(label)], count + near
        expected[:, i] += total / (count + 1)
    np.testing.assert_allclose(model.decision_function(new), expected, atol=1e-6)


def test_what_corpora_have_in_common_holds_for_another():
    labels = [("angry", "happy", "sad")] * 3
    X, y, corpora = corpora_and_clips(labels)
    known = corpora != "c"
    several = BlockLDA((6, 9), n_components=8).fit(X[known], y[known], corpora[known])
    assert len(several.corpora_) == 2
    for few in (corpora[known] == "a", np.arange(known.sum()) < 20):  # one corpus; a small one
        alone = BlockLDA((6, 9), n_components=8).fit(
            X[known], y[known], few & (corpora[known] == "b")
        )
        assert alone.corpora_ == []
    assert several.predict(X[~known]).shape == (120,)


def unexplained(X, new, n_axes):
    """Mean square of what `n_axes` principal components of X leave of new clips; by SVD."""
    X, new = np.clip(X, -4, 4), np.clip(new, -10, 10)
    axes = np.linalg.svd(X - X.mean(axis=0))[2][:n_axes]
    left = new - X.mean(axis=0)
    left = left - left @ axes.T @ axes
    return np.square(left).mean(axis=1)


def test_distance_is_what_the_main_directions_of_the_training_clips_leave():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 40)) * np.linspace(0.5, 2, 40)
    y, new = rng.integers(3, size=300), 3 * rng.normal(size=(50, 40))
    found = EmotionLDA().fit(X, y).distances(new)
    np.testing.assert_allclose(found, unexplained(X, new, 4), rtol=1e-3)  # a tenth of 40
    few = EmotionLDA().fit(X[:, :5], y)
    assert few.axes_.shape == (5, 0)
    np.testing.assert_allclose(few.distances(new[:, :5]), unexplained(X[:, :5], new[:, :5], 0))


def as_of_an_older_file(model):
    """A copy without what older files don't have, as it is read."""
    state = dict(vars(model))
    if isinstance(model, EmotionLDA):
        del state["axes_"], state["centre_"]
    else:
        del state["pooled"]
        state["models_"] = list(map(as_of_an_older_file, model.models_))
        corpora = [(*scaling, as_of_an_older_file(own)) for *scaling, own in model.corpora_]
        state["corpora_"] = corpora
    return estimators.restored(type(model), state)


def test_models_of_older_files_answer_as_they_did():
    X, y, corpora = corpora_and_clips([("angry", "happy", "sad")] * 3)
    model = BlockLDA((6, 9), n_components=8).fit(X, y, corpora)
    older = as_of_an_older_file(model)
    same = BlockLDA((6, 9), n_components=8, pooled=0.6).fit(X, y, corpora)
    np.testing.assert_array_equal(older.decision_function(X), same.decision_function(X))
    assert (older.decision_function(X) != model.decision_function(X)).any()
    mean_squares = np.square(np.clip(X, -10, 10)).mean(axis=1)
    np.testing.assert_allclose(older.distances(X), mean_squares)
    np.testing.assert_allclose(older.models_[0].distances(X), mean_squares)


def test_distance_is_to_the_nearest_corpus_where_the_model_listens():
    X, y, corpora = corpora_and_clips([("angry", "happy", "sad")] * 3)
    X = np.hstack([X, X[:, ::-1] + X])  # 30 columns, of which 20 are a block
    model = BlockLDA((10, 20), (3, 1), n_components=8).fit(X, y, corpora)
    new, each = X[::7] + 1, []
    for name in "abc":
        scaler = StandardScaler().fit(X[corpora == name])
        own, Z = scaler.transform(X[corpora == name]), scaler.transform(new)
        far = unexplained(own[:, :10], Z[:, :10], 1), unexplained(own[:, 10:], Z[:, 10:], 2)
        each.append(far[0] ** 0.75 * far[1] ** 0.25)
    np.testing.assert_allclose(model.distances(new), np.min(each, axis=0), rtol=1e-3)
    assert all(part.axes_.shape[1] == 0 for part in model.models_)  # needed by none
    alone = BlockLDA((10, 20), n_components=8).fit(X, y)
    far = unexplained(X[:, :10], new[:, :10], 1) * unexplained(X[:, 10:], new[:, 10:], 2)
    np.testing.assert_allclose(alone.distances(new), np.sqrt(far), rtol=1e-3)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_one_block_of_near_clips_is_a_plain_discriminant(n_classes):
    X, y = two_blocks(n_classes)
    model, plain = BlockLDA((15,)).fit(X, y), EmotionLDA().fit(X, y)
    near = X / 4
    np.testing.assert_array_equal(model.predict(near), plain.predict(near))
    found, expected = (two_sided(m.decision_function(near)) for m in (model, plain))
    np.testing.assert_allclose(np.diff(found, axis=1), np.diff(expected, axis=1), atol=1e-9)


def test_a_block_far_from_the_training_clips_counts_less():
    X, y = two_blocks(3)
    model = BlockLDA((6, 9), clip=1e6).fit(X, y)  # no value is cut off
    scores = model.models_[1].decision_function(X[:, 6:])

    def certainty(x):  # differences of log probabilities of either block
        return np.ptp(model.log_probabilities(x), axis=2)

    near = X / np.sqrt(np.square(X[:, 6:]).mean(axis=1, keepdims=True))  # mean square 1
    for scale in (0.5, 3, 6):
        far = np.hstack([near[:, :6], scale * near[:, 6:]])
        np.testing.assert_allclose(certainty(far)[0], certainty(near)[0])
        own = np.ptp(model.models_[1].decision_function(far[:, 6:]), axis=1)
        inside = np.abs(far[:, 6:]).max(axis=1) < 10  # beyond, the distance is cut off
        assert inside.any()
        np.testing.assert_allclose(certainty(far)[1][inside], (own / max(1, scale**2))[inside])
    # the block that is far loses against the one that is near
    typical, odd = X.copy(), X.copy()
    odd[:, 6:] = (
        100
        * np.sign(scores[:, :1] - scores[:, 1:2])
        * np.sign(model.models_[1].coef_[:, 0] - model.models_[1].coef_[:, 1])
    )
    kept = BlockLDA((6, 9)).fit(X, y)
    first = kept.models_[0].predict(X[:, :6])
    assert np.mean(kept.predict(odd) == first) > 0.9
    weighed = np.tensordot(
        kept.weights_,
        [  # without the distance it decides alone
            kept.models_[0].decision_function(typical[:, :6]),
            kept.models_[1].decision_function(odd[:, 6:]),
        ],
        axes=1,
    )
    assert np.mean(kept.classes_[weighed.argmax(axis=1)] == first) < 0.9


def test_blocks_have_to_add_up_and_classes_to_be_two():
    X, y = two_blocks(2)
    with pytest.raises(ValueError, match=r"\(6, 8\) don't add up to 15 columns"):
        BlockLDA((6, 8)).fit(X, y)
    with pytest.raises(ValueError, match="only one, 'sad'"):
        BlockLDA((6, 9)).fit(X, ["sad"] * len(X))
    for weights in ((1,), (0, 0), (1, -1)):
        with pytest.raises(ValueError, match="one number for each of the 2 blocks"):
            BlockLDA((6, 9), weights).fit(X, y)
    with pytest.raises(ValueError, match="15 features"):
        BlockLDA((6, 9)).fit(X, y).predict(X[:, :14])


def test_a_single_class_is_an_error():
    with pytest.raises(ValueError, match="only one, 'sad'"):
        EmotionLDA().fit(np.ones((4, 2)), ["sad"] * 4)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_have_a_column_for_each_class(n_classes):
    X = np.random.default_rng(0).normal(size=(90, 4)) + np.arange(90)[:, None] % n_classes * 2
    y = np.array(["happy", "angry", "sad"])[np.arange(90) % n_classes]
    for model in (SVC(), EmotionLDA(), LogisticRegression()):
        scores = model_scores(model.fit(X, y), X)
        assert scores.shape == (90, n_classes)
        np.testing.assert_array_equal(model.classes_[scores.argmax(axis=1)], model.predict(X))
    probabilities = np.maximum(model.predict_proba(X), LEAST_PROBABLE)
    np.testing.assert_allclose(scores, np.log(probabilities))
    assert two_sided(scores) is scores


def test_a_pipeline_is_of_copies_and_seeds_what_has_no_seed():
    scaler, model = StandardScaler(with_std=False), MLPClassifier()
    made = pipeline(model, scaler, 3)
    assert made["model"].random_state == 3 and model.random_state is None
    assert made["scaler"] is not scaler and made["scaler"].with_std is False
    own = MLPClassifier(random_state=7, max_iter=5)
    assert pipeline(own, scaler, 3)["model"].random_state == 7
    nested = pipeline(BaggingClassifier(MLPClassifier()), scaler, 3)["model"]
    assert (nested.random_state, nested.estimator.random_state) == (3, 3)


def test_the_recommended_model_has_more_components_with_copies():
    assert recommended_model(True, 2).n_components == components(2) == 1200
    assert recommended_model(True).n_components == EmotionLDA().n_components
    assert isinstance(recommended_model(False, 1), Ridge)


# frames
