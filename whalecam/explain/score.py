"""How much of a decision's evidence lies on the background. Pure numpy."""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whalecam.arrays import FloatArray
from whalecam.config import Assessable
from whalecam.text import percent

NOTHING = "no positive evidence"
UNTOLD = np.nan
ROUNDING = 1e-9


@dataclass(frozen=True)
class LeakWeights:
    """What one mask makes of a grid, once per image: the background share of any map is a ratio of two dot products.

    Attributes:
        water: (h, w), `Uᵀ B`: how much of each cell's upsampled mass falls on the background.
        total: (h, w), `Uᵀ S`: how much of it falls on the image at all.
        floor: background share of the perfect map on this grid, in [0, 1].
        chance: background share of a flat map, in [0, 1].
        area: share of the image that is subject, in [0, 1].
        reason: why nothing can be assessed with this mask; None where it can.
    """

    water: NDArray[np.float64]
    total: NDArray[np.float64]
    floor: float
    chance: float
    area: float
    reason: str | None

    @property
    def background(self) -> NDArray[np.float64]:
        """(h, w) in [0, 1], the share of background in what each cell shows of the image; 0 where it shows nothing."""
        return np.asarray(self.water / np.maximum(self.total, 1e-12))


@dataclass(frozen=True)
class Score:
    """How much of one map lies on the background.

    Attributes:
        background_share, floor, chance: in [0, 1].
        attention_score: 0 for a map shaped like the subject, 1 for a flat one.
        reason: why there is no score, which is then NaN; else None.
    """

    background_share: float
    floor: float
    chance: float
    attention_score: float
    reason: str | None


def contrast(maps: FloatArray, kind: str, c: int, other: int | None = None) -> NDArray[Any]:
    """One class's map against a reference, since softmax ignores what all classes share.

    Args:
        maps: evidence in logits, shape (C, h, w).
        kind: `relative` (minus the mean over classes), `versus` (minus class `other`) or `raw`.

    Returns: (h, w), signed. Raises ValueError for another kind or `versus` without `other`.
    """
    if kind == "relative":
        return np.asarray(maps[c] - maps.mean(axis=0))
    if kind == "versus" and other is not None:
        return np.asarray(maps[c] - maps[other])
    if kind == "raw":
        return np.asarray(maps[c])
    raise ValueError(f"no contrast '{kind}' of class {c} with {other}; there are relative, versus (with other), raw")


def weigh(
    mask: FloatArray, seen: FloatArray | None, grid: tuple[int, ...], limits: Assessable = Assessable()
) -> LeakWeights:
    """Prepare a mask for maps on `grid`.

    Args:
        mask: (H, W) in [0, 1] in the frame of the network's input, 1 on the subject.
        seen: (H, W) in [0, 1], 0 where the input shows padding; None: everything is image.
        grid: (h, w) of the maps.
        limits: outside which the result carries a reason.

    Raises ValueError for mask and seen of different shapes.
    """
    values = np.asarray(mask, np.float64)
    shown = None if seen is None else np.asarray(seen, np.float64)
    other = values.shape if shown is None else shown.shape
    if values.ndim != 2 or values.shape != other:
        raise ValueError(f"mask {values.shape} and seen {other} must be of one shape (H, W)")
    # Most inputs are all image: what is the same for every mask is then taken once, as this runs for each image.
    total, seen_area = _all_seen(values.shape, grid) if shown is None else _partly_seen(shown, grid)
    animal = values if shown is None else values * shown
    down, across = _upsampling(values.shape[0], grid[0]), _upsampling(values.shape[1], grid[1])
    # What is seen and not subject is background: `Uᵀ(S − A) = UᵀS − UᵀA`, less what rounding leaves below nothing.
    wet = np.maximum(total - down.T @ animal @ across, 0)
    covered = float(animal.sum())
    area, chance = covered / max(seen_area, 1e-12), max(0.0, (seen_area - covered) / max(seen_area, 1e-12))
    floor = _ratio(_cell_mean(animal, grid), wet, total)
    cells = covered / animal.size * grid[0] * grid[1]
    return LeakWeights(wet, total, floor, chance, area, _unfit(area, cells, chance - floor, limits))


@functools.lru_cache(64)
def _all_seen(shape: tuple[int, ...], grid: tuple[int, ...]) -> tuple[NDArray[np.float64], float]:
    return _partly_seen(np.ones(shape), grid)


def _partly_seen(shown: NDArray[np.float64], grid: tuple[int, ...]) -> tuple[NDArray[np.float64], float]:
    """`Uᵀ S` on the grid, and the area that is seen, in pixels."""
    down, across = _upsampling(shown.shape[0], grid[0]), _upsampling(shown.shape[1], grid[1])
    return down.T @ shown @ across, float(shown.sum())


def background_share_of(maps: FloatArray, weights: LeakWeights) -> NDArray[np.float64]:
    """Share of each map's positive evidence on the background: 1 − relevance mass accuracy (Arras et al. 2022).

    Args:
        maps: (..., h, w), signed; all classes at once.

    Returns: (...), in [0, 1]; NaN where nothing is positive.
    """
    positive = np.maximum(np.asarray(maps, np.float64), 0)
    mass = np.einsum("...ij,ij->...", positive, weights.total)
    wet = np.einsum("...ij,ij->...", positive, weights.water)
    return np.asarray(np.divide(wet, mass, out=np.full_like(mass, np.nan), where=mass > 0))


def score(values: FloatArray, weights: LeakWeights) -> Score:
    """Score one signed map (h, w)."""
    if weights.reason is not None:
        return Score(UNTOLD, weights.floor, weights.chance, UNTOLD, weights.reason)
    share = float(background_share_of(values, weights))
    if np.isnan(share):
        return Score(UNTOLD, weights.floor, weights.chance, UNTOLD, NOTHING)
    attention_score = (share - weights.floor) / (weights.chance - weights.floor)
    return Score(share, weights.floor, weights.chance, attention_score, None)


def region_share(values: FloatArray, region: FloatArray) -> float:
    """Share of a map's positive evidence inside a region (H, W) in [0, 1], such as a fin; NaN where none is."""
    inside = weigh(region, None, np.asarray(values).shape)
    return 1 - float(background_share_of(values, inside))


@functools.lru_cache(64)
def _upsampling(size: int, cells: int) -> NDArray[np.float64]:
    """Bilinear upsampling (half-pixel centres, align_corners=False) along one side as a matrix (size, cells)."""
    centres = np.clip((np.arange(size) + 0.5) * cells / size - 0.5, 0, cells - 1)
    lower = np.floor(centres).astype(int)
    upper = np.minimum(lower + 1, cells - 1)
    matrix = np.zeros((size, cells))
    np.add.at(matrix, (np.arange(size), lower), 1 - (centres - lower))
    np.add.at(matrix, (np.arange(size), upper), centres - lower)
    return matrix


@functools.lru_cache(64)
def _averaging(size: int, cells: int) -> NDArray[np.float64]:
    """Exact area averaging along one side as a matrix (cells, size); rows sum to 1."""
    edges = np.arange(cells + 1) * size / cells
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.asarray(np.clip(overlap, 0, None) * cells / size)


def _cell_mean(values: NDArray[np.float64], grid: tuple[int, ...]) -> NDArray[np.float64]:
    return np.asarray(_averaging(values.shape[0], grid[0]) @ values @ _averaging(values.shape[1], grid[1]).T)


def _ratio(cells: NDArray[np.float64], wet: NDArray[np.float64], total: NDArray[np.float64]) -> float:
    mass = float((cells * total).sum())
    return float((cells * wet).sum()) / mass if mass > 0 else 1.0


def _unfit(area: float, cells: float, spread: float, limits: Assessable) -> str | None:
    """Why a mask cannot be assessed: `area` of the image, `cells` of the grid, `spread` from perfect to flat."""
    if area <= 0:
        return "mask is empty"
    if cells < 1 - ROUNDING:
        return "subject smaller than one cell"
    if area > limits.max_area + ROUNDING:
        return f"subject covers over {percent(limits.max_area)} of the image"
    if spread < limits.min_spread:
        return "too little between a perfect and a flat map"
    return None
