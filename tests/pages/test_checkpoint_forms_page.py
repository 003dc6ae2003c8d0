"""The forms of checkpoints that people have, through the Model page: recognized, or refused in one sentence."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.network.test_checkpoint_forms import CLASSES, RIGHT, SIDE, WRONG
from tests.pages.test_checkpoint_page import PAGE, buttons, looked, wait_for, words
from tests.pages.test_pages import open_page
from whalecam.app.shell import jobs
from whalecam.store.checkpoint_record import read_record
from whalecam.store.run import open_run

LOADED = (
    *("safetensors", "timm's folder for Hugging Face", "timm's training", "fastai", "timm in transformers"),
    *("state_dict", "model_state_dict", "state_dict_ema", "DataParallel", "compiled", "Lightning", "half precision"),
)
REFUSED = (
    *("an empty folder", "a truncated zip", "a pickled module", "fastai's export", "an optimizer"),
    *("another architecture", "another prefix", "no head", "another number of classes", "weights that are NaN"),
    *("an adapter", "a configuration of other weights"),
)
"""Twelve of each; all forms are read by command line and Python."""
FAST = 3


def marked(forms: Sequence[str]) -> list[ParameterSet]:
    """All but the first FAST are slow tests: each is looked at in a process of its own."""
    return [pytest.param(form, marks=[pytest.mark.slow] * (at >= FAST)) for at, form in enumerate(forms)]


def shown(form: str, folder: Path, runs: Path) -> str:
    """All texts of the page after *Look at it* has ended."""
    (folder / "file").mkdir()
    path = (RIGHT[form] if form in RIGHT else WRONG[form][0])()(folder / "file")
    app = open_page(PAGE)
    next(one for one in app.number_input if one.label == "Input side, px").set_value(SIDE)
    looked(app, path, **{"Classes, in the order of the outputs": ", ".join(CLASSES)})
    assert wait_for(runs / "demo").state == ("done" if form in RIGHT else "failed")
    app = open_page(PAGE)
    assert not app.exception, app.exception
    assert ("Load and audit" in buttons(app)) is (form in RIGHT)
    return words(app)


@pytest.mark.parametrize("form", marked(LOADED))
def test_a_checkpoint_is_recognized_on_the_page(form: str, runs: Path, tmp_path: Path) -> None:
    text = shown(form, tmp_path, runs)
    assert f"Classes: {len(CLASSES)}, in the order of the outputs: {', '.join(CLASSES[:-1])}" in text
    assert f"of {SIDE} px" in text
    record = read_record(open_run(runs / "demo").checkpoint_record)
    assert record is not None and record.classes == CLASSES and record.positions is not None
    assert record.unexplained is not None and record.unexplained <= 1e-4


@pytest.mark.parametrize("form", marked(REFUSED))
def test_a_wrong_file_is_refused_on_the_page_in_one_sentence(form: str, runs: Path, tmp_path: Path) -> None:
    text = shown(form, tmp_path, runs)
    assert re.search(WRONG[form][1], text), text
    assert "Traceback" not in text
    job = jobs.status(runs / "demo")
    assert job is not None and read_record(open_run(runs / "demo").checkpoint_record) is None


def test_there_are_twelve_of_both() -> None:
    assert len(set(LOADED) & set(RIGHT)) == 12 == len(set(REFUSED) & set(WRONG))
