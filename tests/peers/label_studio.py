"""Validates tasks with Label Studio's SDK and converts them, annotated, as the server's export does.

Arguments: the folder of the tasks, the new folder.
"""

import json
import sys
from pathlib import Path
from typing import Any

from label_studio_sdk.converter import Converter
from label_studio_sdk.label_interface import LabelInterface

source, out = map(Path, sys.argv[1:])
config = (source / "labeling-interface.xml").read_text()
interface = LabelInterface(config)
interface.validate()
tasks: list[dict[str, Any]] = json.loads((source / "tasks.json").read_text())
faults = [error for task in tasks for one in task["predictions"] for error in interface.validate_prediction(one, True)]
valid = all(interface.validate_task({"data": task["data"]}) for task in tasks)
out.mkdir()
for at, task in enumerate(tasks, 1):
    task |= {"id": at, "annotations": []}
(out / "rewritten.json").write_text(json.dumps(tasks))
Converter(config, project_dir=None).convert(str(out / "rewritten.json"), str(out / "json"), "JSON", is_dir=False)
flagged = next(task for task in tasks if task["data"]["image"].endswith("b.jpg"))
choice = {"id": "q", "from_name": "verdict", "to_name": "image", "type": "choices", "value": {"choices": ["flag"]}}
person, moment = {"id": 3, "email": "bo@example.org"}, "2024-03-01T12:00:00Z"
annotation = {"id": 1, "completed_by": person, "result": [choice], "created_at": moment, "updated_at": moment}
flagged["annotations"] = [annotation]
valid = valid and interface.validate_annotation(annotation)
(out / "flagged.json").write_text(json.dumps(tasks))
for name in ("JSON", "JSON_MIN"):
    target = str(out / f"flagged-{name.lower()}")
    Converter(config, project_dir=None).convert(str(out / "flagged.json"), target, name, is_dir=False)
accepted = [{"id": 2, "completed_by": person, "result": task["predictions"][0]["result"]} for task in tasks]
(out / "accepted.json").write_text(
    json.dumps([task | {"annotations": [own]} for task, own in zip(tasks, accepted, strict=True)])
)
Converter(config, project_dir=None).convert(str(out / "accepted.json"), str(out / "coco"), "COCO", is_dir=False)
print(f"\n{json.dumps({'valid': valid, 'faults': faults})}")
