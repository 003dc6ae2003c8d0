"""The matches of a run as a CSV, and verdicts on matches out of one."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from whalecam.config import MATCH_VERDICTS, Thresholds
from whalecam.data.csv_text import read_text, restored, safe_csv
from whalecam.errors import ReviewError, RunError
from whalecam.store.matches import MatchTables, has_matches
from whalecam.store.reviews.match_verdicts import MatchJournal, MatchVerdict
from whalecam.store.run import Run

COLUMNS = (
    *("query", "candidate", "individual", "matched", "verdict", "note", "reviewer", "reviewed_at"),
    *("similarity", "is_right", "same_encounter", "drop", "placebo", "q_value", "assessment"),
    *("query_share", "candidate_share", "both_exchanged", "background_only", "rank_exchanged", "completeness_error"),
)
TEXTS = ("query", "candidate", "individual", "matched", "verdict", "note", "reviewer", "reviewed_at")
NEEDED = ("query", "candidate", "verdict", "reviewer")
WILDBOOK: Mapping[str, str] = {
    "Encounter.mediaAsset0": "query",
    "Encounter.individualID": "individual",
    "Encounter.project0.researchProjectName": "project",
    "Encounter.researcherComments": "comment",
}
"""Columns of Wildbook's bulk import that a match can fill."""
COMMENTS: Mapping[str, str] = {
    "same": "same individual as",
    "different": "another individual than",
    "unsure": "perhaps the same individual as",
    "background": "matched by its background alone with",
}


@dataclass(frozen=True)
class MatchImport:
    """What became of the verdicts of a file: signed, standing already, and those of matches that the run has not."""

    added: int
    unchanged: int
    unknown: tuple[tuple[str, str], ...]


def match_rows(run: Run, thresholds: Thresholds = Thresholds()) -> pd.DataFrame:
    """One row per query, by name, with its best candidate and the verdict that stands: COLUMNS.

    Raises RunError where the run has no matches.
    """
    if not has_matches(run):
        raise RunError(f"Run '{run.name}' has no matches yet. Make them: whalecam matches {run.path}")
    rows = MatchTables(run).assessed(thresholds)
    rows = rows.merge(MatchJournal.of(run).latest(), on=["query", "candidate"], how="left")
    rows = rows.reindex(columns=list(COLUMNS))
    return rows.assign(**{name: rows[name].astype(object).where(rows[name].notna(), "") for name in TEXTS})


def write_matches(run: Run, thresholds: Thresholds = Thresholds()) -> bytes:
    """The rows of `match_rows` as a CSV whose texts no spreadsheet runs as a formula."""
    rows = match_rows(run, thresholds)
    flags = {name: rows[name].map({True: "yes", False: "no"}).fillna("") for name in ("is_right", "same_encounter")}
    return safe_csv(rows.assign(**flags))


def write_wildbook(run: Run) -> bytes:
    """The matches that people gave a verdict on, as a sheet of Wildbook's bulk import.

    A query gets the matched individual where somebody said that it is the same, else the one it had.
    """
    rows = match_rows(run)
    rows = rows[rows["verdict"] != ""]
    is_same = rows["verdict"] == "same"
    comment = (
        rows["verdict"].map(COMMENTS) + " " + rows["candidate"].astype(str) + " (" + rows["reviewer"].astype(str) + ")"
    )
    sheet = pd.DataFrame(
        {
            "query": rows["query"],
            "individual": rows["matched"].where(is_same, rows["individual"]),
            "project": run.name,
            "comment": comment,
        }
    ).astype(str)
    return safe_csv(sheet.rename(columns={name: column for column, name in WILDBOOK.items()}))


def import_matches(run: Run, source: bytes | Path) -> MatchImport:
    """Sign the verdicts of a file that `write_matches` wrote and a person changed; what stands already is left.

    Raises ReviewError where it has not the columns NEEDED, and for an unknown verdict; nothing is signed then.
    """
    frame = pd.read_csv(io.StringIO(read_text(source, ReviewError).text), dtype=str, keep_default_na=False)
    if missing := [name for name in NEEDED if name not in frame]:
        raise ReviewError(f"The file has no column '{missing[0]}', so it is not a list of matches.")
    frame = frame.map(restored)
    known = {(row.query, row.candidate): row for row in match_rows(run).itertuples()}
    verdicts, unchanged, unknown = [], 0, []
    for row in frame[frame["verdict"].str.strip() != ""].to_dict("records"):
        pair = str(row["query"]), str(row["candidate"])
        verdict, note, reviewer = (str(row.get(name, "")).strip() for name in ("verdict", "note", "reviewer"))
        if verdict not in MATCH_VERDICTS:
            raise ReviewError(f"'{verdict[:40]}' is not a verdict on a match. There are: {', '.join(MATCH_VERDICTS)}.")
        if pair not in known:
            unknown.append(pair)
        elif (known[pair].verdict, known[pair].note, known[pair].reviewer) == (verdict, note, reviewer):
            unchanged += 1
        else:
            verdicts.append(MatchVerdict(*pair, verdict, reviewer, note))
    added = MatchJournal.of(run).sign(verdicts)
    return MatchImport(added, unchanged, tuple(unknown))
