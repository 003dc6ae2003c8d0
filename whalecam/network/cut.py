"""The network itself: features, head, and how images must be prepared for it."""

import itertools
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from whalecam.arrays import ByteArray
from whalecam.errors import ModelError
from whalecam.network.bodies import Stats
from whalecam.network.exactness import NONE, exactness
from whalecam.network.fusion import bfloat16
from whalecam.network.opaque import Opaque
from whalecam.store.network_spec import NetworkSpec


@dataclass
class Network:
    """A classifier cut in two, in eval mode. `size` in pixels; `mean` and `std` of inputs in [0, 1].

    `way` and `whole_classes` are those of the `Body` that its features are, or were trained from.
    """

    features: nn.Module
    head: nn.Module
    arch: str
    classes: tuple[str, ...]
    size: int
    resize: str
    mean: Stats
    std: Stats
    head_kind: str = "linear"
    way: str = ""
    whole_classes: int = 0

    def spec(self) -> NetworkSpec:
        """All but the weights, fit for JSON; `from_spec` builds the network again."""
        spec: NetworkSpec = {
            "classes": list(self.classes),
            "arch": self.arch,
            "size": self.size,
            "resize": self.resize,
            "mean": list(self.mean),
            "std": list(self.std),
            "head_kind": self.head_kind,
        }
        if self.way:
            spec |= {"way": self.way, "whole_classes": self.whole_classes}
        # Where maps are drawn by occlusion, an audit's exactness no longer shows that the network has no positions.
        return spec if self.has_positions else {**spec, "has_positions": False}

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Every weight and statistic by name, on the CPU; what features and head share, by its first name alone."""
        whole = nn.ModuleDict({"features": self.features, "head": self.head})
        names = first_names(whole)
        stored = whole.state_dict(keep_vars=True)
        return {name: value.detach().cpu().numpy() for name, value in stored.items() if names[id(value)] == name}

    @property
    def device(self) -> torch.device:
        """Where its weights are; the CPU where it has none."""
        parameters = itertools.chain(self.head.parameters(), self.features.parameters())
        return next((weight.device for weight in parameters), torch.device("cpu"))

    @property
    def has_positions(self) -> bool:
        """Whether its head takes activations with positions, on which a map can be drawn."""
        return exactness(self.head) != NONE

    @property
    def is_opaque(self) -> bool:
        """Whether torch cannot see into its features, so that they are neither fused, nor resized, nor trained."""
        return isinstance(self.features, Opaque)

    def batch(self, inputs: ByteArray) -> Tensor:
        """Network inputs uint8 (N, S, S, 3) → normalised float32 (N, 3, S, S), on the network's device."""
        device = self.device
        # Whole lines of pixels against statistics as long: three numbers at a time would take three times as long.
        # The permuted tensor lies in memory as channels_last networks read it.
        images, height, width, _ = inputs.shape
        lines = torch.tensor(inputs, device=device).view(images, height, width * 3).float()
        mean, std = (torch.tensor(values, device=device).repeat(width) for values in (self.mean, self.std))
        return lines.mul_(1 / (255 * std)).sub_(mean / std).view(images, height, width, 3).permute(0, 3, 1, 2)

    def look(self, inputs: ByteArray) -> Tensor:
        """Network inputs uint8 (N, S, S, 3) → activations (N, K, h, w), without gradients."""
        with torch.no_grad():
            activations: Tensor = self.features(self.batch(inputs))
        return activations

    def to(self, device: torch.device) -> "Network":
        self.features.to(device)
        self.head.to(device)
        return self


def first_names(module: nn.Module) -> dict[int, str]:
    """The first name of each weight and statistic of a module, by its identity."""
    names: dict[int, str] = {}
    for name, value in module.state_dict(keep_vars=True).items():
        names.setdefault(id(value), name)
    return names


def pick_device(name: str = "auto") -> torch.device:
    """`auto`: the GPU where there is one, else the CPU. Raises ModelError for a device that is not here."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(f"There is no device '{name}' on this machine. Use auto or cpu.") from error
    return device


def fast_halves(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 here: on CPUs that compute in it, about twice."""
    return device.type == "cpu" and bfloat16.fast()
