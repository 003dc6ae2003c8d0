"""Which library computes a network's features: the fastest that gives torch's numbers, measured once per machine."""

import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from whalecam.errors import ModelError
from whalecam.extras import require
from whalecam.network.cut import Network
from whalecam.network.layout import largest_difference
from whalecam.network.onnx_runtime import RuntimeFeatures, exported
from whalecam.network.tokens import has_patches
from whalecam.text import percent

TORCH, ONNX_RUNTIME = "torch", "onnxruntime"
TOLERANCE = 1e-4
"""Of the largest activation and of the largest logit: what another library may differ from torch by."""
MIN_GAIN = 1.15
"""How many times as fast another library must be."""
IMAGES, ROUNDS = 16, 3
"""Images in a measured batch, and how often it is measured."""
CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Computed:
    """A network, and what is to be said of the library that computes its features, "" where nothing is."""

    network: Network
    note: str = ""


def with_runtime(exact: Network, quick: Network, images: Tensor, wanted: str = "auto") -> Computed:
    """A network whose features the wanted library computes, or with `auto` the fastest.

    Args:
        exact: the network in float32, as it was loaded.
        quick: the same as torch computes it fastest, `network.quick`.
        images: some that it is used for, normalised (N, 3, S, S); on them the library must give torch's numbers.
        wanted: out of `config.RUNTIMES`.

    Returns: `quick`, with the reason where another library is refused: another device than the CPU, tokens of patches,
    which a graph does not give, and numbers that differ from torch's. Raises ExtraError where the library that is
    wanted is not installed.
    """
    if wanted == TORCH:
        return Computed(quick)
    if wanted == ONNX_RUNTIME:
        require("fast", "--runtime onnxruntime")
    why = _unfit(exact)
    if why or find_spec("onnxruntime") is None:
        return Computed(quick, f"Torch computes the network: {why}." if why and wanted == ONNX_RUNTIME else "")
    key = _key(exact)
    gain = None if wanted == ONNX_RUNTIME else kept().get(key)
    if gain is not None and gain < MIN_GAIN:
        return Computed(quick)
    try:
        other = replace(quick, features=checked(RuntimeFeatures(exported(exact.features, exact.size)), exact, images))
    except ModelError as error:
        return Computed(quick, f"Torch computes the network, not ONNX Runtime: {error}.")
    if gain is None:
        gain = _gain(quick.features, other.features, images[:IMAGES])
        keep(key, gain)
    if wanted != ONNX_RUNTIME and gain < MIN_GAIN:
        return Computed(quick)
    return Computed(other, f"ONNX Runtime computes the network, {gain:.1f} times as fast as torch here.")


def checked(features: nn.Module, exact: Network, images: Tensor) -> nn.Module:
    """The features themselves. Raises ModelError where their numbers are not the exact network's, to TOLERANCE.

    Compared are activations and logits, of all images at once and of the first alone.
    """
    for some in (images, images[:1]):
        with torch.no_grad():
            expected, given = exact.features(some), features(some)
            apart = [largest_difference(given, expected)] if given.shape == expected.shape else [float("inf")]
            apart += [largest_difference(exact.head(given), exact.head(expected))] if apart[0] <= TOLERANCE else []
        if not max(apart) <= TOLERANCE:
            raise ModelError(f"its numbers differ from torch's by {percent(max(apart), 1)} of the largest")
    return features


def kept() -> dict[str, float]:
    """What was measured on this machine: how many times as fast as torch, by network, CPU and versions."""
    try:
        stored = json.loads(_place().read_text(encoding="utf-8"))
        return {str(key): float(gain) for key, gain in stored.items()}
    except (OSError, RuntimeError, ValueError, TypeError, AttributeError):
        return {}


def keep(key: str, gain: float) -> None:
    """Add a measurement to `kept`; where the folder cannot be written to, it is made again the next time."""
    try:
        place = _place()
        place.parent.mkdir(parents=True, exist_ok=True)
        aside = place.with_suffix(f".{os.getpid()}.writing")
        aside.write_text(json.dumps(kept() | {key: gain}, indent=1), encoding="utf-8")
        aside.replace(place)
    except (OSError, RuntimeError):
        return


def _place() -> Path:
    """In the user's folder of caches. Raises RuntimeError where there is no home."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "whalecam" / "runtimes.json"


def _key(network: Network) -> str:
    """The same where a measurement holds: network, CPU, and versions of what computes."""
    weights = sum(weight.numel() for weight in network.features.parameters())
    what = f"{network.arch} at {network.size} px, {weights} weights"
    versions = [f"{name} {version(name)}" for name in (TORCH, ONNX_RUNTIME)]
    return " · ".join([what, _cpu(), torch.backends.cpu.get_cpu_capability(), *versions])


def _cpu() -> str:
    lines = CPUINFO.read_text(encoding="utf-8").splitlines() if CPUINFO.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return f"{next(names, 'CPU')}, {os.cpu_count()} cores"


def _unfit(network: Network) -> str:
    """Why no other library can compute a network's features, "" where one may."""
    if network.device.type != "cpu":
        return f"it is on {network.device.type}"
    if network.is_opaque:
        return "torch does not see into it"
    return "its tokens are needed too" if has_patches(network.features) else ""


def _gain(torch_features: nn.Module, other: nn.Module, images: Tensor) -> float:
    """How many times as fast the other is, each on one core as in an audit: the median of what ran in turn."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.no_grad():
            pairs = [[_seconds(run, images) for run in (torch_features, other)] for _ in range(ROUNDS + 1)]
    finally:
        torch.set_num_threads(threads)
    return statistics.median(slow / fast for slow, fast in pairs[1:])


def _seconds(run: Callable[[Tensor], Tensor], images: Tensor) -> float:
    """CPU time of this thread, which does it all: other programs would change the clock's."""
    start = time.thread_time()
    run(images)
    return time.thread_time() - start
