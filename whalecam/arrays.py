"""The shapes that pass between modules."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

FloatArray = NDArray[np.floating[Any]]
ByteArray = NDArray[np.uint8]
Row = TypeVar("Row", bound=Mapping[str, object])


@dataclass(frozen=True)
class Sample:
    """One image as people see it: upright, in colour.

    Attributes:
        image: name of the image, as in the CSV.
        pixels: uint8, shape (H, W, 3), RGB, after EXIF rotation.
        orientation: the EXIF orientation (1 to 8) that was undone to get `pixels`; boxes speak of the file as stored.
        encoded: the file itself where it is a JPEG no larger than a thumbnail, which it then serves as; else empty.
        whole: (height, width) of the upright image where `pixels` are fewer, of its proportions to a pixel; None:
            they are all there is.
    """

    image: str
    pixels: ByteArray
    orientation: int = 1
    encoded: bytes = b""
    whole: tuple[int, int] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the upright image at full size."""
        height, width = self.pixels.shape[:2]
        return self.whole or (height, width)


@dataclass(frozen=True)
class Mask:
    """Where the animal is. `np.asarray(mask)` gives float32, shape (H, W), 1 on the animal, 0 on water.

    Attributes:
        values: float32, shape (H, W) of the image, in [0, 1].
        confidence: in [0, 1]; how far the source trusts this mask.
        source: `given`, `boxes`, `net` or `border`.
    """

    values: NDArray[np.float32]
    confidence: float
    source: str

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)


@dataclass(frozen=True)
class Progress:
    """One report of a long piece of work.

    Attributes:
        stage: what is being done, in words a user reads ("training", "audit").
        done: units finished, at most `total`.
        total: units in all; 0 while unknown.
        values: live figures, such as `train_loss`.
    """

    stage: str
    done: int
    total: int
    values: Mapping[str, float] = field(default_factory=dict)


Report = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """A `Report` for callers that do not watch."""


def records(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """The rows of a table as dicts by column name."""
    return cast(list[dict[str, Any]], frame.to_dict("records"))


def typed_records(frame: "pd.DataFrame", kind: type[Row]) -> list[Row]:
    """The rows of a table whose columns are known, as the `TypedDict` that names them."""
    return cast(list[Row], frame.to_dict("records"))
