"""The cue list: one row for each image and each cue that it relies on, safe to open in a spreadsheet."""

from collections.abc import Sequence

import pandas as pd

from whalecam.analysis.cues import CueFinding, cue_scores, cue_title
from whalecam.data.csv_text import safe_csv
from whalecam.store.cue_rows import cue_rows
from whalecam.store.run import Run

COLUMNS = ("image", "predicted", "cue", "place", "title", "drop", "p_value", "run", "model_sha256")


def write_cue_list(findings: Sequence[CueFinding], run: Run) -> bytes:
    """UTF-8 as in RFC 4180: `image`, `predicted`, `cue`, `place` and `title` of it, `drop` (how much more probability
    this image loses with the cue than with its placebo; of what is lent, such as sharpness, how much images of other
    labels gain that take it; of exposure the mean of both), `p_value` of the finding, `run`, `model_sha256`. Texts that
    a spreadsheet would run as a formula get a `'` in front.
    """
    stored, rows = cue_rows(run), list[tuple[object, ...]]()
    for finding in findings:
        scores, title = cue_scores(stored, finding.cue), cue_title(finding, run.words)
        rows += [
            (
                image,
                finding.predicted,
                finding.cue,
                finding.place,
                title,
                scores.get(image, float("nan")),
                finding.p_value,
                run.name,
                run.manifest.model_sha256,
            )
            for image in finding.images
        ]
    return safe_csv(pd.DataFrame(rows, columns=list(COLUMNS)))
