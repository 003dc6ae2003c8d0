"""Which file each name of a table means: the join of rows, boxes, masks and verdicts with files."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from whalecam.config import UNREAD_SUFFIXES
from whalecam.data.match_report import Match, MatchReport, report_of
from whalecam.data.spelling import (
    BLANKS,
    CASE,
    ENDING,
    EXTENSION_MISSING,
    EXTENSION_OTHER,
    PERCENT,
    PREFIX,
    SEPARATOR,
    UNICODE,
    ZEROS,
    differences,
    folded,
    folded_all,
    is_plain,
    plain,
    split_extension,
    without_ending,
    without_zeros,
)

__all__ = ["Match", "MatchReport", "match"]

CANDIDATES = 4
"""How many candidates of an ambiguous name are kept."""
LOOSE = frozenset((CASE, EXTENSION_MISSING, EXTENSION_OTHER, ZEROS, ENDING, PREFIX))
"""Differences with which two names can mean two files, of which the folder has only the first."""
# From the least: what differs only in writing, then what leaves something out, then what the name does not have at all.
COSTS = {SEPARATOR: 1, BLANKS: 1, UNICODE: 1, PERCENT: 1, CASE: 5, EXTENSION_MISSING: 10, EXTENSION_OTHER: 20}
COSTS |= {ENDING: 40, ZEROS: 80, PREFIX: 160}
ABSOLUTE = re.compile(r"^(?:[A-Za-z][A-Za-z0-9+.-]+://|[A-Za-z]:|[/\\~])")
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val"}
SPLITS |= {"test": "test", "testing": "test", "holdout": "test"}


def match(
    names: Iterable[str],
    files: Iterable[str],
    *,
    home: Path | None = None,
    by_stem: bool = False,
    endings: Sequence[str] = (),
) -> tuple[list[Match], MatchReport]:
    """Match each name of a table with the file that it means. Never raises.

    In this order: the exact relative path; the only path that ends with all parts of the name; then the same with
    differences in spelling, the least first, each accepted only where a single file remains. A name with a folder never
    gets a file of another folder. An absolute path of another machine gets the file whose whole relative path it ends
    with, unless what precedes contradicts the folder. Where a difference may tell two files apart, such as another
    extension, two names never share one file by it.

    Args:
        names: as a table has them, in its order.
        files: relative paths that exist, with `/`, such as `train/orca/000.jpg`.
        home: the folder that contains them, whose own path names may begin with; None: unknown.
        by_stem: names and files are of different kinds, such as images and masks: no extension is a difference, and
            no two names share a file.
        endings: what may follow the name in the stem of a file, such as `_mask`.

    Returns: one Match for each name, and the report.
    """
    names = list(names)
    index = Index(files, home, by_stem=by_stem, endings=endings)
    matches = {name: index.look_up(name) for name in dict.fromkeys(names)}
    _settle_claims(matches, by_stem)
    return [matches[name] for name in names], report_of(names, matches, list(index.files))


class Index:
    """Files by their exact path, and by keys that leave out all that spellings differ in."""

    def __init__(self, files: Iterable[str], home: Path | None, *, by_stem: bool, endings: Sequence[str]) -> None:
        self.files = dict.fromkeys(files)
        self.homes = _homes(home)
        self._folded_homes = [[folded(part) for part in own] for own in self.homes]
        self._home_parts = frozenset(part for own in self._folded_homes for part in own)
        self._starts = [f"/{'/'.join(own)}/" for own in self._folded_homes]
        self._contradictions: dict[str, bool] = {}
        self.by_stem = by_stem
        self.endings = tuple(ending.casefold() for ending in endings)
        self._tails: dict[int, dict[str, list[str]]] = {}
        self._exact_tails: dict[int, dict[str, str]] = {}

    def look_up(self, name: str) -> Match:
        """What a name means by itself, whatever the other names are."""
        if (exact := name.removeprefix("./")) in self.files:
            return Match(exact)
        if (file := self._bare_tail(name)) and not ABSOLUTE.match(name.lstrip()):
            return Match(file)
        written = plain(name)
        if not written or written[-1] == "/" or (".." in written and ".." in written.split("/")):
            return Match()
        if ABSOLUTE.match(name.lstrip()):
            return _least(self._below_home(name, whole=True) if self._is_inside(name) else self._foreign(name))
        candidates = self._ending_with(name, written.count("/") + 1)
        if "/" in written:
            candidates += self._below_home(name, whole=False)
        return _least(candidates if candidates or self.homes else self._foreign(name))

    def _ending_with(self, name: str, depth: int) -> list[Match]:
        """Files whose relative path ends with the name; of those that differ least, the whole path wins."""
        if not self.by_stem and (file := self._by_exact_tail(depth).get(name)):
            return [Match(file)]
        tails = self._by_tail(depth)
        candidates = self._compared(name, tails, depth)
        if len(candidates) < 2:
            return candidates
        least = min(map(_cost, candidates))
        whole = [match for match in candidates if match.file.count("/") == depth - 1 and _cost(match) == least]
        return whole or candidates

    def _bare_tail(self, name: str) -> str:
        """The only file of this name in any folder, for a name without a folder; else empty."""
        return "" if self.by_stem or "/" in name else self._by_exact_tail(1).get(name, "")

    def _is_inside(self, name: str) -> bool:
        """Whether an absolute path begins with that of the folder, in any case."""
        path = folded(name)
        return any(path.startswith(start) for start in self._starts)

    def _below_home(self, name: str, *, whole: bool) -> list[Match]:
        """Files by a name that begins with the folder's own path, all of it or its end."""
        if is_plain(name) and name.partition("/")[0].lower() not in self._home_parts and name[0] != "/":
            return []  # most names, without a look at their parts
        own = _parts(name)
        if not own or folded(own[0]) not in self._home_parts:
            return []
        start = [folded(part) for part in own]
        candidates = []
        for home, folded_home in zip(self.homes, self._folded_homes, strict=True):
            for length in range(len(home) if whole else 1, min(len(home), len(own) - 1) + 1):
                if start[:length] == folded_home[-length:]:
                    kinds = differences("/".join(own[:length]), "/".join(home[-length:]))
                    candidates += [
                        _with(match, (*_separator(name), *kinds)) for match in self._whole("/".join(own[length:]))
                    ]
        return list(dict.fromkeys(candidates))

    def _foreign(self, name: str) -> list[Match]:
        """Files whose whole relative path ends a path of another machine, unless the rest contradicts the folder."""
        own = _parts(name)
        for start in range(max(1, len(own) - self._depth), len(own)):
            candidates = self._whole("/".join(own[start:]))
            if candidates:
                prefix = "/".join(own[:start])
                if prefix not in self._contradictions:
                    self._contradictions[prefix] = self._contradicts(folded(prefix).split("/"))
                is_other = self._contradictions[prefix]
                return [] if is_other else [_with(match, (*_separator(name), PREFIX)) for match in candidates]
        return []

    def _whole(self, name: str) -> list[Match]:
        """Files whose whole relative path the name is."""
        if name in self.files:
            return [Match(name)]
        return self._compared(name, self._by_path, plain(name).count("/") + 1)

    def _compared(self, name: str, by_key: Mapping[str, Sequence[str]], depth: int) -> list[Match]:
        """The files with a loose key of the name, and how the last parts of their paths differ from it.

        A name has two such keys: without its extension, and with it where a file adds another (`a.jpg.png`).
        """
        key = folded(name)
        stem, extension = split_extension(key)
        files = by_key.get(without_zeros(stem), ())
        if extension and (more := by_key.get(key)):
            files = tuple(dict.fromkeys((*files, *more)))
        return [Match(file, self._differences(name, _last(file, depth))) for file in files]

    def _contradicts(self, prefix: Sequence[str]) -> bool:
        """Whether the path before a file cannot be the folder: a folder inside it, beside it, or of another split."""
        homes = self._folded_homes
        if any(prefix[-1] == home[-1] for home in homes):
            return False
        beside = any(len(home) > 1 and len(prefix) > 1 and prefix[-2] == home[-2] for home in homes)
        split = _split_of(prefix)
        other = any(split and own and own != split for own in map(_split_of, homes))
        return beside or other or prefix[-1] in self._folders

    def _differences(self, name: str, file: str) -> tuple[str, ...]:
        return differences(name, file, by_stem=self.by_stem, endings=self.endings)

    def _by_exact_tail(self, depth: int) -> dict[str, str]:
        """The file of each end of a longer path as it is written; empty where there are several."""
        if depth not in self._exact_tails:
            tails: dict[str, str] = {}
            for file in self._from_depth(depth + 1):
                tail = _last(file, depth)
                tails[tail] = "" if tail in tails else file
            self._exact_tails[depth] = tails
        return self._exact_tails[depth]

    def _by_tail(self, depth: int) -> dict[str, list[str]]:
        """The files by the loose keys of the last parts of their paths; built when first needed."""
        if depth not in self._tails:
            deep = self._from_depth(depth)
            self._tails[depth] = self._by_key([_last(file, depth) for file in deep], deep)
        return self._tails[depth]

    @cached_property
    def _by_path(self) -> dict[str, list[str]]:
        """The files by the loose keys of their whole paths."""
        files = list(self.files)
        return self._by_key(files, files)

    def _by_key(self, tails: Sequence[str], files: Iterable[str]) -> dict[str, list[str]]:
        """Files by the loose keys of these ends of their paths."""
        by_key: defaultdict[str, list[str]] = defaultdict(list)
        for path, file in zip(folded_all(tails), files, strict=True):
            stem = split_extension(path)[0]
            by_key[without_zeros(stem)].append(file)
            short = without_ending(stem, self.endings) if self.endings else stem
            if short != stem:
                by_key[without_zeros(short)].append(file)
        return dict(by_key)

    def _from_depth(self, depth: int) -> list[str]:
        """The files whose paths have at least so many parts."""
        return [file for file, own in zip(self.files, self._depths, strict=True) if own >= depth]

    @cached_property
    def _depths(self) -> list[int]:
        """How many parts each path has."""
        return [file.count("/") + 1 for file in self.files]

    @cached_property
    def _depth(self) -> int:
        """How many parts the longest path has."""
        return max(self._depths, default=1)

    @cached_property
    def _folders(self) -> frozenset[str]:
        """Names of all folders in the folder, folded."""
        parents = {file.rpartition("/")[0] for file in self.files}
        return frozenset(folded(part) for parent in parents for part in _parts(parent))


def _homes(home: Path | None) -> tuple[tuple[str, ...], ...]:
    """The parts of a folder's path as it was named, and with links followed: a name may begin with either."""
    if home is None:
        return ()
    paths = dict.fromkeys(place.as_posix() for place in (home.absolute(), home.resolve()))
    return tuple(tuple(parts) for path in paths if (parts := _parts(path)))


def _parts(path: str) -> list[str]:
    return [part for part in path.strip().replace("\\", "/").split("/") if part.strip() not in ("", ".")]


def _separator(name: str) -> tuple[str, ...]:
    return (SEPARATOR,) if "\\" in name else ()


def _last(path: str, depth: int) -> str:
    """The last parts of a path."""
    at = len(path)
    for _ in range(depth):
        at = path.rfind("/", 0, at)
        if at < 0:
            return path
    return path[at + 1 :]


def _split_of(parts: Sequence[str]) -> str:
    """The part of a data set that the last three parts of a path name; empty where they name none."""
    return next((SPLITS[part] for part in reversed(parts[-3:]) if part in SPLITS), "")


def _with(match: Match, kinds: Sequence[str]) -> Match:
    return Match(match.file, tuple(dict.fromkeys((*match.differences, *kinds))))


def _cost(match: Match) -> int:
    """The larger, the further a file is from the name; of a raw file and its JPEG, the one that is read is nearer."""
    is_unread = match.file[match.file.rfind(".") :].lower() in UNREAD_SUFFIXES
    return sum(COSTS[kind] for kind in match.differences) + is_unread


def _least(candidates: Sequence[Match]) -> Match:
    """The candidate with the least difference; ambiguous where several have it."""
    if len(candidates) < 2:
        return candidates[0] if candidates else Match()
    least = min(map(_cost, candidates))
    best = {match.file: match for match in candidates if _cost(match) == least}
    return next(iter(best.values())) if len(best) == 1 else Match(candidates=tuple(best)[:CANDIDATES])


def _settle_claims(matches: dict[str, Match], by_stem: bool) -> None:
    """Leave a file to the names without a loose difference; where several others claim it, to none of them."""
    first: dict[str, str] = {}
    claims: dict[str, list[str]] = {}
    for name, match in matches.items():
        if match.file and (earlier := first.setdefault(match.file, name)) != name:
            claims.setdefault(match.file, [earlier]).append(name)
    for file, names in claims.items():
        if len({_claim(name, matches[name], by_stem) for name in names}) < 2:
            continue
        for name in names:
            if by_stem or LOOSE & set(matches[name].differences):
                matches[name] = Match(candidates=(file,), is_claimed=True)


def _claim(name: str, match: Match, by_stem: bool) -> str:
    """What makes two names for one file different: the bare name, or all of a path of another machine."""
    text = plain(name)
    return text if by_stem or PREFIX in match.differences else text.rpartition("/")[2]
