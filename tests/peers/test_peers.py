"""Through the tools' own libraries: what they rewrite changes nothing, and a verdict given there arrives."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from tests.output.test_interchange import OLD, item, reviewed, square, taken, written
from tests.peers import TIMEOUT, peer
from whalecam.data.outlines import coco_runs
from whalecam.output.interchange import regions
from whalecam.store.reviews import Journal, Review

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2 * TIMEOUT)]
KNOWN = {"a.jpg", "b.jpg", "sub/c d.jpg"}
REASON, NOTE, SUGGESTED = "=water|x", 'a "note",\nin two lines', "minke"
WORDS = {"reason": REASON, "note": NOTE, "suggested_label": SUGGESTED}
MASK = square(12, 24, 60, 72)
MASK[36:48, 24:36] = False
WIDTH, HEIGHT = 192, 96
PIXELS = np.kron(MASK, np.ones((1, 2), bool))
"""MASK at the size of the images, 192 × 96 px."""
TURNED = 6
"""EXIF orientation of `a.jpg`: its file has 96 × 192 px."""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three images of 192 × 96 px as displayed; `a.jpg` is stored turned."""
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = TURNED
    Image.new("RGB", (HEIGHT, WIDTH), (10, 90, 200)).save(folder / "a.jpg", exif=exif)
    for name in ("b.jpg", "sub/c d.jpg"):
        Image.new("RGB", (WIDTH, HEIGHT), (10, 90, 200)).save(folder / name)
    return folder


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Holds the verdict that goes out."""
    journal = Journal(f"sqlite:///{tmp_path / 'reviews.sqlite'}")
    journal.add([Review("a.jpg", "keep", "Ana", REASON, NOTE, SUGGESTED, reviewed_at=OLD)])
    return journal


def sent(name: str, folder: Path) -> Path:
    first = replace(reviewed("a.jpg", "keep", **WORDS, group="7", p_value=0.25, assessment="clean"), mask=MASK)
    return written(name, folder, first, item("b.jpg"), item("sub/c d.jpg"))


def changes_nothing(journal: Journal, path: Path) -> None:
    before = journal.version()
    report = taken(journal, path, KNOWN, "Bo")
    assert report.added == report.refused == report.unknown == () and journal.version() == before
    assert [row["image"] for row in report.unchanged] == ["a.jpg"] and report.blank == len(KNOWN) - 1


def flags_b(journal: Journal, path: Path, reviewer: str = "Bo") -> None:
    report = taken(journal, path, KNOWN, "Bo")
    assert report.refused == report.unknown == ()
    assert [(row["image"], row["verdict"], row["reviewer"]) for row in report.added] == [("b.jpg", "flag", reviewer)]


def test_fiftyone(tmp_path: Path, images: Path, journal: Journal) -> None:
    path = sent("fiftyone", tmp_path / "out")
    new, flagged = tmp_path / "new", tmp_path / "flagged"
    facts = peer("fiftyone_data", path, images, new, flagged, home=tmp_path)
    assert {name: fact["path"] for name, fact in facts.items()} == {
        Path(name).name: str(images / name) for name in KNOWN
    }
    (region,) = facts["a.jpg"]["regions"]
    assert region["box"] == [0.125, 0.25, 0.5, 0.5] and region["mask"] == MASK[24:72, 12:60].tolist()
    assert (facts["a.jpg"]["label"], facts["a.jpg"]["confidence"], facts["a.jpg"]["tags"]) == ("orca", 0.9, ["keep"])
    changes_nothing(journal, new)
    flags_b(journal, flagged)


def test_label_studio(tmp_path: Path, images: Path, journal: Journal) -> None:
    path, new = sent("label-studio", tmp_path / "out"), tmp_path / "new"
    assert peer("label_studio", path, new, home=tmp_path) == {"valid": True, "faults": []}
    changes_nothing(journal, new / "json" / "result.json")
    flags_b(journal, new / "flagged-json" / "result.json", "bo@example.org")
    again = taken(journal, new / "flagged-json_min" / "result.json", KNOWN)
    assert again.added == again.refused == () and len(again.unchanged) == 2
    boxes = [one["bbox"] for one in json.loads((new / "coco" / "result.json").read_text())["annotations"]]
    assert pytest.approx([24, 24, 96, 48]) in boxes and pytest.approx([0, 0, 96, 48]) in boxes


def test_cvat(tmp_path: Path, images: Path, journal: Journal) -> None:
    path, new, flagged = sent("cvat", tmp_path / "out"), tmp_path / "new", tmp_path / "flagged"
    shutil.copytree(images, path.parent / "images")
    facts = peer("cvat_datumaro", path.parent, new, flagged, home=tmp_path)
    assert facts["a"]["masks"] == [PIXELS.astype(int).tolist()] and facts["a"]["tags"] == ["keep", "whalecam"]
    changes_nothing(journal, new)
    flags_b(journal, flagged)


def test_huggingface(tmp_path: Path, images: Path, journal: Journal) -> None:
    path, new, flagged = sent("huggingface", tmp_path / "out"), tmp_path / "new.jsonl", tmp_path / "flagged.jsonl"
    shutil.copy(path / "metadata.jsonl", images)
    facts = peer("huggingface_datasets", images, new, flagged, tmp_path / "cache", home=tmp_path)
    first = facts["a.jpg"]
    assert [fact["verdict"] for fact in facts.values()].count("keep") == 1 and first["verdict"] == "keep"
    assert first["size"] == [WIDTH, HEIGHT], "datasets shows the image upright, as the boxes are"
    assert (first["label"], first["confidence"]) == ("orca", 0.9)
    assert first["objects"]["bbox"] == [[24.0, 24.0, 96.0, 48.0]]
    outline = coco_runs(first["objects"]["segmentation"][0], [HEIGHT, WIDTH])
    assert outline is not None and outline.raster().tolist() == PIXELS.tolist()
    changes_nothing(journal, new)
    flags_b(journal, flagged)


def test_coco(tmp_path: Path, journal: Journal) -> None:
    path = sent("coco", tmp_path / "out")
    coco = COCO(str(path))
    (annotation,) = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert coco.annToMask(annotation).tolist() == PIXELS.astype(int).tolist()
    path.write_text(json.dumps(coco.dataset))
    changes_nothing(journal, path)
    coco.dataset["images"][1]["verdict"] = "flag"
    path.write_text(json.dumps(coco.dataset))
    flags_b(journal, path)


FIELDS = {
    "deployments": (
        "deploymentID* locationID locationName latitude* longitude* coordinateUncertainty deploymentStart* "
        "deploymentEnd* setupBy cameraID cameraModel cameraDelay cameraHeight cameraDepth cameraTilt cameraHeading "
        "detectionDistance timestampIssues baitUse featureType habitat deploymentGroups deploymentTags "
        "deploymentComments"
    ),
    "media": (
        "mediaID* deploymentID* captureMethod timestamp* filePath* filePublic* fileName fileMediatype* exifData "
        "favorite mediaComments"
    ),
    "observations": (
        "observationID* deploymentID* mediaID eventID eventStart* eventEnd* observationLevel* observationType* "
        "cameraSetupType scientificName count lifeStage sex behavior individualID individualPositionRadius "
        "individualPositionAngle individualSpeed bboxX bboxY bboxWidth bboxHeight classificationMethod classifiedBy "
        "classificationTimestamp classificationProbability observationTags observationComments"
    ),
}
"""The fields of Camtrap DP 1.0 in their order, those that it requires with a star (camtrap-dp.tdwg.org/data)."""
SHARES = ("bboxX", "bboxY", "bboxWidth", "bboxHeight", "classificationProbability")
DATES = ("eventStart", "eventEnd", "deploymentStart", "deploymentEnd", "timestamp", "classificationTimestamp")
WORDS_OF = {
    "classificationMethod": ["human", "machine"],
    "observationLevel": ["media", "event"],
    "observationType": ["animal", "human", "vehicle", "blank", "unknown", "unclassified"],
}
UNKNOWN = {
    *("deploymentStart", "deploymentEnd", "latitude", "longitude", "timestamp", "eventStart", "eventEnd"),
}
"""What is required and a run does not know."""


def camtrap_fields(table: str) -> Iterator[dict[str, Any]]:
    for word in FIELDS[table].split():
        name = word.rstrip("*")
        field: dict[str, Any] = {"name": name, "type": "string", "constraints": {"required": word != name}}
        if name in SHARES:
            field["type"] = "number"
            field["constraints"] |= {"minimum": 0, "maximum": 1}
        if name in DATES:
            field |= {"type": "datetime", "format": "%Y-%m-%dT%H:%M:%S%z"}
        if name in WORDS_OF:
            field["constraints"]["enum"] = WORDS_OF[name]
        if name in ("mediaID", "observationID") and name[:5] == table[:5]:
            field["constraints"]["unique"] = True
        yield field


def test_camtrap_dp(tmp_path: Path, journal: Journal) -> None:
    path, new = sent("camtrap-dp", tmp_path / "out"), tmp_path / "new"
    package = json.loads((path / "datapackage.json").read_text())
    # frictionless would load profile and schemas from the web.
    del package["profile"]
    for resource in package["resources"]:
        if resource["name"] in FIELDS:
            resource["schema"] = {"fields": list(camtrap_fields(resource["name"])), "missingValues": [""]}
    (path / "datapackage.json").write_text(json.dumps(package))
    facts = peer("frictionless_tables", path / "datapackage.json", new, home=tmp_path)
    assert facts["names"] == ["deployments", "media", "observations", "whalecam"]
    assert {kind for kind, _ in facts["faults"]} == {"constraint-error"}, facts["errors"]
    assert {field for _, field in facts["faults"]} == UNKNOWN
    changes_nothing(journal, new)
    table = (new / "observations.csv").read_text()
    assert table.count("verdict:keep | reason:'=water/x") + table.count("verdict:keep | reason:=water/x") == 1
    row = "mine,unknown,b.jpg,,,,media,animal,,orca,,,,,,,,,,,,,human,Bo,2024-03-01T12:00:00+0000,,verdict:flag,\n"
    (new / "observations.csv").write_text(table + row)
    flags_b(journal, new)


def test_the_mask_of_the_drawing_has_a_hole() -> None:
    assert regions.bounds(PIXELS) == (24, 24, 96, 48) and not PIXELS[40, 60]
