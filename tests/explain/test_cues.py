"""Cues beyond the background's looks: known answers of toy networks, edits by their laws, tests a second time."""

import io
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from whalecam.analysis.cues import PATCH, CueFinding, cue_findings, cue_scores, cue_sentence, cues_of_images
from whalecam.analysis.cues.findings import placement_test
from whalecam.analysis.cues.patch_groups import at_places, place_of, with_looks
from whalecam.arrays import ByteArray
from whalecam.audit.run_cues import row_of, run_cues
from whalecam.cli import cli
from whalecam.data.csv_text import restored
from whalecam.data.images import read_quantization
from whalecam.demo.cues import CUES
from whalecam.errors import RunError
from whalecam.explain.cues import IMAGE_PROPERTIES, Seen, image_properties, patches
from whalecam.explain.cues.cue_test import HOSTS, CueQuestion, CueTest, ValueDonor
from whalecam.explain.cues.jpeg import quality_of
from whalecam.network import Network
from whalecam.output.csv.cue_list import write_cue_list
from whalecam.store.cue_rows import TEST_STAMP, CueRow, PatchRow, cue_rows, earlier_classes
from whalecam.store.run import open_run, parts_in
from whalecam.words import Words

SIZE, CELL = 64, 8
CLASSES = ("bright", "dark")
OBJECT = slice(24, 40)
CORNER = slice(48, 64)


def scenery(rng: np.random.Generator, side: int = SIZE) -> ByteArray:
    """Waves around a middle grey, the same mean everywhere."""
    waves = cv2.GaussianBlur(rng.normal(0, 60, (side, side, 3)), (0, 0), 1.5)
    return np.asarray(np.clip(110 + waves, 0, 255), np.uint8)


def drawn(rng: np.random.Generator, is_marked: bool) -> tuple[ByteArray, NDArray[np.float32]]:
    """A bright object in the middle; the marked ones have a white square in the lower right corner."""
    pixels, mask = scenery(rng), np.zeros((SIZE, SIZE), np.float32)
    mask[OBJECT, OBJECT] = 1
    pixels[OBJECT, OBJECT] = 200
    if is_marked:
        pixels[CORNER, CORNER] = 255
    return pixels, mask


class Reading(nn.Module):
    """Activations (N, 1, 8, 8): the brightness of each cell above grey, where the network looks at all."""

    def __init__(self, looks: NDArray[np.float32]) -> None:
        super().__init__()
        self.looks = nn.Parameter(torch.from_numpy(looks)[None, None], requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        cells: Tensor = nn.functional.avg_pool2d(x.mean(1, keepdim=True), CELL) - 0.5
        return cells * self.looks


def reading(rows: slice, columns: slice, gain: float = 400.0) -> Network:
    """A network that calls an image `bright` by the brightness of some cells, and reads nothing else."""
    looks = np.zeros((8, 8), np.float32)
    looks[rows, columns] = 1
    linear = nn.Linear(1, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[gain], [-gain]]))
        linear.bias.copy_(torch.tensor([-2.0, 2.0]))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear).eval()
    return Network(Reading(looks).eval(), head, "toy", CLASSES, SIZE, "squish", (0.0,) * 3, (1.0,) * 3)


def answered(network: Network, images: int = 40, properties: bool = False) -> tuple[list[CueRow], set[str]]:
    """The cue test of drawings, half of which are marked; and the names of the marked ones."""
    rng = np.random.default_rng(0)
    marked = [at % 2 == 0 for at in range(images)]
    seen = [Seen(pixels=pixels, mask=mask, quality=100.0) for pixels, mask in (drawn(rng, each) for each in marked)]
    inputs = np.stack([each.pixels for each in seen])
    with torch.no_grad():
        predicted = network.head(network.look(inputs)).argmax(1).tolist()
    kinds = IMAGE_PROPERTIES if properties else {}
    donors = [
        ValueDonor(f"{at}", CLASSES[not marked[at]], at, values, partial(seen.__getitem__, at))
        for at, each in enumerate(seen)
        if (values := {name: value for name, kind in kinds.items() if (value := kind.measure(each)) is not None})
    ]
    answers = CueTest(network, kinds, donors)(
        [CueQuestion(f"{at}", each, predicted[at], at) for at, each in enumerate(seen)]
    )
    rows = [
        row_of(
            {"image": f"{at}", "label": CLASSES[not marked[at]], "predicted": CLASSES[code], "group": "", "fold": 0},
            answer,
        )
        for (at, answer), code in zip(enumerate(answers), predicted, strict=True)
    ]
    return rows, {f"{at}" for at in range(images) if marked[at]}


def test_the_mark_that_a_network_reads_is_named_with_its_images() -> None:
    rows, marked = answered(reading(slice(6, 8), slice(6, 8)))
    (finding,) = cue_findings(rows)
    assert (finding.predicted, finding.cue, finding.place) == ("bright", PATCH, "lower right")
    assert set(finding.images) == marked and finding.group == finding.tested == len(marked)
    assert finding.drop > 0.9 and abs(finding.placebo) < 1e-6 and finding.p_value < 0.01
    scores = cue_scores(rows, PATCH)
    assert min(scores[name] for name in marked) > max(scores[name] for name in scores if name not in marked) + 0.5


def test_of_a_network_that_reads_the_object_alone_nothing_is_named() -> None:
    rows, _ = answered(reading(slice(3, 5), slice(3, 5)), properties=True)
    assert [finding for finding in cue_findings(rows) if finding.cue == PATCH] == []
    assert all(row["patch"] is None for row in rows if row["predicted"] == "bright")


def test_a_property_that_a_network_reads_is_named() -> None:
    """It reads the mean of the whole image, which the exposure carries: half of the images are overexposed."""
    network = reading(slice(0, 8), slice(0, 8), gain=120.0)
    rng = np.random.default_rng(1)
    plain = [drawn(rng, False) for _ in range(40)]
    light = [at % 2 == 0 for at in range(40)]
    seen = [
        Seen(pixels=np.minimum(pixels.astype(int) + 60 * is_light, 255).astype(np.uint8), mask=mask, quality=100.0)
        for (pixels, mask), is_light in zip(plain, light, strict=True)
    ]
    kinds = {name: IMAGE_PROPERTIES[name] for name in ("exposure", "white_balance")}
    donors = [
        ValueDonor(
            f"{at}",
            CLASSES[not light[at]],
            at,
            {name: kind.measure(each) or () for name, kind in kinds.items()},
            partial(seen.__getitem__, at),
        )
        for at, each in enumerate(seen)
    ]
    with torch.no_grad():
        predicted = network.head(network.look(np.stack([each.pixels for each in seen]))).argmax(1).tolist()
    assert predicted == [int(not each) for each in light]
    answers = CueTest(network, kinds, donors, "none")(
        [CueQuestion(f"{at}", seen[at], predicted[at], at) for at in range(40)]
    )
    rows = [
        row_of({"image": f"{at}", "label": "", "predicted": CLASSES[predicted[at]], "group": "", "fold": 0}, answer)
        for at, answer in enumerate(answers)
    ]
    findings = cue_findings(rows)
    assert {(finding.predicted, finding.cue) for finding in findings} == {(name, "exposure") for name in CLASSES}
    assert all(finding.drop > 0.8 and abs(finding.placebo) < 0.1 for finding in findings)
    ways = [[each["is_loan"] for each in row["exchanges"] if each["name"] == "exposure"] for row in rows]
    assert ways == [[False, True]] * 40, "given back where nothing is clipped, and lent"
    one_way = [row | {"exchanges": [each for each in row["exchanges"] if not each["is_loan"]]} for row in rows]
    other_way = [row | {"exchanges": [each for each in row["exchanges"] if each["is_loan"]]} for row in rows]
    both, first, second = (cue_scores(some, "exposure") for some in (rows, one_way, other_way))
    assert both == pytest.approx({name: (first[name] + second[name]) / 2 for name in both})


class Detail(nn.Module):
    """Activations (N, 1, 8, 8): how strong the finest detail of each cell is."""

    def forward(self, x: Tensor) -> Tensor:
        light = x.mean(1, keepdim=True)
        fine = (light - nn.functional.avg_pool2d(light, 5, 1, 2)).abs()
        return nn.functional.avg_pool2d(fine, CELL)


DULL = ("crisp", "dull")


def by_detail() -> Network:
    """A network that calls an image `dull` where its finest detail is weak, and reads nothing else."""
    linear = nn.Linear(1, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[800.0], [-800.0]]))
        linear.bias.copy_(torch.tensor([-19.6, 19.6]))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear).eval()
    return Network(Detail().eval(), head, "toy", DULL, SIZE, "squish", (0.0,) * 3, (1.0,) * 3)


def half_blurred(images: int) -> tuple[list[Seen], list[ValueDonor]]:
    """Drawings, every second of which is blurred and called dull, and the same as donors."""
    rng = np.random.default_rng(2)
    plain = [drawn(rng, False) for _ in range(images)]
    seen = [
        Seen(pixels=np.asarray(cv2.GaussianBlur(pixels, (0, 0), 5), np.uint8) if at % 2 else pixels, mask=mask)
        for at, (pixels, mask) in enumerate(plain)
    ]
    kind = IMAGE_PROPERTIES["sharpness"]
    values = [{"sharpness": kind.measure(each) or ()} for each in seen]
    donors = [ValueDonor(f"{at}", DULL[at % 2], at, values[at], partial(seen.__getitem__, at)) for at in range(images)]
    return seen, donors


def test_detail_that_is_lost_is_lendable_to_images_of_other_labels() -> None:
    """No edit brings back what a blur took, so the blurred images themselves would keep their class."""
    network, (seen, donors) = by_detail(), half_blurred(40)
    kinds = {"sharpness": IMAGE_PROPERTIES["sharpness"]}
    answers = CueTest(network, kinds, donors, "none")(
        [CueQuestion(f"{at}", each, at % 2, at) for at, each in enumerate(seen)]
    )
    rows = [
        row_of({"image": f"{at}", "label": "", "predicted": DULL[at % 2], "group": "", "fold": 0}, answer)
        for at, answer in enumerate(answers)
    ]
    finding = next(each for each in cue_findings(rows) if each.predicted == "dull")
    assert finding.is_loan and finding.cue == "sharpness" and len(finding.images) == 20
    assert finding.drop > 0.8 and abs(finding.placebo) < 0.1
    assert "images of other labels that take theirs gain" in cue_sentence(
        finding, Words(subject="animal", background="water")
    )
    kept = replace(kinds["sharpness"], is_exchangeable=True, is_lendable=False)
    (answer,) = CueTest(network, {"sharpness": kept}, donors, "none")([CueQuestion("1", seen[1], 1, 1)])
    assert answer.exchanges["sharpness"].drop < 0.5


class Lightness(nn.Module):
    """Activations (N, 1, 8, 8): how light each cell is."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(x.mean(1, keepdim=True), CELL)


def disc(side: int, radius: int) -> Seen:
    """A light disc in the middle of a dark image, and its mask."""
    mask = np.zeros((side, side), np.float32)
    cv2.circle(mask, (side // 2, side // 2), radius, 1.0, -1)
    return Seen(pixels=np.repeat((30 + 200 * mask).astype(np.uint8)[..., None], 3, axis=2), mask=mask)


def test_the_scale_of_an_object_is_lendable_to_images_of_other_labels() -> None:
    """A network that calls an image `small` where little of it is light, and reads nothing else."""
    kind = IMAGE_PROPERTIES["scale"]
    seen = [disc(SIZE, 6 + at % 3 if at % 2 else 18 + at % 3) for at in range(40)]
    values = [kind.measure(each) or () for each in seen]
    names = ("large", "small")
    donors = [
        ValueDonor(f"{at}", names[at % 2], at, {"scale": values[at]}, partial(seen.__getitem__, at)) for at in range(40)
    ]
    linear = nn.Linear(1, 2)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[60.0], [-60.0]]))
        linear.bias.copy_(torch.tensor([-12.0, 12.0]))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear).eval()
    network = Network(Lightness().eval(), head, "toy", names, SIZE, "squish", (0.0,) * 3, (1.0,) * 3)
    questions = [CueQuestion(f"{at}", each, at % 2, at) for at, each in enumerate(seen)]
    answers = CueTest(network, {"scale": kind}, donors, "none")(questions)
    rows = [
        row_of({"image": f"{at}", "label": "", "predicted": names[at % 2], "group": "", "fold": 0}, answer)
        for at, answer in enumerate(answers)
    ]
    findings = cue_findings(rows)
    assert {(each.predicted, each.cue, each.is_loan) for each in findings} == {(name, "scale", True) for name in names}
    assert all(each.drop > 0.8 and abs(each.placebo) < 0.1 and len(each.images) == 20 for each in findings)


def test_all_images_of_a_class_lend_to_few_others() -> None:
    """Hosts are read from the disk; these few stay in memory."""
    network, (seen, donors) = by_detail(), half_blurred(60)
    asked_for: list[str] = []

    def host(donor: ValueDonor) -> Seen | None:
        asked_for.append(donor.image)
        return donor.seen()

    watched = [replace(donor, seen=partial(host, donor)) for donor in donors]
    questions = [CueQuestion(f"{at}", seen[at], 1, at) for at in range(1, 60, 2)]
    CueTest(network, {"sharpness": IMAGE_PROPERTIES["sharpness"]}, watched, "none")(questions)
    assert len(set(asked_for)) == HOSTS < 30 and all(int(name) % 2 == 0 for name in asked_for)


def test_a_loan_is_what_the_class_gains_on_the_host_beyond_its_null_edit() -> None:
    """Two hosts, each the other's peer: all that can be drawn, computed by hand."""
    network, (seen, donors) = by_detail(), half_blurred(4)
    kind = IMAGE_PROPERTIES["sharpness"]

    def dull(host: int, value: tuple[float, ...]) -> float:
        with torch.no_grad():
            logits = network.head(network.look(kind.edit(seen[host], value)[None]))
        return float(logits.double().softmax(1)[0, 1])

    (answer,) = CueTest(network, {"sharpness": kind}, donors, "none")([CueQuestion("1", seen[1], 1, 77)])
    exchange, own = answer.loans["sharpness"], kind.measure
    values = {at: own(seen[at]) or () for at in range(4)}
    null = 1 - (dull(0, values[0]) + dull(2, values[2])) / 2
    lent = [null - dull(host, values[1]) + dull(host, values[host]) for host in (0, 2)]
    peers = [null - dull(host, values[peer]) + dull(host, values[host]) for host, peer in ((0, 2), (2, 0))]
    # Images that pass together differ in float32's last digits from one alone, by as much as the CPU likes.
    near = partial(pytest.approx, abs=1e-6)
    assert exchange.null == near(null) and exchange.more == () and exchange.is_loan
    assert sorted(exchange.other) == near(sorted(lent))
    assert sorted(exchange.own) == near(sorted(peers))
    assert exchange.other_units == (77, 77) and set(exchange.own_units) == {0, 2}


def seen_of(side: int = 96, quality: float | None = 100.0, level: float = 0.0) -> Seen:
    pixels, mask = scenery(np.random.default_rng(3), side), np.zeros((side, side), np.float32)
    cv2.ellipse(mask, (side // 2, side // 2), (side // 6, side // 10), 20, 0, 360, 1.0, -1)
    pixels[mask > 0.5] = (60, 90, 120)
    return Seen(pixels=np.clip(pixels + level, 0, 255).astype(np.uint8), mask=mask, quality=quality)


TARGETS = {
    "sharpness": (2.2, 2.6, 2.4),
    "jpeg_quality": (15.0,),
    "exposure": (30.0,),
    "white_balance": (12.0, -9.0),
    "scale": (0.35,),
    "framing": (0.3, 0.65),
    "border": (0.1, 0.1, 0.0, 0.0, 0.0),
}


def remeasured(name: str, edited: ByteArray, before: Seen, target: tuple[float, ...]) -> tuple[float, ...]:
    """The value after an edit; the mask of what was moved is drawn anew by its colour."""
    is_object = np.abs(edited.astype(int) - (60, 90, 120)).max(axis=2) < 12
    mask = cv2.morphologyEx(is_object.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)).astype(np.float32)
    quality = target[0] if name == "jpeg_quality" else before.quality
    after = Seen(pixels=edited, mask=mask if name in ("scale", "framing") else before.mask, quality=quality)
    return IMAGE_PROPERTIES[name].measure(after) or ()


@pytest.mark.parametrize("name", image_properties())
def test_each_property_takes_the_value_of_a_donor_and_its_null_edit_changes_next_to_nothing(name: str) -> None:
    kind, seen = image_properties()[name], seen_of()
    own = kind.measure(seen)
    assert own is not None and all(isinstance(value, float) for value in own)
    null = kind.edit(seen, own)
    assert null.dtype == np.uint8 and null.shape == seen.pixels.shape
    assert np.abs(null.astype(int) - seen.pixels).mean() < 3
    edited = kind.edit(seen, TARGETS[name])
    assert edited.shape == seen.pixels.shape and np.array_equal(edited, kind.edit(seen, TARGETS[name]))
    after = np.array(remeasured(name, edited, seen, TARGETS[name]))
    before, target = np.array(own), np.array(TARGETS[name])
    assert np.abs(after - target).sum() < 0.4 * np.abs(before - target).sum(), (before, after, target)


@pytest.mark.parametrize("name", ["scale", "framing"])
def test_without_an_object_there_is_no_scale_and_no_framing(name: str) -> None:
    assert IMAGE_PROPERTIES[name].measure(replace(seen_of(), mask=None)) is None
    assert IMAGE_PROPERTIES[name].measure(replace(seen_of(), mask=np.ones((96, 96), np.float32))) is None


@pytest.mark.parametrize("quality", [5, 12, 30, 50, 75, 90, 95])
def test_the_quality_of_a_jpeg_is_read_from_its_table(tmp_path: Path, quality: int) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(seen_of().pixels).save(path, quality=quality)
    assert quality_of(read_quantization(path) or []) == quality
    Image.fromarray(seen_of().pixels).save(tmp_path / "a.png")
    assert read_quantization(tmp_path / "a.png") is None


def test_the_removal_of_blocks_brings_a_poor_jpeg_nearer_to_the_image() -> None:
    pixels = np.asarray(cv2.GaussianBlur(seen_of().pixels, (0, 0), 2), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=10)
    poor = np.asarray(Image.open(buffer).convert("RGB"))
    mended = IMAGE_PROPERTIES["jpeg_quality"].edit(Seen(pixels=poor, quality=10.0), (100.0,))
    errors = [float(((each.astype(float) - pixels) ** 2).mean()) for each in (poor, mended)]
    assert errors[1] < 0.95 * errors[0]


def test_a_patch_grows_around_its_strongest_cell_and_stays_off_the_object() -> None:
    evidence, background = np.zeros((4, 4)), np.ones((4, 4))
    evidence[3] = (1.0, 4.0, 3.0, 1.9)
    evidence[0, 0], evidence[1, 1], background[1, 1] = 3.5, 9.0, 0.1
    region = patches.strongest(evidence, background)
    assert region is not None and np.argwhere(region).tolist() == [[3, 1], [3, 2]]
    assert patches.strongest(-evidence, background) is None
    assert patches.pixels_of(region, 8).sum() == 2 * 2 * 2


def test_placebos_have_the_form_of_the_patch_and_lie_clear_of_it_and_of_the_object() -> None:
    region, background = np.zeros((4, 4), bool), np.ones((4, 4))
    region[3, 1:3], background[1:3, 1:3] = True, 0.0
    for place in patches.placebos(region, background, 2, np.random.default_rng(0)):
        assert place.sum() == 2 and not (place & region).any() and background[place].all()
    background[:3] = 0.0
    assert patches.placebos(region, background, 2, np.random.default_rng(0)) == []


def test_erasing_changes_the_patch_alone() -> None:
    image, patch, near = scenery(np.random.default_rng(0)), np.zeros((64, 64), bool), np.zeros((64, 64), bool)
    patch[40:60, 40:60], near[50:, 50:] = True, True
    changed = (patches.erased(image, patch, near) != image).any(axis=2)
    assert changed.any() and not (changed & ~(patch & ~near)).any()


def test_the_placement_test_is_that_over_every_choice_of_places() -> None:
    """Three units, of which the second has two images; one image has a single placebo."""
    erased, units = [[0.2, 0.7, 0.6], [0.4, 0.5, 0.9], [0.3, 0.8], [0.6, 0.5, 0.7]], np.array([4, 7, 7, 9])

    def worth(image: int, place: int) -> float:
        others = [left for at, left in enumerate(erased[image]) if at != place]
        return sum(others) / len(others) - erased[image][place]

    # A unit's one chance takes the same share of the places of each of its images: sixths here.
    sums = [
        worth(0, a // 2) + worth(1, b // 2) + worth(2, b // 3) + worth(3, c // 2)
        for a in range(6)
        for b in range(6)
        for c in range(6)
    ]
    exact = sum(total >= sums[0] - 1e-9 for total in sums) / len(sums)
    assert placement_test(erased, units, draws=40_000) == pytest.approx(exact, abs=0.01)


def test_eight_individuals_are_enough_for_a_mark_to_be_beyond_chance() -> None:
    """An exchange of signs could give no less than 1 in 256, which no correction over sixty tests survives."""
    erased = [[0.4, 0.9, 0.92]] * 16
    assert placement_test(erased, np.arange(16) // 2, draws=1999) <= 0.001
    rng, small = np.random.default_rng(0), 0
    for _ in range(200):
        small += placement_test(rng.random((16, 3)).tolist(), np.arange(16) // 2, draws=199) <= 0.05
    assert small <= 20, "10 of 200 are expected; more than 20 would happen once in 500 times"


def patch_of(cells: list[int], look: list[float] | None = None, side: int = 4) -> PatchRow:
    return {
        "rows": side,
        "columns": side,
        "cells": cells,
        "share": 0.5,
        "look": look or [1.0, 0.0],
        "erased": 0.1,
        "placebo": [0.8, 0.9],
    }


def test_patches_are_grouped_by_shared_cells_and_by_looks() -> None:
    several = [patch_of([63], side=8)] * 4 + [patch_of([61, 62], side=8)] * 3 + [patch_of([0], side=8)] * 5
    several += [patch_of([35], side=8)] * 2 + [patch_of([15])] * 4
    assert [group.tolist() for group in at_places(several, 5)] == [list(range(7)), list(range(7, 12))]
    rng = np.random.default_rng(0)
    looks = [(np.eye(6)[at % 2] + rng.normal(0, 0.01, 6)).tolist() for at in range(12)]
    groups = with_looks([patch_of([at], look) for at, look in enumerate(looks)], [0] * 12, 5)
    assert sorted(group.tolist() for group in groups) == [[0, 2, 4, 6, 8, 10], [1, 3, 5, 7, 9, 11]]


@pytest.mark.parametrize(("placebo", "net"), [([0.8, 0.9], 0.75), ([0.5, 0.7], 0.5), ([1.0, 1.0], 0.8), ([], 0.0)])
def test_a_placebo_that_raises_the_probability_counts_as_nothing(placebo: list[float], net: float) -> None:
    row: CueRow = {
        "image": "a.jpg",
        "label": "x",
        "predicted": "x",
        "unit": 1,
        "fold": 0,
        "before": 0.9,
        "exchanges": [],
        "patch": {**patch_of([1]), "placebo": placebo},
    }
    assert cue_scores([row], PATCH)["a.jpg"] == pytest.approx(net)


@pytest.mark.parametrize(
    ("cells", "place"),
    [([15], "lower right"), ([0], "upper left"), ([12, 13, 14, 15], "along the bottom"), ([0, 1, 2], "along the top")],
)
def test_a_place_in_words(cells: list[int], place: str) -> None:
    assert place_of([patch_of(cells)] * 3) == place


def test_patches_all_over_the_image_have_no_place() -> None:
    assert place_of([patch_of([cell]) for cell in (0, 3, 12, 15, 5, 10)]) == ""


@pytest.mark.parametrize("name", CUES)
def test_each_planted_cue_changes_the_image_and_is_the_same_for_the_same_seed(name: str) -> None:
    seen = seen_of(128)
    mask = (np.asarray(seen.mask) * 255).astype(np.uint8)
    with_cue = CUES[name](seen.pixels, mask, np.random.default_rng(1))
    assert with_cue.shape == seen.pixels.shape and with_cue.dtype == np.uint8
    assert np.array_equal(with_cue, CUES[name](seen.pixels, mask, np.random.default_rng(1)))
    changed = (with_cue != seen.pixels).any(axis=2)
    if name in ("timestamp", "caption_strip", "logo", "boat"):
        assert 0.005 < changed.mean() < 0.2 and (changed & (mask > 127)).sum() < 0.05 * changed.sum()
    else:
        assert changed.mean() > 0.3


def finding_of(**more: object) -> CueFinding:
    given = {"predicted": "fin_whale", "cue": PATCH, "place": "lower right", "images": ("a.jpg", "b.jpg", "c.jpg")}
    numbers = {"tested": 60, "group": 9, "drop": 0.61, "placebo": 0.02, "cost": 0.0885, "p_value": 0.0005}
    return CueFinding(**{**given, **numbers, **more})  # type: ignore[arg-type]


def test_a_cue_in_words() -> None:
    words = Words(subject="animal", background="water")
    assert cue_sentence(finding_of(), words) == (
        "9 of 60 images predicted fin_whale have their strongest evidence beside the animal in one kind of patch "
        "(lower right); erasing it costs 0.61 of probability (placebo 0.02; p\u00a00.0005). 3 rely on it."
    )
    assert "rely on the scale of the animal" in cue_sentence(finding_of(cue="scale", place=""), words)
    cheap = finding_of(cue="scale", cost=0.06, images=("b.jpg",))
    assert [each.cue for each in cues_of_images([cheap, finding_of()])["b.jpg"]] == [PATCH, "scale"]


def test_the_verb_tests_a_run_class_by_class_and_goes_on_where_it_was(runs: Path, tmp_path: Path) -> None:
    run = open_run(runs / "demo")
    first = run_cues(run, per_class=3)
    assert first.new == first.images > 0 and first.passes > 10 * first.images
    assert run_cues(run, per_class=3).new == 0
    parts = parts_in(run.cues)
    assert len(parts) == first.classes
    before = {row["image"]: row for row in cue_rows(run)}
    lent = {(each["name"], each.get("is_loan")) for row in before.values() for each in row["exchanges"]}
    assert ("scale", True) in lent and ("framing", False) in lent, "hosts come with their objects"
    parts[0].unlink()
    again = run_cues(run, per_class=3)
    assert 0 < again.new < first.images
    assert {row["image"]: row["before"] for row in cue_rows(run)} == pytest.approx(
        {name: row["before"] for name, row in before.items()}
    )
    out = tmp_path / "cues.csv"
    result = CliRunner().invoke(cli, ["cues", str(run.path), "--per-class", "3", "--out", str(out)])
    assert result.exit_code in (0, 1) and f"Tested: {first.images}" in result.output
    assert out.read_text().startswith("image,predicted,cue,place,title,drop,p_value,run,model_sha256")
    run.update(model_sha256="another")
    assert cue_rows(run) == []


def test_what_an_earlier_edition_measured_is_named_and_measured_again(runs: Path) -> None:
    run = open_run(runs / "demo")
    first = run_cues(run, per_class=3)
    assert earlier_classes(run) == frozenset()
    old, *others = parts_in(run.cues)
    stored = pq.read_table(old)
    without = {key: value for key, value in stored.schema.metadata.items() if key != TEST_STAMP}
    pq.write_table(stored.replace_schema_metadata(without), old)
    outdated = set(stored["predicted"].to_pylist())
    assert earlier_classes(run) == outdated and len(cue_rows(run)) == first.images
    again = run_cues(run, per_class=3)
    assert again.new == len(stored) and not old.exists() and all(part.exists() for part in others)
    assert earlier_classes(run) == frozenset() and len(cue_rows(run)) == first.images


def test_a_broken_part_is_reported_with_what_to_do(runs: Path) -> None:
    run = open_run(runs / "demo")
    run.cues.mkdir()
    (run.cues / "part-000000-00000000.parquet").write_bytes(b"no Parquet")
    with pytest.raises(RunError, match="whalecam cues RUN"):
        cue_rows(run)


def test_the_cue_list_is_safe_in_a_spreadsheet(runs: Path) -> None:
    run = open_run(runs / "demo")
    awkward = finding_of(images=("=1+1.jpg",), predicted="@fin")
    content = write_cue_list([awkward], run).decode()
    cells = content.splitlines()[1].split(",")
    assert cells[0] == "'=1+1.jpg" and restored(cells[0]) == "=1+1.jpg" and cells[1] == "'@fin"
