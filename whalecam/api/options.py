"""What a caller names of the options of a verb, over their defaults."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, TypeVar

from whalecam.config import AuditOptions, MaskOptions, MatchOptions, TrainOptions

PathLike = str | Path
Options = TypeVar("Options", TrainOptions, AuditOptions, MatchOptions, MaskOptions)


def with_options(default: Options, given: Mapping[str, object]) -> Options:
    """The default options with some of their fields changed; paths become absolute texts."""
    known = [field.name for field in fields(default)]
    if unknown := sorted(set(given) - set(known)):
        raise TypeError(f"There is no option '{unknown[0]}'. There are: {', '.join(known)}.")
    changed: dict[str, Any] = dict(given)
    if changed.get("masks") is not None:
        changed["masks"] = str(Path(changed["masks"]).resolve())
    if changed.get("split_file") is not None:
        changed["split_file"] = str(Path(changed["split_file"]).resolve())
    if boxes := changed.get("boxes"):
        several = [boxes] if isinstance(boxes, str | Path) else boxes
        changed["boxes"] = tuple(str(Path(path).resolve()) for path in several)
    return replace(default, **changed)
