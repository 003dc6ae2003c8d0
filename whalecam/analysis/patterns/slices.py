"""Slices: like images of one label on which a network errs more often than on the label's other images.

Images that no network was trained on are arranged, label by label, by what the network saw of them: Ward's tree (1963)
over the first principal components of their vectors. Every branch of the tree is a candidate. Its score is how
improbable so many mistakes among so many images are (hypergeometric distribution). The p-value of a branch is how often
the best branch of all has such a score when the same mistakes are dealt out at random (max-T, Westfall and Young 1993),
so it accounts for all the branches that were looked at; labels are corrected by Holm.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.stats import holm
from whalecam.store.run import Run
from whalecam.store.table import aligned, embeddings

Values = NDArray[np.float64]
COMPONENTS, DEALS, LEVEL = 16, 199, 0.05
"""Principal components; random deals of the mistakes; the p-value from which on a branch is no slice."""
SMALLEST, LARGEST = 8, 0.67
"""Images of a slice at least, and its share of the label's images at most."""
FEWEST_MISTAKES = 3
MOST, IN_ALL = 2000, 20_000
"""Images of a label that are arranged at most, as the tree takes memory that grows with their square; and of all."""


@dataclass(frozen=True)
class Slice:
    """Like images of one label.

    Attributes:
        label: their label.
        images: mistakes first, of these and of the others the most typical first.
        mistakes: how many of them are named wrongly.
        others, other_mistakes: the label's other images that were looked at, and how many of these are.
        p_value: corrected over all branches and all labels, in (0, 1].
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
    """Places among the label's images, the most typical first, and how far above chance their mistakes are."""

    places: NDArray[np.int64]
    score: float
    p_value: float


def unseen(run: Run) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    """What slices of a run are found among: rows and vectors of images that no network was trained on, as `slices`
    takes them; of more than IN_ALL a sample."""
    rows = embeddings(run.parts(), IN_ALL, unseen=True)
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
    """Of more than MOST, as many, the same in every call."""
    return places if len(places) <= MOST else np.sort(np.random.default_rng(0).choice(places, MOST, replace=False))


def _branches(vectors: Values, is_wrong: NDArray[np.int64]) -> list[_Branch] | None:
    """The branches of a label's tree that are above chance, the best first, none within another.

    None where there are too few mistakes, or too few images without one, to say anything.
    """
    from scipy.cluster.hierarchy import linkage

    wrong, count = int(is_wrong.sum()), len(is_wrong)
    if min(wrong, count - wrong) < FEWEST_MISTAKES or count < 2 * SMALLEST:
        return None
    points = _components(vectors)
    members = members_of(linkage(points, "ward"), count)
    if not len(members):
        return None
    scores, rng = surprise(members, is_wrong), np.random.default_rng(0)
    deals = np.array([surprise(members, rng.permutation(is_wrong)).max() for _ in range(DEALS)])
    used, branches = np.zeros(count, bool), list[_Branch]()
    for at in np.argsort(-scores, kind="stable").tolist():
        p_value = (1 + int((deals >= scores[at] - 1e-9).sum())) / (1 + DEALS)
        if p_value >= LEVEL:
            break
        if not used[members[at]].any():
            used |= members[at]
            branches.append(_Branch(_typical_first(points, members[at]), float(scores[at]), p_value))
    return branches


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
    return np.asarray(inside[(sizes >= SMALLEST) & (sizes <= LARGEST * count)], bool)


def surprise(members: NDArray[np.bool_], is_wrong: NDArray[np.int64]) -> Values:
    """For each branch (B,) minus the logarithm of the chance of as many mistakes in it or more, ≥ 0.

    Args:
        members: (B, N).
        is_wrong: (N,), 1 for a mistake.
    """
    from scipy.stats import hypergeom

    mistakes = members.astype(np.int64) @ is_wrong
    return np.asarray(-hypergeom.logsf(mistakes - 1, len(is_wrong), is_wrong.sum(), members.sum(axis=1)), np.float64)


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
