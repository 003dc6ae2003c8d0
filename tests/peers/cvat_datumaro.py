"""Reads a CVAT file with Datumaro, which CVAT itself uses, and writes it again; then with a tag on `b`.

Arguments: the folder with `annotations.xml` and `images/`, the new folder, the new folder with a flag.
"""

import json
import sys
from typing import Any

import datumaro as dm

source, rewritten, flagged = sys.argv[1:]
data: Any = dm.Dataset.import_from(source, "cvat")
data.export(rewritten, "cvat", save_media=False)
names = [label.name for label in data.categories()[dm.AnnotationType.label]]
facts: dict[str, Any] = {}
for item in list(data):
    masks = [one.image.astype(int).tolist() for one in item.annotations if one.type == dm.AnnotationType.mask]
    tags = [names[one.label] for one in item.annotations if one.type == dm.AnnotationType.label]
    facts[item.id] = {"masks": masks, "tags": tags}
    if item.id == "b":
        data.put(item.wrap(annotations=[*item.annotations, dm.Label(names.index("flag"))]))
data.export(flagged, "cvat", save_media=False)
print(f"\n{json.dumps(facts)}")
