"""Estimators of this project: discriminant analysis of emotions, and ridge regression."""

import numpy as np
import scipy.linalg
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

import model_file
from checks import moved
from sampling import pieces
from utils import two_sided

RIDGE = 1000  # penalty of the recommended regressor, for some thousand standardised features
FEWEST_SAMPLED = 600  # clips used to find principal components; or two per component
LIMIT = 4.0  # standard deviations at which values are clipped
FARTHEST = 10.0  # the same for distances, so that single outlying columns count little
NEAREST = 0.1  # smallest distance
FEWEST_OF_CORPUS = 100  # clips of a corpus that gets its own model
EXPECTED = 20  # main directions of variation that novelty ignores; at most a tenth of the clips
STEP = 2.0**-12  # rounding of their coordinates, which makes files a third as large


def _checked(model, X):
    """What a fitted model predicts from; for one clip scikit-learn's check takes longest of all."""
    shape = getattr(model, "n_features_in_", None), getattr(model, "feature_names_in_", None)
    plain = type(X) is np.ndarray and X.dtype in (np.float32, np.float64) and len(X)
    if plain and (*X.shape[1:], None) == shape and np.isfinite(X).all():
        return X
    check_is_fitted(model)
    return validate_data(model, X, dtype=[np.float32, np.float64], reset=False)


@model_file.plain
class EmotionLDA(ClassifierMixin, BaseEstimator):
    """Linear discriminant analysis for many features and few clips.

    Standardised features are clipped, against outliers, and reduced to their principal components.
    The classes share a covariance there, which is shrunk to a multiple of the identity (Friedman
    1989, "Regularized discriminant analysis"), and have equal prior probabilities.

    Parameters
    ----------
    n_components : int
        Principal components, fewer if there are fewer clips or features.
    shrinkage : float
        0 is the sample covariance, 1 its mean variance times the identity.
    clip : float
        Standard deviations at which features are clipped.

    Attributes
    ----------
    classes_ : ndarray (n_classes,)
    coef_ : ndarray (n_features, n_classes)
    intercept_ : ndarray (n_classes,)
    centre_ : ndarray (n_features,)
    axes_ : ndarray (n_features, n_axes) float32
        Orthonormal up to rounding; see `EXPECTED`.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(60, 5)) + np.repeat([[0], [2]], 30, axis=0)
    >>> EmotionLDA().fit(X, np.repeat(["sad", "happy"], 30)).predict(X[[0, 59]]).tolist()
    ['sad', 'happy']
    """

    older = (("axes_", None),)

    def __init__(self, n_components=400, shrinkage=0.3, clip=LIMIT):
        self.n_components = n_components
        self.shrinkage = shrinkage
        self.clip = clip

    def fit(self, X, y):
        """Learn the classes.

        Parameters
        ----------
        X : ndarray (n_clips, n_features)
            Standardised.
        y : ndarray (n_clips,)
            Labels.

        Raises
        ------
        ValueError
            If there is only one class.
        """
        X, y = validate_data(self, X, y, dtype=[np.float32, np.float64], ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, index = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"EmotionLDA needs two classes; there is only one, {str(y[0])!r}.")
        sums = [self._clipped(part).sum(axis=0, dtype=np.float64) for part in pieces(X)]
        centre = (np.sum(sums, axis=0) / len(X)).astype(X.dtype)
        axes = _principal_axes(self._clipped(self._sample(X)) - centre, self.n_components)
        Z = np.concatenate([(self._clipped(part) - centre) @ axes for part in pieces(X)])
        Z = Z.astype(np.float64)
        means = np.stack([Z[index == i].mean(axis=0) for i in range(len(self.classes_))])
        covariance = np.zeros((Z.shape[1], Z.shape[1]))
        for i, mean in enumerate(means):
            around = Z[index == i] - mean
            covariance += around.T @ around / len(around) / len(means)
        average = np.trace(covariance) / max(1, len(covariance))
        covariance *= 1 - self.shrinkage
        covariance.flat[:: len(covariance) + 1] += self.shrinkage * average + 1e-12
        directions = np.linalg.solve(covariance, means.T)
        self.coef_ = axes @ directions
        self.intercept_ = -0.5 * np.einsum("ij,ji->i", means, directions) - centre @ self.coef_
        first = axes.shape[1] - min(EXPECTED, min(X.shape) // 10)
        main = np.round(axes[:, first:] / STEP) * STEP
        self.centre_, self.axes_ = centre, main.astype(np.float32)
        return self

    def _clipped(self, X):
        return np.clip(X, -self.clip, self.clip)

    def _sample(self, X):
        """The clips that determine the axes: a sample of many, as time grows with its square."""
        n_sampled = max(FEWEST_SAMPLED, 2 * self.n_components)
        if len(X) <= n_sampled:
            return X
        return X[np.random.default_rng(0).choice(len(X), n_sampled, replace=False)]

    def decision_function(self, X):
        """Log posteriors up to a constant: ndarray (n_clips, n_classes), for 2 classes (n_clips,).

        Parameters
        ----------
        X : ndarray (n_clips, n_features)
        """
        X = _checked(self, X)
        return one_sided(self.likelihoods(X))

    def likelihoods(self, X):
        """Log likelihoods of the classes, relative to the average clip: (n_clips, n_classes).

        Parameters
        ----------
        X : ndarray (n_clips, n_features)
        """
        return self._clipped(X) @ self.coef_ + self.intercept_

    def distances(self, X):
        """Distances from the training clips: ndarray (n_clips,).

        The mean square of what `axes_` don't explain (the reconstruction error of a principal
        component analysis): directions in which training clips vary most also vary between rooms
        and languages, and say nothing about novelty.

        Parameters
        ----------
        X : ndarray (n_clips, n_features)
        """
        if self.axes_ is None:
            return _mean_square(X)
        Z = np.clip(X, -FARTHEST, FARTHEST) - self.centre_
        expected = np.square(Z @ self.axes_.astype(Z.dtype, copy=False)).sum(axis=1)
        return (np.square(Z).sum(axis=1) - expected).astype(np.float64) / Z.shape[1]

    def predict(self, X):
        """The most probable class of each clip: ndarray (n_clips,).

        Parameters
        ----------
        X : ndarray (n_clips, n_features)
        """
        best = two_sided(self.decision_function(X)).argmax(axis=1)
        return self.classes_[best]


@model_file.plain
class BlockLDA(ClassifierMixin, BaseEstimator):
    """Average of discriminant analyses of blocks of columns, of all clips and of each corpus.

    In a single discriminant analysis a block with many columns would dominate the others. So each
    block gives log likelihoods of the classes, and has a weight. It counts less for a clip that is
    farther from the training clips than these are from each other: noise that affects one block
    leaves the decision to the others.

    What corpora have in common also holds elsewhere. If there are several corpora, each has blocks
    of its own, standardised by its own clips, beside those of all clips. Corpora near a clip have
    larger weights; a corpus without a class doesn't influence its score (see `evidence`).

    Parameters
    ----------
    blocks : tuple of int
        Numbers of columns, from left to right.
    weights : tuple of float, optional
        One for each block; they add up to 1. Default: equal. `training.Training` fits them on
        left-out speakers.
    n_components, shrinkage, clip
        See `EmotionLDA`.
    pooled : float
        Weight of the evidence by all clips, relative to the average of that by corpora.

    Attributes
    ----------
    classes_ : ndarray (n_classes,)
    models_ : list of EmotionLDA
    weights_ : ndarray (n_blocks,)
    corpora_ : list of [mean, scale, BlockLDA]
        For each corpus, ndarrays (n_features,) and a model; empty if there is only one corpus.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(60, 5)) + np.repeat([[0], [2]], 30, axis=0)
    >>> model = BlockLDA((3, 2)).fit(X, np.repeat(["sad", "happy"], 30))
    >>> model.predict(X[[0, 59]]).tolist(), model.weights_.tolist()
    (['sad', 'happy'], [0.5, 0.5])
    """

    older = (("corpora_", ()), ("pooled", 0.6))

    def __init__(
        self, blocks, weights=None, n_components=400, shrinkage=0.3, clip=LIMIT, pooled=0.3
    ):
        self.blocks = blocks
        self.weights = weights
        self.n_components = n_components
        self.shrinkage = shrinkage
        self.clip = clip
        self.pooled = pooled

    def fit(self, X, y, corpora=None):
        """Learn the classes.

        Parameters
        ----------
        X : ndarray (n_clips, n_features)
            Standardised.
        y : ndarray (n_clips,)
            Labels.
        corpora : ndarray (n_clips,), optional
            Corpus of each clip. Default: one for all.

        Raises
        ------
        ValueError
            If there is only one class, X has other columns than the blocks, or `weights` isn't one
            number for each block, none negative and not all 0.
        """
        X, y = validate_data(self, X, y, dtype=[np.float32, np.float64], ensure_min_samples=2)
        check_blocks(self.blocks, X)
        weights = np.ones(len(self.blocks)) if self.weights is None else np.array(self.weights)
        if weights.shape != (len(self.blocks),) or weights.min() < 0 or not weights.any():
            raise ValueError(
                f"weights must be one number for each of the {len(self.blocks)} blocks, none "
                f"negative and not all 0; got {self.weights!r}."
            )
        lda = EmotionLDA(self.n_components, self.shrinkage, self.clip)
        self.models_ = [clone(lda).fit(block, y) for block in self._split(X)]
        self.classes_ = self.models_[0].classes_
        self.weights_ = weights / weights.sum()
        self.corpora_ = [] if corpora is None else self._by_corpus(X, y, np.asarray(corpora))
        for model in self.models_ if self.corpora_ else ():  # those of corpora give distances
            model.axes_ = model.axes_[:, :0]
        return self

    def _by_corpus(self, X, y, corpora):
        """Mean, scale and model of each corpus that is large enough, if there are at least two."""
        each = [corpora == name for name in np.unique(corpora)]
        each = [own for own in each if own.sum() >= FEWEST_OF_CORPUS and len(np.unique(y[own])) > 1]
        if len(each) < 2:
            return []
        found, model = [], clone(self).set_params(n_components=max(1, self.n_components // 2))
        for own in each:
            Z = X[own]
            mean = (sum(part.sum(axis=0, dtype=float) for part in pieces(Z)) / len(Z)).astype(
                Z.dtype
            )
            Z -= mean
            squares = sum(np.square(part).sum(axis=0, dtype=float) for part in pieces(Z))
            scale = np.sqrt(squares / len(Z)).astype(Z.dtype)
            scale[scale == 0] = 1
            Z /= scale
            found.append([mean, scale, clone(model).fit(Z, y[own])])
        return found

    def _split(self, X):
        return np.split(X, np.cumsum(self.blocks)[:-1], axis=1)

    def _likelihoods(self, X):
        """Log likelihoods over distances (n_blocks, n_clips, n_classes), and the distances."""
        scores, far = [], []
        for model, block in zip(self.models_, self._split(X), strict=True):
            far.append(_mean_square(block))
            scores.append(model.likelihoods(block) / np.maximum(far[-1], 1)[:, np.newaxis])
        return np.array(scores), np.array(far)

    def log_probabilities(self, X):
        """Log probabilities of the classes by each block: ndarray (n_blocks, n_clips, n_classes).

        The scores are divided by the mean square of the block's columns, if that is above 1.

        Parameters
        ----------
        X : ndarray (n_clips, n_features)
        """
        X = _checked(self, X)
        return log_softmax(self._likelihoods(X)[0], axis=2)

    def decision_function(self, X):
        """Scores of the classes: ndarray (n_clips, n_classes), for two classes (n_clips,).

        The weighted average of the blocks' log probabilities; with models of corpora, the sum of
        the `evidence` by all clips, weighted, and the average evidence by corpora.

        Parameters
        ----------
        X : ndarray (n_clips, n_features)
        """
        if not self.corpora_:
            return one_sided(np.tensordot(self.weights_, self.log_probabilities(X), axes=1))
        X = _checked(self, X)
        total, counts = np.zeros((2, len(X), len(self.classes_)))
        found = [model._likelihoods((X - mean) / scale) for mean, scale, model in self.corpora_]
        near = np.array([1 / np.maximum(far.mean(axis=0), NEAREST) for _, far in found])
        near *= len(near) / near.sum(axis=0)
        for (*_, model), (scores, _), share in zip(self.corpora_, found, near, strict=True):
            own = np.searchsorted(self.classes_, model.classes_)
            weighted = np.tensordot(self.weights_, scores, axes=1)
            total[:, own] += share[:, np.newaxis] * evidence(weighted)
            counts[:, own] += share[:, np.newaxis]
        pooled = evidence(np.tensordot(self.weights_, self._likelihoods(X)[0], axes=1))
        return one_sided(total / (counts + 1) + self.pooled * pooled)

    def distances(self, X):
        """Distances from the nearest corpus: ndarray (n_clips,).

        The geometric mean of the blocks' `EmotionLDA.distances`, weighted like the blocks.

        Parameters
        ----------
        X : ndarray (n_clips, n_features)
        """
        if self.models_[0].axes_ is None:
            return _mean_square(X)
        views = [(model, (X - mean) / scale) for mean, scale, model in self.corpora_]
        far = [
            [part.distances(block) for part, block in zip(m.models_, m._split(Z), strict=True)]
            for m, Z in views or [(self, X)]
        ]
        logs = np.log(np.maximum(far, NEAREST))
        return np.exp(np.tensordot(self.weights_, logs, axes=(0, 1)).min(axis=0))

    predict = EmotionLDA.predict


@model_file.plain
class BlockRidge(RegressorMixin, BaseEstimator):
    """Average of ridge regressions of blocks of columns: the counterpart of `BlockLDA` for numbers.

    Standardised features are clipped, against outliers. Averages of estimates vary less than the
    targets, so the average is stretched away from the mean target, within the range of the training
    targets.

    Parameters
    ----------
    blocks : tuple of int
        Numbers of columns, from left to right.
    penalty : float
        Penalty of the squared coefficients of a block, per column of the block.
    stretch : float
        Factor for the distance of the average from the mean target.
    clip : float
        Standard deviations at which features are clipped.

    Attributes
    ----------
    models_ : list of Ridge
    mean_, low_, high_ : ndarray (n_targets,), or () for a single target
        Mean and range of the training targets.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(60, 5))
    >>> BlockRidge((3, 2), penalty=0.01).fit(X, X[:, 0]).score(X, X[:, 0]) > 0.7
    True
    """

    def __init__(self, blocks, penalty=0.7, stretch=1.2, clip=LIMIT):
        self.blocks = blocks
        self.penalty = penalty
        self.stretch = stretch
        self.clip = clip

    def fit(self, X, y):
        """Learn the targets.

        Parameters
        ----------
        X : ndarray (n_clips, n_features)
            Standardised.
        y : ndarray (n_clips,) or (n_clips, n_targets)

        Raises
        ------
        ValueError
            If X has other columns than the blocks.
        """
        from sklearn.linear_model import Ridge

        kind = {"dtype": [np.float32, np.float64], "multi_output": True, "y_numeric": True}
        X, y = validate_data(self, X, y, **kind)
        check_blocks(self.blocks, X)
        self.models_ = [Ridge(self.penalty * x.shape[1]).fit(x, y) for x in self._split(X)]
        self.mean_, self.low_, self.high_ = map(np.asarray, (y.mean(0), y.min(0), y.max(0)))
        return self

    def _split(self, X):
        return np.split(np.clip(X, -self.clip, self.clip), np.cumsum(self.blocks)[:-1], axis=1)

    def predict(self, X):
        """Predict the targets: ndarray like y.

        Parameters
        ----------
        X : ndarray (n_clips, n_features)
        """
        X = _checked(self, X)
        pairs = zip(self.models_, self._split(X), strict=True)
        average = np.mean([model.predict(block) for model, block in pairs], axis=0)
        stretched = self.mean_ + self.stretch * (average - self.mean_)
        return np.clip(stretched, self.low_, self.high_)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output, tags.target_tags.multi_output = True, True
        return tags


def check_blocks(blocks, X):
    """Check that blocks add up to the columns of X.

    Parameters
    ----------
    blocks : tuple of int
    X : ndarray (n_clips, n_features)

    Raises
    ------
    ValueError
        If they don't.
    """
    if sum(blocks) != X.shape[1]:
        raise ValueError(f"The blocks {blocks} don't add up to {X.shape[1]} columns.")


def evidence(likelihoods):
    """Turn log likelihoods into scores that can be averaged over models: array like them.

    A score is the probability among the classes of the model plus half a bounded likelihood. The
    latter doesn't depend on the other classes, so that models with different classes can be
    compared. Both are bounded, as models are most confident where they have least data.

    Parameters
    ----------
    likelihoods : ndarray (n_clips, n_classes)
        Natural logarithms, relative to the average clip.

    Examples
    --------
    >>> evidence(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    return softmax(likelihoods / 2, axis=1) + np.tanh(likelihoods / 5) / 2


def _mean_square(X):
    """Mean square of the columns of each clip, clipped at `FARTHEST`: ndarray (n_clips,)."""
    return np.square(np.clip(X, -FARTHEST, FARTHEST)).mean(axis=1)


def one_sided(scores):
    """The inverse of `utils.two_sided`: (n_clips, n_classes), or (n_clips,) for two classes.

    Parameters
    ----------
    scores : ndarray (n_clips, n_classes)
    """
    return scores if scores.shape[1] > 2 else (scores[:, 1] - scores[:, 0]) / 2


def _principal_axes(X, n_components):
    """Orthonormal axes of the largest variance of centred X: (n_features, n_components)."""
    wide = len(X) < X.shape[1]
    products = X @ X.T if wide else X.T @ X
    variances, axes = scipy.linalg.eigh(products, driver="evd", overwrite_a=True)
    kept = variances > max(variances[-1] * 1e-6, 1e-12)
    kept[: max(0, len(products) - n_components)] = False
    axes = axes[:, kept]
    return X.T @ (axes / np.sqrt(variances[kept])) if wide else axes


def components(n_kinds):
    """Components of an `EmotionLDA`: int. More kinds of copies vary in more directions.

    Parameters
    ----------
    n_kinds : int
        Kinds of training copies: speeds, noisy copies.
    """
    return 400 * (1 + n_kinds)


def recommended_model(classification, n_kinds=0, blocks=None, targets=()):
    """The model of the recommended configuration: unfitted.

    Parameters
    ----------
    classification : bool
        False: a regressor.
    n_kinds : int
        See `components`.
    blocks : tuple of int, optional
        See `features.blocks`. Default: a single block.
    targets : sequence of str
        Numbers to learn in place of emotions.

    Examples
    --------
    >>> recommended_model(True), recommended_model(True, blocks=(180, 2048))
    (EmotionLDA(), BlockLDA(blocks=(180, 2048)))
    """
    if targets:
        return BlockRidge(tuple(blocks))
    if not classification:
        from sklearn.linear_model import Ridge

        return Ridge(RIDGE)
    if len(blocks or ()) < 2:
        return EmotionLDA(components(n_kinds))
    return BlockLDA(tuple(blocks), n_components=components(n_kinds))


__getattr__ = moved(__name__, {"adaptation": "FrameScaler"})
