"""What the field would use to find images whose prediction relies on the background: a score each, larger if more so.

No score knows the counterfactual. Where a method needs a person who looks at maps or features (SpRAy, spuriosity
ranking), the true masks answer in that person's place, which is the best that such a person could do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.cluster import SpectralClustering
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from benchmarks.protocols.selective import finetuned
from benchmarks.protocols.stages import Linear
from whalecam.explain.score import LeakWeights, background_share_of, weigh

Values = NDArray[np.float64]
Codes = NDArray[np.int64]
CLUSTERS, SLICES, COMPONENTS, FEATURES = 4, 8, 16, 5
LABEL_WEIGHT = 10.0
"""How much labels and predictions count beside features, as in Domino."""
EARLY_RATE = 1e-2


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What a detector may see of a network whose head is average pooling and a linear layer, and of N images.

    Attributes:
        training: (M, K) pooled features of the training images; training_labels: (M,).
        activations: (N, K, h, w) of the images.
        labels: (N,).
        masks: (N, S, S) in [0, 1], 1 on the animal.
        layer: the linear layer, on pooled features.
    """

    training: Values
    training_labels: Codes
    activations: Values
    labels: Codes
    masks: NDArray[np.float32]
    layer: Linear

    @property
    def pooled(self) -> Values:
        """(N, K)."""
        return np.asarray(self.activations.mean(axis=(2, 3)), np.float64)

    @property
    def probabilities(self) -> Values:
        """(N, C)."""
        return np.asarray(softmax(self.layer.logits(self.pooled), axis=1))

    @property
    def predicted(self) -> Codes:
        """(N,)."""
        return np.asarray(self.probabilities.argmax(axis=1))

    @property
    def maps(self) -> Values:
        """(N, h, w), class activation maps of the predicted class relative to the mean of all classes."""
        relative = self.layer.weights - self.layer.weights.mean(axis=0)
        cells = self.activations.shape[2] * self.activations.shape[3]
        return np.asarray(np.einsum("nk,nkij->nij", relative[self.predicted], self.activations) / cells)

    @property
    def weights(self) -> list[LeakWeights]:
        """Of each image's mask, on the grid of the maps."""
        return [weigh(mask, None, self.activations.shape[2:]) for mask in self.masks]


def heat_share(seen: Seen) -> Values:
    """Share of the map's positive evidence on the background; 0 without any."""
    shares = [float(background_share_of(cam, weights)) for cam, weights in zip(seen.maps, seen.weights, strict=True)]
    return np.array([0.0 if np.isnan(share) else share for share in shares])


def loss(seen: Seen) -> Values:
    """Cross-entropy of the label, in nats."""
    return _loss(seen.probabilities, seen.labels)


def _loss(probabilities: Values, labels: Codes) -> Values:
    own = probabilities[np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.maximum(own, 1e-12)), np.float64)


def error_set(seen: Seen) -> Values:
    """1 where a network that was stopped early is wrong (JTT, Liu et al. 2021), else 0."""
    scaler = StandardScaler().fit(seen.training)
    nothing = Linear(np.zeros_like(seen.layer.weights), np.zeros_like(seen.layer.bias))
    early = finetuned(nothing, scaler.transform(seen.training), seen.training_labels, EARLY_RATE)
    return np.asarray(early.logits(scaler.transform(seen.pooled)).argmax(axis=1) != seen.labels, np.float64)


def spray(seen: Seen) -> Values:
    """SpRAy (Lapuschkin et al. 2019): spectral clusters of each class's maps; each the mean heat share of its own."""
    shares, scores = heat_share(seen), np.zeros(len(seen.labels))
    positive = np.maximum(seen.maps, 0).reshape(len(seen.labels), -1)
    flat = positive / np.maximum(positive.sum(axis=1, keepdims=True), 1e-12)
    for label in np.unique(seen.predicted):
        rows = np.flatnonzero(seen.predicted == label)
        if len(rows) <= 2 * CLUSTERS:
            scores[rows] = shares[rows].mean()
            continue
        neighbours = min(10, len(rows) - 1)
        clustering = SpectralClustering(
            CLUSTERS, affinity="nearest_neighbors", n_neighbors=neighbours, random_state=0, assign_labels="kmeans"
        )
        cluster = clustering.fit_predict(flat[rows])
        for code in np.unique(cluster):
            scores[rows[cluster == code]] = shares[rows[cluster == code]].mean()
    return scores


def mixture(seen: Seen) -> Values:
    """Slices by a mixture of Gaussians over features, labels and predictions (Domino, Eyuboglu et al. 2022).

    As clusters within labels would (GEORGE, Sohoni et al. 2020), it separates labels. The score is the mean loss of the
    slices that an image is in.
    """
    inside, means = _mixed(seen.pooled, seen.probabilities, seen.labels)
    return np.asarray(inside @ means)


def slices_of_mixture(features: Values, probabilities: Values, labels: Codes) -> list[Codes]:
    """The slices of that mixture, the highest mean loss first; each image in its likeliest, the surest first."""
    inside, means = _mixed(features, probabilities, labels)
    likeliest, found = inside.argmax(axis=1), list[Codes]()
    for at in np.argsort(-means, kind="stable").tolist():
        own = np.flatnonzero(likeliest == at)
        found.append(own[np.argsort(-inside[own, at], kind="stable")].astype(np.int64))
    return found


def _mixed(features: Values, probabilities: Values, labels: Codes) -> tuple[Values, Values]:
    """How surely each image is in each slice, (N, SLICES), and the slices' mean loss, (SLICES,)."""
    components = min(COMPONENTS, *features.shape)
    reduced = PCA(components, random_state=0).fit_transform(StandardScaler().fit_transform(features))
    reduced /= max(float(reduced.std()), 1e-12)
    noted = np.eye(probabilities.shape[1])[labels]
    joined = np.concatenate([reduced, LABEL_WEIGHT * noted, LABEL_WEIGHT * probabilities], axis=1)
    fitted = GaussianMixture(SLICES, covariance_type="diag", reg_covar=1e-2, random_state=0).fit(joined)
    inside = np.asarray(fitted.predict_proba(joined), np.float64)
    means = inside.T @ _loss(probabilities, labels) / np.maximum(inside.sum(axis=0), 1e-12)
    return inside, np.asarray(means, np.float64)


def spuriosity(seen: Seen) -> Values:
    """Spuriosity ranking (Moayeri et al. 2023): how active the features are that are a class's cues on the background.

    Of each predicted class the FEATURES that add most to its logit; spurious are those whose activation lies on the
    background more than a flat one would.
    """
    scores, positive = np.zeros(len(seen.labels)), np.maximum(seen.activations, 0)
    relative = seen.layer.weights - seen.layer.weights.mean(axis=0)
    standard = (seen.pooled - seen.pooled.mean(axis=0)) / np.maximum(seen.pooled.std(axis=0), 1e-12)
    weights = seen.weights
    for label in np.unique(seen.predicted):
        rows = np.flatnonzero(seen.predicted == label)
        top = np.argsort(-(relative[label] * seen.pooled[rows].mean(axis=0)), kind="stable")[:FEATURES]
        shares = np.array([background_share_of(positive[row][top], weights[row]) for row in rows])
        excess = np.nanmean(shares - np.array([weights[row].chance for row in rows])[:, None], axis=0)
        spurious = top[excess > 0]
        if len(spurious):
            scores[rows] = standard[np.ix_(rows, spurious)].mean(axis=1)
    return scores


DETECTORS: Mapping[str, Callable[[Seen], Values]] = {
    "heat share": heat_share,
    "loss": loss,
    "error set (JTT)": error_set,
    "clusters of maps (SpRAy)": spray,
    "mixture of features (Domino)": mixture,
    "spuriosity ranking": spuriosity,
}


def precision_at(scores: Values, truth: NDArray[np.bool_], count: int = 10) -> float:
    """Share of true ones among the `count` largest scores; images that tie at the end count in proportion."""
    count = min(count, len(scores))
    last = np.sort(scores)[::-1][count - 1]
    above, tied = scores > last, scores == last
    return float((truth[above].sum() + (count - above.sum()) * truth[tied].mean()) / count)
