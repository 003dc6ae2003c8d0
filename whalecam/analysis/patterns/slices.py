"""Slices: like images of one label on which a network errs more often than on the label's other images.

Images that no network was trained on are compared, label by label, by the first principal components of what the
network saw of them. Candidates are the branches of Ward's tree (1963), and the images that a ridge regression of the
mistakes, fitted on all other images, expects to be wrong most: a direction in which the label fails (Jain et al. 2023,
arXiv 2206.14754), cut anywhere. The score of a candidate is how improbable so many mistakes among so many images are
(hypergeometric distribution). Its p-value is how often the best candidate of all has such a score when the same
mistakes are dealt out at random and all is done again (max-T, Westfall and Young 1993), so it accounts for everything
that was looked at; labels are corrected by Holm.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.stats import holm
from whalecam.store.run import Run
from whalecam.store.table import aligned, embeddings

Values = NDArray[np.float64]
COMPONENTS, DEALS, LEVEL = 16, 199, 0.05
"""Principal components; random deals of the mistakes; the p-value from which on a group is no slice."""
RIDGE = 0.1
"""Penalty of the regression for each image."""
MIN_IMAGES, MAX_SHARE = 8, 0.67
"""Images of a slice at least, and its share of the label's images at most."""
MIN_MISTAKES = 3
MAX_OF_LABEL, MAX_IMAGES = 2000, 20_000
"""Images of a label that are arranged at most, as the tree takes memory that grows with their square; and of all."""


@dataclass(frozen=True)
class Slice:
    """Like images of one label.

    Attributes:
        label: their label.
        images: mistakes first, of these and of the others the most typical, or the surest to be wrong, first.
        mistakes: how many of them are named wrongly.
        others, other_mistakes: the label's other images that were looked at, and how many of these are.
        p_value: corrected over all candidates and all labels, in (0, 1].
    """

    label: str
    images: tuple[str, ...]
    mistakes: int
    others: int
    other_mistakes: int
    p_value: float

    @property
    def error_gap(self) -> float:
        """How much more often the network errs here than on the label's other images, in [-1, 1]."""
        return self.mistakes / len(self.images) - self.other_mistakes / max(1, self.others)


@dataclass(frozen=True, eq=False)
class _Branch:
    """Places among the label's images, the most typical or the surest to be wrong first."""

    places: NDArray[np.int64]
    p_value: float


def unseen(run: Run) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    """What slices of a run are found among: rows and vectors of images that no network was trained on, as `slices`
    takes them; of more than MAX_IMAGES a sample."""
    rows = embeddings(run.parts(), MAX_IMAGES, unseen=True)
    rows = rows[rows["label"].isin(run.manifest.classes)].reset_index(drop=True)
    return rows.drop(columns="embedding"), aligned(rows)


def slices(rows: pd.DataFrame, vectors: NDArray[np.float32]) -> list[Slice]:
    """Where a network fails, the largest gap of mistakes first; no image is in two slices.

    Args:
        rows: `image`, `label`, `predicted` of images that no network was trained on, of labels that it knows.
        vectors: (N, K), what the network saw of each, as `table.aligned` gives them.
    """
    by_label, best = list[list[Slice]](), list[float]()
    for label, places in rows.reset_index(drop=True).groupby("label").indices.items():
        some = _some(np.asarray(places, np.int64))
        is_wrong = (rows["predicted"].to_numpy(str)[some] != str(label)).astype(np.int64)
        branches = _branches(vectors[some].astype(np.float64), is_wrong)
        if branches is None:
            continue
        names = rows["image"].to_numpy(str)[some]
        by_label.append([_slice(str(label), names, is_wrong, branch) for branch in branches])
        best.append(min((branch.p_value for branch in branches), default=1.0))
    factors = [corrected / p for p, corrected in zip(best, holm(best), strict=True)]
    every = [
        replace(each, p_value=min(1.0, factor * each.p_value))
        for own, factor in zip(by_label, factors, strict=True)
        for each in own
    ]
    kept = [each for each in every if each.p_value < LEVEL]
    return sorted(kept, key=lambda each: (-each.error_gap, each.label, each.images))


def _some(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of more than MAX_OF_LABEL, as many, the same in every call."""
    if len(places) <= MAX_OF_LABEL:
        return places
    return np.sort(np.random.default_rng(0).choice(places, MAX_OF_LABEL, replace=False))


def _branches(vectors: Values, is_wrong: NDArray[np.int64]) -> list[_Branch] | None:
    """The groups of a label's images that are above chance, the best first, no image in two.

    None where there are too few mistakes, or too few images without one, to say anything.
    """
    from scipy.cluster.hierarchy import linkage

    wrong, count = int(is_wrong.sum()), len(is_wrong)
    if min(wrong, count - wrong) < MIN_MISTAKES or count < 2 * MIN_IMAGES:
        return None
    points, rng = _components(vectors), np.random.default_rng(0)
    deals = np.stack([is_wrong, *(rng.permutation(is_wrong) for _ in range(DEALS))], axis=1)
    tree = members_of(linkage(points, "ward"), count)
    order = np.argsort(-left_out(points, deals), axis=0, kind="stable")
    sizes = np.arange(MIN_IMAGES, int(MAX_SHARE * count) + 1)
    chances = surprises(count, wrong)
    of_tree = chances[tree.sum(axis=1)[:, None], (tree.astype(np.float64) @ deals).astype(np.int64)]
    of_order = chances[sizes[:, None], np.cumsum(np.take_along_axis(deals, order, 0), axis=0)[sizes - 1]]
    scores = np.concatenate([of_tree, of_order])
    places = [*(_typical_first(points, inside) for inside in tree), *(order[:size, 0] for size in sizes.tolist())]
    return _above_chance(places, scores[:, 0], scores[:, 1:].max(axis=0), count)


def _above_chance(places: Sequence[NDArray[np.int64]], scores: Values, by_chance: Values, count: int) -> list[_Branch]:
    """Of all groups those with a p-value below LEVEL, the best first; `by_chance` are the best scores of the deals."""
    used, branches = np.zeros(count, bool), list[_Branch]()
    for at in np.argsort(-scores, kind="stable").tolist():
        p_value = (1 + int((by_chance >= scores[at] - 1e-9).sum())) / (1 + len(by_chance))
        if p_value >= LEVEL:
            break
        if not used[places[at]].any():
            used[places[at]] = True
            branches.append(_Branch(places[at], p_value))
    return branches


def left_out(points: Values, is_wrong: NDArray[np.int64]) -> Values:
    """How wrong each image is expected to be by all others: ridge regression, each image left out once.

    Args:
        points: (N, K).
        is_wrong: (N, D), each column regressed by itself.
    """
    spread = points.std(axis=0)
    inputs = np.concatenate([np.ones((len(points), 1)), points / np.where(spread > 0, spread, 1)], axis=1)
    penalty = RIDGE * len(points) * np.diag([0.0] + [1.0] * points.shape[1])
    hat = inputs @ np.linalg.solve(inputs.T @ inputs + penalty, inputs.T)
    own = np.diag(hat)[:, None]
    return np.asarray((hat @ is_wrong - own * is_wrong) / (1 - own), np.float64)


def _components(vectors: Values) -> Values:
    from sklearn.decomposition import PCA

    return np.asarray(PCA(min(COMPONENTS, *vectors.shape), svd_solver="full").fit_transform(vectors), np.float64)


def members_of(tree: Values, count: int) -> NDArray[np.bool_]:
    """The images of each branch (B, N) of a linkage matrix of SciPy that is neither too small nor too large."""
    inside = np.zeros((2 * count - 1, count), bool)
    inside[np.arange(count), np.arange(count)] = True
    for at, (left, right) in enumerate(tree[:, :2].astype(np.int64).tolist(), count):
        inside[at] = inside[left] | inside[right]
    sizes = inside.sum(axis=1)
    return np.asarray(inside[(sizes >= MIN_IMAGES) & (sizes <= MAX_SHARE * count)], bool)


def surprises(count: int, wrong: int) -> Values:
    """Minus the logarithm of the chance of as many mistakes or more in a group, by its size and number of mistakes.

    Returns: (count + 1, wrong + 1), infinite where it cannot be; of `count` images `wrong` are mistakes. All at once:
    SciPy's hypergeometric distribution takes minutes for the millions of values of a large label.
    """
    sizes, mistakes = np.arange(count + 1)[:, None], np.arange(wrong + 1)[None]
    ways = _log_ways(wrong, mistakes) + _log_ways(count - wrong, sizes - mistakes) - _log_ways(count, sizes)
    return np.asarray(-np.logaddexp.accumulate(ways[:, ::-1], axis=1)[:, ::-1], np.float64)


def _log_ways(of: int, some: NDArray[np.int64]) -> Values:
    """The logarithm of the number of ways to take `some` out of `of`; minus infinity where there is none."""
    from scipy.special import gammaln

    return np.asarray(gammaln(of + 1) - gammaln(some + 1) - gammaln(of - some + 1), np.float64)


def _typical_first(points: Values, inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    places = np.flatnonzero(inside)
    away = ((points[places] - points[places].mean(axis=0)) ** 2).sum(axis=1)
    return np.asarray(places[np.argsort(away, kind="stable")], np.int64)


def _slice(label: str, names: NDArray[np.str_], is_wrong: NDArray[np.int64], branch: _Branch) -> Slice:
    places, wrong = branch.places, is_wrong[branch.places]
    order = np.concatenate([places[wrong == 1], places[wrong == 0]])
    here, every = int(wrong.sum()), int(is_wrong.sum())
    return Slice(label, tuple(names[order].tolist()), here, len(names) - len(places), every - here, branch.p_value)


@dataclass(frozen=True)
class Trait:
    """In what a slice differs from the label's other images.

    Attributes:
        name: the column.
        value: the text that is more frequent here; empty for a number.
        here, elsewhere: the share of images with this text, or the median of the number.
        effect: difference of the shares, or of the numbers' ranks: how much more often than not an image from here has
            the larger number (Cliff's delta); in [-1, 1].
    """

    name: str
    value: str
    here: float
    elsewhere: float
    effect: float


def traits_of(here: pd.DataFrame, elsewhere: pd.DataFrame, columns: Iterable[str], least: float = 0.4) -> list[Trait]:
    """The traits of a slice with an effect of `least` or more, the strongest first; one for each column.

    Args:
        here, elsewhere: the images of the slice, and the label's others, with some of `columns`, texts or numbers.
    """
    traits = list[Trait]()
    for name in columns:
        if name not in here or name not in elsewhere:
            continue
        of_numbers = pd.api.types.is_numeric_dtype(here[name])
        trait = (_of_number if of_numbers else _of_text)(name, here[name].dropna(), elsewhere[name].dropna())
        traits += [] if trait is None or abs(trait.effect) < least else [trait]
    return sorted(traits, key=lambda trait: (-abs(trait.effect), trait.name))


def _of_number(name: str, here: "pd.Series[float]", elsewhere: "pd.Series[float]") -> Trait | None:
    from scipy.stats import rankdata

    if here.empty or elsewhere.empty:
        return None
    ranks = rankdata(np.concatenate([here, elsewhere]))
    above = ranks[: len(here)].sum() - len(here) * (len(here) + 1) / 2
    effect = 2 * above / (len(here) * len(elsewhere)) - 1
    return Trait(name, "", float(here.median()), float(elsewhere.median()), float(effect))


def _of_text(name: str, here: "pd.Series[str]", elsewhere: "pd.Series[str]") -> Trait | None:
    shares = here[here.astype(str) != ""].astype(str).value_counts() / max(1, len(here))
    if shares.empty:
        return None
    others = elsewhere.astype(str).value_counts() / max(1, len(elsewhere))
    ahead = shares - others.reindex(shares.index).fillna(0.0)
    value = str(ahead.idxmax())
    return Trait(name, value, float(shares[value]), float(others.get(value, 0.0)), float(ahead[value]))
