"""The Model page asks which network to train where the chosen one's weights cannot be had."""

import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.test_pages import open_page, texts
from whalecam.app.shell import jobs
from whalecam.config import TrainOptions
from whalecam.store.json_file import read_json
from whalecam.store.run import job_in, open_run

NEVER = "lcnet_035"
"""Of which timm has no pretrained weights, with a hub or without; so this needs no network to fail or to pass."""


def listing(app: AppTest, *names: str) -> AppTest:
    """The page with `names` among the architectures: the box takes others too, which the test runner cannot."""
    box = next(box for box in app.selectbox if box.label == "Architecture")
    box.options.extend(name for name in names if name not in box.options)
    return app


def asked(arch: str, pretrained: bool = True) -> AppTest:
    """The page after *Train* with this architecture."""
    app = listing(open_page("pages/2_Model.py"), arch)
    next(box for box in app.selectbox if box.label == "Architecture").set_value(arch)
    next(number for number in app.number_input if number.label == "Epochs").set_value(50)
    next(box for box in app.checkbox if box.label == "Start from ImageNet weights").set_value(pretrained)
    next(button for button in app.button if button.label == "Train").click().run()
    assert not app.exception, app.exception
    return listing(app, arch)


def command(run: Path) -> list[str]:
    """The words of the job's process, which is stopped."""
    place, words = Path(f"/proc/{read_json(job_in(run))['pid']}/cmdline"), ""
    # Between its start and its own first instruction a process has no words yet.
    while not words and (job := jobs.status(run)) and job.state == "running":
        words = place.read_text()
    jobs.cancel(run)
    while (job := jobs.status(run)) and job.state == "running":
        time.sleep(0.05)
        jobs.cancel(run)
    return words.split("\0")


def test_without_an_answer_nothing_starts_and_nothing_can_start_by_itself(runs: Path) -> None:
    app = asked(NEVER)
    said = texts(app).replace("\\", "")
    assert f"timm has no pretrained weights of {NEVER}. Nothing has started." in said
    assert jobs.status(runs / "demo") is None
    listing(app.run(), NEVER)
    assert not app.exception and jobs.status(runs / "demo") is None
    app.button(key="fallback_none").click().run()
    assert not app.exception and "Nothing has started" not in texts(app)
    assert jobs.status(runs / "demo") is None


@pytest.mark.parametrize("fallback", ["untrained", "efficientnet_lite0"])
def test_the_answer_is_what_is_trained(runs: Path, fallback: str) -> None:
    app = asked(NEVER)
    app.button(key=f"fallback_{fallback}").click().run()
    assert not app.exception
    words = command(runs / "demo")
    assert words[words.index("--arch") + 1] == NEVER and words[words.index("--fallback") + 1] == fallback
    assert words[words.index("--epochs") + 1] == "50" and "--no-pretrained" not in words


@pytest.mark.parametrize(("arch", "pretrained"), [("efficientnet_lite0", True), (NEVER, False)])
def test_no_question_where_nothing_is_missing(runs: Path, arch: str, pretrained: bool) -> None:
    app = asked(arch, pretrained)
    assert "Nothing has started" not in texts(app)
    words = command(runs / "demo")
    named = words[words.index("--arch") + 1] if "--arch" in words else TrainOptions.arch
    assert named == arch and "--fallback" not in words and ("--no-pretrained" in words) is not pretrained


def test_a_name_that_does_not_exist_is_told_at_once(runs: Path) -> None:
    app = asked("resnet1")
    assert "No architecture 'resnet1'" in texts(app).replace("\\", "")
    assert jobs.status(runs / "demo") is None
    assert open_run(runs / "demo").trained


def test_the_form_hands_over_a_group_and_a_split_file(runs: Path) -> None:
    app = listing(open_page("pages/2_Model.py"), "efficientnet_lite0")
    values = {"Group": " camera ", "Split file": "/data/split.csv"}
    for label, value in values.items():
        next(box for box in app.text_input if box.label == label).set_value(value)
    next(button for button in app.button if button.label == "Train").click().run()
    words = command(runs / "demo")
    assert words[words.index("--group") + 1] == "camera"
    assert words[words.index("--split-file") + 1] == "/data/split.csv"
