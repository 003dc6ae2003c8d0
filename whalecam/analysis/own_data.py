"""What somebody's own data is recognized as before it is used: its table, its masks and boxes, and some images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from whalecam.arrays import Mask, Sample
from whalecam.config import Columns, MaskOptions
from whalecam.data import Dataset, read_sample
from whalecam.data.preview import TablePreview, preview_table
from whalecam.errors import DatasetError
from whalecam.explain import masks, render
from whalecam.explain.masks import Joined, MaskSources
from whalecam.explain.masks.join import Join

IMAGES = 8
LOOKED_AT = 200
"""Masks, and sizes of images with boxes, that are read for a preview."""
SIDE_PX = 512
"""Each side of an image keeps so many pixels, if it has them."""


@dataclass(frozen=True, kw_only=True)
class OwnData:
    """Where somebody's data is.

    Attributes:
        table: a table, or a folder of class folders.
        images: the folder of the images; None where the table is a folder.
        masks: masks and boxes, and how they are read.
    """

    table: Path
    images: Path | None = None
    columns: Columns = Columns()
    masks: MaskOptions = MaskOptions()


@dataclass(frozen=True, kw_only=True)
class PreviewImage:
    """An image of a preview.

    Attributes:
        thumbnail: WebP; None where the image cannot be read, and `reason` says why.
        mask_bits: where the animal is (`render.pack_mask`); None where the image has no mask and no box.
        source: `given` or `boxes`; empty without.
        area: the share of the image inside, in [0, 1].
    """

    image: str
    label: str
    thumbnail: bytes | None
    reason: str = ""
    mask_bits: bytes | None = None
    source: str = ""
    area: float = 0.0


@dataclass(frozen=True, kw_only=True)
class OwnDataPreview:
    """What was recognized.

    Attributes:
        joins: what became of masks and of boxes.
        images: some of those that have a mask or a box, else some of all.
        problems: why the table, the masks or the boxes cannot be used as they are; a sentence each.
    """

    table: TablePreview
    joins: tuple[Join, ...] = ()
    images: tuple[PreviewImage, ...] = ()
    problems: tuple[str, ...] = ()


def preview(chosen: OwnData) -> OwnDataPreview:
    """Look at data: names are matched in full; of masks and image sizes LOOKED_AT are read.

    Raises DatasetError where no table can be read.
    """
    table = preview_table(chosen.table, chosen.images, chosen.columns)
    if table.data is None:
        return OwnDataPreview(table=table, problems=(table.problem,))
    parts = [_joined(table.data, options) for options in _apart(chosen.masks)]
    known = [part for part in parts if isinstance(part, Joined)]
    return OwnDataPreview(
        table=table,
        joins=tuple(join for part in known for join in part.joins),
        images=_images(table.data, [part.sources for part in known]),
        problems=tuple(part for part in parts if isinstance(part, str)),
    )


def _apart(options: MaskOptions) -> list[MaskOptions]:
    """The folder of masks and the boxes as options of their own, so that a fault of the one leaves the other."""
    apart = [replace(options, boxes=()), replace(options, masks=None)]
    return [part for part in apart if part.masks or part.boxes]


def _joined(data: Dataset, options: MaskOptions) -> Joined | str:
    """The masks or boxes, joined; else why they cannot be used."""
    try:
        return masks.joined(data, masks.opened(options), looked_at=LOOKED_AT)
    except DatasetError as error:
        return str(error)


def _images(data: Dataset, sources: Sequence[MaskSources]) -> tuple[PreviewImage, ...]:
    """A fixed random sample of the images with a mask or a box; of all images where none has any."""
    rows = data.good()
    files = {
        image: (path, label)
        for image, path, label in zip(rows["image"], rows["path"], rows["label"], strict=True)
        if path
    }
    outlined = {image for source in sources for image in _outlined(source)}
    names = [image for image in files if image in outlined] or list(files)
    drawn = np.random.default_rng(0).choice(len(names), min(IMAGES, len(names)), replace=False) if names else ()
    chosen = [names[at] for at in sorted(int(place) for place in drawn)]
    own = [_of_images(source, chosen) for source in sources]
    return tuple(_image(name, files, own) for name in chosen)


def _outlined(sources: MaskSources) -> set[str]:
    boxes = set() if sources.boxes is None else set(sources.boxes["image"])
    return boxes | set(sources.given)


def _of_images(sources: MaskSources, images: Sequence[str]) -> MaskSources:
    """The boxes of a few images only, of perhaps a hundred thousand."""
    boxes = sources.boxes
    return sources if boxes is None else replace(sources, boxes=boxes[boxes["image"].isin(images)])


def _image(image: str, files: Mapping[str, tuple[str, str]], sources: Sequence[MaskSources]) -> PreviewImage:
    path, label = files[image]
    try:
        sample = read_sample(Path(path), image, SIDE_PX)
    except DatasetError as error:
        return PreviewImage(image=image, label=label, thumbnail=None, reason=str(error))
    mask = _mask(sample, sources)
    thumbnail = render.thumbnail(sample.pixels)
    if mask is None:
        return PreviewImage(image=image, label=label, thumbnail=thumbnail)
    return PreviewImage(
        image=image,
        label=label,
        thumbnail=thumbnail,
        mask_bits=render.pack_mask(mask.values),
        source=mask.source,
        area=float((mask.values > 0.5).mean()),
    )


def _mask(sample: Sample, sources: Sequence[MaskSources]) -> Mask | None:
    """A given mask, else the boxes, as an audit takes them; never a drawn one."""
    for name in ("given", "boxes"):
        for source in sources:
            mask = masks.MASK_METHODS[name](source)(sample)
            if mask is not None:
                return mask
    return None
