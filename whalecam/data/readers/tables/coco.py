"""COCO and COCO Camera Traps as a table of labels: the categories of an image are its labels."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from whalecam.data.faults import fault
from whalecam.data.readers.tables.contents import TableContents, text_of

KEYS = ("images", "annotations", "categories")


def read_coco_labels(path: Path) -> TableContents | None:
    """A row for each image and each of its categories, in the order of `images`; an image without one has no label.

    `image` (file name), `label` (name of the category), and what else the images and annotations state in texts or
    numbers, such as `location` and `seq_id` of camera traps. Raises DatasetError where ids lead nowhere.
    """
    if path.suffix.lower() != ".json" or not path.is_file():
        return None
    content = _content(path)
    if content is None or not all(isinstance(content.get(key), list) for key in KEYS):
        return None
    names = {_id(category): str(category.get("name", _id(category))) for category in content["categories"]}
    labels: dict[str, dict[str, dict[str, Any]]] = {_id(image): {} for image in content["images"]}
    lost = 0
    for annotation in content["annotations"]:
        image, category = text_of(annotation.get("image_id")), text_of(annotation.get("category_id"))
        if image not in labels or category not in names:
            lost += 1
            continue
        labels[image].setdefault(names[category], annotation)
    rows = [row for image in content["images"] for row in _rows(image, labels[_id(image)])]
    if not rows:
        raise fault(f"{path.name} is a COCO file without images.")
    frame = pd.DataFrame(rows).fillna("").astype(str)
    return TableContents(frame=frame, notes=_notes(content, names, lost), image="image", label="label")


def _content(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _rows(image: dict[str, Any], labels: dict[str, dict[str, Any]]) -> list[dict[str, str]]:
    plain = _plain(image)
    named = {"image": text_of(image.get("file_name"))}
    if not labels:
        return [{**plain, **named, "label": ""}]
    return [{**plain, **_plain(annotation), **named, "label": label} for label, annotation in labels.items()]


def _plain(item: dict[str, Any]) -> dict[str, str]:
    """The texts and numbers of an image or annotation, its ids apart."""
    skipped = {"id", "image_id", "category_id", "file_name", "image", "label"}
    return {
        name: text_of(value)
        for name, value in item.items()
        if name not in skipped and isinstance(value, str | int | float)
    }


def _id(item: dict[str, Any]) -> str:
    return text_of(item.get("id"))


def _notes(content: dict[str, Any], names: dict[str, str], lost: int) -> tuple[str, ...]:
    images, annotations = len(content["images"]), len(content["annotations"])
    notes = [f"Read {images:,} images with {annotations:,} annotations of {len(names):,} COCO categories as labels."]
    if lost:
        notes.append(f"{lost:,} annotations name an image or a category that is not in the file; they are not used.")
    return tuple(notes)
