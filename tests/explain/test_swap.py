"""The background test: edits change one property of the water, and toy networks get the score they deserve."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from whalecam.arrays import Mask, Sample
from whalecam.config import OTHER
from whalecam.explain import background_test
from whalecam.network import Network

SIZE = 64
WATERS = {"blue": (40, 90, 170), "green": (70, 110, 60)}
CENTRE = (slice(24, 40), slice(24, 40))


def scene(colour: tuple[int, int, int], seed: int, animal: int = 128, waves: float = 6.0) -> background_test.Scene:
    rng = np.random.default_rng(seed)
    pixels = np.asarray(colour, float) + rng.normal(0, waves, (SIZE, SIZE, 1))
    mask = np.zeros((SIZE, SIZE), np.float32)
    mask[18:46, 18:46] = 1
    pixels[mask > 0] = animal
    return background_test.Scene(np.clip(pixels, 0, 255).astype(np.uint8), mask)


class Reader(nn.Module):
    """Activations are the mean colour of one region, nothing else."""

    def __init__(self, region: np.ndarray) -> None:
        super().__init__()
        self.region = torch.tensor(region / region.sum(), dtype=torch.float32)

    def forward(self, x: Tensor) -> Tensor:
        return (x.float() * self.region).sum((2, 3), keepdim=True)


def toy(where: str) -> Network:
    region = np.zeros((SIZE, SIZE))
    if where == "centre":
        region[CENTRE] = 1
    else:
        region[:6], region[-6:], region[:, :6], region[:, -6:] = 1, 1, 1, 1
    head = nn.Sequential(nn.Flatten(), nn.Linear(3, 2))
    with torch.no_grad():
        head.get_parameter("1.weight").copy_(torch.tensor([[0.0, -60.0, 60.0], [0.0, 60.0, -60.0]]))
        head.get_parameter("1.bias").copy_(torch.tensor([-7.0, 7.0]))
    return Network(Reader(region), head.eval(), "toy", ("blue", "green"), SIZE, "squish", (0, 0, 0), (1, 1, 1))


@pytest.fixture(scope="module")
def pool() -> list[background_test.Donor]:
    return [
        background_test.Donor(f"{label}{n}", label, scene(colour, n).lend())
        for n in range(8)
        for label, colour in WATERS.items()
    ]


def answer_of(
    network: Network, pool: list[background_test.Donor], picture: background_test.Scene, predicted: int, donors: int = 6
) -> background_test.Effect:
    """What the background test finds of one image, called x."""
    (found,) = background_test.BackgroundTest(network, pool, donors)(
        [background_test.Question("x", picture, predicted)]
    )
    assert found is not None
    return found


@pytest.mark.parametrize("label", sorted(WATERS))
def test_a_network_that_reads_the_border_relies_on_the_water(pool: list[background_test.Donor], label: str) -> None:
    found = answer_of(toy("border"), pool, scene(WATERS[label], 99), ["blue", "green"].index(label))
    assert found.carrier == "color" and found.drops["color"] >= 0.9
    assert found.swap >= 0.9 and found.gap >= 0.9 and found.background_only_p >= 0.9
    assert found.background_only_predicted == ["blue", "green"].index(label)


def test_each_exchange_of_the_whole_water_is_kept_with_its_donor(pool: list[background_test.Donor]) -> None:
    witness = background_test.BackgroundTest(toy("border"), pool)
    picture = scene(WATERS["blue"], 99)
    found = answer_of(witness.network, pool, picture, 0)
    others, same = witness.donors_of("x", "blue")
    assert (len(others), len(same)) == (6, 2)
    for kept, donors in ((found.own, same), (found.other, others)):
        assert kept.units == tuple(donor.unit for donor in donors) and len(set(kept.units)) == len(donors)
        for donor, value in zip(donors, kept.probabilities, strict=True):
            with torch.no_grad():
                batch = witness.network.batch(background_test.EDITS["swap"](picture, donor.water)[None])
                logits = witness.network.head(witness.network.features(batch))
            assert value == pytest.approx(float(logits.double().softmax(1)[0, 0]), abs=1e-5)
    assert found.swap == pytest.approx(found.before - np.mean(found.other.probabilities))
    assert found.gap == pytest.approx(found.own.probabilities[0] - np.mean(found.other.probabilities[:3]))
    assert found.swapped == tuple((donor.label, donor.label == "green") for donor in (*others[:3], *same[:1]))


def test_donors_of_one_group_have_one_unit(pool: list[background_test.Donor]) -> None:
    water = pool[0].water
    one, two, alone = (
        background_test.Donor("a", "x", water, "whale"),
        background_test.Donor("b", "x", water, "whale"),
        background_test.Donor("whale", "x", water),
    )
    assert one.unit == two.unit != alone.unit != background_test.Donor("a", "x", water).unit


@pytest.mark.parametrize("animal", [60, 128, 200])
def test_a_network_that_reads_the_centre_does_not(pool: list[background_test.Donor], animal: int) -> None:
    model = toy("centre")
    picture = scene(WATERS["blue"], 98, animal)
    with torch.no_grad():
        top = int(model.head(model.features(model.batch(picture.pixels[None]))).argmax())
    found = answer_of(model, pool, picture, top)
    assert found.drops == {} and found.carrier == ""
    assert abs(found.swap) <= 0.02 and abs(found.gap) <= 0.02


def test_a_label_told_twice_falls_only_when_both_tellings_change() -> None:
    """Dark blue water against light green: colour alone tells the label, and so does brightness alone."""
    waters = {"blue": (20, 50, 110), "green": (150, 190, 140)}
    pool = [
        background_test.Donor(f"{label}{n}", label, scene(colour, n).lend())
        for n in range(8)
        for label, colour in waters.items()
    ]
    model = toy("border")
    cues = nn.Linear(3, 2)
    either = nn.Linear(2, 2)
    with torch.no_grad():
        cues.weight.copy_(torch.tensor([[-30.0, -30.0, 60.0], [-30.0, -30.0, -30.0]]))
        cues.bias.copy_(torch.tensor([0.0, 40.0]))
        either.weight.copy_(torch.tensor([[2.0, 2.0], [0.0, 0.0]]))
        either.bias.copy_(torch.tensor([-6.0, 0.0]))
    model.head = nn.Sequential(nn.Flatten(), cues, nn.ReLU(), either).eval()
    found = answer_of(model, pool, scene(waters["blue"], 99), 0)
    assert found.before >= 0.95
    assert all(found.drops[name] <= 0.1 for name in ("color", "brightness", "texture"))
    assert found.drops["together"] >= 0.9 and found.carrier == "together"


def effect_of(swapped: float, **drops: float) -> background_test.Effect:
    return background_test.Effect(drops, swapped, 0.0, 1.0, {}, 0.0, 0)


def test_the_drop_is_carried_by_a_single_property_else_by_several_else_by_something_else() -> None:
    single = {"color": 0.5, "brightness": 0.3, "texture": 0.1}
    assert effect_of(0.9, **single).carrier == "color"
    less = {"color": 0.4, "brightness": 0.3, "texture": 0.1}
    assert effect_of(0.9, **less, together=0.5).carrier == "together"
    assert effect_of(0.9, **less, together=0.4).carrier == OTHER
    assert effect_of(0.2).carrier == ""


def test_a_sign_that_no_property_carries_is_something_else(pool: list[background_test.Donor]) -> None:
    """A network that reads *where* the water is light: every edit but the exchange of all of it keeps that."""
    top, bottom = np.zeros((SIZE, SIZE)), np.zeros((SIZE, SIZE))
    top[:8], bottom[-8:] = 1, 1
    model = toy("border")
    reader = Reader(top)
    reader.region = torch.tensor((top - bottom) / top.sum(), dtype=torch.float32)
    model.features = reader
    head = nn.Linear(3, 2)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[20.0, 20.0, 20.0], [-20.0, -20.0, -20.0]]))
        head.bias.zero_()
    model.head = nn.Sequential(nn.Flatten(), head).eval()

    def slope(sign: int, seed: int) -> background_test.Scene:
        flat = scene((100, 110, 120), seed)
        ramp = sign * np.linspace(40, -40, SIZE)[:, None, None]
        return background_test.Scene(
            np.clip(flat.pixels + ramp * flat.water[..., None], 0, 255).astype(np.uint8), flat.mask
        )

    donors = [
        background_test.Donor(f"{sign}{n}", "blue" if sign > 0 else "green", slope(sign, n).lend())
        for n in range(8)
        for sign in (1, -1)
    ]
    found = answer_of(model, donors, slope(1, 99), 0)
    assert found.swap >= 0.9 and max(found.drops.values()) <= 0.2
    assert found.carrier == OTHER and set(found.examples) == {*background_test.PROPERTIES, background_test.WHOLE}


def test_drops_are_those_of_a_slow_loop(pool: list[background_test.Donor]) -> None:
    model, picture = toy("border"), scene((45, 92, 150), 5)
    witness = background_test.BackgroundTest(model, pool, donors=4)
    found = answer_of(model, pool, picture, 0, donors=4)
    others, _ = witness.donors_of("x", "blue")

    def p(pixels: np.ndarray) -> float:
        with torch.no_grad():
            return float(model.head(model.features(model.batch(pixels[None]))).softmax(1)[0, 0])

    for name, drop in found.drops.items():
        after = [p(background_test.EDITS[name](picture, donor.water)) for donor in others[:2]]
        assert drop == pytest.approx(p(picture.pixels) - sum(after) / 2, abs=0.02)
    lower = [p(background_test.EDITS["swap"](picture, donor.water)) for donor in others]
    assert found.swap == pytest.approx(p(picture.pixels) - sum(lower) / 4, abs=0.02)
    assert set(found.drops) >= {"color", "brightness", "texture"}


def test_rounds_end_where_the_outcome_is_settled(pool: list[background_test.Donor]) -> None:
    """Untouched, filled and four exchanges; four more where the prediction drops, and six to explain a far drop."""
    for network, passes in ((toy("centre"), 6), (toy("border"), 2 + 8 + 6)):
        witness = background_test.BackgroundTest(network, pool)
        (found,) = witness([background_test.Question("x", scene(WATERS["blue"], 99), 0)])
        assert found is not None and witness.passes == passes


def test_questions_asked_together_get_the_answers_of_each_alone(pool: list[background_test.Donor]) -> None:
    questions = [
        background_test.Question(f"q{n}", scene(WATERS["blue" if n % 2 else "green"], 50 + n), 1 - n % 2)
        for n in range(9)
    ]
    together = background_test.BackgroundTest(toy("border"), pool)(questions)
    for question, answer in zip(questions, together, strict=True):
        (alone,) = background_test.BackgroundTest(toy("border"), pool)([question])
        assert answer is not None and alone is not None
        assert answer.own.units == alone.own.units and answer.carrier == alone.carrier
        np.testing.assert_allclose(answer.other.probabilities, alone.other.probabilities, atol=1e-5)


def test_donors_are_of_the_right_labels_and_stay_the_same(pool: list[background_test.Donor]) -> None:
    witness = background_test.BackgroundTest(toy("border"), pool, donors=4)
    others, same = witness.donors_of("blue3", "blue")
    assert (len(others), len(same)) == (4, 2)
    assert {d.label for d in others} == {"green"} and {d.label for d in same} == {"blue"}
    assert "blue3" not in {d.image for d in same} and len({d.image for d in others + same}) == 6
    assert [d.image for d in witness.donors_of("blue3", "blue")[0]] == [d.image for d in others]


def test_without_donors_of_a_kind_the_rest_is_measured(pool: list[background_test.Donor]) -> None:
    only = [donor for donor in pool if donor.label == "green"]
    found = answer_of(toy("border"), only, scene(WATERS["blue"], 1), 0)
    assert found.drops["color"] >= 0.9 and np.isnan(found.gap)
    alone = answer_of(toy("border"), [], scene(WATERS["blue"], 1), 0)
    assert alone.drops == {} and np.isnan(alone.swap)


colours = st.tuples(*[st.integers(50, 200)] * 3)


@settings(max_examples=25, deadline=None)
@given(colours, colours, st.floats(2, 8), st.floats(2, 8))
def test_an_edit_takes_its_property_and_leaves_the_animal(
    own: tuple[int, int, int], lent: tuple[int, int, int], own_waves: float, lent_waves: float
) -> None:
    picture, donor = scene(own, 1, waves=own_waves), scene(lent, 2, waves=lent_waves).lend()
    for name, edit in background_test.EDITS.items():
        after = background_test.Scene(edit(picture, donor), picture.mask)
        apart = np.abs(after.pixels[CENTRE].astype(int) - picture.pixels[CENTRE].astype(int))
        assert apart.max() <= 1, name
    # within what a screen can show, the property arrives and the others stay
    colour, light = (
        background_test.Scene(background_test.EDITS[n](picture, donor), picture.mask) for n in ("color", "brightness")
    )
    assert abs(colour.mean[0] - picture.mean[0]) < 12
    assert np.abs(light.mean[1:] - picture.mean[1:]).max() < 40
    inside = picture.lab + (donor.mean - picture.mean) * np.array([0, 1, 1], np.float32)
    if _showable(inside):
        assert np.abs(colour.mean[1:] - donor.mean[1:]).max() < 3
    every = background_test.Scene(background_test.EDITS["together"](picture, donor), picture.mask)
    if _showable(picture.lab + (donor.mean - picture.mean)):
        assert np.abs(every.mean - donor.mean).max() < 3
        assert abs(every.strengths[0] - donor.strengths[0]) < 0.35 * max(donor.strengths[0], 1)
    texture = background_test.Scene(background_test.EDITS["texture"](picture, donor), picture.mask)
    assert np.abs(texture.mean - picture.mean).max() < 2.5
    assert abs(texture.strengths[0] - donor.strengths[0]) < 0.35 * max(donor.strengths[0], 1)


def _showable(lab: np.ndarray) -> bool:
    from whalecam.color import to_rgb

    rgb = to_rgb(lab)
    return bool((rgb > 3).all() and (rgb < 252).all())


def test_padding_is_never_touched() -> None:
    pixels = np.full((32, 64, 3), 90, np.uint8)
    found = background_test.scene_of(Sample("x", pixels), Mask(np.zeros((32, 64), np.float32), 1.0, "given"), 64, "pad")
    donor = scene(WATERS["green"], 3).lend()
    for edit in background_test.EDITS.values():
        assert edit(found, donor)[:12].max() <= 1
