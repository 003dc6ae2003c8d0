"""Masks and boxes joined with a data set, or refused in words: the one way in for audits, checks and remedies."""

from dataclasses import dataclass, replace

from whalecam.arrays import Report, silent
from whalecam.config import ORIENTATIONS
from whalecam.data import Dataset
from whalecam.data.boxes import BoxTable
from whalecam.errors import DatasetError
from whalecam.explain.masks.folder import join_masks
from whalecam.explain.masks.join import Join
from whalecam.explain.masks.placed import join_boxes
from whalecam.explain.masks.sources import MaskSources


@dataclass(frozen=True)
class Joined:
    """Sources that have only what belongs to the data set, boxes turned upright, and what became of each source."""

    sources: MaskSources
    joins: tuple[Join, ...] = ()


def joined(data: Dataset, sources: MaskSources, report: Report = silent, *, looked_at: int | None = None) -> Joined:
    """Join a folder of masks and boxes with the usable images of a data set. No network is asked.

    Args:
        looked_at: how many masks, and sizes of images with boxes, are read at most, drawn at random; names are always
            matched in full. None: as many as an audit reads.

    Raises DatasetError in words where nothing joins, or what joins would be read wrongly.
    """
    options = sources.options
    for name, value in (("box", options.box_orientation), ("mask", options.mask_orientation)):
        if value not in ORIENTATIONS:
            raise DatasetError(f"No {name} orientation '{value}'. There are: {', '.join(ORIENTATIONS)}.")
    good = data.good().drop_duplicates("image")
    images = dict(zip(good["image"].tolist(), good["path"].tolist(), strict=True))
    joins: list[Join] = []
    if sources.folder is not None:
        _check_apart(data, sources)
        join, given, rule = join_masks(images, sources, report, looked_at=looked_at)
        joins.append(join)
        sources = replace(sources, given=given, rule=rule)
    if sources.boxes is not None:
        table = replace(sources.box_table or BoxTable(sources.boxes), rows=sources.boxes)
        join, boxes = join_boxes(images, table, options, home=data.images, report=report, looked_at=looked_at)
        joins.append(join)
        sources = replace(sources, boxes=boxes)
    return Joined(sources, tuple(joins))


def _check_apart(data: Dataset, sources: MaskSources) -> None:
    if sources.folder is not None and data.images is not None and sources.folder.samefile(data.images):
        raise DatasetError(
            f"Images and masks are both in {sources.folder}, where an image may pass for its own mask. "
            "Put the masks into a folder of their own."
        )
