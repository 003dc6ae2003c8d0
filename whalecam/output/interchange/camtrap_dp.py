"""Camtrap DP 1.0: a machine observation for each prediction, a human one for each verdict.

Source: camtrap-dp.tdwg.org/data. What a run does not know (deployments, places, moments of the images) stays empty.
"""

import json
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from whalecam.arrays import records
from whalecam.data.csv_text import restored, safe_csv
from whalecam.data.readers.boxes.camtrap_dp import MEDIA, OBSERVATIONS, PACKAGE
from whalecam.data.readers.boxes.source import Source
from whalecam.data.table import read_frame
from whalecam.output.csv.flagcsv import COLUMNS, NUMBERS, read_csv, write_csv
from whalecam.output.interchange import regions
from whalecam.output.interchange.outgoing import ORIENTATION, Cells, Item, Outgoing
from whalecam.output.interchange.returned import SENT, Contents, Given, Returned, plain, sent_cells, words_of
from whalecam.store.run import now

DEPLOYMENTS, ROWS = "deployments.csv", "whalecam.csv"
VERSION = "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0.1"
DEPLOYMENT = "unknown"
DEPLOYMENT_COLUMNS = (
    *("deploymentID", "locationID", "locationName", "latitude", "longitude", "coordinateUncertainty"),
    *("deploymentStart", "deploymentEnd", "setupBy", "cameraID", "cameraModel", "cameraDelay", "cameraHeight"),
    *("cameraDepth", "cameraTilt", "cameraHeading", "detectionDistance", "timestampIssues", "baitUse"),
    *("featureType", "habitat", "deploymentGroups", "deploymentTags", "deploymentComments"),
)
MEDIA_COLUMNS = (
    *("mediaID", "deploymentID", "captureMethod", "timestamp", "filePath", "filePublic", "fileName"),
    *("fileMediatype", "exifData", "favorite", "mediaComments"),
)
OBSERVATION_COLUMNS = (
    *("observationID", "deploymentID", "mediaID", "eventID", "eventStart", "eventEnd", "observationLevel"),
    *("observationType", "cameraSetupType", "scientificName", "count", "lifeStage", "sex", "behavior"),
    *("individualID", "individualPositionRadius", "individualPositionAngle", "individualSpeed"),
    *("bboxX", "bboxY", "bboxWidth", "bboxHeight", "classificationMethod", "classifiedBy"),
    *("classificationTimestamp", "classificationProbability", "observationTags", "observationComments"),
)
HEAD = 4096
"""Bytes of a table's line of column names, at the most."""
TAGGED = ("verdict", "reason", "suggested_label")
"""Words of a verdict that stand among the tags, as in `verdict:flag | reason:water`."""
NOTE = (
    "Camtrap DP requires fields that a run does not have, and they are left empty: the place, start and end of the "
    "deployments, the moment of each image and observation, and the project's design. Fill them in, or copy the "
    "observations into your own package."
)


def write(outgoing: Outgoing) -> dict[str, bytes]:
    """A data package of three tables, and the exported rows as a fourth, `whalecam.csv`."""
    items = outgoing.items
    observations = [row for item in items for row in _observations(item, outgoing.network)]
    return {
        PACKAGE: json.dumps(_package(outgoing), indent=1).encode(),
        DEPLOYMENTS: _table([{"deploymentID": DEPLOYMENT}], DEPLOYMENT_COLUMNS),
        MEDIA: _table([_medium(item) for item in items], MEDIA_COLUMNS),
        OBSERVATIONS: _table(observations, OBSERVATION_COLUMNS),
        ROWS: write_csv(outgoing.rows),
    }


def read(source: Source) -> Contents | None:
    """Human observations with a tag `verdict:…`. A folder, its `datapackage.json`, or its `observations.csv`."""
    path = _observations_in(source)
    if path is None:
        return None
    frame = read_frame(path)
    if not {"mediaID", "classificationMethod", "observationTags"} <= set(frame.columns):
        return None
    files, sent = _media(path.parent / MEDIA), _sent(path.parent / ROWS)
    given: dict[str, list[Given]] = {}
    for row in records(frame.map(restored)):
        several = given.setdefault(str(row["mediaID"]), [])
        if row["classificationMethod"].strip().lower() == "human":
            several.append(_given(row))
    names = dict.fromkeys([*files, *given])
    images = [
        Returned(file=files.get(name, name), sent=sent.get(name, {}), given=given.get(name, ())) for name in names
    ]
    places = "human observations with a tag such as verdict:flag"
    return Contents(format="a Camtrap DP package", images=images, places=places, shown=_shown)


def _observations(item: Item, network: str) -> list[dict[str, Any]]:
    common = {"deploymentID": DEPLOYMENT, "mediaID": item.image, "observationLevel": "media"}
    common |= {"observationType": "animal", "individualID": item.text("group")}
    box = None if item.mask is None else regions.box(item.mask)
    if box is not None:
        common |= dict(zip(("bboxX", "bboxY", "bboxWidth", "bboxHeight"), map(repr, box), strict=True))
    rows = []
    if predicted := item.text("predicted"):
        score = item.number("confidence")
        rows.append(
            {
                **common,
                "observationID": f"{item.image}#machine",
                "scientificName": predicted,
                "classificationMethod": "machine",
                "classifiedBy": network,
                "classificationProbability": "" if score is None else repr(score),
                "observationTags": f"assessment:{item.text('assessment')}",
            }
        )
    words = words_of(item)
    if "verdict" in words:
        tags = [f"{name}:{_shown(words[name])}" for name in TAGGED if name in words]
        rows.append(
            {
                **common,
                "observationID": f"{item.image}#human",
                "scientificName": words.get("suggested_label") or item.text("label"),
                "classificationMethod": "human",
                "classifiedBy": words.get("reviewer", ""),
                "classificationTimestamp": words.get("reviewed_at", ""),
                "observationTags": " | ".join(tags),
                "observationComments": words.get("note", ""),
            }
        )
    return rows


def _medium(item: Item) -> dict[str, Any]:
    kind = mimetypes.guess_type(item.file)[0] or "image/jpeg"
    name = item.file.rpartition("/")[2]
    common = {"mediaID": item.image, "deploymentID": DEPLOYMENT, "filePath": item.file, "fileName": name}
    return {**common, "filePublic": "false", "fileMediatype": kind}


def _package(outgoing: Outgoing) -> dict[str, Any]:
    names = (("deployments", DEPLOYMENTS), ("media", MEDIA), ("observations", OBSERVATIONS))
    resources: list[dict[str, Any]] = [
        {
            "name": name,
            "path": path,
            "profile": "tabular-data-resource",
            "format": "csv",
            "mediatype": "text/csv",
            "encoding": "utf-8",
            "schema": f"{VERSION}/{name}-table-schema.json",
        }
        for name, path in names
    ]
    resources.append({"name": "whalecam", "path": ROWS, "profile": "tabular-data-resource", "schema": _own_schema()})
    species = sorted({item.text(name) for item in outgoing.items for name in ("label", "predicted")} - {""})
    return {
        "profile": f"{VERSION}/camtrap-dp-profile.json",
        "name": "whalecam",
        "title": f"WhaleCAM run {outgoing.run}",
        "description": f"Boxes are shares of the sides of the upright image. {NOTE}",
        "created": now(),
        SENT: {"orientation": ORIENTATION},
        "contributors": [{"title": "WhaleCAM", "role": "contributor"}],
        "project": {
            "title": outgoing.run,
            "individualAnimals": any(item.text("group") for item in outgoing.items),
            "observationLevel": ["media"],
        },
        "taxonomic": [{"scientificName": name} for name in species],
        "resources": resources,
    }


def _own_schema() -> dict[str, Any]:
    kinds = {name: "number" if name in NUMBERS else "string" for name in COLUMNS}
    return {"fields": [{"name": name, "type": kind} for name, kind in kinds.items()]}


def _table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> bytes:
    frame = pd.DataFrame(rows, columns=list(columns), dtype=object).fillna("")
    return safe_csv(frame)


def _observations_in(source: Source) -> Path | None:
    if source.kind == "folder" or source.path.name == PACKAGE:
        path = (source.path if source.kind == "folder" else source.path.parent) / OBSERVATIONS
        return path if path.is_file() else None
    return source.path if source.kind == "table" and _has_media(source.path) else None


def _has_media(path: Path) -> bool:
    """Whether a table has a column of media, before it is read: a verdict CSV may hold what `read_frame` refuses."""
    with path.open("rb") as file:
        return b"mediaID" in file.readline(HEAD)


def _media(path: Path) -> dict[str, str]:
    """The file of each medium; none where the table is missing."""
    if not path.is_file():
        return {}
    table = read_frame(path)
    if not {"mediaID", "filePath"} <= set(table.columns):
        return {}
    return dict(zip(table["mediaID"].map(restored), table["filePath"].map(restored), strict=True))


def _sent(path: Path) -> dict[str, Cells]:
    """The exported row of each image; none where the table is missing."""
    if not path.is_file():
        return {}
    return {row["image"]: sent_cells(row) for row in records(read_csv(path))}


def _given(row: Mapping[str, Any]) -> Given:
    tags = [tag.partition(":") for tag in row["observationTags"].split("|")]
    words = {key.strip(): value.strip() for key, colon, value in tags if colon}
    reviewer = str(row.get("classifiedBy", "")).strip()
    return Given(
        verdict=words.get("verdict", "").lower(),
        reason=words.get("reason", ""),
        note=str(row.get("observationComments", "")) if "verdict" in words else "",
        suggested_label=words.get("suggested_label", ""),
        reviewer=reviewer,
        reviewed_at=str(row.get("classificationTimestamp", "")).strip(),
    )


def _shown(text: str) -> str:
    """A text as a tag can hold it."""
    return plain(text.replace("|", "/"))
