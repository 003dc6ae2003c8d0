"""Which cues beyond the background's looks a run's predictions rely on, by class: tested, and the costliest first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whalecam.analysis.cues import patch_groups
from whalecam.assessment.reliance import Exchanges, class_tests
from whalecam.stats import holm
from whalecam.store.cue_rows import CueRow, ExchangeRow, PatchRow

Values = NDArray[np.float64]
PATCH = "patch"
LEVEL = 0.05
"""Of the p-values, after Holm's correction over all classes and cues of the run."""
MATERIAL = 0.05
"""Mean probability that a cue costs the tested images of its class, from which it is shown."""
CARRIES = 0.2
"""Drop of the probability, less the placebo's, from which an image counts as relying on the cue."""
FEWEST = 3
"""Images that rely on a cue, at least."""
SHARED = 0.5
"""Of two groups of patches that share so many of their images only the costlier is shown."""
DRAWS, TESTS_PER_CLASS = 1999, 12
"""Assignments drawn for each test, at least; for many classes more, so that corrected p-values can be below LEVEL."""


@dataclass(frozen=True, kw_only=True)
class CueFinding:
    """One cue of one class.

    Attributes:
        predicted: the class.
        cue: PATCH, or the name of a property of the whole image.
        place: where the patches lie, as in `lower right`; empty for a property, and for patches all over the image.
        images: those that rely on it, by `drop` less placebo, most first.
        tested: how many images of the class were tested.
        group: for a patch how many images have it, whether they rely on it or not; for a property `tested`.
        drop: probability lost by erasing or editing the cue: for a patch the mean over its group, for a property the
            mean over `images`; in [-1, 1].
        placebo: the same for the placebo: the same area erased elsewhere, or the value of an image of the same class.
        cost: probability lost, less the placebo, on average over all tested images of the class.
        p_value: in (0, 1], corrected over all classes and cues of the run.
        is_loan: whether the property was lent to images of other labels. Drop, placebo and cost are then what these
            gain of the class's probability; for the placebo with the value of an image of their own label.
    """

    predicted: str
    cue: str
    place: str
    images: tuple[str, ...]
    tested: int
    group: int
    drop: float
    placebo: float
    cost: float
    p_value: float
    is_loan: bool = False


def cue_findings(rows: Sequence[CueRow]) -> list[CueFinding]:
    """The cues that are beyond chance and material: by class, in each the costliest first."""
    parts = _by_class(rows)
    draws = max(DRAWS, int(TESTS_PER_CLASS * len(parts) / LEVEL) * 2)
    candidates = [candidate for part in parts.values() for candidate in _candidates(part, draws)]
    corrected = holm([candidate.p_value for candidate in candidates])
    kept: list[CueFinding] = []
    for candidate, p_value in sorted(zip(candidates, corrected, strict=True), key=lambda pair: -pair[0].cost):
        finding = CueFinding(**{**vars(candidate), "p_value": p_value})
        is_shown = p_value <= LEVEL and finding.cost >= MATERIAL and len(finding.images) >= FEWEST
        if is_shown and not any(_is_same(finding, other) for other in kept):
            kept.append(finding)
    return sorted(kept, key=lambda finding: (finding.predicted, -finding.cost))


def cue_scores(rows: Sequence[CueRow], cue: str) -> dict[str, float]:
    """For each image how much more probability it loses with the cue than with its placebo, in [-1, 1]; 0 untested.

    For a property that is both exchanged and lent, the mean of both.
    """
    return {row["image"]: _net_drop(row) if cue == PATCH else _mean_drop(row, cue) for row in rows}


def cues_of_images(findings: Sequence[CueFinding]) -> dict[str, list[CueFinding]]:
    """The cues that each image relies on, the costliest first."""
    listed: dict[str, list[CueFinding]] = {}
    for finding in sorted(findings, key=lambda each: -each.cost):
        for image in finding.images:
            listed.setdefault(image, []).append(finding)
    return listed


def _by_class(rows: Sequence[CueRow]) -> dict[str, list[CueRow]]:
    parts: dict[str, list[CueRow]] = {}
    for row in rows:
        parts.setdefault(row["predicted"], []).append(row)
    return parts


def _candidates(rows: Sequence[CueRow], draws: int = DRAWS) -> list[CueFinding]:
    """All that is tested in one class."""
    ways = dict.fromkeys((each["name"], bool(each.get("is_loan"))) for row in rows for each in row["exchanges"])
    properties = [_property(rows, name, draws, is_loan=is_loan) for name, is_loan in ways]
    return [*properties, *_patches(rows, draws)]


def _property(rows: Sequence[CueRow], name: str, draws: int, *, is_loan: bool) -> CueFinding:
    """Args: name: of a property that was exchanged, or lent, in at least one of the rows."""
    pairs = [(row, each) for row in rows if (each := _exchange(row, name, is_loan=is_loan)) is not None]
    exchanges = [each for _, each in pairs]
    test = class_tests(_as_exchanges(exchanges), draws)[0]
    drops = np.array([_drop(each) for each in exchanges])
    own = np.array([each["null"] - np.mean(each["own"]) for each in exchanges])
    carrying = [at for at in np.argsort(-drops, kind="stable").tolist() if drops[at] >= CARRIES]
    return CueFinding(
        predicted=rows[0]["predicted"],
        cue=name,
        place="",
        images=tuple(pairs[at][0]["image"] for at in carrying),
        tested=len(rows),
        group=len(pairs),
        drop=float(drops[carrying].mean()) if carrying else 0.0,
        placebo=float(own.mean()),
        cost=float(drops.sum()) / len(rows),
        p_value=test.p_value,
        is_loan=is_loan,
    )


def _patches(rows: Sequence[CueRow], draws: int) -> list[CueFinding]:
    """Groups of patches that were erased against a placebo."""
    pairs = [(row, patch) for row in rows if (patch := row.get("patch")) and patch["placebo"]]
    patches, smallest = [patch for _, patch in pairs], patch_groups.smallest_group(len(rows))
    folds = [row["fold"] for row, _ in pairs]
    groups = [*patch_groups.at_places(patches, smallest), *patch_groups.with_looks(patches, folds, smallest)]
    distinct = {tuple(group.tolist()): group for group in groups}
    return [_group([pairs[at] for at in group.tolist()], len(rows), draws) for group in distinct.values()]


def _group(pairs: Sequence[tuple[CueRow, PatchRow]], tested: int, draws: int) -> CueFinding:
    net_drop = np.array([_net_drop(row) for row, _ in pairs])
    drops = np.array([row["before"] - patch["erased"] for row, patch in pairs])
    order = [at for at in np.argsort(-net_drop, kind="stable").tolist() if net_drop[at] >= CARRIES]
    return CueFinding(
        predicted=pairs[0][0]["predicted"],
        cue=PATCH,
        place=patch_groups.place_of([patch for _, patch in pairs]),
        images=tuple(pairs[at][0]["image"] for at in order),
        tested=tested,
        group=len(pairs),
        drop=float(drops.mean()),
        placebo=float((drops - net_drop).mean()),
        cost=float(net_drop.sum()) / tested,
        p_value=placement_test(
            [[patch["erased"], *patch["placebo"]] for _, patch in pairs],
            np.array([row["unit"] for row, _ in pairs]),
            draws,
        ),
    )


def placement_test(
    erased: Sequence[Sequence[float]], units: NDArray[np.int64], draws: int = DRAWS, seed: int = 0
) -> float:
    """One-sided p-value of a patch that is worth more than the same area elsewhere.

    If it were not, any of the places erased could have been the patch. So each draw takes one of the places of an image
    for the patch, the same for all images of a unit (a permutation test, Fisher 1935). The statistic is the probability
    left elsewhere less the one left by the patch, summed over images. Unlike an exchange of signs, it can be small
    where there are few units: with two places beside the patch, 3 to the power of minus their number.

    Args:
        erased: for each image the probability with the patch erased, then with the same area erased at other places, at
            least one.
        units: (N,) one code for all images of a group, which are not independent.
    """
    _, at = np.unique(units, return_inverse=True)
    counts = np.array([len(places) for places in erased])
    left = np.full((len(erased), counts.max()), np.nan)
    for row, places in zip(left, erased, strict=True):
        row[: len(places)] = places
    worth = (np.nansum(left, axis=1, keepdims=True) - left) / (counts[:, None] - 1) - left
    chance = np.random.default_rng(seed).random((draws, at.max() + 1))
    chosen = (chance[:, at] * counts).astype(np.int64)
    sums = worth[np.arange(len(worth)), chosen].sum(axis=1)
    return float((1 + (sums >= worth[:, 0].sum() - 1e-9).sum()) / (draws + 1))


def _is_same(finding: CueFinding, other: CueFinding) -> bool:
    if (finding.predicted, finding.cue) != (other.predicted, other.cue):
        return False
    if finding.cue != PATCH:
        return True
    common = len(set(finding.images) & set(other.images))
    return common >= SHARED * min(len(finding.images), len(other.images))


def _net_drop(row: CueRow) -> float:
    """How much more of the probability goes with the patch than with the same area elsewhere; 0 without either.

    A placebo that raises the probability counts as nothing, or a patch that costs nothing would seem to cost that much.
    """
    patch = row.get("patch")
    if not patch or not patch["placebo"]:
        return 0.0
    return float(row["before"] - patch["erased"] - max(0.0, row["before"] - float(np.mean(patch["placebo"]))))


def _exchange(row: CueRow, name: str, *, is_loan: bool) -> ExchangeRow | None:
    same = (each for each in row["exchanges"] if each["name"] == name and bool(each.get("is_loan")) == is_loan)
    return next(same, None)


def _mean_drop(row: CueRow, name: str) -> float:
    drops = [_drop(each) for each in row["exchanges"] if each["name"] == name]
    return float(np.mean(drops)) if drops else 0.0


def _drop(exchange: ExchangeRow) -> float:
    return float(exchange["null"] - np.mean([*exchange["other"], *exchange["more"]]))


def _as_exchanges(exchanges: Sequence[ExchangeRow]) -> Exchanges:
    """The first donors of one class, as the test of classes takes them."""
    side: Mapping[str, Values] = {name: _padded([each[name] for each in exchanges]) for name in ("own", "other")}
    units = {
        name: np.nan_to_num(_padded([each[name] for each in exchanges])).astype(np.int64)
        for name in ("own_units", "other_units")
    }
    return Exchanges(
        predicted=np.zeros(len(exchanges), np.int64),
        before=np.array([each["null"] for each in exchanges], np.float64),
        own=side["own"],
        other=side["other"],
        own_unit=units["own_units"],
        other_unit=units["other_units"],
    )


def _padded(lists: Sequence[Sequence[float]]) -> Values:
    """Lists of different lengths as one array, NaN beyond their ends."""
    width = max(map(len, lists), default=0)
    return np.array([[*values, *[np.nan] * (width - len(values))] for values in lists], np.float64)
