"""The words of a run: what is taken for a word, and that everything said of a run uses its own."""

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import whalecam as wc
from tests import tiny
from tests.analysis.test_recommendation import counts
from tests.commandline import whalecam
from whalecam.analysis.compare import METRICS, compare_runs
from whalecam.analysis.compare.sentence import leaks_sentence, sentence
from whalecam.analysis.recommendation import Measured, recommend
from whalecam.cli.summaries import comparison_lines, run_lines, simulation_lines
from whalecam.config import Columns
from whalecam.data import of_frame, open_dataset
from whalecam.errors import DatasetError
from whalecam.output.report import report_html
from whalecam.stats import Interval
from whalecam.store.run import Run, open_run
from whalecam.words import MARINE, Words, capital, plural, word_of

CARS = Words(subject="car", background="road", label="make", group="owner")
FOREIGN = re.compile(r"\b(animals?|waters?|species|individuals?|whales?|dolphins?)\b", re.IGNORECASE)
"""Words of the demo, which no other run may show."""


def foreign_in(text: str, own: tuple[str, ...] = ()) -> set[str]:
    """The demo's words in a text, apart from names of its classes, which are data."""
    for name in own:
        text = text.replace(name, "")
    return {word.lower() for word in FOREIGN.findall(text)}


@pytest.fixture
def cars(runs: Path) -> Run:
    """The demo's run, said to show cars on roads."""
    run = open_run(runs / "demo")
    run.update(words=CARS)
    return open_run(run.path)


@pytest.mark.parametrize(
    "word", ["car", "sea bird", "walrus'", "l’oiseau", "Übergang", "犬", "T-34", "a" * 30, "निशान"]
)
def test_a_noun_is_a_word(word: str) -> None:
    assert Words(subject=word).subject == word


@pytest.mark.parametrize(
    "word",
    ["", " car", "car\n", "c\u0000ar", "<b>car</b>", "*car*", "=car", "-car", "7", "a" * 31, "car\u202e", "a_b", "a:b"],
)
def test_anything_else_is_refused_in_one_sentence(word: str) -> None:
    with pytest.raises(DatasetError, match=r"is no word for the background\. Give a noun such as 'car'") as refused:
        Words(background=word)
    assert str(refused.value).isprintable() and len(str(refused.value)) < 250


@given(st.text(max_size=40))
def test_the_name_of_any_column_makes_words(column: str) -> None:
    words = Words.of_columns(Columns("image", column, column))
    assert words.label in (word_of(column), "label") and words.group in (word_of(column), "group")


@pytest.mark.parametrize(
    ("column", "word"),
    [
        *(("species", "species"), ("individual_id", "individual"), ("Make", "make"), ("car-make", "car-make")),
        *(("ClassName", "class name"), ("ID", "id"), ("individualID", "individual"), ("a<b>", "a b"), ("42", "")),
        ("x" * 31, ""),
    ],
)
def test_a_column_gives_its_name(column: str, word: str) -> None:
    assert word_of(column) == word


@pytest.mark.parametrize(
    ("word", "many"),
    [
        *(("car", "cars"), ("species", "species"), ("class", "classes"), ("category", "categories"), ("bay", "bays")),
        *(("box", "boxes"), ("beach", "beaches"), ("brush", "brushes"), ("water", "waters"), ("y", "ys")),
    ],
)
def test_plurals_are_spelt_as_in_english(word: str, many: str) -> None:
    assert plural(word) == many


def test_a_capital_leaves_the_rest() -> None:
    assert capital("iPhone case") == "IPhone case" and capital("") == ""


def test_a_set_without_groups_says_group(tmp_path: Path) -> None:
    rows = {"image": ["a.png", "b.png"], "make": ["x", "y"], "individual_id": ["", ""]}
    data = of_frame(pd.DataFrame(rows), None, Columns(label="make"))
    assert data.words("car", "road") == Words(subject="car", background="road", label="make", group="group")
    named = of_frame(pd.DataFrame({**rows, "owner_id": ["1", ""]}), None, Columns(label="make", group="owner_id"))
    assert named.words() == Words(label="make", group="owner")


def test_words_are_kept_in_the_manifest_and_older_runs_have_those_of_the_demo(tmp_path: Path) -> None:
    run = tiny.untrained_run(tmp_path / "run", *tiny.draw(tmp_path))
    assert run.words == Words(label="species", group="individual")
    run.update(words=CARS)
    assert open_run(run.path).words == CARS
    manifest = json.loads((run.path / "run.json").read_text())
    assert manifest["words"] == asdict(CARS)
    del manifest["words"]
    (run.path / "run.json").write_text(json.dumps(manifest))
    assert open_run(run.path).words == MARINE


def test_a_manifest_with_a_word_that_is_none_is_refused(tmp_path: Path) -> None:
    run = tiny.untrained_run(tmp_path / "run", *tiny.draw(tmp_path))
    manifest = json.loads((run.path / "run.json").read_text())
    manifest["words"]["subject"] = "<img src=x>"
    (run.path / "run.json").write_text(json.dumps(manifest))
    with pytest.raises(DatasetError, match="is no word for the subject"):
        open_run(run.path)


def test_the_command_line_says_the_words_of_the_run(cars: Run) -> None:
    classes = cars.manifest.classes
    lines = "\n".join(run_lines(cars))
    assert "makes, " in lines and "owners; " in lines and "the road" in lines
    assert not foreign_in(lines, (*classes, cars.manifest.dataset.csv))
    simulated: Any = {
        "pictures": 3,
        "without_mask": 0,
        "waters": 4,
        "figures": {name: {"all": {"own": [0.5, 0.4, 0.6]}} for name in ("present", "neutral")},
    }
    table = "\n".join(simulation_lines(simulated, cars.words))
    assert "each on its own road and on 4 roads of other labels" in table and "neutral road" in table
    assert "over owners" in table and not foreign_in(table)


def test_a_comparison_says_the_words_of_its_first_run(cars: Run) -> None:
    comparison = compare_runs([cars, cars])
    lines = [*comparison_lines(comparison, comparison.names[1]), sentence(comparison, comparison.names[1])]
    text = "\n".join([*lines, leaks_sentence(comparison, comparison.names[1])])
    assert "accuracy of the worst make" in text and not foreign_in(text)
    assert not foreign_in(" ".join(metric.explained(CARS) for metric in METRICS.values()))
    assert METRICS["swapped_accuracy"].explained(MARINE) == "the animal before waters of other labels"


def test_the_report_says_the_words_of_the_run(cars: Run) -> None:
    record = cars.manifest.dataset
    page = report_html(cars, open_dataset(Path(record.csv), Path(record.images or "")), cases=3)
    text = re.sub(r"<style>.*</style>|data:image[^\"]*", "", page, flags=re.DOTALL)
    assert "the network looks at the road" in text and "<h2>Makes</h2>" in text and "road changed" in text
    assert not foreign_in(text, cars.manifest.classes)


@pytest.mark.parametrize("measured", [(), (Measured("crop", "b", Interval(0.2, 0.1, 0.3), Interval(0.0, -0.1, 0.1)),)])
@pytest.mark.parametrize("tested", [0, 100])
@pytest.mark.parametrize("hits", [0, 40])
def test_advice_says_the_words_of_the_run(measured: tuple[Measured, ...], tested: int, hits: int) -> None:
    facts = counts(tested, hits)
    gains = {"unseen_gain": [0.2, 0.1, 0.3]}
    simulated: Any = {
        "present": {"all": {"water_cost": [0.3, 0.2, 0.4]}},
        "neutral": {"all": gains},
        "crop": {"all": gains},
    }
    free: Any = {"present": {"all": {"water_cost": [0.0, -0.1, 0.1]}}}
    for given_figures in (None, simulated, free):
        advice = recommend(facts, given_figures, measured, words=CARS)
        assert not foreign_in(" ".join((advice.sentence, *advice.why)))


def test_findings_say_the_words_that_are_given(tmp_path: Path) -> None:
    csv, images = tiny.draw(tmp_path, images=120)
    frame = pd.read_csv(csv)
    frame["species"] = frame["species"].map({"beluga": "toyota", "orca": "toyotta"})
    frame["owner_id"] = [f"o{number % 7}" for number in range(len(frame))]
    frame = frame.rename(columns={"species": "make"})
    data = wc.open_dataset(frame, images, label_column="make", group_column="owner_id")
    findings = wc.check(data, subject="car", background="road")
    text = " ".join(" ".join((one.sentence, one.why, one.todo, str(one.facts))) for one in findings)
    assert "the two share 7 owners" in text and "One make under two names" in text
    assert "The colour of the road alone tells" in text
    text = text.replace("shared_individuals", "").replace("'individuals':", "")  # names in JSON stay
    assert not foreign_in(text)


def test_a_run_from_a_model_has_its_words_until_an_audit_changes_them(tmp_path: Path) -> None:
    csv, images = tiny.draw(tmp_path)
    data = wc.open_dataset(csv, images)
    model = wc.open_model(predict=lambda pixels: np.full((len(pixels), 2), 0.5), classes=tiny.LABELS, size=32)
    with pytest.raises(DatasetError, match="is no word for the subject"):
        wc.Run.from_model(model, data, tmp_path / "run", subject="<b>")
    assert not (tmp_path / "run").exists(), "nothing is written for what is refused"
    run = wc.Run.from_model(model, data, tmp_path / "run", subject="car")
    assert run.words == Words(subject="car", background="background", label="species", group="group")
    wc.audit(run, background="road", maps="none", background_test="none", mask_method="border")
    assert open_run(run.path).words == Words(subject="car", background="road", label="species", group="group")
    again = wc.Run.from_model(model, data, tmp_path / "run")
    assert (again.words.subject, again.words.background) == ("car", "road"), "a run keeps its words"


def test_train_takes_words(tmp_path: Path) -> None:
    csv, images = tiny.draw(tmp_path, images=16)
    arguments = ("--size", 32, "--recipe", "linear-probe", "--subject", "car", "--background", "road")
    done = whalecam("train", csv, images, "--run", tmp_path / "run", *arguments)
    assert done.returncode == 0, done.stderr
    assert open_run(tmp_path / "run").words == Words(subject="car", background="road", label="species")


def test_check_takes_words_and_a_run_gives_its_own(cars: Run, tmp_path: Path) -> None:
    csv, _ = tiny.draw(tmp_path)
    csv.write_text(csv.read_text().replace("image,species", "image,make"))
    done = whalecam("check", csv, "--no-images", "--label-column", "make", "--subject", "car", "--background", "road")
    assert done.returncode in (0, 1) and not foreign_in(done.stdout, tiny.LABELS)
    refused = whalecam("check", csv, "--no-images", "--label-column", "make", "--subject", "<b>")
    assert refused.returncode == 2 and "'<b>' is no word for the subject" in refused.stderr
    own = whalecam("check", csv, "--no-images", "--label-column", "make", "--run", cars.path)
    assert not foreign_in(own.stdout, tiny.LABELS)
