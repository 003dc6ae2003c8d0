"""The registry of box formats: a reader is a function of a `Source` that returns None for what is not its format."""

from collections.abc import Callable, Mapping

from whalecam.data.readers.boxes.camtrap_dp import read_camtrap_dp
from whalecam.data.readers.boxes.coco import read_coco
from whalecam.data.readers.boxes.contents import Box, BoxContents, Refusal
from whalecam.data.readers.boxes.cvat import read_cvat
from whalecam.data.readers.boxes.fiftyone import read_fiftyone
from whalecam.data.readers.boxes.label_studio import read_label_studio
from whalecam.data.readers.boxes.megadetector import read_megadetector
from whalecam.data.readers.boxes.pascal_voc import read_pascal_voc
from whalecam.data.readers.boxes.source import Source
from whalecam.data.readers.boxes.table import read_table
from whalecam.data.readers.boxes.yolo import read_yolo
from whalecam.data.readers.registered import with_offered
from whalecam.errors import DatasetError

BoxReader = Callable[[Source], BoxContents | None]
"""Returns None where the source is of another format; raises DatasetError where it is of this format but unusable."""

BOX_READERS: Mapping[str, BoxReader] = {
    "Camtrap DP": read_camtrap_dp,
    "table": read_table,
    "MegaDetector": read_megadetector,
    "Label Studio": read_label_studio,
    "FiftyOne": read_fiftyone,
    "COCO": read_coco,
    "Pascal VOC": read_pascal_voc,
    "CVAT": read_cvat,
    "YOLO": read_yolo,
}
"""Readers by format, in the order in which a source is offered to them."""

ENTRY_POINTS = "whalecam.box_readers"
"""The group of entry points under which other packages offer readers; they are asked after those of BOX_READERS."""

__all__ = ["BOX_READERS", "ENTRY_POINTS", "Box", "BoxContents", "BoxReader", "Refusal", "Source", "read_source"]


def read_source(source: Source) -> BoxContents:
    """The contents of the first format that recognizes the source. Raises DatasetError where none does."""
    readers = with_offered(BOX_READERS, ENTRY_POINTS)
    for reader in readers.values():
        contents = reader(source)
        if contents is not None:
            return contents
    raise DatasetError(
        f"{source.path.name} is not a box file. WhaleCAM reads {', '.join(readers)}; a table needs image (or "
        f"filename) and x1,y1,x2,y2 or x,y,w,h. {source.seen}"
    )
