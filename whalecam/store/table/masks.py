"""The stored masks of many images, without their maps."""

from collections.abc import Collection, Sequence
from pathlib import Path

from whalecam.store.parts import read_part


def stored_masks(parts: Sequence[Path], images: Collection[str]) -> dict[str, bytes]:
    """The mask of each of `images` that has one, packed as `SCHEMA` states.

    Args:
        parts: the Parquet parts of an audit.
    """
    tables = (read_part(part, ["image", "mask_bits"]) for part in parts)
    pairs = (zip(rows["image"].to_pylist(), rows["mask_bits"].to_pylist(), strict=True) for rows in tables)
    return {name: bits for several in pairs for name, bits in several if bits and name in images}
