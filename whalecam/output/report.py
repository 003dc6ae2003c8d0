"""One self-contained HTML page about a run: no network, no script, no text of the data set as markup."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import jinja2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from whalecam.analysis.accounting import rows_sentence
from whalecam.analysis.recommendation import unassessed_sentence
from whalecam.arrays import ByteArray, records
from whalecam.assessment.meanings import TITLES, meaning
from whalecam.config import ASSESSMENTS, EXACTNESS, MASK_GRID, SUSPECT_ASSESSMENTS, Thresholds
from whalecam.data import Dataset, geometry, read_sample
from whalecam.errors import DatasetError
from whalecam.explain import render, score
from whalecam.store.corrected import latest_reviews
from whalecam.store.open_table import open_table
from whalecam.store.reviews import Corrections, Journal
from whalecam.store.run import Run, now
from whalecam.store.table import Filters, Overlay, Table
from whalecam.text import count, number, percent

TEMPLATE = Path(__file__).with_name("report.html")
LONGEST, QUALITY = 360, 72
CASES = 24
LARGEST = 5_000_000
"""Bytes that a report may take; images beyond it are left out."""
ORIGINS = {"given": "given as a file", "boxes": "a box that was given", "net": "found by the mask network"}


def write_report(
    run: Run, data: Dataset, out: Path, *, cases: int = CASES, thresholds: Thresholds = Thresholds()
) -> Path:
    """Write `report_html` to the file `out`. Raises what it raises."""
    text = report_html(run, data, cases, thresholds)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    return out


def report_html(run: Run, data: Dataset, cases: int = CASES, thresholds: Thresholds = Thresholds()) -> str:
    """The page: overview, labels, top cases with overlay and verdict, method, exactness of the maps, versions.

    Args:
        cases: how many images it shows, flagged ones first, then suspects, each by evidence.

    Raises RunError where nothing is audited yet, ReviewError where the journal cannot be read.
    """
    journal = Journal.of(run)
    table = open_table(run, thresholds, journal=journal)
    page = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    page.filters.update(share=percent, number=number, count=count)
    facts, exactness = table.overview(), run.manifest.exactness
    text = page.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        run=run,
        words=run.words,
        manifest=run.manifest,
        csv=Path(run.manifest.dataset.csv).name,
        created=now(),
        facts=facts,
        titles=TITLES,
        meanings={name: meaning(name, run.words, has_maps=bool(facts["assessable"])) for name in ASSESSMENTS},
        rows=rows_sentence(run.row_counts(), facts, table.unassessed()),
        unassessed=unassessed_sentence(facts, table.unassessed(), run.words),
        accuracy=table.accuracy(),
        majority=table.majority(),
        verdicts=_verdicts(table),
        labels=_labels(table, "confirmed" if facts["measured"] else "suspects"),
        people=_people(latest_reviews(journal, Corrections.of(run)), set(data.table["image"])),
        exactness=EXACTNESS.get(exactness, ""),
        thresholds=thresholds,
        reasons=records(table.reasons()),
        cases=_cases(run, data, table, cases),
    )
    return str(text)


def _verdicts(table: Table) -> list[dict[str, Any]]:
    """`verdict images share`, in the order of ASSESSMENTS."""
    counts = dict(table.assessments().itertuples(index=False, name=None))
    total = max(1, sum(counts.values()))
    return [
        {"assessment": name, "images": counts[name], "share": counts[name] / total}
        for name in ASSESSMENTS
        if name in counts
    ]


def _labels(table: Table, leaks: str) -> list[dict[str, Any]]:
    rows = table.per_label().sort_values(["share", "label"], ascending=[False, True])
    return [dict(row) | {"leaks": row[leaks]} for row in records(rows)]


def _people(latest: pd.DataFrame, known: set[Any]) -> dict[str, Any]:
    """Who reviewed, and how many images stand at each of their verdicts."""
    own = latest[latest["image"].isin(known)]
    return {"reviewers": sorted(set(own["reviewer"])), "verdicts": own["verdict"].value_counts().to_dict()}


def _cases(run: Run, data: Dataset, table: Table, wanted: int) -> list[dict[str, Any]]:
    """The rows of the top cases with their images, as long as there is room for these."""
    flagged = table.page(Filters(review="flag"), "evidence", wanted)
    suspects = table.page(Filters(assessments=SUSPECT_ASSESSMENTS), "evidence", wanted)
    some = [frame for frame in (flagged, suspects) if len(frame)]
    top = pd.concat(some).drop_duplicates("image").head(wanted) if some else flagged
    paths = dict(zip(data.table["image"], data.table["path"], strict=True))
    overlays, left, shown = table.overlays_of(top["image"].tolist()), LARGEST - 500_000, []
    for row in records(top):
        case = _case(run, table, row, overlays[row["image"]], paths.get(row["image"], ""))
        left -= sum(len(uri) for _, uri in case["images"])
        shown.append(case if left > 0 else case | {"images": []})
    return shown


def _case(run: Run, table: Table, row: Mapping[str, Any], overlay: Overlay, path: str) -> dict[str, Any]:
    """A row of the table; `images`: what is seen and its data URI, none where the file cannot be read."""
    facts = {name: None if pd.isna(value) else value for name, value in row.items()}
    images: list[tuple[str, str]] = []
    facts |= {"images": images, "mask": ORIGINS.get(str(facts["mask_source"]), facts["mask_source"])}
    try:
        pixels = _small(read_sample(Path(path), str(row["image"])).pixels)
    except DatasetError:
        return facts
    seen = {
        "image": pixels,
        "activation map and outline": _heated(run, facts, overlay, pixels),
    }
    images += [(caption, _uri(image)) for caption, image in seen.items() if image is not None]
    if facts["reliance"] is not None and (edited := table.row(str(row["image"]))["reliance_image"]):
        images.append(
            (f"{run.words.background} changed", "data:image/webp;base64," + base64.b64encode(edited).decode())
        )
    return facts


def _heated(run: Run, facts: Mapping[str, Any], overlay: Overlay, pixels: ByteArray) -> ByteArray | None:
    """The image under the map of its predicted class, with the outline of its mask; None without a map."""
    if overlay.maps is None:
        return None
    values = score.contrast(overlay.maps, "relative", run.manifest.classes.index(str(facts["predicted"])))
    height, width = pixels.shape[:2]
    frame = geometry.frame_of(width, height, str(run.manifest.network.get("resize", "squish")))
    drawn = render.overlay(pixels, values, frame)
    if overlay.mask_bits is None:
        return drawn
    return render.outline(drawn, _mask(overlay.mask_bits, width, height))


def _mask(bits: bytes, width: int, height: int) -> NDArray[np.float32]:
    grid = render.unpack_mask(bits).astype(np.float32)
    large = cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR)
    # The grid is coarser than the image: without this its cells show as stairs.
    return np.asarray(cv2.GaussianBlur(large, (0, 0), max(width, height) / MASK_GRID / 2), np.float32)


def _small(pixels: ByteArray) -> ByteArray:
    image = Image.fromarray(pixels)
    image.thumbnail((LONGEST, LONGEST))
    return np.asarray(image)


def _uri(pixels: ByteArray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", quality=QUALITY)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
