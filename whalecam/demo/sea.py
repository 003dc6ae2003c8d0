"""Water and sky of the demo pictures: waves in perspective, light, haze, foam."""

import functools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]
TILE = 512
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Water:
    """A kind of water: its colour as shares of red, green and blue, and what drifts on it or shines through.

    `horizon` is where it stands (least, most), as share of the height, negative where the camera looks down; None: any.
    """

    colour: Colour
    streaks: float = 0.0
    caustics: float = 0.0
    horizon: tuple[float, float] | None = None


OCEAN, SLATE = Water((0.09, 0.24, 0.42)), Water((0.24, 0.30, 0.36))
SILT, LAGOON = Water((0.33, 0.34, 0.15), streaks=1.0), Water((0.12, 0.50, 0.48), caustics=0.6)
"""Open ocean, overcast ocean; a silty coast with wind streaks, a shallow lagoon with a net of light."""


@dataclass(frozen=True)
class Weather:
    """One scene's light and water. `horizon` as share of the height, negative where the camera looks down."""

    water: Colour
    kind: Water
    sky: Colour
    horizon: float
    chop: float
    glare: float
    sun: float
    light: float


@functools.cache
def noise_tile(seed: int, slope: float = 1.6, longest: float = TILE) -> Picture:
    """Noise of spectrum 1/f^slope that repeats without a seam, mean 0, deviation 1, (TILE, TILE).

    Waves longer than `longest` pixels are left out, so that a sea has crests and no clouds of light.
    """
    rng = np.random.default_rng(seed)
    fy, fx = np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None, :]
    strength = np.hypot(fy, fx)
    strength[0, 0] = 1
    wave = rng.normal(size=strength.shape) + 1j * rng.normal(size=strength.shape)
    kept = 1 - np.exp(-((strength * longest) ** 4)) if longest < TILE else 1.0
    field = np.fft.irfft2(wave / strength**slope * kept, (TILE, TILE))
    field -= field.mean()
    return np.asarray(field / field.std(), np.float32)


def sample(tile: Picture, u: Picture, v: Picture) -> Picture:
    """Read a tile at wrapped coordinates."""
    x, y = _wrapped(u), _wrapped(v)
    return np.asarray(cv2.remap(tile, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)


def _wrapped(place: Picture) -> Picture:
    """As np.mod to the last bit, since TILE is a power of two, and twenty times quicker."""
    return np.asarray(place - np.floor(place / TILE) * TILE, np.float32)


def draw_weather(rng: np.random.Generator, water: Water) -> Weather:
    """A random sky and sea state over a given kind of water."""
    dull = rng.random()
    sky = (0.62 + 0.2 * dull, 0.73 + 0.1 * dull, 0.90 - 0.04 * dull)
    tone = rng.uniform(0.8, 1.2)
    mixed = tuple(float(np.clip(c * tone + rng.normal(0, 0.012), 0.02, 0.9)) for c in water.colour)
    horizon = float(rng.choice([rng.uniform(0.06, 0.3), rng.uniform(-0.7, -0.15)], p=[0.6, 0.4]))
    if water.horizon is not None:  # no further random number, so that another water leaves the rest of a scene alone
        horizon = float(np.interp(tone, (0.8, 1.2), water.horizon))
    return Weather(
        (mixed[0], mixed[1], mixed[2]),
        water,
        sky,
        horizon,
        float(rng.uniform(0.5, 1.5)),
        float(rng.beta(1.2, 3)),
        float(rng.uniform(0.1, 0.9)),
        float(rng.uniform(0.82, 1.12)),
    )


def draw_sea(rng: np.random.Generator, weather: Weather, width: int, height: int) -> tuple[Picture, Picture]:
    """The scene without an animal: (picture (H, W, 3) in [0, 1], wave slope (H, W) that displaces reflections)."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    line = weather.horizon * height + rng.uniform(-0.03, 0.03) * (x - width / 2)
    below = np.maximum(y - line, 0.5) / height
    depth = 0.09 / (below + 0.012)
    across = (x - width / 2) / height * depth
    slope = _slope(rng, across, depth, below, weather)
    far = np.exp(-below / 0.16)
    fresnel = np.clip(0.13 + 0.45 * far - 0.11 * slope, 0, 0.92)[..., None]
    sky = np.array(weather.sky, np.float32) * 0.86
    deep = np.array(weather.water, np.float32) * (1 + 0.2 * slope[..., None].clip(-1.8, 1.8))
    sea = deep * (1 - fresnel) + sky * fresnel * 0.92
    sea += _glints(rng, x / width, slope, far, weather)[..., None]
    sea += _whitecaps(rng, across, depth, slope, weather)[..., None] * np.array([0.9, 0.94, 0.96], np.float32)
    sea = _drifting(rng, sea, across, depth, far, weather.kind)
    picture = np.where((y < line)[..., None], _sky(rng, weather, x, y, line, height), sea)
    return np.asarray(_softened_horizon(picture, y, line), np.float32), slope


def _slope(rng: np.random.Generator, across: Picture, depth: Picture, below: Picture, weather: Weather) -> Picture:
    """How much each facet leans towards the viewer: swell, waves and ripples, finer towards the horizon."""
    total = np.zeros_like(across)
    turn = rng.uniform(-0.5, 0.5)
    for scale, stretch, weight in ((420, 2.6, 0.5), (1100, 2.3, 0.55), (2900, 2.0, 0.5), (7500, 1.7, 0.34)):
        tile = noise_tile(int(rng.integers(8)), 2.0, 72)
        start = rng.uniform(0, TILE, 2)
        u, v = across * scale * 0.5 + depth * scale * turn + start[0], depth * scale * stretch + start[1]
        # Waves thinner than a pixel average out; without this the horizon would shimmer.
        footprint = np.abs(np.gradient(v, axis=0)) / 14
        total += weight * sample(tile, u, v) / (1 + footprint**1.6)
    return np.asarray(total * weather.chop, np.float32)


def _glints(rng: np.random.Generator, x: Picture, slope: Picture, far: Picture, weather: Weather) -> Picture:
    """Sun on facets that lean the right way, in a lane under the sun."""
    lane = np.exp(-(((x - weather.sun) / 0.28) ** 2))
    sparkle = np.clip(slope - 1.0 + 0.35 * rng.random(slope.shape, np.float32), 0, 1.5) ** 2
    return np.asarray(weather.glare * lane * (0.9 * sparkle + 0.25 * far), np.float32)


def _whitecaps(rng: np.random.Generator, across: Picture, depth: Picture, slope: Picture, weather: Weather) -> Picture:
    """Foam on the highest crests of a choppy sea."""
    patch = sample(noise_tile(int(rng.integers(8, 12)), 1.2), across * 60 + 40, depth * 110 + 90)
    ragged = np.clip((slope - 2.6) * 0.8 + 0.2 * patch * (slope > 2.0), 0, 1)
    return np.asarray(0.75 * ragged, np.float32)


def _drifting(
    rng: np.random.Generator, sea: Picture, across: Picture, depth: Picture, far: Picture, kind: Water
) -> Picture:
    """Wind streaks of foam and silt, or the net of light on a shallow ground."""
    start = rng.uniform(0, TILE, 2)
    if kind.streaks:
        lines = sample(noise_tile(30, 1.3, 60), across * 260 + depth * 60 + start[0], depth * 4200 + start[1])
        amount = (0.5 * np.clip(lines - 0.35, 0, 1.4))[..., None]
        sea = sea * (1 - amount) + np.array([0.72, 0.70, 0.52], np.float32) * amount
    if kind.caustics:
        net = sample(noise_tile(31, 1.5, 90), across * 1300 + start[0], depth * 2900 + start[1])
        amount = (0.5 * np.exp(-np.abs(net) * 4.5) * (1 - 0.8 * far))[..., None]
        sea = sea + np.array([0.45, 0.62, 0.55], np.float32) * amount
    return np.asarray(sea, np.float32)


def _sky(
    rng: np.random.Generator, weather: Weather, x: Picture, y: Picture, line: Picture, height: int
) -> NDArray[np.float32]:
    up = np.clip((line - y) / height, 0, 1)[..., None]
    cloud = sample(noise_tile(int(rng.integers(12, 16)), 1.8), x * 0.9, y * 2.6)[..., None]
    haze = np.array([0.93, 0.94, 0.94], np.float32)
    clear = np.array(weather.sky, np.float32) * (1 - 0.5 * up)
    mixed = clear * (1 - np.exp(-up * 9)) + haze * 0.92 * np.exp(-up * 9)
    return np.asarray(mixed + 0.035 * np.clip(cloud, -1, 2), np.float32)


def _softened_horizon(picture: NDArray[np.float32], y: Picture, line: Picture) -> NDArray[np.float32]:
    blurred = cv2.GaussianBlur(picture, (0, 0), 2.2)
    near = np.exp(-(((y - line) / 3.0) ** 2))[..., None]
    return np.asarray(picture * (1 - near) + blurred * near, np.float32)
