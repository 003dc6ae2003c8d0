"""What a form starts is what the command line reads: every command becomes words that give the same command again."""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from click.core import ParameterSource
from hypothesis import given
from hypothesis import strategies as st

from whalecam import commands
from whalecam.cli import cli
from whalecam.commands import OPTION_NAMES, Command, to_argv
from whalecam.config import (
    BACKGROUND_TESTS,
    BOX_KINDS,
    BOX_UNITS,
    CUES,
    FALLBACKS,
    MAPS,
    MASK_FALLBACKS,
    ORIENTATIONS,
    POOLINGS,
    RECIPES,
    REGIONS,
    RESIZES,
    RETRAIN_REMEDIES,
    SIDES,
    SPLITS,
    TRAIN_REMEDIES,
    AuditOptions,
    Columns,
    MaskOptions,
    MatchOptions,
    TrainOptions,
)
from whalecam.errors import RunError

KINDS: list[type[Command]] = Command.__subclasses__()
OPEN = {
    ("Train", "arch"),
    ("Load", "arch"),
    ("Load", "size"),
    ("Load", "resize"),
    ("Inspect", "arch"),
    ("Inspect", "size"),
}
"""Options that the command line fills in by other rules where nobody gives them."""
NOT_GIVEN = {("Train", "valid_share")}
"""A field without an option, which no form sets."""

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
AWKWARD = st.sampled_from(["--masks", "-h", "--", "a b", " ", "=x", "a=b", "'", '"', "$HOME", "-1", "ü-🐋.jpg", "*"])
WORDS = TEXTS | AWKWARD
PATHS = WORDS.map(lambda text: str(Path(text)))
"""Paths, in the one spelling that they have as a path."""


def masks(kind: type[MaskOptions] = MaskOptions, **more: Any) -> "st.SearchStrategy[Any]":
    return st.builds(
        kind,
        masks=st.none() | PATHS,
        boxes=st.lists(PATHS, max_size=3).map(tuple),
        box_orientation=st.sampled_from(ORIENTATIONS),
        box_units=st.sampled_from(BOX_UNITS),
        box_confidence=st.floats(0, 1),
        mask_class=st.just("") | WORDS,
        mask_orientation=st.sampled_from(ORIENTATIONS),
        **more,
    )


COLUMNS = st.builds(Columns, image=WORDS, label=WORDS, group=WORDS)
DATA: Mapping[str, Any] = {"csv": PATHS, "images": st.none() | PATHS, "run": PATHS, "columns": COLUMNS}
SIZES = st.none() | st.integers(*SIDES)
CHECKPOINT: Mapping[str, Any] = {
    "checkpoint": PATHS,
    "arch": st.none() | WORDS,
    "size": SIZES,
    "resize": st.none() | st.sampled_from(RESIZES),
    "classes": st.none() | WORDS,
}
TRAIN = masks(
    TrainOptions,
    arch=WORDS,
    epochs=st.integers(1, 200),
    lr=st.floats(1e-6, 1),
    size=st.integers(*SIDES),
    batch=st.integers(4, 512),
    split=st.sampled_from(SPLITS),
    folds=st.integers(1, 20),
    compare_splits=st.booleans(),
    resize=st.sampled_from(RESIZES),
    pretrained=st.booleans(),
    min_per_class=st.integers(1, 1000),
    seed=st.integers(0, 9999),
    device=WORDS,
    recipe=st.sampled_from(RECIPES),
    body_from=st.none() | PATHS,
    remedy=st.sampled_from(TRAIN_REMEDIES),
    fallback=st.none() | st.sampled_from(FALLBACKS),
    region=st.sampled_from(REGIONS),
    weight=st.none() | st.floats(0.01, 100),
)
AUDIT = masks(
    AuditOptions,
    box_kind=st.sampled_from(BOX_KINDS),
    mask_method=st.sampled_from(MASK_FALLBACKS),
    size=SIZES,
    background_test=st.sampled_from(BACKGROUND_TESTS),
    donors=st.integers(1, 32),
    limit=st.none() | st.integers(1, 10_000),
    batch=st.integers(1, 512),
    device=WORDS,
    maps=st.sampled_from(MAPS),
)
MATCHES = masks(
    MatchOptions,
    encounter=st.lists(WORDS, max_size=3).map(tuple),
    network=st.just("") | WORDS,
    pooling=st.sampled_from(POOLINGS),
    fit=st.booleans(),
    length=st.integers(1, 4096),
    centres=st.integers(1, 8),
    share=st.floats(0.01, 0.99),
    candidates=st.integers(1, 50),
    limit=st.integers(0, 10_000),
    donors=st.integers(1, 64),
    size=st.integers(*SIDES),
    mask_method=st.sampled_from(MASK_FALLBACKS),
    batch=st.integers(1, 512),
    device=WORDS,
    seed=st.integers(0, 9999),
)
FORMS: Mapping[type[Command], "st.SearchStrategy[Any]"] = {
    commands.Demo: st.builds(commands.Demo, folder=PATHS, images=st.integers(12, 100_000), run=st.none() | PATHS),
    commands.Check: st.builds(
        commands.Check, csv=PATHS, images=st.none() | PATHS, keep=st.none() | PATHS, columns=COLUMNS, masks=masks()
    ),
    commands.Train: st.builds(commands.Train, **DATA, options=TRAIN, audit=st.booleans()),
    commands.Load: st.builds(commands.Load, **DATA, **CHECKPOINT, audit=st.booleans(), masks=masks()),
    commands.Inspect: st.builds(commands.Inspect, **CHECKPOINT, run=st.none() | PATHS, save=st.none() | PATHS),
    commands.Audit: st.builds(commands.Audit, run=PATHS, options=AUDIT),
    commands.Remask: st.builds(
        commands.Remask,
        run=PATHS,
        image=WORDS,
        mask=st.none() | PATHS,
        reviewer=WORDS,
        undo=st.booleans(),
        redo=st.booleans(),
    ),
    commands.Matches: st.builds(commands.Matches, run=PATHS, options=MATCHES),
    commands.Simulate: st.builds(commands.Simulate, run=PATHS),
    commands.Retrain: st.builds(
        commands.Retrain,
        run=PATHS,
        remedy=st.sampled_from((*RETRAIN_REMEDIES, "shuffle+head", "restrict+project")),
        out=PATHS,
        cue=st.sampled_from(CUES) | PATHS,
    ),
    commands.Compare: st.builds(commands.Compare, runs=st.lists(PATHS, min_size=1, max_size=4).map(tuple)),
    commands.Embed: st.builds(commands.Embed, run=PATHS),
    commands.Cues: st.builds(commands.Cues, run=PATHS, per_class=st.integers(1, 10_000), restart=st.booleans()),
    commands.Selftest: st.builds(commands.Selftest, save=st.none() | PATHS),
}


def parsed(words: list[str], kind: type[Command]) -> Command:
    """The command that the command line reads from words: each option by its name, as a person would write it."""
    verb = cli.commands[words[0]]
    context = verb.make_context(words[0], list(words[1:]))
    by_name = {
        option: parameter for parameter in verb.params for option in (*parameter.opts, *parameter.secondary_opts)
    }

    def value_of(option: str, field_name: str) -> Any:
        parameter = by_name[option]
        assert parameter.name is not None
        is_default = context.get_parameter_source(parameter.name) is ParameterSource.DEFAULT
        if is_default and (kind.__name__, field_name) in OPEN:
            return MISSING
        return plain(context.params[parameter.name])

    values: dict[str, Any] = {}
    for entry in fields(kind):
        if entry.metadata.get("is_argument"):
            values[entry.name] = value_of(entry.name, entry.name)
        elif is_dataclass(entry.default):
            kind_of_options: Any = type(entry.default)
            ending = "-column" if isinstance(entry.default, Columns) else ""
            names = [inner.name for inner in fields(entry.default) if (kind.__name__, inner.name) not in NOT_GIVEN]
            given = {name: value_of(f"--{option(name)}{ending}", name) for name in names}
            values[entry.name] = kind_of_options(**known(given))
        else:
            values[entry.name] = value_of(f"--{option(entry.name)}", entry.name)
    return kind(**known(values))


def known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not MISSING}


def option(name: str) -> str:
    return OPTION_NAMES.get(name, name).replace("_", "-")


def plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return tuple(plain(item) for item in value) if isinstance(value, tuple) else value


def test_every_command_of_a_form_is_tested() -> None:
    assert set(FORMS) == set(KINDS) and len(KINDS) == 14
    assert {kind.verb for kind in KINDS} <= set(cli.commands)


@given(command=st.one_of(*FORMS.values()))
def test_the_words_of_a_command_give_the_same_command(command: Command) -> None:
    assert parsed(to_argv(command), type(command)) == command


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.__name__))
def test_defaults_are_those_of_the_command_line(kind: type[Command]) -> None:
    needed: dict[str, Any] = {
        name: "x"
        for name in ("csv", "run", "folder", "checkpoint", "out", "image", "reviewer")
        if name in kind.__dataclass_fields__
    }
    needed |= {"remedy": "crop"} if kind is commands.Retrain else {}
    command = kind(**needed, **({"runs": ("x", "y")} if kind is commands.Compare else {}))
    assert parsed(to_argv(command), kind) == command
    assert len(to_argv(command)) <= 1 + 2 * len(needed) + 2


def test_only_what_was_chosen_is_said_and_in_a_fixed_order() -> None:
    options = TrainOptions(masks="m", boxes=("b.csv", "c.csv"), pretrained=False, compare_splits=True, lr=0.01)
    command = commands.Train(csv="t.csv", images="i", run="r", columns=Columns(label="kind"), options=options)
    words = "train t.csv i --run r --label-column kind --masks m --boxes b.csv --boxes c.csv --lr 0.01"
    assert to_argv(command) == [*words.split(), "--compare-splits", "--no-pretrained"]
    assert to_argv(commands.Simulate(run="-r")) == ["simulate", "--", "-r"]
    assert to_argv(commands.Check(csv="t.csv", keep="-k")) == ["check", "t.csv", "--keep", "-k"]


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_a_text_that_no_program_can_be_given_is_refused_in_words(text: str) -> None:
    with pytest.raises(RunError, match="has a character that no file and no option can have"):
        to_argv(commands.Audit(run="r", options=AuditOptions(mask_class=text)))
    with pytest.raises(RunError, match="Write it again"):
        to_argv(commands.Compare(runs=("r", text)))
