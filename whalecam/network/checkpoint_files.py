"""What a checkpoint file holds, read without running code; a file that holds no weights of a network is refused."""

import argparse
import json
import pathlib
import pickle
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from whalecam.errors import ModelError
from whalecam.text import listed

WEIGHTS = ("model.safetensors", "pytorch_model.bin", "model.pth", "model.pt", "weights.pth", "weights.safetensors")
"""Names of the weights in a folder that timm, Hugging Face or a person saved."""
ADAPTER = "adapter_config.json"
CONFIG = "config.json"
"""The file that timm and Hugging Face write beside the weights."""
PREPARATION = "preprocessor_config.json"
"""The file that transformers writes beside them: how images become input."""
COUNTER = "num_batches_tracked"
"""The end of the name of a batch normalisation's counter, on which no logit depends."""
SHOWN = 3
"""Names that a message lists."""
PICKLES = (b"PK", b"\x80")
"""How files of torch.save and pickles begin: as a zip, or with pickle's protocol."""


class Items:
    """In the place of fastcore's list `L`, in which fastai keeps the options of its optimizer."""


NUMPYS: tuple[Any, ...] = (np.float64(0).__reduce__()[0], np.zeros(1).__reduce__()[0])
"""What numpy's numbers and arrays are unpickled by, which has two names in its versions."""
LIGHTNINGS = (
    "lightning.fabric.utilities.data",
    "lightning_fabric.utilities.data",
    "pytorch_lightning.utilities.parsing",
)
"""Where Lightning's versions have the dictionary of their hyperparameters."""
HARMLESS: tuple[Any, ...] = (
    argparse.Namespace,  # the options of timm's training
    pathlib.PosixPath,
    (Items, "fastcore.foundation.L"),
    *((OrderedDict, f"{home}.AttributeDict") for home in LIGHTNINGS),
    np.dtype,
    np.ndarray,
    *(
        (call, f"{home}.{call.__name__}")
        for call in NUMPYS
        for home in ("numpy.core.multiarray", "numpy._core.multiarray")
    ),
    *(type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "u1", "?")),
)
"""Types beside tensors that training loops save and that run nothing when they are read."""


def weights_file(path: Path) -> Path:
    """The file of weights that a path means: itself, or the one of WEIGHTS in a folder. Raises ModelError for none."""
    if not path.is_dir():
        return path
    files = [path / name for name in WEIGHTS if (path / name).is_file()]
    files = files or sorted(file for end in ("safetensors", "pth", "pt", "bin") for file in path.glob(f"*.{end}"))
    if (path / ADAPTER).is_file():
        raise _adapter(path.name)
    if len(files) > 1 and files[0].name not in WEIGHTS:
        raise ModelError(
            f"The folder {path.name} has {len(files)} files of weights. Name one, such as {files[0].name}."
        )
    if not files:
        raise ModelError(
            f"The folder {path.name} has no weights, such as {WEIGHTS[0]}. Name a folder or file with them."
        )
    return files[0]


def content_of(path: Path) -> Any:
    """What a file of safetensors or torch.save holds, by `weights_only=True`.

    Raises ModelError for a file that is none, and for a pickle that would run code.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        _check_beginning(path)
        with torch.serialization.safe_globals(list(HARMLESS)):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path.name} is a pickle and could run code when opened, so it is refused. Convert it where you trust it: "
            f"import torch; m = torch.load('{path.name}', weights_only=False); "
            "m = m['model'] if isinstance(m, dict) else getattr(m, 'model', m); "
            "torch.save(m.state_dict(), 'weights.pth')"
        ) from error
    except FileNotFoundError as error:
        raise ModelError(f"There is no file {path}. Give the path of a checkpoint on this machine.") from error
    except Exception as error:  # A broken file may break any part of the readers.
        raise ModelError(
            f"{path.name} is not a checkpoint that can be read ({_reason(error)}). Copy it again, or save the weights "
            "again with torch.save(model.state_dict(), 'weights.pth')."
        ) from error


def no_weights(content: Any, file: str) -> ModelError:
    """Why what a file holds is no state dict, and what would be one."""
    if isinstance(content, dict) and {"state", "param_groups"} <= set(content):
        return ModelError(
            f"{file} contains the state of an optimizer, not of a network. Save model.state_dict() instead."
        )
    if isinstance(content, dict) and any(str(key).startswith("optimizer") for key in content):
        keys = ", ".join(map(str, list(content)[:4]))
        return ModelError(f"{file} has no weights of a network, only: {keys}. Save model.state_dict() instead.")
    return ModelError(f"{file} does not contain a plain state dict. Save model.state_dict(), nothing around it.")


def check_kind(tensors: Mapping[str, torch.Tensor], file: str) -> None:
    """Raise ModelError for weights that are no network by themselves, or not in floating point."""
    if any("lora_" in name for name in tensors):
        raise _adapter(file)
    whole_numbers = (torch.int8, torch.uint8, torch.qint8, torch.quint8, torch.int32)
    packed = [
        name
        for name, value in tensors.items()
        if value.is_quantized or (value.ndim > 1 and value.dtype in whole_numbers)
    ]
    if packed:
        raise ModelError(
            f"The weights of {file} are quantized to whole numbers, such as {packed[0]}. Give the checkpoint from "
            "before the quantization; half precision is read too."
        )


def difference(needed: Iterable[str], given: Iterable[str]) -> str:
    """The names of the weights that are only in one of the two: `Missing: a. Unexpected: b, c, d and 2 more.`"""
    wanted, present = set(needed), list(given)
    unexpected = [name for name in present if name not in wanted and not name.endswith(COUNTER)]
    both = {"Missing": sorted(wanted.difference(present)), "Unexpected": unexpected}
    return " ".join(f"{what}: {listed(names, SHOWN)}." for what, names in both.items() if names)


def config_beside(path: Path, name: str = CONFIG) -> dict[str, Any]:
    """What a JSON file beside the weights says; empty where there is none. Raises ModelError where it is broken."""
    beside = path.with_name(name)
    content = read_json(beside) if beside.is_file() else {}
    return content if isinstance(content, dict) else {}


def read_json(path: Path) -> object:
    """The content of a JSON file. Raises ModelError where it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path.name} cannot be read as JSON: {_reason(error)}") from error


def _check_beginning(path: Path) -> None:
    """Raise ModelError for a file that neither torch.save nor pickle wrote."""
    with path.open("rb") as file:
        begins = file.read(16)
    if not begins:
        raise ModelError(f"{path.name} is empty. Copy it again: a checkpoint has the weights of a network.")
    if not begins.startswith(PICKLES):
        raise ModelError(
            f"{path.name} is not a checkpoint: torch.save did not write it, since it begins with {begins!r}. Give a "
            "file of torch.save or, with the ending .safetensors, of safetensors."
        )


def _adapter(file: str) -> ModelError:
    return ModelError(
        f"{file} contains an adapter (LoRA), not a whole network. Merge it first with peft, model.merge_and_unload(), "
        "and save the merged model."
    )


def _reason(error: Exception) -> str:
    if isinstance(error, SafetensorError):
        return f"its header is broken: {str(error).splitlines()[0]}"
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")
