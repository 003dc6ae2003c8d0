"""The verbs that pages start, with their options, and the words of the command line that they are."""

import os
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from typing import Any, ClassVar

from whalecam.config import BACKGROUND, CUES_PER_CLASS, AuditOptions, Columns, MaskOptions, MatchOptions, TrainOptions
from whalecam.errors import RunError

OPTION_NAMES = {"body_from": "from"}
"""Fields whose option has another name."""
SHOWN = 60
"""Letters of a text that an error quotes."""


def _argument(default: Any = MISSING) -> Any:
    """A field that is an argument by its place, not an option."""
    return field(default=default, metadata={"is_argument": True})


@dataclass(frozen=True, kw_only=True)
class Command:
    """A verb of the command line. Fields of its class are its arguments, in their order, and its options."""

    verb: ClassVar[str]


@dataclass(frozen=True, kw_only=True)
class Demo(Command):
    """Draw the demo set, train on it and audit it."""

    verb = "demo"
    folder: str = _argument()
    images: int = 360
    run: str | None = None


@dataclass(frozen=True, kw_only=True)
class Check(Command):
    """Look for what is wrong with a data set."""

    verb = "check"
    csv: str = _argument()
    images: str | None = _argument(None)
    keep: str | None = None
    columns: Columns = Columns()
    masks: MaskOptions = MaskOptions()


@dataclass(frozen=True, kw_only=True)
class Train(Command):
    """Train a network on a data set.

    Attributes:
        labels_map: CSV of old,new label names to merge.
        audit: whether to audit the data set with it at once, with the masks of `options`.
    """

    verb = "train"
    csv: str = _argument()
    images: str | None = _argument(None)
    run: str
    columns: Columns = Columns()
    labels_map: str | None = None
    options: TrainOptions = TrainOptions()
    audit: bool = False


@dataclass(frozen=True, kw_only=True)
class Load(Command):
    """Load a checkpoint in place of a training; see `load_checkpoint` for what None means.

    Attributes:
        labels_map: as in `Train`.
        audit: whether to audit the data set with it at once, with these masks.
    """

    verb = "train"
    csv: str = _argument()
    images: str | None = _argument(None)
    run: str
    checkpoint: str
    columns: Columns = Columns()
    labels_map: str | None = None
    arch: str | None = None
    size: int | None = None
    resize: str | None = None
    classes: str | None = None
    audit: bool = False
    masks: MaskOptions = MaskOptions()


@dataclass(frozen=True, kw_only=True)
class Inspect(Command):
    """Look at a checkpoint before it is used.

    Attributes:
        run: the run whose data set names the classes where the file does not.
        save: the JSON file to write.
    """

    verb = "inspect"
    checkpoint: str = _argument()
    run: str | None = None
    arch: str | None = None
    size: int | None = None
    resize: str | None = None
    classes: str | None = None
    save: str | None = None


@dataclass(frozen=True, kw_only=True)
class Audit(Command):
    """Audit a run."""

    verb = "audit"
    run: str = _argument()
    options: AuditOptions = AuditOptions()


@dataclass(frozen=True, kw_only=True)
class Remask(Command):
    """Measure one image of a run under another mask.

    Attributes:
        mask: the file that a person drew; None with `undo` or `redo`.
        undo, redo: take the newest corrected mask back, or let it count again.
    """

    verb = "remask"
    run: str = _argument()
    image: str = _argument()
    mask: str | None = None
    reviewer: str
    undo: bool = False
    redo: bool = False


@dataclass(frozen=True, kw_only=True)
class Matches(Command):
    """Look the individuals of a run up, and test which matches rest on the background."""

    verb = "matches"
    run: str = _argument()
    options: MatchOptions = MatchOptions()


@dataclass(frozen=True, kw_only=True)
class Simulate(Command):
    """What remedies would do before any training."""

    verb = "simulate"
    run: str = _argument()


@dataclass(frozen=True, kw_only=True)
class Retrain(Command):
    """Train and audit again with a remedy; `cue` is of the remedy `project`."""

    verb = "retrain"
    run: str = _argument()
    remedy: str
    out: str
    cue: str = BACKGROUND


@dataclass(frozen=True, kw_only=True)
class Compare(Command):
    """Compare runs with the first of them."""

    verb = "compare"
    runs: tuple[str, ...] = _argument()


@dataclass(frozen=True, kw_only=True)
class Embed(Command):
    """Compute the UMAP embedding of a run's images."""

    verb = "embed"
    run: str = _argument()


@dataclass(frozen=True, kw_only=True)
class Cues(Command):
    """Test a run for cues beyond the background's looks; `restart` tests all classes anew."""

    verb = "cues"
    run: str = _argument()
    per_class: int = CUES_PER_CLASS
    restart: bool = False


@dataclass(frozen=True, kw_only=True)
class Selftest(Command):
    """Plant leaks and look whether they are found.

    Attributes:
        save: the JSON file to write.
    """

    verb = "selftest"
    save: str | None = None


def to_argv(command: Command) -> list[str]:
    """The words after `whalecam` that start a command; parsed by the command line, they give the same command.

    Options at their default are left out. Raises RunError for a text that no program can be given, such as one with a
    NUL character.
    """
    arguments = [
        word for entry in fields(command) if _is_argument(entry) for word in _words(getattr(command, entry.name))
    ]
    words = [word for name, value, default in _options(command) for word in _option(name, value, default)]
    for word in (*arguments, *words):
        _check(word)
    # Behind `--` nothing is taken for an option, whatever it begins with.
    if any(word.startswith("-") for word in arguments):
        return [command.verb, *words, "--", *arguments]
    return [command.verb, *arguments, *words]


def _options(command: Command) -> Iterator[tuple[str, Any, Any]]:
    """Name, value and default of every option."""
    for entry in fields(command):
        value = getattr(command, entry.name)
        if _is_argument(entry):
            continue
        if is_dataclass(value):
            ending = "_column" if isinstance(value, Columns) else ""
            for inner in fields(value):
                yield f"{inner.name}{ending}", getattr(value, inner.name), inner.default
        else:
            yield entry.name, value, entry.default


def _option(name: str, value: Any, default: Any) -> list[str]:
    """The words of one option; none where it is at its default."""
    option = OPTION_NAMES.get(name, name).replace("_", "-")
    if value == default or value is None:
        return []
    if isinstance(value, bool):
        return [f"--{option}" if value else f"--no-{option}"]
    return [word for text in _words(value) for word in (f"--{option}", text)]


def _words(value: Any) -> list[str]:
    if isinstance(value, tuple):
        return [word for item in value for word in _words(item)]
    return [] if value is None else [repr(value) if isinstance(value, float) else str(value)]


def _is_argument(entry: Any) -> bool:
    return bool(entry.metadata.get("is_argument"))


def _check(word: str) -> None:
    try:
        is_possible = "\0" not in word and bool(os.fsencode(word) or True)
    except UnicodeEncodeError:
        is_possible = False
    if not is_possible:
        raise RunError(f"{word[:SHOWN]!r} has a character that no file and no option can have. Write it again.")
