"""COCO JSON: masks as run lengths, verdicts beside each image, the exported row under `whalecam`.

Source: cocodataset.org/#format-data.
"""

import json
from collections.abc import Mapping
from typing import Any

from whalecam.data.readers.boxes.coco import dicts, identifier
from whalecam.data.readers.boxes.source import Source
from whalecam.output.interchange import regions
from whalecam.output.interchange.outgoing import ORIENTATION, Item, Outgoing
from whalecam.output.interchange.returned import (
    SENT,
    Contents,
    Given,
    Returned,
    given_of,
    sent_cells,
    verdict_of,
    words_of,
)

FILE = "coco.json"


def write(outgoing: Outgoing) -> dict[str, bytes]:
    """One file. The category of an annotation is the label of its image; its outline is the mask of the run."""
    categories = {name: at for at, name in enumerate(outgoing.labels, 1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for at, item in enumerate(outgoing.items, 1):
        size = {"width": item.width, "height": item.height} if item.width and item.height else {}
        images.append({"id": at, "file_name": item.file, **size, **words_of(item), SENT: dict(item.cells)})
        if region := _region(item):
            category = categories[item.text("label") or outgoing.subject]
            annotations.append({"id": len(annotations) + 1, "image_id": at, "category_id": category, **region})
    content = {
        "info": {"description": f"WhaleCAM run {outgoing.run}", SENT: {"orientation": ORIENTATION}},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": at, "name": name, "supercategory": outgoing.subject} for name, at in categories.items()],
    }
    return {FILE: json.dumps(content).encode()}


def read(source: Source) -> Contents | None:
    """The verdicts beside the images, and annotations without a region whose category is a verdict."""
    content = source.json
    images = dicts(content.get("images")) if isinstance(content, dict) else []
    if not any("file_name" in image for image in images):
        return None
    categories = {identifier(item.get("id")): item.get("name") for item in dicts(content.get("categories"))}
    labelled: dict[Any, list[Given]] = {}
    for annotation in dicts(content.get("annotations")):
        verdict = verdict_of(categories.get(identifier(annotation.get("category_id"))))
        if verdict and not annotation.get("segmentation"):
            labelled.setdefault(identifier(annotation.get("image_id")), []).append(Given(verdict=verdict))
    returned = [
        Returned(
            file=str(image.get("file_name", "")),
            sent=sent_cells(image.get(SENT)),
            given=(given_of(image), *labelled.get(identifier(image.get("id")), ())),
        )
        for image in images
    ]
    places = "the key verdict of an image, or an annotation whose category is flag, keep or unsure"
    return Contents(format="a COCO file", images=returned, places=places)


def _region(item: Item) -> Mapping[str, Any] | None:
    """Box, area and run lengths in pixels of the upright image."""
    if item.mask is None:
        return None
    pixels = regions.raster(item.mask, item.width, item.height)
    box = regions.bounds(pixels)
    if box is None:
        return None
    counts = regions.coco_text(regions.run_lengths(pixels.T.ravel()))
    outline = {"size": [item.height, item.width], "counts": counts}
    return {"bbox": list(box), "area": int(pixels.sum()), "segmentation": outline, "iscrowd": 0}
