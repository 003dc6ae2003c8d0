"""The animals of the demo images: outline, pattern and light by species, marks by individual."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from whalecam.demo.sea import noise_tile, sample

Points = NDArray[np.float64]
Field = NDArray[np.float32]
Color = tuple[float, float, float]
SOFT_EDGE = 3.5
"""Half axes from the middle of a spot beyond which it adds less than a billionth."""


@dataclass(frozen=True)
class Build:
    """How a species looks at the surface, in shares of the body's visible length.

    Attributes:
        arch: height of the back; `peak` its place from the tail (0) to the head (1).
        fin: height of the dorsal fin, 0 for none; `fin_at` its place, `fin_width` its base, `sweep` its lean.
        back, flank: colours, top and waterline.
        mottle: strength of blotches.
    """

    arch: float
    peak: float
    fin: float
    fin_at: float
    fin_width: float
    sweep: float
    back: Color
    flank: Color
    mottle: float


BUILDS: Mapping[str, Build] = {
    "killer_whale": Build(0.17, 0.55, 0.34, 0.50, 0.15, 0.35, (0.035, 0.04, 0.05), (0.07, 0.08, 0.09), 0.1),
    "humpback_whale": Build(0.15, 0.58, 0.075, 0.36, 0.17, 0.7, (0.10, 0.115, 0.135), (0.17, 0.19, 0.21), 0.8),
    "beluga": Build(0.17, 0.56, 0.0, 0.5, 0.1, 0.0, (0.93, 0.94, 0.93), (0.84, 0.87, 0.87), 0.15),
    "bottlenose_dolphin": Build(0.19, 0.55, 0.17, 0.50, 0.17, 0.95, (0.29, 0.32, 0.36), (0.55, 0.57, 0.58), 0.2),
    "fin_whale": Build(0.13, 0.60, 0.085, 0.27, 0.10, 1.0, (0.25, 0.27, 0.30), (0.36, 0.38, 0.40), 0.2),
    "sei_whale": Build(0.13, 0.60, 0.085, 0.28, 0.10, 1.0, (0.25, 0.27, 0.30), (0.36, 0.38, 0.40), 0.2),
}


@dataclass(frozen=True)
class Individual:
    """What makes one animal itself, the same on each of its images."""

    species: str
    tone: float
    fin_scale: float
    lean: float
    nick: float
    nick_depth: float
    marks: int


def draw_individual(species: str, rng: np.random.Generator) -> Individual:
    """An animal with its own tone, fin and marks."""
    nicked = rng.random() < 0.6
    return Individual(
        species,
        float(rng.normal(1, 0.07)),
        float(rng.normal(1, 0.12)),
        float(rng.normal(0, 0.12)),
        float(rng.uniform(0.3, 0.85)),
        float(rng.uniform(0.15, 0.4)) if nicked else 0.0,
        int(rng.integers(1 << 30)),
    )


def outline(who: Individual) -> Points:
    """The back above the water from tail to head, x in [0, 1], y up in shares of the length; (n, 2)."""
    build = BUILDS[who.species]
    x = np.linspace(0, 1, 160)
    left, right = x / build.peak, (1 - x) / (1 - build.peak)
    side = np.where(x < build.peak, left, right)
    y = build.arch * np.sin(np.clip(side, 0, 1) * np.pi / 2) ** np.where(x < build.peak, 1.05, 0.62)
    if who.species == "humpback_whale":
        y += 0.006 * np.sin(x * 70 + who.marks % 7) * (x > 0.1) * (x < 0.4) * np.sin(side * np.pi / 2)
    points = np.stack([x, y], axis=1)
    return _with_fin(points, who, build) if build.fin else points


def _with_fin(points: Points, who: Individual, build: Build) -> Points:
    """Set the dorsal fin on the back: a leading edge that leans back, a hollow trailing edge, nicks."""
    start, end = build.fin_at - build.fin_width / 2, build.fin_at + build.fin_width / 2
    base = np.interp([start, end], points[:, 0], points[:, 1])
    height = build.fin * who.fin_scale
    tip = np.array([end - build.fin_width * (0.5 + 0.55 * build.sweep + who.lean), max(base) + height])
    t = np.linspace(0, 1, 40)[:, None]
    rise = _curve(np.array([end, base[1]]), np.array([end - 0.22 * build.fin_width, base[1] + 0.62 * height]), tip, t)
    hollow = np.array([start + 0.42 * build.fin_width * (1 - 0.4 * build.sweep), base[0] + 0.38 * height])
    fall = _curve(tip, hollow, np.array([start, base[0]]), t)
    if who.nick_depth:
        bite = who.nick_depth * np.exp(-(((t - who.nick) / 0.06) ** 2))
        fall[:, :1] += bite * build.fin_width * 0.55
    before, after = points[points[:, 0] < start], points[points[:, 0] > end]
    return np.concatenate([before, fall[::-1], rise[::-1], after])


def _curve(a: Points, b: Points, c: Points, t: Points) -> Points:
    return np.asarray((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c)


def silhouette(points: Points, width: int, height: int) -> Field:
    """Fill an outline given in pixels, with soft edges; float32 (H, W) in [0, 1]."""
    area = np.zeros((height, width), np.uint8)
    cv2.fillPoly(area, [np.round(points * 16).astype(np.int32)], 255, lineType=cv2.LINE_AA, shift=4)
    return np.asarray(area, np.float32) / np.float32(255)


def skin(who: Individual, area: Field, u: Field, v: Field, *, light: float) -> Field:
    """Colors of the body, as planes: (3, H, W).

    Args:
        area: silhouette.
        u: along the body, 0 tail to 1 head; v: up from the waterline in shares of the length.
        light: overall brightness of the scene.
    """
    build = BUILDS[who.species]
    up = np.clip(v / (build.arch * 1.1), 0, 1)
    tile = noise_tile(20 + who.marks % 8, 1.5)
    blotch = sample(tile, u * 300 + who.marks % 512, v * 420 + who.marks % 311)
    tone = who.tone * (1 + 0.16 * build.mottle * blotch)
    colors = zip(build.flank, build.back, strict=True)
    color = np.stack([(flank + (back - flank) * up) * tone for flank, back in colors])
    if who.species in PATTERNS:
        color = PATTERNS[who.species](who, color, u, v)
    return _lit(color, area, light)


def _orca(who: Individual, color: Field, u: Field, v: Field) -> Field:
    """White eye patch, grey saddle behind the fin."""
    jitter = (who.marks % 100) / 100 - 0.5
    _blob(color, u, v, Spot(0.845 + 0.01 * jitter, 0.055, 0.055, 0.018, -0.25), 0.9, 1.0)
    _blob(color, u, v, Spot(0.36 + 0.02 * jitter, 0.115, 0.075 + 0.02 * jitter, 0.03, 0.3), 0.42, 0.8)
    return color


def _dolphin(who: Individual, color: Field, u: Field, v: Field) -> Field:
    """A dark cape over paler flanks."""
    edge = 0.10 + 0.03 * np.sin(u * 5 + who.marks % 6)
    cape = 1 / (1 + np.exp(np.clip((edge - v) * 90, -50, 50)))
    return np.asarray(color * (1.12 - 0.34 * cape), np.float32)


def _humpback(who: Individual, color: Field, u: Field, v: Field) -> Field:
    """Pale scars and barnacles, the animal's own."""
    rng = np.random.default_rng(who.marks)
    for _ in range(int(rng.integers(8, 16))):
        size = rng.uniform(0.004, 0.014)
        spot = Spot(
            rng.uniform(0.3, 0.95), rng.uniform(0.01, 0.13), size * rng.uniform(1, 3), size, float(rng.normal())
        )
        _blob(color, u, v, spot, 0.62, 0.6)
    return color


PATTERNS: Mapping[str, Callable[[Individual, Field, Field, Field], Field]] = {
    "killer_whale": _orca,
    "bottlenose_dolphin": _dolphin,
    "humpback_whale": _humpback,
}


@dataclass(frozen=True)
class Spot:
    """A soft ellipse on the body: its middle, its half axes, and its turn in radians; lengths in shares of the body."""

    x: float
    y: float
    wide: float
    high: float
    turn: float


def _blob(color: Field, u: Field, v: Field, spot: Spot, grey: float, strength: float) -> None:
    """Draw a spot of one grey into the colors, where it can be seen at all."""
    place = _around(u, v, spot)
    across, up = u[place] - np.float32(spot.x), v[place] - np.float32(spot.y)
    cos, sin = math.cos(spot.turn), math.sin(spot.turn)
    a, b = across * cos + up * sin, up * cos - across * sin
    edge = np.clip((np.hypot(a / spot.wide, b / spot.high) - 1) * 9, -50, 50)
    amount = strength / (1 + np.exp(edge))
    for plane in color:
        plane[place] += (grey - plane[place]) * amount


def _around(u: Field, v: Field, spot: Spot) -> tuple[slice, slice]:
    """The rows and columns of a spot with its soft edge. `u` and `v` grow evenly along rows and columns."""
    rows, columns = (length - 1 for length in u.shape)
    along = np.array([[u[-1, 0] - u[0, 0], u[0, -1] - u[0, 0]], [v[-1, 0] - v[0, 0], v[0, -1] - v[0, 0]]], np.float64)
    along /= (rows, columns)
    middle = np.linalg.solve(along, (spot.x - float(u[0, 0]), spot.y - float(v[0, 0])))
    reach = SOFT_EDGE * max(spot.wide, spot.high) / math.sqrt(abs(np.linalg.det(along))) + 1
    first, last = np.maximum(middle - reach, 0).astype(int), np.maximum(middle + reach + 1, 0).astype(int)
    return slice(first[0], last[0]), slice(first[1], last[1])


def _lit(color: Field, area: Field, light: float) -> Field:
    """Round the flat shape: light from above, a wet highlight along the back, darkness at the waterline."""
    inside = (area > 0.5).astype(np.uint8)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    radius = max(float(depth.max()), 1.0)
    bulge = np.sqrt(np.clip(1 - (1 - np.clip(depth / radius, 0, 1)) ** 2, 0, 1)).astype(np.float32)
    bulge = cv2.GaussianBlur(bulge, (0, 0), max(1.0, radius / 9))
    lean = np.gradient(bulge, axis=0) * radius
    shade = (0.86 + 0.3 * np.clip(lean, -1.0, 1.2)) * light
    shine = np.clip(lean - 0.2, 0, 1) ** 2 * (0.22 * light)
    return np.stack([plane * shade + shine * tint for plane, tint in zip(color, (0.9, 0.96, 1.0), strict=True)])
