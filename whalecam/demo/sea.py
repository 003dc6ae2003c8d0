"""Water and sky of the demo images: waves in perspective, light, haze, foam."""

import functools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
TILE = 512
NEAR_HORIZON = 14
"""Rows from the horizon beyond which its softness changes nothing, and the reach of the blur that makes it."""
Color = tuple[float, float, float]


@dataclass(frozen=True)
class Water:
    """A kind of water: its colour as shares of red, green and blue, and what drifts on it or shines through.

    `horizon` is where it stands (least, most), as share of the height, negative where the camera looks down; None: any.
    """

    colour: Color
    streaks: float = 0.0
    caustics: float = 0.0
    horizon: tuple[float, float] | None = None


OCEAN, SLATE = Water((0.09, 0.24, 0.42)), Water((0.24, 0.30, 0.36))
SILT, LAGOON = Water((0.33, 0.34, 0.15), streaks=1.0), Water((0.12, 0.50, 0.48), caustics=0.6)
"""Open ocean, overcast ocean; a silty coast with wind streaks, a shallow lagoon with a net of light."""


@dataclass(frozen=True)
class Weather:
    """One scene's light and water. `horizon` as share of the height, negative where the camera looks down."""

    water: Color
    kind: Water
    sky: Color
    horizon: float
    chop: float
    glare: float
    sun: float
    light: float


@functools.cache
def noise_tile(seed: int, slope: float = 1.6, longest: float = TILE) -> Array:
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


def sample(tile: Array, u: Array, v: Array) -> Array:
    """Read a tile at wrapped coordinates."""
    x, y = _wrapped(u), _wrapped(v)
    return np.asarray(cv2.remap(tile, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)


def _wrapped(place: Array) -> Array:
    """As np.mod to the last bit, since TILE is a power of two, and twenty times quicker."""
    place = np.asarray(place, np.float32)
    whole = place * np.float32(1 / TILE)
    np.floor(whole, out=whole)
    whole *= TILE
    np.subtract(place, whole, out=whole)
    return whole


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


def draw_sea(rng: np.random.Generator, weather: Weather, width: int, height: int) -> tuple[Array, Array]:
    """The scene without an animal: (its three colors in [0, 1], (3, H, W); wave slope, (H, W), 0 in the sky).

    Colors are planes: NumPy runs through a plane several times quicker than through the three numbers of each pixel.
    The slope displaces reflections.
    """
    x, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    line = np.asarray(weather.horizon * height + rng.uniform(-0.03, 0.03) * (x - width / 2), np.float32)
    top = int(np.clip(np.floor(line.min()), 0, height))
    planes, slope = np.empty((3, height, width), np.float32), np.zeros((height, width), np.float32)
    planes[:, top:], slope[top:] = _water(rng, weather, x, rows, line, top)
    bottom = int(np.clip(np.ceil(line.max()), 0, height))
    sky = _sky(rng, weather, x, rows[:bottom], line, height)
    above = rows[:bottom] < line
    for plane, color in zip(planes, sky, strict=True):
        np.copyto(plane[:bottom], color, where=above)
    return _softened_horizon(planes, rows, line), slope


def _water(
    rng: np.random.Generator, weather: Weather, x: Array, rows: Array, line: Array, top: int
) -> tuple[Array, Array]:
    """Colors (3, H − top, W) and slope (H − top, W) of the rows from `top` on, above which there is only sky."""
    height, width = len(rows), len(x)
    start = max(top - 1, 0)  # one row more, for the differences between rows
    below = np.maximum(rows[start:] - line, np.float32(0.5)) / np.float32(height)
    depth = np.float32(0.09) / (below + np.float32(0.012))
    aside = (x - np.float32(width / 2)) / np.float32(height)
    coarse = _coarseness(depth)[top - start :]
    below, depth = below[top - start :], depth[top - start :]
    slope = _slope(rng, aside, depth, coarse, weather)
    far = np.exp(below * np.float32(-1 / 0.16))
    light = _glints(rng, x / np.float32(width), slope, far, weather, height)
    caps = _whitecaps(rng, aside * depth, depth, slope, weather)
    fresnel = np.clip(0.13 + 0.45 * far - 0.11 * slope, 0, 0.92)
    deep = (1 + 0.2 * np.clip(slope, -1.8, 1.8)) * (1 - fresnel)
    mirrored = fresnel * np.float32(0.92 * 0.86)
    colors = zip(weather.water, weather.sky, (0.9, 0.94, 0.96), strict=True)
    sea = np.stack([own * deep + sky * mirrored + light + white * caps for own, sky, white in colors])
    return _drifting(rng, sea, aside * depth, depth, far, weather.kind), slope


def _coarseness(depth: Array) -> Array:
    """How far one row lies from the next on the water, to the power of 1.6: waves thinner than this average out."""
    step = np.abs(np.gradient(depth, axis=0))
    return np.asarray(np.exp(np.log(np.maximum(step, np.float32(1e-12))) * np.float32(1.6)), np.float32)


def _slope(rng: np.random.Generator, aside: Array, depth: Array, coarse: Array, weather: Weather) -> Array:
    """How much each facet leans towards the viewer: swell, waves and ripples, finer towards the horizon.

    Args:
        aside: from the middle, in shares of the height, (W,).
        coarse: see `_coarseness`.
    """
    total = np.zeros_like(depth)
    turn = rng.uniform(-0.5, 0.5)
    for scale, stretch, weight in ((420, 2.6, 0.5), (1100, 2.3, 0.55), (2900, 2.0, 0.5), (7500, 1.7, 0.34)):
        tile = noise_tile(int(rng.integers(8)), 2.0, 72)
        left, front = (float(start) for start in rng.uniform(0, TILE, 2))
        u = np.asarray(depth * (aside * np.float32(scale * 0.5) + np.float32(scale * turn)) + left, np.float32)
        v = np.asarray(depth * np.float32(scale * stretch) + front, np.float32)
        # Waves thinner than a pixel average out; without this the horizon would shimmer.
        thin = coarse * np.float32((scale * stretch / 14) ** 1.6)
        total += weight * sample(tile, u, v) / (1 + thin)
    return np.asarray(total * weather.chop, np.float32)


def _glints(rng: np.random.Generator, x: Array, slope: Array, far: Array, weather: Weather, height: int) -> Array:
    """Sun on facets that lean the right way, in a lane under the sun."""
    lane = np.exp(-(((x - weather.sun) / 0.28) ** 2))
    # As many random numbers as the whole image has pixels, so that the horizon does not decide on what follows.
    flicker = rng.random((height, slope.shape[1]), np.float32)[height - len(slope) :]
    sparkle = np.clip(slope - 1.0 + 0.35 * flicker, 0, 1.5) ** 2
    return np.asarray(weather.glare * lane * (0.9 * sparkle + 0.25 * far), np.float32)


def _whitecaps(rng: np.random.Generator, across: Array, depth: Array, slope: Array, weather: Weather) -> Array:
    """Foam on the highest crests of a choppy sea."""
    patch = sample(noise_tile(int(rng.integers(8, 12)), 1.2), across * 60 + 40, depth * 110 + 90)
    ragged = np.clip((slope - 2.6) * 0.8 + 0.2 * patch * (slope > 2.0), 0, 1)
    return np.asarray(0.75 * ragged, np.float32)


def _drifting(rng: np.random.Generator, sea: Array, across: Array, depth: Array, far: Array, kind: Water) -> Array:
    """Wind streaks of foam and silt, or the net of light on a shallow ground."""
    left, front = (float(start) for start in rng.uniform(0, TILE, 2))
    if kind.streaks:
        lines = sample(noise_tile(30, 1.3, 60), across * 260 + depth * 60 + left, depth * 4200 + front)
        amount = 0.5 * np.clip(lines - 0.35, 0, 1.4)
        sea = sea * (1 - amount) + _planes((0.72, 0.70, 0.52)) * amount
    if kind.caustics:
        net = sample(noise_tile(31, 1.5, 90), across * 1300 + left, depth * 2900 + front)
        amount = 0.5 * np.exp(-np.abs(net) * 4.5) * (1 - 0.8 * far)
        sea = sea + _planes((0.45, 0.62, 0.55)) * amount
    return np.asarray(sea, np.float32)


def _sky(
    rng: np.random.Generator, weather: Weather, x: Array, rows: Array, line: Array, height: int
) -> NDArray[np.float32]:
    """The rows that reach above the horizon, (3, rows, W)."""
    tile = noise_tile(int(rng.integers(12, 16)), 1.8)
    up = np.clip((line - rows) / height, 0, 1)
    if not len(rows):
        return np.asarray(_planes(weather.sky) * up, np.float32)
    cloud = sample(tile, *np.broadcast_arrays(x * 0.9, rows * 2.6))
    haze = np.exp(-up * 9)
    clear = _planes(weather.sky) * (1 - 0.5 * up)
    mixed = clear * (1 - haze) + _planes((0.93, 0.94, 0.94)) * 0.92 * haze
    return np.asarray(mixed + 0.035 * np.clip(cloud, -1, 2), np.float32)


def _softened_horizon(planes: Array, rows: Array, line: Array) -> Array:
    """The image with its horizon out of focus: only the rows where that can be seen are computed."""
    first, last = int(line.min()) - NEAR_HORIZON, int(line.max()) + NEAR_HORIZON + 1
    if last <= 0 or first >= len(rows):
        return planes
    wide = slice(max(first - NEAR_HORIZON, 0), last + NEAR_HORIZON)
    near = np.exp(-(((rows[wide] - line) / 3.0) ** 2))
    for plane in planes:
        plane[wide] = plane[wide] * (1 - near) + cv2.GaussianBlur(plane[wide], (0, 0), 2.2) * near
    return planes


def _planes(color: Color) -> Array:
    """A color that can be multiplied with planes: (3, 1, 1)."""
    return np.array(color, np.float32)[:, None, None]
