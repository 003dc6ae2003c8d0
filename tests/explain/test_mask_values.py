"""What the values of mask files mean, on drawings of every encoding that people use."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from whalecam.data import read_grey, read_mask
from whalecam.errors import DatasetError
from whalecam.explain.masks.values import (
    ALPHA,
    BLANK,
    COLORS,
    GREY,
    NUMBERS,
    PALETTE,
    MaskRule,
    classes_of,
    rule_of,
    values_of,
)

Values = NDArray[np.uint8]
Make = Callable[[Path], Image.Image]
ANIMAL = np.zeros((60, 80), np.uint8)
cv2.ellipse(ANIMAL, (40, 30), (25, 12), 20, 0, 360, 255, -1)
INSIDE = ANIMAL == 255
WIDER, NARROWER = cv2.dilate(ANIMAL, np.ones((3, 3), np.uint8)), cv2.erode(ANIMAL, np.ones((3, 3), np.uint8))
RIM = WIDER != NARROWER
CORE = cv2.erode(ANIMAL, np.ones((13, 13), np.uint8))


def ids(*numbers: int, border: int | None = None) -> Values:
    """The animal cut into upright strips, each with its number; around all of it a border."""
    values = np.zeros_like(ANIMAL)
    for number, columns in zip(numbers, np.array_split(np.arange(80), len(numbers)), strict=True):
        values[:, columns] = number
    values[~INSIDE] = 0
    if border is not None:
        values[RIM] = border
    return values


def grey(values: Values) -> Image.Image:
    return Image.fromarray(values)


def palette(values: Values, *colors: tuple[int, int, int]) -> Image.Image:
    image = Image.fromarray(values, "P")
    image.putpalette([channel for color in colors for channel in color])
    return image


def with_alpha(rgb: int, alpha: Values, outside: int | None = None) -> Image.Image:
    colors = np.full((*alpha.shape, 3), rgb, np.uint8)
    if outside is not None:
        colors[alpha == 0] = outside
    return Image.fromarray(np.dstack([colors, alpha]))


def colored(*colors: tuple[int, int, int], outside: int = 0) -> Image.Image:
    """Strips of the animal, each in a color, on grey."""
    strips = ids(*range(1, len(colors) + 1))
    table = np.array([(outside,) * 3, *colors], np.uint8)
    return Image.fromarray(table[strips])


def jpeg(values: Values, path: Path) -> Image.Image:
    grey(values).save(path / "noise.jpg", quality=80)
    return Image.open(path / "noise.jpg").convert("L")


def halved(factor: int) -> Values:
    return np.asarray(Image.fromarray(ANIMAL).resize((80 // factor, 60 // factor), Image.Resampling.BOX))


def seen_by(image: Image.Image, path: Path, name: str = "a.png", stated: str = "") -> tuple[MaskRule, Values]:
    """The rule of a folder with this mask alone, and what it makes of the mask."""
    image.save(path / name)
    file = read_mask(path / name)
    rule = rule_of([(name, values_of(file))], stated)
    assert rule.fault_of(file) == ""
    return rule, rule.greys(file)


BLUR = np.asarray(cv2.GaussianBlur(ANIMAL, (0, 0), 6), np.uint8)
FAINT = (cv2.GaussianBlur(ANIMAL, (0, 0), 9) * 0.3).astype(np.uint8)
SURE = np.asarray(np.clip(cv2.GaussianBlur(ANIMAL, (0, 0), 1.5), 1, 254), np.uint8)
"""What a network that is nearly sure draws: 1 on all of the background."""
RAMP = np.tile(np.linspace(0, 255, 1200).astype(np.uint8), (40, 1))
GREYS: dict[str, Make] = {
    "black and white": lambda _: grey(ANIMAL),
    "no animal": lambda _: grey(ANIMAL * 0),
    "all animal": lambda _: grey(ANIMAL | np.uint8(255)),
    "one bit": lambda _: grey(ANIMAL).convert("1"),
    "sixteen bits": lambda _: Image.fromarray(ANIMAL.astype(np.uint16) * 257),
    "sixteen bits up to 255": lambda _: Image.fromarray(ANIMAL.astype(np.uint16)),
    "color mode": lambda _: grey(ANIMAL).convert("RGB"),
    "opaque": lambda _: grey(ANIMAL).convert("RGBA"),
    "grey palette": lambda _: palette(ANIMAL // 255, (0, 0, 0), (255, 255, 255)),
    "white on clear black": lambda _: with_alpha(255, ANIMAL, outside=0),
    "half the size": lambda _: grey(halved(2)),
    "a quarter of the size": lambda _: grey(halved(4)),
    "blurred": lambda _: grey(BLUR),
    "faint": lambda _: grey(FAINT),
    "nearly sure": lambda _: grey(SURE),
    "a slow ramp": lambda _: grey(RAMP),
    "noise of JPEG": lambda path: jpeg(ANIMAL, path),
}
PHOTOGRAPH = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
DECIDED: dict[str, tuple[Make, str, str]] = {
    "zero and one": (lambda _: grey(INSIDE.astype(np.uint8)), NUMBERS, "numbers with 2 values, 0, 1: 1 is the subject"),
    "zero and one, sixteen bits": (lambda _: Image.fromarray(INSIDE.astype(np.uint16)), NUMBERS, "1 is the subject"),
    "zero and one, three channels": (
        lambda _: grey(INSIDE.astype(np.uint8)).convert("RGB"),
        NUMBERS,
        "1 is the subject",
    ),
    "one id": (lambda _: grey(ids(7)), NUMBERS, "numbers with 2 values, 0, 7: 7 is the subject"),
    "ids": (
        lambda _: grey(ids(1, 2, 3)),
        NUMBERS,
        "4 values, 0, 1, 2, 3: ids, each above 0 is the subject",
    ),
    "many ids": (lambda _: grey(ids(*range(1, 11))), NUMBERS, "ids, each above 0"),
    "scattered ids": (lambda _: grey(ids(40, 200, 90)), NUMBERS, "0, 40, 90, 200: ids, each above 0"),
    "ids of sixteen bits": (
        lambda _: Image.fromarray(ids(1, 2).astype(np.uint16) * 1000),
        NUMBERS,
        "0, 1000, 2000: ids, each above 0",
    ),
    "red palette": (lambda _: palette(ids(1), (0, 0, 0), (255, 0, 0)), PALETTE, "a palette with 2 values, 0, 1"),
    "black palette": (lambda _: palette(ids(1), (0, 0, 0), (1, 1, 1)), PALETTE, "0, 1: 1 is the subject"),
    "alpha alone, black": (lambda _: with_alpha(0, ANIMAL), ALPHA, "what is opaque is the subject"),
    "alpha alone, white": (lambda _: with_alpha(255, ANIMAL), ALPHA, "what is opaque is the subject"),
    "black animal on clear white": (
        lambda _: with_alpha(0, ANIMAL, outside=255),
        ALPHA,
        "what is opaque is the subject",
    ),
    "a cut-out photograph": (
        lambda _: Image.fromarray(np.dstack([PHOTOGRAPH, ANIMAL])),
        ALPHA,
        "opaque is the subject",
    ),
    "red on black": (lambda _: colored((200, 0, 0)), COLORS, "every color is the subject"),
}
"""What is no grey, but of which the values show the animal: its family, and what is said."""
BORDERED: dict[str, tuple[Make, str]] = {
    "grey": (
        lambda _: grey(ids(9, border=255)),
        "0, 9, 255: 9 is the subject, 255 is a border that counts for nothing",
    ),
    "palette": (
        lambda _: palette(ids(15, border=255), *[(at, 0, 200) if at else (0, 0, 0) for at in range(256)]),
        "0, 15, 255: 15 is the subject, 255 is a border",
    ),
}
ASKED: dict[str, tuple[Make, str]] = {
    "palette of two classes": (
        lambda _: palette(ids(1, 2), (0, 0, 0), (128, 0, 0), (0, 128, 0)),
        "a palette with 3 values, 0, 1, 2: which is the subject",
    ),
    "two classes with a border": (lambda _: grey(ids(1, 2, border=255)), "numbers with 4 values, 0, 1, 2, 255: which"),
    "a middle for what is unsure": (
        lambda _: grey(np.where(CORE > 0, 255, np.where(INSIDE, 128, 0)).astype(np.uint8)),
        "numbers with 3 values, 0, 128, 255: which is the subject",
    ),
    "a trimap without zero": (
        lambda _: grey(np.where(NARROWER > 0, 1, np.where(WIDER > 0, 3, 2)).astype(np.uint8)),
        "1, 2, 3, and 0 is not the background of a.png: which is the subject",
    ),
    "inverted": (lambda _: grey(255 - ANIMAL), "look inverted: their edge is white, with black inside, as a.png"),
    "inverted, one bit": (lambda _: grey(255 - ANIMAL).convert("1"), "--mask-class 0 for black"),
    "a hole": (lambda _: with_alpha(0, 255 - ANIMAL), "opaque at their edge, as a.png"),
    "two colors": (lambda _: colored((200, 0, 0), (0, 200, 0)), "The masks have 2 colors"),
    "red on white": (lambda _: colored((200, 0, 0), outside=255), "nothing shows which of them is the subject"),
}
"""What leaves open which part is the subject, and the question."""


@pytest.mark.parametrize("name", GREYS)
def test_greys_are_taken_as_they_are(name: str, tmp_path: Path) -> None:
    GREYS[name](tmp_path).save(tmp_path / "a.png")
    file = read_mask(tmp_path / "a.png")
    assert values_of(file).family in (GREY, BLANK)
    assert MaskRule().fault_of(file) == ""
    assert np.array_equal(MaskRule().greys(file), read_grey(tmp_path / "a.png"))


@pytest.mark.parametrize("name", DECIDED)
def test_other_values_show_the_animal_and_are_said(name: str, tmp_path: Path) -> None:
    make, family, sentence = DECIDED[name]
    rule, greys = seen_by(make(tmp_path), tmp_path)
    assert rule.family == family and sentence in rule.sentence
    assert np.array_equal(greys, ANIMAL)


@pytest.mark.parametrize("name", BORDERED)
def test_a_border_is_neither_animal_nor_background(name: str, tmp_path: Path) -> None:
    make, sentence = BORDERED[name]
    rule, greys = seen_by(make(tmp_path), tmp_path)
    assert sentence in rule.sentence
    assert np.array_equal(greys > 0, INSIDE & ~RIM)


@pytest.mark.parametrize("name", ASKED)
def test_what_the_values_do_not_show_is_asked(name: str, tmp_path: Path) -> None:
    make, question = ASKED[name]
    with pytest.raises(DatasetError) as caught:
        seen_by(make(tmp_path), tmp_path)
    assert question in str(caught.value)
    assert "--mask-class" in str(caught.value)


def test_a_photograph_is_no_mask(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="1 of 1 looked at are no masks by their values"):
        seen_by(Image.fromarray(PHOTOGRAPH), tmp_path)


@pytest.mark.parametrize(("values", "count"), [(ids(3), "2"), (ids(1, 2), "3")])
def test_numbers_that_jpeg_has_changed_are_refused(values: Values, count: str, tmp_path: Path) -> None:
    """Large flat numbers survive JPEG, but no one can know which of their neighbours are noise."""
    big = np.kron(values * np.uint8(60), np.ones((4, 4), np.uint8))
    grey(big).save(tmp_path / "a.jpg", quality=100)
    with pytest.raises(DatasetError, match=r"compression of its format may have changed|lie between"):
        rule_of([("a.jpg", values_of(read_mask(tmp_path / "a.jpg")))])


@pytest.mark.parametrize(
    ("make", "stated", "animal"),
    [
        (lambda: grey(255 - ANIMAL), "0", INSIDE),
        (lambda: grey(255 - ANIMAL), "255", ~INSIDE),
        (lambda: grey(ids(1, 2)), "2", ids(1, 2) == 2),
        (lambda: grey(ids(1, 2)), "1,2", INSIDE),
        (lambda: grey(ids(1, 2)), "0", ~INSIDE),
        (lambda: grey(ids(1, 2, border=255)), "any", INSIDE & ~RIM),
        (lambda: grey(ids(1, 2, border=255)), "1, 2,255", INSIDE | RIM),
        (lambda: palette(ids(1, 2), (0, 0, 0), (128, 0, 0), (0, 128, 0)), "any", INSIDE),
        (lambda: palette(ids(1, 2), (0, 0, 0), (128, 0, 0), (0, 128, 0)), "1", ids(1, 2) == 1),
        (lambda: with_alpha(0, 255 - ANIMAL), "0", INSIDE),
        (lambda: with_alpha(0, ANIMAL), "255", INSIDE),
        (lambda: colored((200, 0, 0), (0, 200, 0)), "any", INSIDE),
    ],
)
def test_the_stated_values_are_the_animal(
    make: Callable[[], Image.Image], stated: str, animal: NDArray[np.bool_], tmp_path: Path
) -> None:
    _, greys = seen_by(make(), tmp_path, stated=stated)
    assert np.array_equal(greys == 255, animal) and set(np.unique(greys)) <= {0, 255}


@pytest.mark.parametrize(
    ("make", "stated", "words"),
    [
        (lambda: grey(ids(1, 2)), "7", "none has the value 7 of --mask-class"),
        (lambda: grey(ANIMAL), "3", "takes 255"),
        (lambda: with_alpha(0, ANIMAL), "3", "takes 255"),
        (lambda: colored((200, 0, 0)), "1", "--mask-class any"),
        (lambda: grey(ids(1, 2)), "whale", "not 'whale'"),
    ],
)
def test_a_stated_value_that_cannot_be_is_refused(
    make: Callable[[], Image.Image], stated: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError) as caught:
        seen_by(make(), tmp_path, stated=stated)
    assert words in str(caught.value)


def test_classes_are_parsed() -> None:
    assert classes_of("") == classes_of(" any ") == ()
    assert classes_of("1, 2,255") == (1, 2, 255)


def folder_of(path: Path, *images: Image.Image) -> Sequence[tuple[str, Path]]:
    for at, image in enumerate(images):
        image.save(path / f"{at}.png")
    return [(f"{at}.png", path / f"{at}.png") for at in range(len(images))]


def rule_for(path: Path, *images: Image.Image) -> MaskRule:
    return rule_of([(name, values_of(read_mask(file))) for name, file in folder_of(path, *images)])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (grey(ANIMAL), grey(ids(3))),
        (grey(ids(1)), palette(ids(1), (0, 0, 0), (255, 0, 0))),
        (with_alpha(0, ANIMAL), grey(ANIMAL)),
        (colored((200, 0, 0)), grey(ANIMAL)),
    ],
)
def test_masks_of_two_kinds_are_refused_with_both(first: Image.Image, second: Image.Image, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"differ in kind: 0.png contains .*; 1.png contains "):
        rule_for(tmp_path, first, second)


def test_colors_that_differ_between_files_are_asked_about(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="The masks have 2 colors"):
        rule_for(tmp_path, colored((200, 0, 0)), colored((0, 200, 0)))


def test_a_black_mask_goes_with_every_kind(tmp_path: Path) -> None:
    black = grey(ANIMAL * 0)
    for image in (grey(ANIMAL), grey(ids(3)), palette(ids(1), (0, 0, 0), (255, 0, 0)), colored((200, 0, 0))):
        rule = rule_for(tmp_path, image, black)
        assert rule.fault_of(read_mask(tmp_path / "1.png")) == ""
        assert not rule.greys(read_mask(tmp_path / "1.png")).any()


def test_a_thin_thing_of_zeros_and_ones_goes_with_the_others(tmp_path: Path) -> None:
    thin = np.zeros_like(ANIMAL)
    thin[30, 10:60] = 1
    rule = rule_for(tmp_path, grey(ids(1)), grey(thin))
    assert values_of(read_mask(tmp_path / "1.png")).is_open
    assert rule.family == NUMBERS
    assert np.array_equal(rule.greys(read_mask(tmp_path / "1.png")), thin * 255)
    assert rule_for(tmp_path, grey(thin)).family == NUMBERS


def test_one_inverted_mask_of_many_is_a_close_up(tmp_path: Path) -> None:
    rule = rule_for(tmp_path, grey(ANIMAL), grey(ANIMAL), grey(255 - ANIMAL))
    assert (rule.family, rule.is_inverted) == (GREY, False)


@given(numbers=st.lists(st.integers(1, 199), min_size=1, max_size=6, unique=True), border=st.sampled_from([None, 255]))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ids_are_the_animal_or_asked_about(numbers: list[int], border: int | None, tmp_path: Path) -> None:
    grey(ids(*numbers, border=border)).save(tmp_path / "ids.png")
    file = read_mask(tmp_path / "ids.png")
    assert values_of(file).family == NUMBERS
    expected = INSIDE if border is None else INSIDE & ~RIM
    try:
        rule = rule_of([("ids.png", values_of(file))])
    except DatasetError as error:
        assert "which is the subject" in str(error) and border is not None
        rule = rule_of([("ids.png", values_of(file))], "any")
    assert np.array_equal(rule.greys(file) > 0, expected)


@given(
    x=st.integers(10, 70),
    y=st.integers(10, 50),
    wide=st.integers(2, 30),
    high=st.integers(2, 25),
    factor=st.integers(1, 5),
)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_soft_edge_passes_for_ids(x: int, y: int, wide: int, high: int, factor: int, tmp_path: Path) -> None:
    drawn = np.zeros((60, 80), np.uint8)
    cv2.ellipse(drawn, (x, y), (wide, high), 30, 0, 360, 255, -1)
    for kind in (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.LANCZOS):
        Image.fromarray(drawn).resize((80 * factor // 3, 60 * factor // 3), kind).save(tmp_path / "soft.png")
        assert values_of(read_mask(tmp_path / "soft.png")).family in (GREY, BLANK)
