"""The animals of the demo pictures: outline, pattern and light by species, marks by individual."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from whalecam.demo.sea import noise_tile, sample

Points = NDArray[np.float64]
Field = NDArray[np.float32]
Colour = tuple[float, float, float]


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
    back: Colour
    flank: Colour
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
    """What makes one animal itself, the same on each of its pictures."""

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


def skin(who: Individual, area: Field, u: Field, v: Field, light: float) -> NDArray[np.float32]:
    """Colours of the body, (H, W, 3).

    Args:
        area: silhouette.
        u: along the body, 0 tail to 1 head; v: up from the waterline in shares of the length.
        light: overall brightness of the scene.
    """
    build = BUILDS[who.species]
    up = np.clip(v / (build.arch * 1.1), 0, 1)[..., None]
    colour = np.array(build.flank) * (1 - up) + np.array(build.back) * up
    tile = noise_tile(20 + who.marks % 8, 1.5)
    blotch = sample(tile, u * 300 + who.marks % 512, v * 420 + who.marks % 311)[..., None]
    colour = colour * who.tone * (1 + 0.16 * build.mottle * blotch)
    if who.species in PATTERNS:
        colour = PATTERNS[who.species](who, colour, u, v)
    return np.asarray(_lit(colour, area, light), np.float32)


def _orca(who: Individual, colour: Field, u: Field, v: Field) -> Field:
    """White eye patch, grey saddle behind the fin."""
    jitter = (who.marks % 100) / 100 - 0.5
    patch = _blob(u, v, 0.845 + 0.01 * jitter, 0.055, 0.055, 0.018, -0.25)
    saddle = _blob(u, v, 0.36 + 0.02 * jitter, 0.115, 0.075 + 0.02 * jitter, 0.03, 0.3)
    colour = colour * (1 - patch) + 0.9 * patch
    return np.asarray(colour * (1 - 0.8 * saddle) + 0.42 * 0.8 * saddle, np.float32)


def _dolphin(who: Individual, colour: Field, u: Field, v: Field) -> Field:
    """A dark cape over paler flanks."""
    edge = 0.10 + 0.03 * np.sin(u * 5 + who.marks % 6)
    cape = 1 / (1 + np.exp(np.clip((edge - v) * 90, -50, 50)))[..., None]
    return np.asarray(colour * (1.12 - 0.34 * cape), np.float32)


def _humpback(who: Individual, colour: Field, u: Field, v: Field) -> Field:
    """Pale scars and barnacles, the animal's own."""
    rng = np.random.default_rng(who.marks)
    for _ in range(int(rng.integers(8, 16))):
        size = rng.uniform(0.004, 0.014)
        spot = _blob(
            u, v, rng.uniform(0.3, 0.95), rng.uniform(0.01, 0.13), size * rng.uniform(1, 3), size, rng.normal()
        )
        colour = colour * (1 - 0.6 * spot) + 0.62 * 0.6 * spot
    return np.asarray(colour, np.float32)


PATTERNS: Mapping[str, Callable[[Individual, Field, Field, Field], Field]] = {
    "killer_whale": _orca,
    "bottlenose_dolphin": _dolphin,
    "humpback_whale": _humpback,
}


def _blob(u: Field, v: Field, x: float, y: float, wide: float, high: float, turn: float) -> Field:
    """A soft ellipse on the body, (H, W, 1) in [0, 1]."""
    across, up = u - x, v - y
    a, b = across * np.cos(turn) + up * np.sin(turn), up * np.cos(turn) - across * np.sin(turn)
    return np.asarray(1 / (1 + np.exp(np.clip((np.hypot(a / wide, b / high) - 1) * 9, -50, 50))), np.float32)[..., None]


def _lit(colour: Field, area: Field, light: float) -> Field:
    """Round the flat shape: light from above, a wet highlight along the back, darkness at the waterline."""
    inside = (area > 0.5).astype(np.uint8)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    radius = max(float(depth.max()), 1.0)
    bulge = np.sqrt(np.clip(1 - (1 - np.clip(depth / radius, 0, 1)) ** 2, 0, 1)).astype(np.float32)
    bulge = cv2.GaussianBlur(bulge, (0, 0), max(1.0, radius / 9))
    lean = np.gradient(bulge, axis=0) * radius
    shade = 0.86 + 0.3 * np.clip(lean, -1.0, 1.2)
    shine = np.clip(lean - 0.2, 0, 1) ** 2 * 0.22
    return np.asarray(colour * (shade * light)[..., None] + (shine * light)[..., None] * np.array([0.9, 0.96, 1.0]))
