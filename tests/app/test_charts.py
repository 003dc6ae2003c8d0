"""What the charts of the Leaks page are made of."""

import itertools
import math
import tomllib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ROOT
from whalecam.app.charts import alternatives, audit_charts
from whalecam.app.components.assets import text
from whalecam.app.screens import dataset
from whalecam.words import MARINE


def test_bars_of_the_histogram_are_counts_per_verdict() -> None:
    scores = pd.DataFrame(
        {
            "attention_score": np.array([-7, -0.95, 0.51, 0.59, 0.61, 3, 9, np.nan], np.float32),
            "assessment": ["clean", "clean", "suspect", "suspect", "suspect", "suspect", "suspect", "clean"],
        }
    )
    suspect, clean = audit_charts.histogram(scores, "attention_score", 0.5).data
    assert (suspect.name, clean.name) == ("Suspect", "Clean")
    assert {round(x, 2): y for x, y in zip(suspect.x, suspect.y, strict=True) if y} == {0.55: 2, 0.65: 1, 2.95: 2}
    assert {round(x, 2): y for x, y in zip(clean.x, clean.y, strict=True) if y} == {-0.95: 2}
    assert suspect.customdata[15].tolist() == [0.5, 0.6]


@given(st.lists(st.floats(-5, 5, width=32) | st.just(math.nan), max_size=40))
def test_every_value_stands_in_one_bar(values: list[float]) -> None:
    slowly = [0] * (len(audit_charts.EDGES) - 1)
    for value in (value for value in values if not math.isnan(value)):
        slowly[min(len(slowly) - 1, max(0, sum(edge <= value for edge in audit_charts.EDGES) - 1))] += 1
    assert audit_charts.binned(pd.Series(values, dtype=np.float32)).tolist() == slowly


def test_counts_are_legible_on_every_cell_of_a_confusion_matrix() -> None:
    for percent in range(101):
        ground = audit_charts.shade(percent / 100)
        assert _contrast(audit_charts.ink_on(ground), ground) >= 4.5, percent
    pairs = [("a", "a", 80), ("a", "b", 20), ("b", "b", 7), ("c", "a", 1), ("c", "b", 1), ("c", "c", 1)]
    table = pd.DataFrame(pairs, columns=["label", "predicted", "images"])
    chart = audit_charts.confusion(table, ("a", "b", "c"))
    counts = {(note.y, note.x): (note.text, note.font.color) for note in chart.layout.annotations}
    assert {place: text for place, (text, _) in counts.items()} == {(y, x): str(n) for y, x, n in pairs}
    (cells, _) = chart.data
    assert np.isnan(cells.z).sum() == 3, "where no image is, the theme's own ground shows"
    assert [ground for _, ground in cells.colorscale] == ["#8fb8c4", "#0b5a70"] and (cells.zmin, cells.zmax) == (0, 1)
    assert counts["a", "a"][1] == counts["b", "b"][1] == "#ffffff" and counts["a", "b"][1] == "#000000"


def test_points_without_a_place_are_not_sent() -> None:
    scores = pd.DataFrame(
        {
            "image": ["a", "b", "c"],
            "attention_score": [0.1, 0.9, 0.2],
            "reliance": [0.5, math.nan, math.nan],
            "loss": [1.0, 2.0, 3.0],
            "assessment": ["confirmed_leak", "not_tested", "not_tested"],
        }
    )
    (confirmed,) = audit_charts.scatter(scores, "attention_score", "reliance", words={}).data
    assert confirmed.customdata.tolist() == [["a"]] and list(confirmed.y) == [0.5]
    by_loss = audit_charts.scatter(scores, "attention_score", "loss", words={}).data
    assert [trace.customdata.ravel().tolist() for trace in by_loss] == [["a"], ["b", "c"]]


def test_each_quadrant_says_its_count_and_share() -> None:
    cells = pd.DataFrame(
        [(True, True, 60), (True, False, 30), (False, False, 10)], columns=["correct", "on_animal", "images"]
    )
    chart = audit_charts.quadrants(cells, MARINE)
    words = {(note.y, note.x): note.text for note in chart.layout.annotations}
    assert words == {
        ("right", "looks at the animal"): "<b>60</b><br>60\u00a0%",
        ("right", "looks at the water"): "<b>30</b><br>30\u00a0%",
        ("wrong", "looks at the animal"): "<b>0</b><br>0\u00a0%",
        ("wrong", "looks at the water"): "<b>10</b><br>10\u00a0%",
    }
    table, targets = chart.data
    assert [tuple(cell) for cell in targets.customdata] == [(1, 1, 60), (1, 0, 30), (0, 1, 0), (0, 0, 10)]
    assert list(zip(targets.y, targets.x, strict=True)) == list(words)
    assert alternatives.quadrants(cells, MARINE) == (
        "Images: right, looks at the animal: 60; right, looks at the water: 30; wrong, looks at the animal: 0; wrong, "
        "looks at the water: 10."
    )
    for _, ground in table.colorscale:
        assert all(_contrast(note.font.color, ground) >= 4.5 for note in chart.layout.annotations)


def _contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours "#rrggbb", 1 to 21 (WCAG 2.2, definitions)."""

    def luminance(color: str) -> float:
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_text_on_every_assessment_is_legible_and_level() -> None:
    assert _contrast("#000000", "#ffffff") == pytest.approx(21) and _contrast("#777777", "#777777") == 1
    counts = pd.DataFrame({"assessment": list(audit_charts.COLOURS), "images": 10})
    bars = audit_charts.verdict_bar(counts).data
    assert {bar.customdata[0] for bar in bars} == set(audit_charts.COLOURS)
    for bar in bars:
        assert _contrast(bar.insidetextfont.color, bar.marker.color) >= 4.5, bar.name
        assert bar.textangle == 0


def test_every_assessment_shows_on_the_grounds_of_the_dark_theme() -> None:
    grounds = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"]["dark"]
    for name, color in audit_charts.COLOURS.items():
        for ground in ("backgroundColor", "secondaryBackgroundColor"):
            assert _contrast(color, grounds[ground]) >= 3, (name, ground)


def test_what_a_chart_shows_stands_in_its_text_with_the_numbers() -> None:
    bar = pd.DataFrame({"assessment": ["clean", "confirmed_leak"], "images": [75, 25]})
    assert alternatives.verdict_bar(bar) == "Images by assessment: Clean 75 (75\u00a0%); Confirmed leak 25 (25\u00a0%)."
    labels = pd.DataFrame(
        [("orca", 0.2, 0.1, 0.3, 50), ("fin", 0.5, 0.4, 0.6, 20), ("sei", math.nan, math.nan, math.nan, 0)],
        columns=["label", "share", "low", "high", "assessable"],
    )
    assert alternatives.leaks_per_label(labels, MARINE) == (
        "Share of leaks per species: fin 50\u00a0% (40 to 60) of 20; orca 20\u00a0% (10 to 30) of 50."
    )
    pairs = pd.DataFrame(
        [("a", "a", 80), ("a", "b", 20), ("b", "b", 7), ("b", "a", 0)], columns=["label", "predicted", "images"]
    )
    text = "87 of 107 images are right; species taken for others: a as b 20."
    assert alternatives.confusion(pairs, MARINE) == text
    assert dataset.group_sizes(pd.Series([1, 1, 2, 4, 14])) == {
        **{"1": 2, "2": 1, "3": 0, "4": 1, "5": 0, "6": 0, "7": 0, "8": 0, "9": 0, "10 or more": 1}
    }
    sizes = dataset.group_sizes(pd.Series([1, 3]))
    assert alternatives.group_sizes(sizes, MARINE) == "Individuals by their number of images: 1: 1; 2: 0; 3: 1."
    assert list(audit_charts.group_sizes(sizes, MARINE).data[0].y) == [1, 0, 1]
    many = pd.Series(range(40), index=[f"n{number}" for number in range(40)])
    assert alternatives.counts(many, "Images per species").startswith("Images per species: n39 39; n38 38; ")
    assert alternatives.counts(many, "x").endswith("; and 10 more.")


def test_points_have_a_text_with_their_numbers() -> None:
    scores = pd.DataFrame(
        {
            "attention_score": [0.1, 0.3, 0.2, 1.2, math.nan],
            "reliance": [0.0, 0.1, 0.2, 0.9, 0.5],
            "assessment": ["clean", "clean", "clean", "confirmed_leak", "clean"],
        }
    )
    assert alternatives.histogram(scores, "attention_score") == (
        "Attention score by assessment: Confirmed leak 1, median 1.20 (1.20 to 1.20); Clean 3, median 0.20 (0.10 to "
        "0.30)."
    )
    assert alternatives.scatter(scores, "attention_score", "reliance") == (
        "Attention score and reliance, medians by assessment: Confirmed leak 1 at 1.20, 0.90; Clean 3 at 0.20, 0.10."
    )
    assert alternatives.embedding(pd.Series(["a", "b", "b"]), "PCA") == (
        "3 images by what the network saw in them, laid out by PCA: b 2; a 1."
    )


def test_losses_stand_at_the_training_steps_that_reported_them() -> None:
    reports, steps = [{"train_loss": 2.0}, {"train_loss": 1.5}, {"train_loss": 1.5, "valid_loss": 1.25}], [4, 11, 12]
    assert alternatives.losses(reports, steps) == (
        "Cross-entropy in nats after 12 training steps: train loss 1.500; valid loss 1.250."
    )
    trained, validated = audit_charts.losses(reports, steps).data
    assert (list(trained.x), list(trained.y)) == ([4, 11, 12], [2.0, 1.5, 1.5])
    assert (list(validated.x), list(validated.y)) == ([12], [1.25])


MACHADO = {
    "full colour vision": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritan": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""Linear RGB as eyes of each kind see it, at full severity: Machado, Oliveira and Fernandes 2009, table 1."""


def _seen(color: str, eyes: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """CIE L*a*b* (D65) of a colour "#rrggbb" for one kind of eyes."""
    rgb = np.array([int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    )
    xyz = to_xyz @ np.clip(MACHADO[eyes] @ linear, 0, 1) / to_xyz.sum(axis=1)
    x, y, z = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_lab_of_known_colours() -> None:
    np.testing.assert_allclose(_seen("#ffffff", "full colour vision"), [100, 0, 0], atol=0.02)
    np.testing.assert_allclose(_seen("#ff0000", "full colour vision"), [53.24, 80.09, 67.20], atol=0.05)


@pytest.mark.parametrize("eyes", MACHADO)
def test_no_two_assessments_look_alike_to_any_eyes(eyes: str) -> None:
    places = {name: _seen(color, eyes) for name, color in audit_charts.COLOURS.items()}
    for one, other in itertools.combinations(places, 2):
        assert np.linalg.norm(places[one] - places[other]) >= 25, (one, other)


def test_each_assessment_has_a_mark_of_its_own_on_charts_and_cards() -> None:
    assert set(audit_charts.SHAPES) == set(audit_charts.COLOURS) == set(audit_charts.WORDS)
    assert len(set(audit_charts.SHAPES.values())) == len(audit_charts.SHAPES)
    marks = text("shared/marks.css")
    assert all(f".mark.{shape} " in marks for shape in audit_charts.SHAPES.values())
    scores = pd.DataFrame(
        {"image": list("ab"), "attention_score": [0.1, 0.9], "loss": [1.0, 2.0], "assessment": ["clean", "suspect"]}
    )
    symbols = {
        trace.name: trace.marker.symbol
        for trace in audit_charts.scatter(scores, "attention_score", "loss", words={}).data
    }
    assert symbols == {"Clean": "circle", "Suspect": "triangle-up"}
