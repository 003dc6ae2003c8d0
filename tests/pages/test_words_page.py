"""The pages of a run of cars on roads show none of the demo's words; those of the demo show their own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from tests.test_run_words import CARS, foreign_in
from whalecam.store.run import open_run
from whalecam.words import MARINE, Words

VIEWS: tuple[tuple[str | None, dict[str, str]], ...] = (
    (None, {}),
    *(("pages/1_Dataset.py", {"dataset_tab": tab}) for tab in ("Distribution", "Table", "Images", "Findings")),
    ("pages/2_Model.py", {}),
    ("pages/3_Top_losses.py", {}),
    ("pages/4_Heatmaps.py", {}),
    ("pages/5_Leaks.py", {}),
    ("pages/6_Export.py", {}),
    *(
        ("pages/8_Patterns.py", {"patterns_tab": tab})
        for tab in ("Map", "Strategies", "Attention atlas", "Confused pairs")
    ),
)
DATA = ('default: "species"',)
"""The name of the column that the form takes for the labels where none is given."""


def opened(page: str | None, query: dict[str, str]) -> AppTest:
    app = AppTest.from_file(str(ROOT / "dashboard.py"), default_timeout=120)
    for name, value in query.items():
        app.query_params[name] = value
    return (app.switch_page(page) if page else app).run()


def shown(app: AppTest) -> Iterator[str]:
    """All that is sent to the browser: texts, hints, options, charts and what our own components get."""
    for block in (app.main, app.sidebar):
        for element in block:
            yield str(getattr(element, "proto", element))


@pytest.fixture
def cars(runs: Path) -> Path:
    open_run(runs / "demo").update(words=CARS)
    return runs


@pytest.mark.parametrize(("page", "query"), VIEWS)
def test_no_page_of_other_data_shows_a_word_of_the_demo(cars: Path, page: str | None, query: dict[str, str]) -> None:
    app = opened(page, query)
    assert not app.exception and not app.error
    text = "\n".join(shown(app))
    assert not foreign_in(text, DATA), text


def test_a_comparison_of_other_data_shows_no_word_of_the_demo(cars: Path) -> None:
    shutil.copytree(cars / "demo", cars / "twin")
    app = opened("pages/7_Compare.py", {})
    text = "\n".join(shown(app))
    assert "Accuracy per make" in text and "accuracy of the worst make" in text.lower()
    assert not app.exception and not foreign_in(text, DATA)


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (None, ("Right or wrong, car or road", "looks at the road", "Makes", "Owners", "Leaks per make")),
        ("pages/1_Dataset.py", ("Makes", "Owners", "Images per make")),
        ("pages/2_Model.py", ("no owner on both sides", "Puts the car on the road", "Values of the car")),
        ("pages/4_Heatmaps.py", ("Evidence on road", "other car", "the outline is not the car")),
        ("pages/5_Leaks.py", ("put on the road of other labels", "the car's shape", "Per make")),
        ("pages/8_Patterns.py", ("Taken for another make",)),
    ],
)
def test_the_words_of_the_run_stand_where_they_belong(cars: Path, page: str | None, words: tuple[str, ...]) -> None:
    text = "\n".join(shown(opened(page, {"leaks_charts": "true"}))).replace("\\'", "'").lower()
    for word in words:
        assert word.lower() in text, word


def test_the_demo_keeps_its_words(runs: Path) -> None:
    assert open_run(runs / "demo").words == MARINE
    text = "\n".join(shown(opened(None, {})))
    for word in (
        "Right or wrong, animal or water",
        "looks at the water",
        " species, ",
        " individuals",
        "Leaks per species",
    ):
        assert word in text, word


def test_the_form_takes_the_words_of_a_new_run(runs: Path) -> None:
    record = open_run(runs / "demo").manifest.dataset
    app = opened("pages/1_Dataset.py", {})
    for key, value in (("csv", record.csv), ("name", "cars"), ("subject", "car"), ("background", "<b>road</b>")):
        app.text_input(key=f"own_{key}").set_value(value)
    app.button(key="own_open").click().run()
    assert "is no word for the background" in app.error[0].value.replace("\\", "") and not (runs / "cars").exists()
    app.text_input(key="own_background").set_value("road")
    app.button(key="own_open").click().run()
    made = open_run(runs / "cars").words
    assert made == Words(subject="car", background="road", label="species", group="individual")
