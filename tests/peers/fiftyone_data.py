"""Loads a data set with FiftyOne and exports it again, then once more with a sample flagged.

Arguments: the folder, that of the images, the new folder, the new folder with a flag on `b.jpg`.
"""

import json
import sys
from typing import Any

import fiftyone as fo

source, images, rewritten, flagged = sys.argv[1:]
data: Any = fo.Dataset.from_dir(source, dataset_type=fo.types.LegacyFiftyOneDataset, rel_dir=images)
data.export(rewritten, dataset_type=fo.types.FiftyOneDataset, export_media=False)
facts = {}
for sample in data:
    regions = [{"box": list(region.bounding_box), "mask": region.mask.tolist()} for region in sample.subject.detections]
    facts[sample.filename] = {
        "path": sample.filepath,
        "label": sample.label.label,
        "confidence": sample.predicted.confidence,
        "tags": sample.tags,
        "regions": regions,
    }
    if sample.filename == "b.jpg":
        sample.tags.append("flag")
        sample.save()
data.export(flagged, dataset_type=fo.types.FiftyOneDataset, export_media=False)
print(f"\n{json.dumps(facts)}")
