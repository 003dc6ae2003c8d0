"""Readers of this package and those that other packages offer."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import TypeVar

Reader = TypeVar("Reader")


def with_offered(readers: Mapping[str, Reader], group: str) -> dict[str, Reader]:
    """The readers by format, then those of other packages' entry points; none of these replaces one of ours.

    Raises what the import of such a package raises.
    """
    offered = {point.name: point for point in entry_points(group=group) if point.name not in readers}
    return {**readers, **{name: point.load() for name, point in offered.items()}}
