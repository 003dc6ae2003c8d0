"""What every remedy takes and gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from whalecam.arrays import ByteArray, Mask, Sample


@dataclass(frozen=True)
class Case:
    """One picture with all that a remedy may look at; `review` is people's latest verdict, empty without one."""

    sample: Sample
    label: str
    mask: Mask | None
    review: Mapping[str, Any]


@dataclass(frozen=True)
class Mended:
    """What becomes of a picture: `pixels` uint8 (H, W, 3), None where they stay as they are; and its label."""

    pixels: ByteArray | None
    label: str


Remedy = Callable[[Case], Mended | None]
"""None means: the picture is left out."""
