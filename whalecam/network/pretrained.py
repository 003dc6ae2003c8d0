"""Pretrained weights: whether those of an architecture can be had here, and what to train where they cannot."""

import functools
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision

from whalecam.config import FALLBACK_ARCH, FALLBACKS, FINE_ARCH, UNTRAINED
from whalecam.errors import ModelError

HUBS = {"torchvision": "download.pytorch.org", "timm": "huggingface.co"}
PROBE_SECONDS = 3.0
INSTALLED = (FALLBACK_ARCH, FINE_ARCH)
"""Architectures whose weights come with the install."""


@dataclass(frozen=True)
class Start:
    """What a training starts from: `note` says how it differs from what was asked for, "" where it does not."""

    arch: str
    pretrained: bool
    note: str = ""


def starting_point(arch: str, pretrained: bool, fallback: str | None = None) -> Start:
    """The architecture to train and whether from pretrained weights.

    Where pretrained weights are asked for and cannot be had, only a fallback that was named takes their place, one of
    FALLBACKS: the same network untrained, or another one whose weights come with the install.

    Raises ModelError for an unknown architecture or fallback, and for weights that cannot be had without a fallback.
    """
    if fallback is not None and fallback not in FALLBACKS:
        raise ModelError(f"There is no fallback '{fallback}'. Choose one of: {', '.join(FALLBACKS)}.")
    problem = missing_weights(arch) if pretrained else ""
    if not problem:
        return Start(arch, pretrained)
    if fallback is None:
        raise ModelError(
            f"{problem} Nothing was trained. Add --fallback {FALLBACK_ARCH} to train that network, whose weights come "
            f"with the install, or --fallback {UNTRAINED} to train {arch} without pretrained weights."
        )
    if fallback == UNTRAINED:
        return Start(arch, False, f"{problem} It was trained without pretrained weights, as the fallback says.")
    return Start(fallback, True, f"{problem} {fallback} was trained instead, as the fallback says.")


def missing_weights(arch: str) -> str:
    """Why the pretrained weights of an architecture cannot be had here, as one sentence; "" where they can.

    They can where they come with the install, lie in the cache of an earlier download, or where their hub answers a
    probe of 3 s at most. Raises ModelError for an unknown architecture.
    """
    if arch in INSTALLED:
        return ""
    family = family_of(arch)
    if not _has_weights(arch, family):
        return f"{family} has no pretrained weights of {arch}."
    if cached_weights(arch, family) is not None or hub_reachable(HUBS[family]):
        return ""
    return f"The pretrained weights of {arch} cannot be fetched: {HUBS[family]} is out of reach."


def family_of(arch: str) -> str:
    """The library that has an architecture, `torchvision` or `timm`. Raises ModelError for an unknown name."""
    if arch in torchvision.models.list_models(module=torchvision.models):
        return "torchvision"
    if not timm.is_model(arch):
        raise ModelError(f"No architecture '{arch}' in torchvision or timm. Try resnet18, resnet50 or {FALLBACK_ARCH}.")
    return "timm"


@functools.cache
def hub_reachable(host: str, seconds: float = PROBE_SECONDS) -> bool:
    """Whether a weights hub answers; asked once per process, because timm alone takes 47 s to give up."""
    try:
        socket.create_connection((host, 443), seconds).close()
    except OSError:
        return False
    return True


def cached_weights(arch: str, family: str) -> Path | None:
    """The file that an earlier download of an architecture's weights left, None where there is none."""
    if family == "torchvision":
        url = str(torchvision.models.get_model_weights(arch)["DEFAULT"].url)
        stored = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
        return stored if stored.is_file() else None
    config: Any = timm.get_pretrained_cfg(arch)
    if not config.hf_hub_id:
        return None
    from huggingface_hub import try_to_load_from_cache

    cached = (try_to_load_from_cache(config.hf_hub_id, name) for name in ("model.safetensors", "pytorch_model.bin"))
    return next((Path(name) for name in cached if isinstance(name, str)), None)


def _has_weights(arch: str, family: str) -> bool:
    if family == "torchvision":
        return len(torchvision.models.get_model_weights(arch)) > 0
    config: Any = timm.get_pretrained_cfg(arch)
    return bool(config.has_weights)
