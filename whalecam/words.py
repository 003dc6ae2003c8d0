"""The words of a run: what its images show, what it stands before, and what its labels and groups are."""

import re
import unicodedata
from dataclasses import dataclass, fields

from whalecam.config import Columns
from whalecam.errors import DatasetError

MAX_LENGTH = 30
"""Characters of a word."""
UNCHANGED = ("species", "series", "sheep", "fish", "aircraft")
"""Words that are their own plural, and endings of such."""
HISSED = ("s", "x", "z", "ch", "sh")
SIGNS = " -'’"
"""Signs that a word may have besides letters and digits; none of them means anything in HTML, Markdown or a formula."""


@dataclass(frozen=True, kw_only=True)
class Words:
    """What pages, report and command line call the things of a run; each is a noun in the singular.

    Attributes:
        subject: what the labels name, as in `animal`.
        background: what the rest of an image shows, as in `water`.
        label: what a label is, as in `species`.
        group: what a group is, as in `individual`.

    Raises DatasetError for a word that is empty, longer than MAX_LENGTH, or has other signs than letters, digits,
    blanks, hyphens and apostrophes.
    """

    subject: str = "object"
    background: str = "background"
    label: str = "label"
    group: str = "group"

    def __post_init__(self) -> None:
        for field in fields(self):
            _check(field.name, getattr(self, field.name))

    @property
    def subjects(self) -> str:
        return plural(self.subject)

    @property
    def backgrounds(self) -> str:
        return plural(self.background)

    @property
    def labels(self) -> str:
        return plural(self.label)

    @property
    def groups(self) -> str:
        return plural(self.group)

    @classmethod
    def of_columns(
        cls, columns: Columns, subject: str = "", background: str = "", *, has_groups: bool = True
    ) -> "Words":
        """The words of a data set whose labels and groups are called as their columns; an empty word is the default."""
        return cls(
            subject=subject.strip() or cls.subject,
            background=background.strip() or cls.background,
            label=word_of(columns.label) or cls.label,
            group=(word_of(columns.group) if has_groups else "") or cls.group,
        )


def word_of(column: str) -> str:
    """The name of a column as a word, as in `individual_id` → `individual`; "" where it makes none."""
    spaced = re.sub(r"(?<=[^\W\d_])(?<![A-Z])(?=[A-Z])", " ", column)
    kept = "".join(sign if _is_plain(sign) else " " for sign in spaced).lower().split()
    if len(kept) > 1 and kept[-1] in ("id", "ids"):
        kept.pop()
    word = " ".join(kept)
    return word if len(word) <= MAX_LENGTH and word[:1].isalpha() else ""


def plural(word: str) -> str:
    """The plural by the rules of English spelling, as in `classes`; some words are their own."""
    if word.endswith(UNCHANGED):
        return word
    if word.endswith(HISSED):
        return f"{word}es"
    if word.endswith("y") and word[-2:-1] not in ("a", "e", "i", "o", "u", ""):
        return f"{word[:-1]}ies"
    return f"{word}s"


def capital(text: str) -> str:
    """A text with a capital at its beginning; the rest stays as it is."""
    return text[:1].upper() + text[1:]


def _check(name: str, word: str) -> None:
    """Raises DatasetError for what is no word."""
    if not (0 < len(word) <= MAX_LENGTH and word[0].isalpha() and all(map(_is_plain, word))):
        shown = "".join(sign if sign.isprintable() else "?" for sign in word[:MAX_LENGTH])
        raise DatasetError(
            f"'{shown}' is no word for the {name}. Give a noun such as 'car': it begins with a letter and has up to "
            f"{MAX_LENGTH} letters, digits, blanks, hyphens or apostrophes."
        )


def _is_plain(sign: str) -> bool:
    return sign in SIGNS or unicodedata.category(sign)[0] in "LMN"


MARINE = Words(subject="animal", background="water", label="species", group="individual")
"""The words of the demo, and of runs from before words were noted."""
