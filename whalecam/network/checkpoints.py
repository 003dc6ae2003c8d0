"""Checkpoint files that others wrote: reading them without running code, and the names of their weights."""

import itertools
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from whalecam.errors import ModelError

NESTS = ("state_dict", "model_state_dict", "model", "net", "network", "state_dict_ema", "model_ema", "ema")
"""Keys under which a training loop keeps the weights, the sought ones first: plain weights before moving averages."""
WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder.")
"""What DistributedDataParallel, torch.compile, Lightning and users' own modules put before each name."""
DEEPEST = 3
COUNTER = "num_batches_tracked"
SHOWN = 3
"""Names that a message lists."""


@dataclass(frozen=True)
class Checkpoint:
    """The weights of a file by their names in the file, and the architecture that the file names, None where none."""

    tensors: Mapping[str, Tensor]
    arch: str | None = None


def read(path: Path) -> Checkpoint:
    """Read a checkpoint: safetensors, or what torch.save wrote, with `weights_only=True`.

    The weights may lie under one of NESTS, and be of half precision. Raises ModelError for a file that cannot be read,
    for a pickle that would run code, and where no weights are found.
    """
    content = _content(path)
    arch = content.get("arch") if isinstance(content, dict) else None
    tensors = _weights(content)
    if tensors is None:
        raise ModelError(f"{path.name} holds no plain state dict. Save model.state_dict(), nothing around it.")
    return Checkpoint(tensors, arch if isinstance(arch, str) else None)


def renamed(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], arch: str, file: str) -> dict[str, Tensor]:
    """The weights under the names that an architecture gives them, whatever stands before them in the file.

    Weights with another beginning than the network's, such as those of a loss, are left out: no logit depends on them.

    Args:
        wanted: the architecture's own state dict; counters of BatchNorm may be missing from the file.

    Raises ModelError where no beginning makes the names those of the architecture, with the first names of both.
    """
    needed = {name for name in wanted if not name.endswith(COUNTER)}
    for depth in range(DEEPEST + 1):
        for parts in itertools.product(WRAPPERS, repeat=depth):
            before = "".join(parts)
            known = {name.removeprefix(before): value for name, value in tensors.items() if name.startswith(before)}
            if needed <= set(known) <= set(wanted):
                return {name: known.get(name, wanted[name]) for name in wanted}
    raise ModelError(
        f"The weights of {file} do not fit {arch}. {_difference(tensors, needed)} Name the right architecture."
    )


def unwrapped(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights without what DistributedDataParallel and torch.compile put before each name."""
    names = list(tensors)
    for before in ("module.", "_orig_mod.") * DEEPEST:
        if all(name.startswith(before) for name in names):
            names = [name.removeprefix(before) for name in names]
    return dict(zip(names, tensors.values(), strict=True))


def _difference(tensors: Mapping[str, Tensor], needed: set[str]) -> str:
    missing, unknown = sorted(needed - set(tensors)), [name for name in tensors if name not in needed]
    unknown = [name for name in unknown if not name.endswith(COUNTER)]
    said = f"Expected and not found: {_listed(missing)}." if missing else ""
    return f"{said} Found and not expected: {_listed(unknown)}.".strip() if unknown else said


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _content(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path.name} is a pickle and could run code when opened, so it is refused. Save its weights instead: "
            "torch.save(learn.model.state_dict(), 'weights.pth')."
        ) from error
    except (OSError, RuntimeError, EOFError, SafetensorError, ValueError) as error:
        raise ModelError(f"{path.name} is not a checkpoint that can be read: {str(error).splitlines()[0]}") from error


def _weights(content: Any) -> dict[str, Tensor] | None:
    """The state dict in what a file holds: itself, or what lies under one of NESTS."""
    if not isinstance(content, dict) or not content:
        return None
    if all(isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()):
        return dict(content)
    inner = (_weights(content[nest]) for nest in NESTS if nest in content)
    return next((tensors for tensors in inner if tensors is not None), None)
