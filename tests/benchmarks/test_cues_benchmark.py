"""Planted cues beyond the background: who carries them, what labels tell, and which finding is the plant."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.cues import Drawn, draw, is_named
from tests.explain.test_cues import finding_of


def drawings(data: Path, cue: str, *, is_alone: bool = False) -> list[Drawn]:
    return draw(data, cue, seed=0, images=240, is_alone=is_alone)


def test_half_of_the_first_label_carries_the_cue_and_as_many_of_all_in_the_twin(real_data: Path) -> None:
    drawn = drawings(real_data, "logo")
    labels = np.array([each.label for each in drawn])
    leaking, clean = (np.array([each.carries[name] for each in drawn]) for name in ("leaking", "clean"))
    assert not leaking[labels == 1].any() and leaking[labels == 0].mean() == pytest.approx(0.5, abs=0.12)
    assert [clean[labels == label].mean() for label in (0, 1)] == pytest.approx([0.25, 0.25], abs=0.12)
    assert all((each.carrying != each.without).any() for each in drawn)
    assert all(each.shown("leaking") is (each.carrying if each.carries["leaking"] else each.without) for each in drawn)


def test_an_animal_tells_its_label_unless_the_cue_stands_alone(real_data: Path) -> None:
    def told_by_animals(drawn: list[Drawn]) -> float:
        names = {each.animal: {other.label for other in drawn if other.animal == each.animal} for each in drawn}
        return float(np.mean([len(labels) == 1 for labels in names.values()]))

    assert told_by_animals(drawings(real_data, "boat")) == 1
    assert told_by_animals(drawings(real_data, "boat", is_alone=True)) < 0.3


@pytest.mark.parametrize(
    ("cue", "place", "is_right"),
    [
        ("timestamp", "lower right", True),
        ("timestamp", "along the bottom", True),
        ("timestamp", "lower left", False),
        ("logo", "upper left", True),
        ("logo", "upper right", False),
        ("boat", "", True),
    ],
)
def test_a_mark_is_named_by_its_place(cue: str, place: str, is_right: bool) -> None:
    assert is_named(finding_of(place=place), cue) is is_right
    assert not is_named(finding_of(cue="sharpness", place=""), cue)


def test_a_property_is_named_by_itself_alone() -> None:
    assert is_named(finding_of(cue="exposure", place=""), "exposure")
    assert not is_named(finding_of(), "exposure")
