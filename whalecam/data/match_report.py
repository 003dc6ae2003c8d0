"""What became of the names of a table and of the files of a folder, and why."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from whalecam.data.spelling import SENTENCES, folded, plain, split_extension

NAMED = 3
"""How many names and files a report lists."""
WIDTH = 60
"""Letters of a name in a sentence."""
Ambiguous = tuple[str, tuple[str, ...]]
"""A name and the first of the files that it may mean."""


class Match(NamedTuple):
    """What a name means.

    Attributes:
        file: the path of the file, as given; empty where there is none or more than one.
        differences: kinds of difference between the spelling of the name and that of the file (`spelling`).
        candidates: the first files that it may mean, where it is ambiguous.
        is_claimed: whether the only candidate is the file of another name too, so that whose it is cannot be known.
    """

    file: str = ""
    differences: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    is_claimed: bool = False


@dataclass(frozen=True, kw_only=True)
class MatchReport:
    """What became of all names and of all files. Every name is matched, ambiguous or unmatched.

    Attributes:
        total: names, empty ones and repetitions included; `matched` of them have a file, `unmatched` none.
        spellings: names matched, by kind of difference.
        ambiguous: names that may mean several files, without repetitions, each with the first of those.
        ambiguous_count: names that are ambiguous, repetitions included.
        first_unmatched: the first distinct names without a file.
        files: how many there are; `unused` of them belong to no name.
        first_unused: the first of those.
        reason: a guess in words why names are unmatched or ambiguous, and what would help; empty where all match.
    """

    matched: int
    total: int
    spellings: Mapping[str, int] = field(default_factory=dict)
    ambiguous: tuple[Ambiguous, ...] = ()
    ambiguous_count: int = 0
    unmatched: int = 0
    first_unmatched: tuple[str, ...] = ()
    files: int = 0
    unused: int = 0
    first_unused: tuple[str, ...] = ()
    reason: str = ""

    @property
    def sentence(self) -> str:
        """As in `Matched 23 of 24 rows with 23 of 25 image files; 2 files have no row: a.jpg, b.jpg.`"""
        text = (
            f"Matched {self.matched:,} of {self.total:,} rows with {self.files - self.unused:,} of {self.files:,} files"
        )
        if not self.unused:
            return f"{text}."
        more = ", …" if self.unused > len(self.first_unused) else ""
        return f"{text}; {self.unused:,} files have no row: {', '.join(self.first_unused)}{more}."

    @property
    def spelled(self) -> tuple[str, ...]:
        """A sentence for each kind of difference in spelling, as in `12 of 24 names matched in another case.`"""
        return tuple(
            f"{count:,} of {self.total:,} names matched {SENTENCES[kind]}." for kind, count in self.spellings.items()
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """`spelled`, and the reason where names have no file."""
        return (*self.spelled, *([self.reason] if self.reason else []))

    def record(self) -> dict[str, object]:
        """The same as JSON can hold it, with its sentences."""
        words = {"sentence": self.sentence, "notes": list(self.notes)}
        return {**asdict(self), "spellings": dict(self.spellings), "ambiguous": self.ambiguous[:NAMED], **words}


def short(name: str) -> str:
    """A name as one line of text has room for it."""
    line = "".join(letter if letter.isprintable() else " " for letter in name)
    return line if len(line) <= WIDTH else f"…{line[1 - WIDTH :]}"


def report_of(names: Sequence[str], matches: Mapping[str, Match], files: Sequence[str]) -> MatchReport:
    """The report on names, repetitions included, what each means, and all files."""
    used = {match.file for match in matches.values() if match.file}
    unused = [file for file in files if file not in used]
    unmatched = [name for name, match in matches.items() if not match.file and not match.candidates]
    ambiguous = tuple((name, match.candidates) for name, match in matches.items() if match.candidates)
    outcomes = [matches[name] for name in names]
    matched = sum(1 for match in outcomes if match.file)
    several = sum(1 for match in outcomes if match.candidates)
    kinds = Counter(kind for match in outcomes for kind in match.differences)
    return MatchReport(
        matched=matched,
        total=len(names),
        spellings={kind: kinds[kind] for kind in SENTENCES if kinds[kind]},
        ambiguous=ambiguous,
        ambiguous_count=several,
        unmatched=len(names) - matched - several,
        first_unmatched=tuple(map(short, unmatched[:NAMED])),
        files=len(files),
        unused=len(unused),
        first_unused=tuple(map(short, unused[:NAMED])),
        reason=" ".join((*_why_unmatched(unmatched, files), *_why_ambiguous(ambiguous, matches))),
    )


def _why_unmatched(names: Sequence[str], files: Sequence[str]) -> tuple[str, ...]:
    if not names:
        return ()
    if not files:
        return ("There are no files to match.",)
    namesakes = _namesakes(names, files)
    if namesakes:
        name, file = map(short, namesakes[0])
        return (
            f"{len(namesakes):,} of {len(names):,} unmatched names have a namesake in another folder: {name} and "
            f"{file}. A name with a folder only matches a file of that folder: give the folder that contains both.",
        )
    if not any(split_extension(name.strip())[1] for name in names) and any(split_extension(file)[1] for file in files):
        return (f"No unmatched name, such as '{short(names[0])}', looks like a file's: the column may be another one.",)
    return ("No file has a name like the unmatched ones: the files may be in another folder.",)


def _namesakes(names: Sequence[str], files: Sequence[str]) -> list[tuple[str, str]]:
    """Names with a folder, each with a file of the same bare name."""
    bare = {_bare_stem(file): file for file in reversed(files)}
    return [(name, file) for name in names if "/" in plain(name) and (file := bare.get(_bare_stem(name)))]


def _bare_stem(path: str) -> str:
    return split_extension(folded(path).rpartition("/")[2])[0]


def _why_ambiguous(ambiguous: Sequence[Ambiguous], matches: Mapping[str, Match]) -> tuple[str, ...]:
    claimed = [(name, files[0]) for name, files in ambiguous if matches[name].is_claimed]
    several = [(name, files) for name, files in ambiguous if not matches[name].is_claimed]
    sentences = []
    if several:
        name, files = several[0]
        sentences.append(
            f"{len(several):,} names may mean several files, such as {short(name)}: "
            f"{', '.join(map(short, files[:NAMED]))}. "
            "Write the folder and the extension into the name."
        )
    if claimed:
        name, file = map(short, claimed[0])
        sentences.append(
            f"{len(claimed):,} names would share a file with another name, such as {name} the file {file}. "
            "Write each name as its file is called."
        )
    return tuple(sentences)
