"""One self-contained HTML page about a run: no network, no script, no text of the data set as markup."""

import base64
import io
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from whalecam import geometry, leak, render
from whalecam.arrays import records
from whalecam.config import SUSPECT_VERDICTS, Thresholds
from whalecam.dataset import Dataset, read_sample
from whalecam.errors import DatasetError
from whalecam.reviews import Journal
from whalecam.run import Run, now
from whalecam.table import Filters, Table

TEMPLATE = Path(__file__).with_name("report.html")
LONGEST = 360


def write_report(run: Run, data: Dataset, out: Path, cases: int = 24, thresholds: Thresholds = Thresholds()) -> Path:
    """Write the page to `out`: overview, species, the top cases with overlay and verdict, method, licence, versions."""
    reviews = Journal(run.reviews_url).latest()
    table = Table(run.parts(), leak.verdicts, thresholds, reviews)
    flagged = table.page(Filters(review="flag"), "evidence", cases)
    suspects = table.page(Filters(verdicts=SUSPECT_VERDICTS), "evidence", cases)
    top = pd.concat([flagged, suspects]).drop_duplicates("image").head(cases)
    paths = dict(zip(data.table["image"], data.table["path"], strict=True))
    overlays = table.overlays_of(top["image"].tolist())
    shown = [_case(run, overlays[row["image"]].maps, row, paths.get(row["image"], "")) for row in records(top)]
    page = jinja2.Environment(autoescape=True).from_string(TEMPLATE.read_text(encoding="utf-8"))
    text = page.render(
        run=run,
        manifest=run.manifest,
        created=now(),
        facts=table.overview(),
        verdicts=records(table.verdicts()),
        species=records(table.per_species()),
        cases=shown,
        thresholds=thresholds,
        isnan=pd.isna,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    return out


def _case(run: Run, maps: NDArray[np.float32] | None, row: dict[str, Any], path: str) -> dict[str, Any]:
    """A table row with its picture, plain and with its heat, as data URIs; empty where it cannot be read."""
    facts = dict(row) | {"plain": "", "heat": ""}
    try:
        sample = read_sample(Path(path), row["image"])
    except DatasetError:
        return facts
    facts["plain"] = _uri(Image.fromarray(sample.pixels))
    if maps is not None:
        values = leak.contrast(maps, "relative", run.manifest.classes.index(row["predicted"]))
        height, width = sample.pixels.shape[:2]
        frame = geometry.frame_of(width, height, str(run.manifest.network.get("resize", "squish")))
        facts["heat"] = _uri(Image.fromarray(render.overlay(sample.pixels, values, frame)))
    return facts


def _uri(picture: Image.Image) -> str:
    picture.thumbnail((LONGEST, LONGEST))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=80)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
