"""A CSV and a folder become a checked table of samples. The only reader of image files."""

from whalecam.data.boxes import BoxRow, BoxTable, read_boxes
from whalecam.data.images import (
    Exif,
    Header,
    MaskFile,
    Shape,
    read_exif,
    read_grey,
    read_header,
    read_mask,
    read_sample,
    read_shape,
)
from whalecam.data.table import (
    IN_MEMORY,
    OK,
    Dataset,
    ImageRow,
    inspect_images,
    merge_labels,
    of_frame,
    open_dataset,
    read_labels_map,
    write_table,
)

__all__ = [
    "IN_MEMORY",
    "OK",
    "BoxRow",
    "BoxTable",
    "Dataset",
    "Exif",
    "Header",
    "ImageRow",
    "MaskFile",
    "Shape",
    "inspect_images",
    "merge_labels",
    "of_frame",
    "open_dataset",
    "read_boxes",
    "read_exif",
    "read_grey",
    "read_header",
    "read_labels_map",
    "read_mask",
    "read_sample",
    "read_shape",
    "write_table",
]
