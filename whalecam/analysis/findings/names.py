"""How alike two names of labels are: the same but for spelling, perhaps the same, or different."""

import unicodedata
from itertools import combinations

from rapidfuzz.distance import OSA, Levenshtein

SAME, PERHAPS = "same", "perhaps"
WORD, LONG_WORD = 5, 9
MOST_NAMES = 1000
"""More names than this are no list of classes that people wrote; only equal spellings are sought among them."""


def words_of(name: str) -> tuple[str, ...]:
    """The words of a name in small letters, without accents and marks: "Cuvier's-Whale" → ("cuviers", "whale")."""
    plain = unicodedata.normalize("NFKD", name.casefold()).replace("'", "").replace("’", "")
    letters = (c if c.isalnum() else " " for c in plain if not unicodedata.combining(c))
    return tuple("".join(letters).split())


def likeness(first: str, second: str) -> str | None:
    """`same` where only spelling differs, `perhaps` where that is less sure, else None.

    Spelling: marks, case, accents and spaces; or, in one word only, a letter left out, put in or swapped with its
    neighbour (of 5 letters or more), or up to two such or exchanged letters (9 or more). An exchanged letter in a
    shorter word may make another word (mouse, moose), so that is `perhaps`. The first letter and all digits must
    agree: people seldom mistype the one, and the others number things.
    """
    return _compare(words_of(first), words_of(second))


def _compare(first: tuple[str, ...], second: tuple[str, ...]) -> str | None:
    if "".join(first) == "".join(second):
        return SAME if first else None
    if len(first) != len(second) or _digits(first) != _digits(second):
        return None
    differing = [(a, b) for a, b in zip(first, second, strict=True) if a != b]
    return _kind(*differing[0]) if len(differing) == 1 else None


def look_alikes(names: list[str]) -> list[tuple[str, str, str]]:
    """(one, other, likeness) of every pair of names that is alike."""
    if len(names) > MOST_NAMES:
        return _equal(names)
    words = [(name, words_of(name)) for name in names]
    pairs = ((name, other, _compare(first, second)) for (name, first), (other, second) in combinations(words, 2))
    return [(name, other, kind) for name, other, kind in pairs if kind]


def _kind(first: str, second: str) -> str | None:
    shortest = min(len(first), len(second))
    if first[0] != second[0] or max(len(first), len(second)) < WORD:
        return None
    if shortest >= LONG_WORD:
        return SAME if OSA.distance(first, second) <= 2 else None
    if OSA.distance(first, second) > 1:
        return None
    exchanged = len(first) == len(second) and Levenshtein.distance(first, second) == 1
    return PERHAPS if exchanged else SAME


def _digits(words: tuple[str, ...]) -> list[str]:
    return [letter for word in words for letter in word if letter.isdigit()]


def _equal(names: list[str]) -> list[tuple[str, str, str]]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault("".join(words_of(name)), []).append(name)
    return [(first, second, SAME) for key, group in groups.items() if key for first, second in combinations(group, 2)]
