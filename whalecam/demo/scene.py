"""One demo picture: an animal in the sea, seen through a camera."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from whalecam.demo.animals import BUILDS, Individual, outline, silhouette, skin
from whalecam.demo.sea import Water, Weather, draw_sea, draw_weather, noise_tile, sample

Field = NDArray[np.float32]
FINER = 2
HIGHEST = 0.3
"""Where the horizon is planted, the animal is placed below the highest, so that it stays where it is without one."""


@dataclass(frozen=True)
class Pose:
    """Where the animal lies: middle and waterline in pixels, length in pixels, its heading (±1), its tilt (radians)."""

    x: float
    y: float
    length: float
    heading: int
    tilt: float


def draw_scene(
    who: Individual, water: Water, rng: np.random.Generator, width: int, height: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A photograph (H, W, 3) and its mask (H, W), 255 on the animal above the water; both uint8."""
    w, h = width * FINER, height * FINER
    weather = draw_weather(rng, water)
    scene, slope = draw_sea(rng, weather, w, h)
    pose = _pose(who, HIGHEST if water.horizon else weather.horizon, rng, w, h)
    u, v = _body_coordinates(pose, w, h)
    swell = _waterline(rng, u, pose, weather)
    area = silhouette(_placed(outline(who), pose), w, h) * np.clip((v - swell) * pose.length / FINER + 0.5, 0, 1)
    body = skin(who, area, u, v, weather.light)
    scene = _reflected(scene, body, area, slope, pose, weather)
    scene = scene * (1 - area[..., None]) + body * area[..., None]
    scene = _foam(scene, area, u, v - swell, rng, weather)
    return _developed(scene, rng, weather, width, height), _shrunk(area, width, height)


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


def _body_coordinates(pose: Pose, w: int, h: int) -> tuple[Field, Field]:
    """Each pixel along the body (0 tail, 1 head) and up from the waterline, in shares of the length."""
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    dx, dy = (x - pose.x) * pose.heading, pose.y - y
    along = dx * np.cos(pose.tilt) + dy * np.sin(pose.tilt)
    up = dy * np.cos(pose.tilt) - dx * np.sin(pose.tilt)
    return np.asarray(along / pose.length + 0.5, np.float32), np.asarray(up / pose.length, np.float32)


def _placed(points: NDArray[np.float64], pose: Pose) -> NDArray[np.float64]:
    """An outline in pixels, closed below the waterline."""
    closed = np.concatenate([points, [[1.0, -0.04], [0.0, -0.04]]])
    along, up = (closed[:, 0] - 0.5) * pose.length, closed[:, 1] * pose.length
    dx = along * np.cos(pose.tilt) - up * np.sin(pose.tilt)
    dy = along * np.sin(pose.tilt) + up * np.cos(pose.tilt)
    return np.stack([pose.x + dx * pose.heading, pose.y - dy], axis=1)


def _waterline(rng: np.random.Generator, u: Field, pose: Pose, weather: Weather) -> Field:
    """How high the water stands along the body, in shares of its length: small waves and its own wash."""
    start = rng.uniform(0, 512)
    flat = np.zeros_like(u)
    waves = sample(noise_tile(int(rng.integers(8)), 1.5), u * 90 + start, flat + start)
    ends = 0.02 * np.exp(-((np.minimum(u, 1 - u) / 0.12) ** 2))
    return np.asarray(0.012 + 0.007 * weather.chop * waves + ends, np.float32)


def _reflected(scene: Field, body: Field, area: Field, slope: Field, pose: Pose, weather: Weather) -> Field:
    """The body mirrored in the water before it, broken up by the waves."""
    h, w = area.shape
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    wobble = slope * pose.length * 0.012
    sources = (x + wobble, 2 * pose.y - y + wobble * 1.5 - 0.02 * pose.length)
    ghost = cv2.remap(cv2.GaussianBlur(area, (0, 0), 3.0), *sources, cv2.INTER_LINEAR)
    colours = cv2.remap(cv2.GaussianBlur(body * area[..., None], (0, 0), 3.0), *sources, cv2.INTER_LINEAR)
    fade = np.exp(-np.clip(y - pose.y, 0, None) / (0.11 * pose.length))
    alpha = (0.5 * ghost * fade / (0.7 + 0.5 * weather.chop))[..., None]
    dark = colours / np.maximum(ghost, 0.05)[..., None] * 0.7 + np.array(weather.water, np.float32) * 0.3
    return np.asarray(scene * (1 - alpha) + dark * alpha, np.float32)


def _foam(scene: Field, area: Field, u: Field, above: Field, rng: np.random.Generator, weather: Weather) -> Field:
    """White water where the body parts the sea, ragged, more at the head."""
    start = rng.uniform(0, 512)
    ragged = sample(noise_tile(int(rng.integers(8, 12)), 1.0), u * 420 + start, above * 700 + start)
    inside = np.exp(-((np.clip(np.minimum(u + 0.02, 1.03 - u), None, 0) / 0.03) ** 2))
    thickness = (0.008 + 0.010 * np.clip(u, 0, 1) ** 2) * (0.5 + 0.5 * weather.chop)
    band = np.exp(-((above / thickness) ** 2)) * inside * (0.35 + 0.65 * (area > 0))
    amount = np.clip(band * (0.55 + 0.55 * ragged), 0, 0.9)[..., None]
    white = np.array([0.88, 0.92, 0.94], np.float32) * weather.light
    return np.asarray(scene * (1 - amount) + white * amount, np.float32)


def _developed(scene: Field, rng: np.random.Generator, weather: Weather, width: int, height: int) -> NDArray[np.uint8]:
    """Lens and sensor: blur, vignette, tone curve, colour cast, grain."""
    blurred = cv2.GaussianBlur(scene, (0, 0), float(rng.uniform(0.6, 1.7)))
    small = cv2.resize(blurred * weather.light, (width, height), interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    away = ((x / width - 0.5) ** 2 + (y / height - 0.5) ** 2)[..., None]
    small = small * (1 - rng.uniform(0.1, 0.5) * away)
    small = np.clip(small, 0, None) ** rng.uniform(0.78, 0.92)
    small = small * rng.normal(1, 0.015, 3) + rng.uniform(0, 0.03)
    small += rng.normal(0, rng.uniform(0.006, 0.02), small.shape)
    return np.asarray(np.clip(small, 0, 1) * 255, np.uint8)


def _shrunk(area: Field, width: int, height: int) -> NDArray[np.uint8]:
    small = cv2.resize(area, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray((small > 0.5) * 255, np.uint8)
