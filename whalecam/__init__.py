"""WhaleCAM: find, prove and sign the images whose classification rests on the background.

The names below are the public API. They are loaded when they are first used, so that `import whalecam` takes no time.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from whalecam.api import (
        Cams,
        Run,
        audit,
        check,
        compare,
        cues,
        embed,
        explain,
        match_table,
        matches,
        open_dataset,
        open_encoder,
        open_model,
        open_run,
        remask,
        retrain,
        simulate,
        step_mask,
        train,
        unpack,
    )
    from whalecam.config import AuditOptions, Columns, MatchOptions, Thresholds, TrainOptions
    from whalecam.data import Dataset
    from whalecam.errors import DatasetError, ModelError, ReviewError, RunError, WhalecamError
    from whalecam.explain.inspection import inspect

__all__ = [
    "AuditOptions",
    "Cams",
    "Columns",
    "Dataset",
    "DatasetError",
    "MatchOptions",
    "ModelError",
    "ReviewError",
    "Run",
    "RunError",
    "Thresholds",
    "TrainOptions",
    "WhalecamError",
    "__version__",
    "audit",
    "check",
    "compare",
    "cues",
    "embed",
    "explain",
    "inspect",
    "match_table",
    "matches",
    "open_dataset",
    "open_encoder",
    "open_model",
    "open_run",
    "remask",
    "retrain",
    "simulate",
    "step_mask",
    "train",
    "unpack",
]
_HOMES = {
    "whalecam.config": ("AuditOptions", "Columns", "MatchOptions", "Thresholds", "TrainOptions"),
    "whalecam.data": ("Dataset",),
    "whalecam.explain.inspection": ("inspect",),
    "whalecam.errors": ("DatasetError", "ModelError", "ReviewError", "RunError", "WhalecamError"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
_PACKAGES = ("audit", "explain")
"""Functions that share their name with a package."""


def __getattr__(name: str) -> Any:
    if name.startswith("_") or name not in __all__:
        raise AttributeError(f"module 'whalecam' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOME.get(name, "whalecam.api")), name)
    if name in _PACKAGES:
        # `import whalecam.explain.cam as cam` looks for `cam` in what stands here.
        value.__dict__ = importlib.import_module(f"{__name__}.{name}").__dict__
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    """Keeps `whalecam.audit` and `whalecam.explain` the functions: an import of the packages of these names, which
    would otherwise become attributes here, leaves them alone. The functions have the packages' modules."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _PACKAGES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
