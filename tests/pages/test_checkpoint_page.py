"""Load a checkpoint on the Model page: what it is recognized as comes before anything is loaded."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torchvision
from streamlit.testing.v1 import AppTest

from tests.explain.test_inspection import RECORD
from tests.pages.test_pages import open_page, texts
from tests.pages.test_starting import command
from whalecam.app.shell import jobs
from whalecam.store.checkpoint_record import Given, read_record, save_record
from whalecam.store.run import job_in, open_run

PAGE = "pages/2_Model.py"


def words(app: AppTest) -> str:
    return texts(app).replace("\\", "")


def looked(app: AppTest, path: object, **fields: str) -> AppTest:
    """The page after *Look at it*."""
    app.text_input(key="load_checkpoint").set_value(str(path))
    for field in app.text_input:
        if field.label in fields:
            field.set_value(fields[field.label])
    next(button for button in app.button if button.label == "Look at it").click().run()
    assert not app.exception, app.exception
    return app


def wait_for(run: Path) -> jobs.Job:
    until = time.monotonic() + 200
    while (job := jobs.status(run)) and job.state == "running" and time.monotonic() < until:
        time.sleep(0.2)
    assert job is not None
    return job


@pytest.fixture
def weights(tmp_path: Path, runs: Path) -> Path:
    torch.manual_seed(0)
    network = torchvision.models.resnet18(num_classes=len(open_run(runs / "demo").manifest.classes))
    torch.save(network.state_dict(), tmp_path / "w.pth")
    return tmp_path / "w.pth"


def buttons(app: AppTest) -> set[str]:
    return {button.label for button in app.button}


def test_a_file_that_is_not_there_is_said_as_it_was_written(runs: Path) -> None:
    app = looked(open_page(PAGE), "~/no such.pth")
    assert "There is no file ~/no such.pth. Give the path of a checkpoint on this machine." in words(app)
    assert jobs.status(runs / "demo") is None and "Load and audit" not in buttons(app)
    assert "There is no file (empty)" in words(looked(app, " "))


def test_a_checkpoint_is_recognized_before_it_is_loaded(runs: Path, weights: Path) -> None:
    before = open_run(runs / "demo").manifest.model_sha256
    app = looked(open_page(PAGE), weights, Architecture="resnet18")
    assert wait_for(runs / "demo").state == "done"
    app.run()
    assert f"Recognized: {weights.name}" in words(app) and "Architecture: resnet18." in words(app)
    assert "labels of the data set are classes of the network." in words(app)
    assert {"Load and audit", "Load"} <= buttons(app) and open_run(runs / "demo").manifest.model_sha256 == before
    app.button(key="load_audit").click().run()
    given = command(runs / "demo")
    assert given[given.index("--checkpoint") + 1] == str(weights) and "--audit" in given
    assert given[given.index("--arch") + 1] == "resnet18"
    assert given[given.index("--masks") + 1] == open_run(runs / "demo").manifest.audit["masks"]


def test_a_network_found_wrong_says_what_to_do(runs: Path, weights: Path) -> None:
    app = looked(open_page(PAGE), weights, Architecture="resnet50")
    assert wait_for(runs / "demo").state == "failed"
    app = open_page(PAGE)
    assert "do not fit resnet50" in words(app) and "They fit resnet18: name it as the architecture." in words(app)
    assert "Load and audit" not in buttons(app) and read_record(open_run(runs / "demo").checkpoint_record) is None


def test_load_alone_takes_what_was_looked_at(runs: Path, weights: Path) -> None:
    run = open_run(runs / "demo")
    stamp = weights.stat().st_mtime_ns
    given = Given(arch="resnet18", size=64, resize="pad", classes="a, b")
    save_record(replace(RECORD, checkpoint=str(weights), stamp=stamp, given=given), run.checkpoint_record)
    app = open_page(PAGE)
    app.button(key="load_only").click().run()
    started = command(runs / "demo")
    options = dict(zip(started[6:-1:2], started[7:-1:2], strict=True))
    assert options == {
        "--run": str(run.path),
        "--checkpoint": str(weights),
        "--arch": "resnet18",
        "--size": "64",
        "--resize": "pad",
        "--classes": "a, b",
    }


def test_a_file_that_changed_must_be_looked_at_again(runs: Path, weights: Path) -> None:
    run = open_run(runs / "demo")
    save_record(replace(RECORD, checkpoint=str(weights), stamp=1), run.checkpoint_record)
    app = open_page(PAGE)
    assert "has changed or is gone since it was looked at" in words(app) and "Load" not in buttons(app)


def test_a_checkpoint_can_be_uploaded(runs: Path) -> None:
    app = open_page(PAGE)
    key = next(one.key for one in app.file_uploader if one.key and "checkpoint" in one.key)
    app.file_uploader(key=key).set_value(("../w.safetensors", b"no weights", "application/octet-stream"))
    app.run()
    assert not app.exception
    value = str(app.text_input(key="load_checkpoint").value)
    assert value.startswith("upload:") and value.endswith("/w.safetensors")
    assert [path.name for path in (runs / "uploads").rglob("*") if path.is_file()] == ["w.safetensors"]
    next(button for button in app.button if button.label == "Look at it").click().run()
    assert wait_for(runs / "demo").state == "failed"
    assert (
        "w.safetensors is not a checkpoint that can be read" in words(open_page(PAGE))
        and job_in(runs / "demo").is_file()
    )
