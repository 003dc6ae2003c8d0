"""What the matches of a run say, in sentences that page and command line share."""

import math
from collections.abc import Mapping

import pandas as pd

from whalecam.assessment.match_reliance import LEAST_DROP, PLACEBO_LIMIT
from whalecam.assessment.reliance import CLASS_LEVEL, ClassTest
from whalecam.config import SUSPECT_ASSESSMENTS, Thresholds
from whalecam.stats import holm
from whalecam.store.matches import MatchRecord, MatchTables, Reached
from whalecam.store.run import Run
from whalecam.text import number, percent, short

KINDS = {
    "same encounter": "Matches within an encounter",
    "other encounter": "Matches across encounters",
    "unknown encounter": "Matches of an unknown encounter",
}
"""The kinds of `store.matches.Tested`, as sentences name them."""
SEEN = 0.02
"""Top-1 that an encounter must account for to be called a leak."""


def record_lines(run: Run, thresholds: Thresholds = Thresholds()) -> list[str]:
    """What was compared, what the encounters account for, and how many matches rest on the background."""
    tables = MatchTables(run)
    record = tables.record
    if record is None:
        return []
    rows = tables.assessed(thresholds)
    some = rows[rows["drop"].notna()]
    resting = int(some["assessment"].isin(SUSPECT_ASSESSMENTS).sum())
    lines = [
        f"{record.images:,} images of {record.individuals:,} individuals in {record.encounters:,} encounters "
        f"({record.encounter}), compared by {record.network}.",
        encounter_sentence(record),
        f"{len(some):,} matches were tested: {resting:,} rest on the {run.words.background}, of which at most "
        f"{percent(thresholds.false_rate)} are expected to be false.",
    ]
    lines += kind_lines(tables.tested.tests, resting, thresholds.false_rate, run.words.background)
    if broken := int((some["assessment"] == "not_assessable").sum()):
        lines.append(
            f"Of {broken:,} the test says nothing: on the {run.words.background} of their own encounter their "
            f"probability drops by {percent(PLACEBO_LIMIT)} or more too, so the editing itself makes another match."
        )
    if sentence := background_sentence(rows, run.words.background):
        lines.append(sentence)
    if record.new_individual is not None:
        lines.append(
            f"The similarity separates known individuals from new ones: AUROC {number(record.new_individual)}."
        )
    return [line for line in (*lines, *record.notes) if line]


def encounter_sentence(record: MatchRecord) -> str:
    """What the gallery images of the query's own encounter account for."""
    apart, together, placebo = record.without_encounter, record.with_encounter, record.placebo
    if not record.encounters:
        return f"Top-1 is {_share(record.random)} of {record.random.queries:,} queries, whatever encounter they share."
    if apart.top1 is None or placebo.top1 is None:
        return (
            f"Top-1 is {_share(record.random)} of {record.random.queries:,} queries. No individual is seen in two "
            "encounters, so how much of that is the encounter cannot be measured."
        )
    drop = placebo.top1 - apart.top1
    meaning = "Matches rest on the encounter." if drop >= SEEN else "Matches do not rest on the encounter."
    return (
        f"Top-1 falls from {_share(together)} to {_share(apart)} on {apart.queries:,} queries when images of the "
        f"query's own encounter leave the gallery; {_share(placebo)} when as many others leave it. A random split "
        f"would have claimed {_share(record.random)}. {meaning}"
    )


def kind_lines(tests: Mapping[str, ClassTest], listed: int, rate: float, background: str) -> list[str]:
    """Which kinds of matches rest on the background beyond chance, and why none of them may be listed all the same.

    Args:
        tests: by the keys of KINDS.
        listed: how many matches are, at the false discovery rate `rate`.
    """
    corrected = dict(zip(tests, holm([test.p_value for test in tests.values()]), strict=True))
    lines = [
        f"{KINDS[kind]} rest on the {background} beyond chance: on that of other encounters their probability drops by "
        f"{number(100 * test.gap, 0)} points more than on their own, in the mean (p\u00a0{short(corrected[kind], 2)})."
        for kind, test in tests.items()
        if corrected[kind] <= CLASS_LEVEL
    ]
    if lines and not listed and rate > 0:
        lines.append(
            f"No single one is listed. That takes a drop of {number(100 * LEAST_DROP, 0)} points beyond its placebo, "
            f"and {math.ceil(1 / rate)} or more that stand out from theirs, or more than {percent(rate)} of the "
            "list could be false: test more matches, or raise the rate."
        )
    return lines


def background_sentence(rows: pd.DataFrame, background: str) -> str:
    """How often the background alone, the subject filled in, is most similar to an image of the same encounter."""
    finds = rows["background_finds"].dropna().astype(bool)
    if finds.empty:
        return ""
    return (
        f"The {background} alone, the query's subject filled in, finds an image of its own encounter in "
        f"{percent(float(finds.mean()))} of {len(finds):,} matches."
    )


def share_sentence(query_share: float, candidate_share: float, background: str) -> str:
    """How much of the similarity lies on the background of either image; "" where neither is known."""
    sides = ((query_share, "query's"), (candidate_share, "candidate's"))
    known = [f"{percent(share)} of the {name} image" for share, name in sides if pd.notna(share)]
    return f"Evidence on the {background}: {' and '.join(known)}." if known else ""


def _share(reached: Reached) -> str:
    return "–" if reached.top1 is None else percent(reached.top1)
