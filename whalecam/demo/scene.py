"""One demo image: an animal in the sea, seen through a camera."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from whalecam.demo.animals import BUILDS, Individual, outline, silhouette, skin
from whalecam.demo.sea import Water, Weather, draw_sea, draw_weather, noise_tile, sample

Field = NDArray[np.float32]
Place = tuple[slice, slice]
FINER = 2
HIGHEST = 0.3
"""Where the horizon is planted, the animal is placed below the highest, so that it stays where it is without one."""
WASH_ASIDE, WASH_BELOW = 0.13, 0.08
"""How far the foam reaches beyond the animal's outline, in shares of its length."""


@dataclass(frozen=True)
class Pose:
    """Where the animal lies: middle and waterline in pixels, length in pixels, its heading (±1), its tilt (radians)."""

    x: float
    y: float
    length: float
    heading: int
    tilt: float


def draw_scene(
    who: Individual, water: Water, rng: np.random.Generator, width: int, *, height: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A photograph (H, W, 3) and its mask (H, W), 255 on the animal above the water; both uint8."""
    w, h = width * FINER, height * FINER
    weather = draw_weather(rng, water)
    scene, slope = draw_sea(rng, weather, w, h)
    pose = _pose(who, HIGHEST if water.horizon else weather.horizon, rng, w, h)
    place, points = _surroundings(_placed(outline(who), pose), pose, w, h)
    u, v = _body_coordinates(pose, place)
    swell = _waterline(rng, u, pose, weather)
    area = silhouette(points, *reversed(u.shape)) * np.clip((v - swell) * (pose.length / FINER) + 0.5, 0, 1)
    body = skin(who, area, u, v, light=weather.light)
    _reflect(scene, body, area, place, slope, pose, weather)
    here = scene[:, *place]
    here += area * (body - here)
    _foam(here, area, u, v - swell, rng, weather)
    return developed(scene, rng, weather, width=width, height=height), _shrunk(area, place, width, height)


def _pose(who: Individual, horizon: float, rng: np.random.Generator, w: int, h: int) -> Pose:
    """Somewhere on the water, big enough to be judged, whole more often than not."""
    build = BUILDS[who.species]
    length = float(rng.uniform(0.78, 1.2)) * w
    tall = length * (build.arch + build.fin)
    if tall > 0.7 * h:
        length *= 0.7 * h / tall
    top = max(horizon, 0.0) * h + 0.05 * h
    tall = length * (build.arch + build.fin)
    low = min(top + 0.5 * tall + 0.12 * h, 0.8 * h)
    y = float(rng.uniform(max(low, tall + 0.04 * h), max(0.84 * h, low + 1)))
    spare = abs(w - length) / 2 + 0.08 * w
    return Pose(
        w / 2 + float(rng.uniform(-spare, spare)) * 0.7, y, length, int(rng.choice([-1, 1])), float(rng.normal(0, 0.05))
    )


def _surroundings(points: NDArray[np.float64], pose: Pose, w: int, h: int) -> tuple[Place, NDArray[np.float64]]:
    """Rows and columns of the animal with its wash, outside of which only its reflection is seen.

    Returns: the place, and the outline in pixels from its corner.
    """
    margin = np.array([WASH_ASIDE, WASH_BELOW]) * pose.length
    first = np.clip(np.floor(points.min(axis=0) - margin), 0, (w - 2, h - 2)).astype(int)
    last = np.clip(np.ceil(points.max(axis=0) + margin), first + 2, (w, h)).astype(int)
    (left, above), (right, below) = first.tolist(), last.tolist()
    return (slice(above, below), slice(left, right)), points - first


def _body_coordinates(pose: Pose, place: Place) -> tuple[Field, Field]:
    """Each pixel along the body (0 tail, 1 head) and up from the waterline, in shares of the length."""
    rows, columns = (np.arange(part.start, part.stop, dtype=np.float64) for part in place)
    dx, dy = (columns - pose.x) * pose.heading / pose.length, (pose.y - rows)[:, None] / pose.length
    along, up = dx * np.cos(pose.tilt) + 0.5, -dx * np.sin(pose.tilt)
    u = along.astype(np.float32) + (dy * np.sin(pose.tilt)).astype(np.float32)
    return u, up.astype(np.float32) + (dy * np.cos(pose.tilt)).astype(np.float32)


def _placed(points: NDArray[np.float64], pose: Pose) -> NDArray[np.float64]:
    """An outline in pixels, closed below the waterline."""
    closed = np.concatenate([points, [[1.0, -0.04], [0.0, -0.04]]])
    along, up = (closed[:, 0] - 0.5) * pose.length, closed[:, 1] * pose.length
    dx = along * np.cos(pose.tilt) - up * np.sin(pose.tilt)
    dy = along * np.sin(pose.tilt) + up * np.cos(pose.tilt)
    return np.stack([pose.x + dx * pose.heading, pose.y - dy], axis=1)


def _waterline(rng: np.random.Generator, u: Field, pose: Pose, weather: Weather) -> Field:
    """How high the water stands along the body, in shares of its length: small waves and its own wash."""
    start = float(rng.uniform(0, 512))
    waves = sample(noise_tile(int(rng.integers(8)), 1.5), u * 90 + start, np.full_like(u, start))
    ends = 0.02 * np.exp(-((np.minimum(u, 1 - u) / 0.12) ** 2))
    return np.asarray(0.012 + 0.007 * weather.chop * waves + ends, np.float32)


def _reflect(scene: Field, body: Field, area: Field, place: Place, slope: Field, pose: Pose, weather: Weather) -> None:
    """Draw the body mirrored in the water before it, broken up by the waves."""
    rows, columns = place
    wobble = slope[:, columns] * np.float32(pose.length * 0.012)
    level, most = 2 * pose.y - 0.02 * pose.length, 1.5 * float(np.abs(wobble).max()) + 1
    seen = slice(max(int(level - rows.stop - most), 0), max(int(level - rows.start + most), 0))
    here, wobble = scene[:, seen, columns], wobble[seen]
    y = np.arange(scene.shape[1], dtype=np.float32)[seen, None]
    sources = (
        wobble + np.arange(wobble.shape[1], dtype=np.float32),
        wobble * np.float32(1.5) + (np.float32(level - rows.start) - y),
    )
    blurred = cv2.GaussianBlur(cv2.merge([area, *(body * area)]), (0, 0), 3.0)
    ghost, *colors = cv2.split(cv2.remap(blurred, *sources, cv2.INTER_LINEAR))
    fade = np.exp(np.clip(y - pose.y, 0, None) / (-0.11 * pose.length))
    alpha, scale = ghost * (fade * (0.5 / (0.7 + 0.5 * weather.chop))), 0.7 / np.maximum(ghost, 0.05)
    for plane, color, water in zip(here, colors, weather.water, strict=True):
        plane += alpha * (color * scale + (0.3 * water) - plane)


def _foam(scene: Field, area: Field, u: Field, above: Field, rng: np.random.Generator, weather: Weather) -> None:
    """Draw white water where the body parts the sea, ragged, more at the head."""
    start = float(rng.uniform(0, 512))
    tile = noise_tile(int(rng.integers(8, 12)), 1.0)
    ragged = sample(tile, u * 420 + start, above * 700 + start)
    inside = np.exp(-((np.clip(np.minimum(u + 0.02, 1.03 - u), None, 0) / 0.03) ** 2))
    thickness = (0.008 + 0.010 * np.clip(u, 0, 1) ** 2) * (0.5 + 0.5 * weather.chop)
    band = np.exp(-((above / thickness) ** 2)) * inside * (0.35 + 0.65 * (area > 0))
    amount = np.clip(band * (0.55 + 0.55 * ragged), 0, 0.9)
    for plane, white in zip(scene, (0.88, 0.92, 0.94), strict=True):
        plane += amount * (white * weather.light - plane)


def developed(
    scene: Field, rng: np.random.Generator, weather: Weather, *, width: int, height: int
) -> NDArray[np.uint8]:
    """Lens and sensor: blur, vignette, tone curve, color cast, grain."""
    blur = float(rng.uniform(0.6, 1.7))
    planes = [cv2.GaussianBlur(plane, (0, 0), blur) for plane in scene]
    small = cv2.merge([cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA) for plane in planes])
    x, y = (np.arange(length, dtype=np.float32) / length - 0.5 for length in (width, height))
    away = x**2 + (y**2)[:, None]
    small *= ((1 - rng.uniform(0.1, 0.5) * away) * weather.light)[..., None]
    small = cv2.pow(np.clip(small, 0, None), rng.uniform(0.78, 0.92))
    small = small * rng.normal(1, 0.015, 3) + rng.uniform(0, 0.03)
    small += rng.normal(0, rng.uniform(0.006, 0.02), small.shape)
    return np.asarray(np.clip(small, 0, 1) * 255, np.uint8)


def _shrunk(area: Field, place: Place, width: int, height: int) -> NDArray[np.uint8]:
    whole = np.zeros((height * FINER, width * FINER), np.float32)
    whole[place] = area
    small = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray((small > 0.5) * 255, np.uint8)
