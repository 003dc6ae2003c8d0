"""A data set of Hugging Face: `metadata.jsonl`, which stands among the images (`ImageFolder`), and a card.

Source: huggingface.co/docs/datasets/image_dataset#imagefolder.
"""

import json
from pathlib import Path
from typing import Any

from whalecam.data.csv_text import read_text
from whalecam.data.readers.boxes.source import Source
from whalecam.errors import ReviewError
from whalecam.output.csv.flagcsv import NUMBERS
from whalecam.output.interchange import regions
from whalecam.output.interchange.outgoing import ORIENTATION, Item, Outgoing
from whalecam.output.interchange.returned import SENT, WORDS, Contents, Returned, given_of, sent_cells

METADATA, CARD = "metadata.jsonl", "README.md"
TEXTS = ("label", "group", "predicted", "assessment", "mask_source", *WORDS, "reviewer", "reviewed_at")


def write(outgoing: Outgoing) -> dict[str, bytes]:
    """One line for each image, all with the same columns, as `datasets` needs them."""
    lines = [json.dumps(_line(item, outgoing.subject)) for item in outgoing.items]
    return {CARD: _card(outgoing).encode(), METADATA: "".join(f"{line}\n" for line in lines).encode()}


def read(source: Source) -> Contents | None:
    """The columns of the verdict; also of what `Dataset.to_json` writes, which has the image instead of its name."""
    path = source.path / METADATA
    path = path if source.kind == "folder" and path.is_file() else source.path
    records = _records(path) if source.kind in ("json", "folder") and path.is_file() else []
    if not any("verdict" in record and ("file_name" in record or SENT in record) for record in records):
        return None
    images = [
        Returned(file=_file(record), sent=sent_cells(record.get(SENT)), given=[given_of(record)]) for record in records
    ]
    return Contents(format="a Hugging Face data set", images=images, places="the column verdict")


def _line(item: Item, subject: str) -> dict[str, Any]:
    line: dict[str, Any] = {"file_name": item.file, "width": item.width, "height": item.height}
    line |= {name: item.text(name) for name in TEXTS} | {name: item.number(name) for name in NUMBERS}
    pixels = None if item.mask is None else regions.raster(item.mask, item.width, item.height)
    box = None if pixels is None else regions.bounds(pixels)
    objects: dict[str, Any] = {"bbox": [], "category": [], "segmentation": []}
    if pixels is not None and box is not None:
        counts = regions.coco_text(regions.run_lengths(pixels.T.ravel()))
        objects = {"bbox": [list(map(float, box))], "category": [subject], "segmentation": [counts]}
    return {**line, "objects": objects, SENT: json.dumps(dict(item.cells))}


def _card(outgoing: Outgoing) -> str:
    return (
        "---\ntask_categories:\n- image-classification\n---\n\n"
        "One line of metadata.jsonl for each image of a WhaleCAM run. Put metadata.jsonl into the folder of the "
        'images and load it: `datasets.load_dataset("imagefolder", data_dir=...)`.\n\n'
        f"- `objects`: the mask as COCO run lengths (`segmentation`) and its box (left, top, width, height), in "
        f"pixels of the {ORIENTATION} image, as `datasets` decodes it.\n"
        "- `verdict`, `reason`, `note`, `suggested_label`, `reviewer`, `reviewed_at`: what a person decided.\n"
        f"- `{SENT}`: the row as it was exported; leave it as it is for the way back.\n"
    )


def _records(path: Path) -> list[dict[str, Any]]:
    """The objects of a file with one JSON object in each line; none where it is another file."""
    records: list[dict[str, Any]] = []
    for line in read_text(path, ReviewError).text.split("\n"):
        if line.strip():
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                return []
            if not isinstance(record, dict):
                return []
            records.append(record)
    return records


def _file(record: dict[str, Any]) -> str:
    image = record.get("image")
    inner = image.get("path") if isinstance(image, dict) else image
    return str(record.get("file_name") or inner or "")
