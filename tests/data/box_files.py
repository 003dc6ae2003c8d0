"""The same boxes written in every format that is read."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""
Boxes = Mapping[str, Sequence[Box]]
Write = Callable[[Path, Boxes, int, int], Path]
"""Writes boxes by image, of images of a width and a height, into a folder; returns what to hand over."""


def shares(box: Box, width: int, height: int) -> list[float]:
    """Left, top, width and height, in shares of the sides."""
    x1, y1, x2, y2 = box
    return [x1 / width, y1 / height, (x2 - x1) / width, (y2 - y1) / height]


def table(folder: Path, boxes: Boxes, width: int, height: int) -> Path:
    lines = [f"{name},{','.join(map(repr, box))}" for name, several in boxes.items() for box in several]
    return written(folder / "boxes.csv", "image,x1,y1,x2,y2\n" + "\n".join(lines) + "\n")


def relative_table(folder: Path, boxes: Boxes, width: int, height: int) -> Path:
    lines = [
        f"{name},{','.join(map(repr, shares(box, width, height)))}"
        for name, several in boxes.items()
        for box in several
    ]
    return written(folder / "boxes.csv", "image,x,y,w,h\n" + "\n".join(lines) + "\n")


def megadetector(folder: Path, boxes: Boxes, width: int, height: int) -> Path:
    return written(folder / "md.json", json.dumps(detections(boxes, width, height, {"format_version": "1.4"})))


def old_megadetector(folder: Path, boxes: Boxes, width: int, height: int) -> Path:
    return written(folder / "md.json", json.dumps(detections(boxes, width, height, {})))


def detections(boxes: Boxes, width: int, height: int, info: dict[str, str]) -> dict[str, object]:
    images = [
        {
            "file": name,
            "detections": [{"category": "1", "conf": 0.9, "bbox": shares(box, width, height)} for box in several],
        }
        for name, several in boxes.items()
    ]
    return {"info": info, "detection_categories": {"1": "animal", "2": "person"}, "images": images}


def coco(folder: Path, boxes: Boxes, width: int, height: int) -> Path:
    return written(folder / "coco.json", json.dumps(coco_content(boxes, {"width": width, "height": height})))


def coco_content(boxes: Boxes, sides: dict[str, int]) -> dict[str, list[dict[str, object]]]:
    images = [{"id": at, "file_name": name, **sides} for at, name in enumerate(boxes)]
    annotations = [
        {"image_id": at, "category_id": 3, "bbox": [x1, y1, x2 - x1, y2 - y1]}
        for at, several in enumerate(boxes.values())
        for x1, y1, x2, y2 in several
    ]
    return {"images": list(images), "annotations": annotations, "categories": [{"id": 3, "name": "orca"}]}


def label_studio(folder: Path, boxes: Boxes, width: int, height: int) -> Path:
    def result(box: Box) -> dict[str, object]:
        x, y, wide, high = (100 * share for share in shares(box, width, height))
        value = {"x": x, "y": y, "width": wide, "height": high, "rotation": 0, "rectanglelabels": ["orca"]}
        return {"type": "rectanglelabels", "value": value, "original_width": width, "original_height": height}

    tasks = [
        {
            "data": {"image": f"/data/upload/3/0a1b2c3d-{name}"},
            "annotations": [{"result": [result(box) for box in several]}],
        }
        for name, several in boxes.items()
    ]
    return written(folder / "tasks.json", json.dumps(tasks))


def fiftyone(folder: Path, boxes: Boxes, width: int, height: int) -> Path:
    samples = [
        {
            "filepath": f"data/{name}",
            "ground_truth": {
                "_cls": "Detections",
                "detections": [
                    {"_cls": "Detection", "label": "orca", "bounding_box": shares(box, width, height)}
                    for box in several
                ],
            },
        }
        for name, several in boxes.items()
    ]
    return written(folder / "samples.json", json.dumps({"samples": samples}))


def camtrap_dp(folder: Path, boxes: Boxes, width: int, height: int) -> Path:
    written(folder / "media.csv", "mediaID,filePath\n" + "".join(f"m{at},{name}\n" for at, name in enumerate(boxes)))
    lines = [
        f"m{at},animal,Orcinus orca,{','.join(map(repr, shares(box, width, height)))}\n"
        for at, several in enumerate(boxes.values())
        for box in several
    ]
    header = "mediaID,observationType,scientificName,bboxX,bboxY,bboxWidth,bboxHeight\n"
    return written(folder / "observations.csv", header + "".join(lines))


def yolo(folder: Path, boxes: Boxes, width: int, height: int) -> Path:
    for name, several in boxes.items():
        rows = [shares(box, width, height) for box in several]
        lines = [f"0 {x + w / 2!r} {y + h / 2!r} {w!r} {h!r}\n" for x, y, w, h in rows]
        written(folder / "yolo" / "labels" / f"{Path(name).stem}.txt", "".join(lines))
    written(folder / "yolo" / "classes.txt", "orca\n")
    return folder / "yolo"


def pascal_voc(folder: Path, boxes: Boxes, width: int, height: int) -> Path:
    for name, several in boxes.items():
        corners = [zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True) for box in several]
        things = [
            f"<object><name>orca</name><bndbox>{''.join(f'<{tag}>{v!r}</{tag}>' for tag, v in box)}</bndbox></object>"
            for box in corners
        ]
        size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
        text = f"<annotation><filename>{name}</filename>{size}{''.join(things)}</annotation>"
        written(folder / "voc" / f"{Path(name).stem}.xml", text)
    return folder / "voc"


def cvat(folder: Path, boxes: Boxes, width: int, height: int) -> Path:
    images = [
        f'<image id="{at}" name="{name}" width="{width}" height="{height}">'
        + "".join(
            f'<box label="orca" xtl="{x1!r}" ytl="{y1!r}" xbr="{x2!r}" ybr="{y2!r}"/>' for x1, y1, x2, y2 in several
        )
        + "</image>"
        for at, (name, several) in enumerate(boxes.items())
    ]
    start = '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>'
    return written(folder / "annotations.xml", f"{start}{''.join(images)}</annotations>")


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


WRITERS: Mapping[str, Write] = {
    "Camtrap DP": camtrap_dp,
    "table": table,
    "MegaDetector": megadetector,
    "Label Studio": label_studio,
    "FiftyOne": fiftyone,
    "COCO": coco,
    "Pascal VOC": pascal_voc,
    "CVAT": cvat,
    "YOLO": yolo,
}
"""By the names of BOX_READERS."""
STATE_UPRIGHT = frozenset({"MegaDetector"})
"""Formats that state that their boxes are upright."""
STATE_SIZE = frozenset({"Label Studio", "COCO", "Pascal VOC", "CVAT"})
"""Formats that state the size of the image, which shows how a box of a turned image lies."""
