"""Words that stand in a column where nothing is known, in place of the name of a class or an individual."""

import pandas as pd

WORDS = frozenset(
    (
        *("unknown", "unk", "unidentified", "undetermined", "unassigned", "unlabeled", "unlabelled", "not identified"),
        *("new whale", "new individual", "no id", "noid", "no individual", "not known", "tbd", "todo", "missing"),
        *("na", "n/a", "#n/a", "nan", "none", "null", "nil", "-1", "-", "--", "?", "??", "???", "."),
    )
)
LISTED = 5


def is_placeholder(text: str) -> bool:
    """Whether a text means that nothing is known, as `new_whale`, `NA` and `-1` do."""
    return " ".join(text.casefold().replace("_", " ").split()) in WORDS or text.strip() in WORDS


def without_placeholders(groups: "pd.Series[str]") -> tuple["pd.Series[str]", tuple[str, ...]]:
    """Groups, empty in place of each placeholder, and a sentence on how many those are."""
    counts = groups.value_counts()
    words = [str(word) for word in counts.index if word and is_placeholder(str(word))]
    if not words:
        return groups, ()
    rows = int(counts[words].sum())
    listed = ", ".join(f"{word} ({counts[word]:,})" for word in words[:LISTED])
    more = ", …" if len(words) > LISTED else ""
    note = (
        f"{rows:,} of {len(groups):,} rows have a placeholder in place of a group: {listed}{more}. "
        "Each of these images is a group of its own."
    )
    return groups.mask(groups.isin(words), ""), (note,)
