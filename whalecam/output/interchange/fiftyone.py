"""A data set of FiftyOne as a folder: its `LegacyFiftyOneDataset`, which needs no description of the fields.

Source: docs.voxel51.com/user_guide/import_datasets.html#fiftyonedataset.
"""

import base64
import io
import json
import zlib
from typing import Any

import numpy as np

from whalecam.data.outlines import Bools
from whalecam.data.readers.boxes.coco import dicts
from whalecam.data.readers.boxes.source import Source
from whalecam.output.csv.flagcsv import NUMBERS
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

SAMPLES, METADATA = "samples.json", "metadata.json"
SCORES = tuple(name for name in NUMBERS if name != "confidence")


def write(outgoing: Outgoing) -> dict[str, bytes]:
    """`samples.json` and `metadata.json`. Paths are relative to the folder of the images: `rel_dir` of `from_dir`."""
    info = {"run": outgoing.run, "network": outgoing.network, SENT: {"orientation": ORIENTATION}}
    return {
        METADATA: json.dumps({"media_type": "image", "info": info}).encode(),
        SAMPLES: json.dumps({"samples": [_sample(item, outgoing.subject) for item in outgoing.items]}).encode(),
    }


def read(source: Source) -> Contents | None:
    """The tags and the field `verdict` of the samples."""
    path = source.path / SAMPLES
    content = (Source(path) if source.kind == "folder" and path.is_file() else source).json
    if not isinstance(content, dict) or not isinstance(content.get("samples"), list):
        return None
    images = [_returned(sample) for sample in dicts(content["samples"])]
    places = "the tags flag, keep and unsure of a sample, or its field verdict"
    return Contents(format="a FiftyOne data set", images=images, places=places)


def _sample(item: Item, subject: str) -> dict[str, Any]:
    words = words_of(item)
    sample: dict[str, Any] = {"filepath": item.file, "tags": [words["verdict"]] if "verdict" in words else []}
    if item.width and item.height:
        sample["metadata"] = {"_cls": "ImageMetadata", "width": item.width, "height": item.height}
    sample["label"] = _classification(item.text("label"))
    sample["predicted"] = _classification(item.text("predicted"), item.number("confidence"))
    sample["subject"] = _detections(item.mask, subject)
    sample |= {name: item.number(name) for name in SCORES}
    texts = {name: item.text(name) for name in ("group", "assessment", "mask_source")}
    texts = {f"{name}_id" if name == "group" else name: text for name, text in texts.items()} | words
    return sample | {name: text or None for name, text in texts.items()} | {SENT: json.dumps(dict(item.cells))}


def _classification(label: str, confidence: float | None = None) -> dict[str, Any] | None:
    score = {} if confidence is None else {"confidence": confidence}
    return {"_cls": "Classification", "label": label, **score} if label else None


def _detections(mask: Bools | None, subject: str) -> dict[str, Any] | None:
    """The box in shares of the sides, and what of the mask lies in it, which FiftyOne stretches over the box."""
    place, cells = (None, None) if mask is None else (regions.box(mask), regions.bounds(mask))
    if mask is None or place is None or cells is None:
        return None
    left, top, width, height = cells
    inside = mask[top : top + height, left : left + width]
    shape = {"$binary": {"base64": _packed(inside), "subType": "00"}}
    detection = {"_cls": "Detection", "label": subject, "bounding_box": list(place), "mask": shape}
    return {"_cls": "Detections", "detections": [detection]}


def _packed(mask: Bools) -> str:
    """As FiftyOne's `ArrayField` stores it: the file of numpy, packed by zlib."""
    file = io.BytesIO()
    np.save(file, np.ascontiguousarray(mask), allow_pickle=False)
    return base64.b64encode(zlib.compress(file.getvalue())).decode()


def _returned(sample: dict[str, Any]) -> Returned:
    values = {name: _label_of(value) for name, value in sample.items()}
    tags = sample.get("tags")
    verdicts = filter(None, map(verdict_of, tags if isinstance(tags, list) else ()))
    return Returned(
        file=values.get("filepath") or "",
        sent=sent_cells(sample.get(SENT)),
        given=(given_of(values), *(Given(verdict=verdict) for verdict in verdicts)),
    )


def _label_of(value: Any) -> Any:
    """The text of a field, which may be a Classification."""
    return value.get("label") if isinstance(value, dict) else value
