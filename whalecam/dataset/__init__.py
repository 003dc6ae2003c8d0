"""A CSV and a folder become a checked table of samples. The only reader of image files."""

from whalecam.dataset.boxes import read_boxes
from whalecam.dataset.pictures import Header, read_grey, read_header, read_sample
from whalecam.dataset.table import OK, Dataset, inspect_pictures, merge_labels, merges_of, open_dataset

__all__ = [
    "OK",
    "Dataset",
    "Header",
    "inspect_pictures",
    "merge_labels",
    "merges_of",
    "open_dataset",
    "read_boxes",
    "read_grey",
    "read_header",
    "read_sample",
]
