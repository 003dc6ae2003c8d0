"""Loads a folder of images with `datasets` and writes its columns again; then with a verdict on `b.jpg`.

Arguments: the folder, the new file, the new file with a flag, a folder for the cache.
"""

import json
import sys
from pathlib import Path
from typing import Any

import datasets

source, rewritten, flagged, cache = sys.argv[1:]
data: Any = datasets.load_dataset("imagefolder", data_dir=source, cache_dir=cache)["train"]
raw = data.cast_column("image", datasets.Image(decode=False))
facts = {
    Path(plain["image"]["path"]).name: {
        "size": row["image"].size,
        **{name: row[name] for name in ("label", "confidence", "verdict", "objects")},
    }
    for row, plain in zip(data, raw, strict=True)
}
raw.to_json(rewritten)


def flag(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "verdict": "flag"} if row["image"]["path"].endswith("b.jpg") else row


raw.map(flag, cache_file_name=f"{cache}/flagged.arrow").to_json(flagged)
print(f"\n{json.dumps(facts)}")
