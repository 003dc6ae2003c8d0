"""Label Studio's JSON: tasks with predictions, which it shows as pre-annotations, and the labeling interface.

Source: labelstud.io/guide/predictions, /guide/export and /tags.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from whalecam.config import REVIEW_VERDICTS
from whalecam.data.outlines import Bools
from whalecam.data.readers.boxes.coco import dicts
from whalecam.data.readers.boxes.label_studio import image_of
from whalecam.data.readers.boxes.source import Source
from whalecam.output.interchange import regions
from whalecam.output.interchange.outgoing import Item, Outgoing
from whalecam.output.interchange.returned import (
    SENT,
    WORDS,
    Contents,
    Given,
    Returned,
    given_of,
    sent_cells,
    verdict_of,
    words_of,
)

TASKS, INTERFACE = "tasks.json", "labeling-interface.xml"
TEXTS = WORDS[1:]
SERVED = "/data/local-files/?d="
"""Label Studio serves files below its LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT under this address."""
CONFIG = """<View>
  <Image name="image" value="$image"/>
  <Choices name="verdict" toName="image" choice="single" showInline="true">
    {choices}
  </Choices>
  <TextArea name="reason" toName="image" placeholder="reason" maxSubmissions="1"/>
  <TextArea name="note" toName="image" placeholder="note" maxSubmissions="1"/>
  <TextArea name="suggested_label" toName="image" placeholder="suggested label" maxSubmissions="1"/>
  <RectangleLabels name="box" toName="image"><Label value="{subject}"/></RectangleLabels>
  <PolygonLabels name="outline" toName="image"><Label value="{subject} outline"/></PolygonLabels>
</View>
"""
"""The labeling interface, with the choices and the run's word for what its masks show in braces."""


def write(outgoing: Outgoing) -> dict[str, bytes]:
    """`tasks.json`, and the labeling interface that they need."""
    home = outgoing.folder.name if outgoing.folder else ""
    tasks = [_task(item, home, outgoing) for item in outgoing.items]
    choices = "".join(f'<Choice value="{name}"/>' for name in REVIEW_VERDICTS)
    return {
        INTERFACE: CONFIG.format(choices=choices, subject=outgoing.subject).encode(),
        TASKS: json.dumps(tasks).encode(),
    }


def read(source: Source) -> Contents | None:
    """The choices and texts of every annotation that was not cancelled, of JSON and JSON-MIN."""
    path = source.path / TASKS
    content = (Source(path) if source.kind == "folder" and path.is_file() else source).json
    tasks = [task for task in dicts(content) if _is_task(task)]
    if not tasks:
        return None
    places = "the choices flag, keep and unsure of an annotation"
    return Contents(format="a Label Studio file", images=[_returned(task) for task in tasks], places=places)


def _task(item: Item, home: str, outgoing: Outgoing) -> dict[str, Any]:
    place = f"{home}/{item.file}" if home else item.file
    data = {"image": f"{SERVED}{quote(place)}", SENT: json.dumps(dict(item.cells))}
    data |= {name: item.text(name) for name in ("label", "predicted", "assessment")}
    result = list(_results(item, outgoing.subject))
    score = item.number("confidence")
    prediction = {"model_version": outgoing.network, "result": result} | ({} if score is None else {"score": score})
    return {"data": data, "predictions": [prediction] if result else []}


def _results(item: Item, subject: str) -> Iterator[dict[str, Any]]:
    words = words_of(item)
    if "verdict" in words:
        yield _result("verdict", "choices", {"choices": [words["verdict"]]})
    for name in TEXTS:
        if name in words:
            yield _result(name, "textarea", {"text": [words[name]]})
    if item.mask is not None and (box := regions.box(item.mask)):
        size = {"original_width": item.width, "original_height": item.height, "image_rotation": 0}
        corners = dict(zip(("x", "y", "width", "height"), (100 * share for share in box), strict=True))
        yield _result("box", "rectanglelabels", {**corners, "rotation": 0, "rectanglelabels": [subject]}) | size
        for ring in _percents(item.mask):
            yield _result("outline", "polygonlabels", {"points": ring, "polygonlabels": [f"{subject} outline"]}) | size


def _percents(mask: Bools) -> Iterator[list[list[float]]]:
    height, width = mask.shape
    for ring in regions.rings(mask):
        yield [[100 * x / width, 100 * y / height] for x, y in ring]


def _result(name: str, kind: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"from_name": name, "to_name": "image", "type": kind, "value": value}


def _is_task(task: Mapping[str, Any]) -> bool:
    if isinstance(task.get("data"), dict):
        return any(isinstance(task.get(name), list) for name in ("annotations", "completions", "predictions"))
    return "annotation_id" in task or "annotator" in task


def _returned(task: Mapping[str, Any]) -> Returned:
    data = task.get("data")
    if not isinstance(data, dict):
        short = _signed({name: _flat(value) for name, value in task.items()}, task.get("annotator"), task)
        return Returned(file=image_of(task), sent=sent_cells(task.get(SENT)), given=[short])
    annotations = [*dicts(task.get("annotations")), *dicts(task.get("completions"))]
    given = [
        _signed(_values(annotation), annotation.get("completed_by"), annotation)
        for annotation in annotations
        if not annotation.get("was_cancelled")
    ]
    return Returned(file=image_of(data), sent=sent_cells(data.get(SENT)), given=given)


def _values(annotation: Mapping[str, Any]) -> dict[str, str]:
    """The words of an annotation. The choice of a control of another name counts where it is a verdict."""
    values: dict[str, str] = {}
    for result in dicts(annotation.get("result")):
        name, value = result.get("from_name"), result.get("value")
        text = _flat(value) if isinstance(value, dict) else ""
        if name in WORDS:
            values[name] = text
        elif result.get("type") == "choices" and (verdict := verdict_of(text)):
            values.setdefault("verdict", verdict)
    return values


def _signed(values: Mapping[str, Any], person: Any, stamps: Mapping[str, Any]) -> Given:
    """A verdict with who gave it and when, as far as Label Studio notes it."""
    moment = str(stamps.get("updated_at") or stamps.get("created_at") or "")
    return given_of({**values, "reviewer": _person(person), "reviewed_at": moment})


def _person(person: Any) -> str:
    if isinstance(person, dict):
        name = " ".join(str(person.get(part) or "") for part in ("first_name", "last_name")).strip()
        return str(person.get("email") or name or _person(person.get("id")))
    if isinstance(person, int) and not isinstance(person, bool):
        return f"Label Studio user {person}"
    return person if isinstance(person, str) else ""


def _flat(value: Any) -> Any:
    """Choices or texts as one text."""
    if isinstance(value, dict):
        value = value.get("choices") or value.get("text") or ""
    return ", ".join(map(str, value)) if isinstance(value, list) else value
