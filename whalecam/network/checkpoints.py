"""Checkpoint files that others wrote: reading them without running code, their weights and what they say of them."""

import itertools
import json
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
CLASSES = ("classes", "class_names", "label_names", "class_to_idx", "idx_to_class", "id2label")
"""Keys under which a training loop, timm or Hugging Face keeps the names of the classes."""
PREPARATION: Mapping[str, tuple[object, ...]] = {"crop_pct": (None, 1, 1.0), "interpolation": (None, "bilinear", "")}
"""What timm says of the preparation of images beyond size and normalisation, and the values that change nothing."""
CONFIG = "config.json"
"""The file that timm and Hugging Face write beside the weights."""
DEEPEST = 3
COUNTER = "num_batches_tracked"
SHOWN = 3
"""Names that a message lists."""


@dataclass(frozen=True)
class Checkpoint:
    """The weights of a file by their names in the file, and what it says of the network; None where it says nothing.

    Attributes:
        classes: in the order of the outputs.
        size: side of its input, px.
        mean, std: per channel of inputs in [0, 1].
        unused: what it says of the preparation of images that is not done here.
    """

    tensors: Mapping[str, Tensor]
    arch: str | None = None
    classes: tuple[str, ...] | None = None
    size: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    unused: tuple[str, ...] = ()


def read(path: Path) -> Checkpoint:
    """Read a checkpoint: safetensors, or what torch.save wrote, with `weights_only=True`.

    The weights may lie under one of NESTS, and be of half precision. What the file, and a CONFIG beside it, say of
    architecture, classes, input side, mean and standard deviation is read too, in timm's and Hugging Face's words.

    Raises ModelError for a file that cannot be read, for a pickle that would run code, for a checkpoint of the library
    transformers, and where no weights are found.
    """
    content = _content(path)
    tensors = _weights(content)
    if tensors is None:
        raise ModelError(f"{path.name} holds no plain state dict. Save model.state_dict(), nothing around it.")
    own = {str(name): value for name, value in content.items() if not isinstance(value, Tensor)}
    metadata = _config(path) | own
    _refuse_transformers(path.name, metadata)
    known = metadata.get("pretrained_cfg")
    frame: Mapping[str, Any] = known if isinstance(known, dict) else {}
    arch = metadata.get("arch", metadata.get("architecture"))
    sides = frame.get("input_size")
    return Checkpoint(
        tensors,
        arch if isinstance(arch, str) else None,
        next((names for key in CLASSES if (names := class_names(metadata.get(key))) is not None), None),
        sides[-1] if isinstance(sides, list | tuple) and len(sides) == 3 and isinstance(sides[-1], int) else None,
        _three(frame.get("mean")),
        _three(frame.get("std")),
        tuple(f"{name} {frame[name]}" for name in PREPARATION if frame.get(name) not in PREPARATION[name]),
    )


def class_names(value: object) -> tuple[str, ...] | None:
    """Names in the order of a network's outputs, from a list, or a mapping of number → name or name → number.

    Returns None for anything else, and where the numbers are not 0, 1, 2 and so on.
    """
    if isinstance(value, list | tuple):
        return tuple(value) if value and all(isinstance(name, str) for name in value) else None
    if not isinstance(value, dict) or not value:
        return None
    pairs = [(number, name) if isinstance(name, str) else (name, number) for number, name in value.items()]
    try:
        numbered = {int(number): str(name) for number, name in pairs}
    except (TypeError, ValueError):
        return None
    full = len(numbered) == len(value) and set(numbered) == set(range(len(numbered)))
    return tuple(numbered[at] for at in range(len(numbered))) if full else None


def class_names_of(text: str) -> tuple[str, ...]:
    """Names that a person gives: separated by commas, or a text file of one a line, or a JSON file of `class_names`.

    Raises ModelError for a JSON file that holds neither, and for a name that stands twice.
    """
    path = Path(text).expanduser()
    if not path.is_file():
        names = tuple(name.strip() for name in text.split(",") if name.strip())
    elif path.suffix == ".json":
        names = class_names(_json(path)) or ()
        if not names:
            raise ModelError(f'{path.name} names no classes. It holds ["beluga", "orca"] or {{"0": "beluga"}}.')
    else:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        names = tuple(line.strip() for line in lines if line.strip())
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ModelError(f"The class '{twice[0]}' is named twice. Name each class once, in the order of the outputs.")
    return names


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
    text = f"Expected and not found: {_listed(missing)}." if missing else ""
    return f"{text} Found and not expected: {_listed(unknown)}.".strip() if unknown else text


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


def _config(path: Path) -> dict[str, Any]:
    """What CONFIG beside the weights says; empty where there is none."""
    beside = path.with_name(CONFIG)
    content = _json(beside) if beside.is_file() else {}
    return content if isinstance(content, dict) else {}


def _json(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path.name} cannot be read as JSON: {str(error).splitlines()[0]}") from error


def _refuse_transformers(file: str, metadata: Mapping[str, Any]) -> None:
    """Raise ModelError for a configuration of the library transformers, whose layers have other names than timm's."""
    kinds = metadata.get("architectures")
    if isinstance(kinds, list) and kinds and "architecture" not in metadata:
        raise ModelError(
            f"{file} is a checkpoint of the library transformers ({kinds[0]}), whose layers have other names than "
            "timm's, so it is not read yet. Use the same network from timm."
        )


def _three(value: object) -> tuple[float, float, float] | None:
    """Three numbers, one for each channel."""
    if not isinstance(value, list | tuple) or len(value) != 3:
        return None
    if not all(isinstance(number, int | float) for number in value):
        return None
    red, green, blue = value
    return float(red), float(green), float(blue)
