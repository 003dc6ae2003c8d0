"""Checkpoint files that others wrote: their weights, and what they say of the network and its input."""

import argparse
import itertools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from whalecam.errors import ModelError
from whalecam.network.checkpoint_files import (
    COUNTER,
    PREPARATION,
    check_kind,
    config_beside,
    content_of,
    difference,
    no_weights,
    read_json,
    weights_file,
)
from whalecam.network.likely_arch import likely_arch
from whalecam.network.preparation import UNSAID, Preparation, of_timm, of_transformers
from whalecam.network.transformers_model import is_transformers, native_size

NESTS = ("state_dict", "model_state_dict", "model", "net", "network", "state_dict_ema", "model_ema", "ema")
"""Keys under which a training loop keeps the weights, the sought ones first: plain weights before moving averages."""
WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder.", "timm_model.")
"""What DistributedDataParallel, torch.compile, Lightning, transformers' TimmWrapper and own modules put before."""
CLASSES = ("classes", "class_names", "label_names", "class_to_idx", "idx_to_class", "id2label")
"""Keys under which a training loop, timm or Hugging Face keeps the names of the classes."""
DEEPEST = 3
MOST_HEAD = 4
"""Names of weights that a missing classifier may have: two layers with biases."""
OPTIONS = "args"
"""Where timm's training keeps its options."""


@dataclass(frozen=True)
class Checkpoint:
    """The weights of a file by their names in the file, and what it says of the network; None where it says nothing.

    Attributes:
        classes: in the order of the outputs.
        preparation: how images become its input.
        config: of a classifier of the library transformers.
        others: keys of further weights in the file, such as moving averages, which are not those of `tensors`.
    """

    tensors: Mapping[str, Tensor]
    arch: str | None = None
    classes: tuple[str, ...] | None = None
    preparation: Preparation = UNSAID
    config: Mapping[str, Any] | None = None
    others: tuple[str, ...] = ()


def read(path: Path) -> Checkpoint:
    """Read a checkpoint: safetensors, what torch.save wrote (`weights_only=True`), or a folder with one of them.

    The weights may lie under one of NESTS, and be of half precision. What the file, and the JSON files beside it, say
    of architecture, classes and the preparation of images is read too, in timm's and Hugging Face's words.

    Raises ModelError for a file that cannot be read, for a pickle that would run code, and where no weights of a
    network are found.
    """
    path = weights_file(path)
    content = content_of(path)
    tensors = _weights(content)
    if tensors is None:
        raise no_weights(content, path.name)
    check_kind(tensors, path.name)
    own = {str(name): value for name, value in content.items() if not isinstance(value, Tensor)}
    config = config_beside(path)
    metadata = _options(own) | config | own
    arch = metadata.get("arch", metadata.get("architecture"))
    theirs = config if is_transformers(config) else None
    if theirs is not None:
        preparation = of_transformers(config_beside(path, PREPARATION)).filled(Preparation(size=native_size(theirs)))
    else:
        preparation = of_timm(metadata.get("pretrained_cfg")).filled(of_timm(_options(own)))
    return Checkpoint(
        tensors,
        arch if isinstance(arch, str) else None,
        next((names for key in CLASSES if (names := class_names(metadata.get(key))) is not None), None),
        preparation,
        theirs,
        _other_nests(content),
    )


def _options(own: Mapping[str, Any]) -> dict[str, Any]:
    """The options of timm's training, its architecture under `arch`; empty where the file has none."""
    given = own.get(OPTIONS)
    known = dict(vars(given)) if isinstance(given, argparse.Namespace) else {}
    return known | ({"arch": known["model"]} if isinstance(known.get("model"), str) else {})


def class_names(value: object) -> tuple[str, ...] | None:
    """Names in the order of a network's outputs, from a list, or a mapping of number → name or name → number.

    Returns None for anything else, where the numbers are not 0, 1, 2 and so on, and for the placeholders LABEL_0,
    LABEL_1 of transformers.
    """
    if isinstance(value, list | tuple):
        named = value and all(isinstance(name, str) for name in value)
        return tuple(value) if named and not _placeholders(value) else None
    if not isinstance(value, dict) or not value:
        return None
    pairs = [(number, name) if isinstance(name, str) else (name, number) for number, name in value.items()]
    try:
        numbered = {int(number): str(name) for number, name in pairs}
    except (TypeError, ValueError):
        return None
    full = len(numbered) == len(value) and set(numbered) == set(range(len(numbered)))
    named = full and not _placeholders(numbered.values())
    return tuple(numbered[at] for at in range(len(numbered))) if named else None


def _placeholders(names: Iterable[str]) -> bool:
    """Whether these are the names that transformers gives classes without names: LABEL_0, LABEL_1."""
    return all(re.fullmatch(r"LABEL_\d+", name) for name in names)


def class_names_of(text: str) -> tuple[str, ...]:
    """Names that a person gives: separated by commas, or a text file of one a line, or a JSON file of `class_names`.

    Raises ModelError for a JSON file that holds neither, and for a name that stands twice.
    """
    path = Path(text).expanduser()
    if not path.is_file():
        names = tuple(name.strip() for name in text.split(",") if name.strip())
    elif path.suffix == ".json":
        names = class_names(read_json(path)) or ()
        if not names:
            raise ModelError(
                f'{path.name} names no classes. It needs the form ["beluga", "orca"] or {{"0": "beluga"}}.'
            )
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
    advice = _advice(tensors, needed)
    raise ModelError(f"The weights of {file} do not fit {arch}. {difference(needed, tensors)} {advice}")


def _advice(tensors: Mapping[str, Tensor], needed: set[str]) -> str:
    """What would be right: the names without what stands before them, a classifier, or another architecture."""
    anchor = max(needed, key=len)
    before = sorted({name.removesuffix(anchor) for name in tensors if name.endswith(anchor)} - {""})
    fitting = [part for part in before if needed <= {name.removeprefix(part) for name in tensors}]
    if fitting:
        return f"They fit behind '{fitting[0]}': save them without it."
    missing = needed - set(tensors)
    if missing and len(missing) <= MOST_HEAD and len(missing) < len(needed) / 2:
        return "Its classifier seems to be missing: save the whole network, head included."
    if any(".embeddings." in name for name in tensors):
        return "They look like those of transformers: put the config.json that was saved with them beside them."
    if arch_like := likely_arch(tensors):
        return f"They fit {arch_like}: name it as the architecture."
    return "Name the right architecture."


def unwrapped(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights without what DistributedDataParallel and torch.compile put before each name."""
    names = list(tensors)
    for before in ("module.", "_orig_mod.") * DEEPEST:
        if all(name.startswith(before) for name in names):
            names = [name.removeprefix(before) for name in names]
    return dict(zip(names, tensors.values(), strict=True))


def _other_nests(content: Any) -> tuple[str, ...]:
    """The keys of weights that a file holds beside those that are read."""
    nests = [nest for nest in NESTS if isinstance(content, dict) and _weights(content.get(nest)) is not None]
    return tuple(nests[1:])


def _weights(content: Any) -> dict[str, Tensor] | None:
    """The state dict in what a file holds: itself, or what lies under one of NESTS."""
    if not isinstance(content, dict) or not content:
        return None
    if all(isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()):
        return dict(content)
    inner = (_weights(content[nest]) for nest in NESTS if nest in content)
    return next((tensors for tensors in inner if tensors is not None), None)
