"""What `run.json` notes of a network: all but its weights."""

from collections.abc import Sequence
from typing import TypedDict


class NetworkSpec(TypedDict, total=False):
    """A network without its weights; a run without one has none of these.

    `size` is the side of its input in px, `mean` and `std` are of the input's channels in [0, 1]. `way` and
    `whole_classes` say how a network of another library was cut; `has_positions` stands there only where it is False.
    """

    classes: list[str]
    arch: str
    size: int
    resize: str
    mean: Sequence[float]
    std: Sequence[float]
    head_kind: str
    way: str
    whole_classes: int
    has_positions: bool
