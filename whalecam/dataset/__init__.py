"""A CSV and a folder become a checked table of samples. The only reader of image files."""

from whalecam.dataset.boxes import read_boxes
from whalecam.dataset.pictures import (
    Header,
    MaskFile,
    Shape,
    read_grey,
    read_header,
    read_mask,
    read_sample,
    read_shape,
)
from whalecam.dataset.table import OK, Dataset, inspect_pictures, merge_labels, open_dataset, read_labels_map

__all__ = [
    "OK",
    "Dataset",
    "Header",
    "MaskFile",
    "Shape",
    "inspect_pictures",
    "merge_labels",
    "open_dataset",
    "read_boxes",
    "read_grey",
    "read_header",
    "read_labels_map",
    "read_mask",
    "read_sample",
    "read_shape",
]
