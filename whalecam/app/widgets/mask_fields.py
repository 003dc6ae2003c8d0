"""Where masks and boxes are and how they are read, as fields: of data that is opened, and of an audit."""

from pathlib import Path
from typing import Any

import streamlit as st

from whalecam.config import BOX_UNITS, ORIENTATIONS, MaskOptions
from whalecam.words import Words

BOX_FORMATS = (
    "A CSV table, MegaDetector, SpeciesNet, COCO, Label Studio, FiftyOne or CVAT files, folders of YOLO or Pascal VOC, "
    "Camtrap DP; separated by commas"
)
TURNED = (
    "For images that EXIF turns: the pixels that these lie in, as stored in the file, or upright as displayed. "
    "auto: as {}; an audit where nothing shows it needs one of the other two"
)


def mask_fields(stored: MaskOptions, words: Words, prefix: str = "") -> MaskOptions:
    """The fields, filled with `stored`, two columns wide. Texts come as they were written.

    Args:
        prefix: of the fields' keys, as in `own`; the address has the values under these. Without one, the fields follow
            `stored`, as that of another run.
    """
    left, right = st.columns(2)
    folder = left.text_input(
        "Mask folder",
        stored.masks or "",
        **_bound(prefix, "masks"),
        help="Image files, named like the images",
    )
    boxes = right.text_input("Box files", ", ".join(stored.boxes), **_bound(prefix, "boxes"), help=BOX_FORMATS)
    with left, st.expander("How masks are read"):
        mask_class, mask_orientation = _of_masks(stored, words.subject, prefix)
    with right, st.expander("How boxes are read"):
        units, confidence, box_orientation = _of_boxes(stored, prefix)
    return MaskOptions(
        masks=folder.strip() or None,
        boxes=box_files(boxes),
        mask_class=mask_class.strip(),
        mask_orientation=mask_orientation,
        box_units=units,
        box_confidence=confidence,
        box_orientation=box_orientation,
    )


def box_files(text: str) -> tuple[str, ...]:
    """The paths in a text that separates them by commas, which a single path may contain too."""
    try:
        is_path = bool(text.strip()) and Path(text.strip()).exists()
    except (OSError, ValueError):
        is_path = False
    return (text.strip(),) if is_path else tuple(part for name in text.split(",") if (part := name.strip()))


def _of_masks(stored: MaskOptions, subject: str, prefix: str) -> tuple[str, str]:
    values = st.text_input(
        f"Values of the {subject}",
        stored.mask_class,
        **_bound(prefix, "mask_class"),
        placeholder="empty: as the values show",
        help=f"The values of a mask that are the {subject}, such as 1 or 1,2; any: all but 0",
    )
    orientation = st.selectbox(
        "Masks of turned images",
        ORIENTATIONS,
        ORIENTATIONS.index(stored.mask_orientation),
        **_bound(prefix, "mask_orientation"),
        help=TURNED.format("their size shows"),
    )
    return values, orientation


def _of_boxes(stored: MaskOptions, prefix: str) -> tuple[str, float, str]:
    units = st.selectbox(
        "Units of the boxes",
        BOX_UNITS,
        BOX_UNITS.index(stored.box_units),
        **_bound(prefix, "box_units"),
    )
    confidence = st.number_input(
        "Least confidence",
        0.0,
        1.0,
        stored.box_confidence,
        0.05,
        **_bound(prefix, "box_confidence"),
        help="For boxes that state one",
    )
    orientation = st.selectbox(
        "Boxes of turned images",
        ORIENTATIONS,
        ORIENTATIONS.index(stored.box_orientation),
        **_bound(prefix, "box_orientation"),
        help=TURNED.format("the format or the sizes in the file show"),
    )
    return units, confidence, orientation


def _bound(prefix: str, name: str) -> dict[str, Any]:
    """The key of a field, and that the address has its value."""
    return {"key": f"{prefix}_{name}", "bind": "query-params"} if prefix else {}
