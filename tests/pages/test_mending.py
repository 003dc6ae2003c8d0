"""The Overview's advice on leaks: from the empty state to a simulation, a remedy and a comparison."""

import json
import shutil
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.test_pages import open_page, texts
from whalecam.app.shell import jobs
from whalecam.config import Thresholds
from whalecam.store.run import open_run
from whalecam.store.table import NO_REVIEWS, Table

COST = {"n": 20, "own": [0.9, 0.8, 1.0], "unseen": [0.4, 0.3, 0.5], "leak": [0.6, 0.5, 0.7]}
GAIN = {"own_gain": [0.0, -0.1, 0.1], "leak_drop": [0.2, 0.1, 0.3]}


def write_simulation(run_path: Path, unseen_gain: list[float], right: dict[str, float], remedy: str = "crop") -> None:
    run = open_run(run_path)
    crop = COST | GAIN | {"unseen_gain": unseen_gain}
    content = {
        "model_sha256": run.manifest.model_sha256,
        "source": run.manifest.dataset.fingerprint,
        "pictures": 20,
        "figures": {
            "present": {"all": COST | {"water_cost": [0.5, 0.4, 0.6]}, "label": {}},
            remedy: {"all": crop, "label": {"*fin*_whale": crop}},
        },
        "own": dict.fromkeys(right, 1.0),
        "unseen": right,
        "groups": {name: at for at, name in enumerate(right)},
    }
    (run_path / "simulation.json").write_text(json.dumps(content))


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def test_the_demo_leaks_so_the_figures_below_are_asked_for(runs: Path) -> None:
    facts = Table(open_run(runs / "demo").parts(), Thresholds(), NO_REVIEWS).overview()
    assert facts["measured"] and facts["confirmed"] + facts["hidden"] > 0


def test_the_button_simulates_and_the_page_then_shows_it(runs: Path) -> None:
    app = open_page()
    assert "Simulate the remedies" in labels(app)
    app.button(key="mending_simulate").click().run()
    assert not app.exception, app.exception
    until = time.monotonic() + 200
    while (job := jobs.status(runs / "demo")) and job.state == "running" and time.monotonic() < until:
        time.sleep(1)
    assert job is not None and job.state == "done", job
    app = open_page()
    assert not app.exception and "Simulate the remedies" not in labels(app)
    assert "rely on their water" in texts(app)
    frame = next(table.value for table in app.dataframe if "Swapped backgrounds" in table.value.columns)
    assert frame.index.tolist() == ["as it is", "crop", "neutral water", "last layer", "cue removed"]


@pytest.mark.parametrize(
    ("gain", "remedy"), [([0.4, 0.3, 0.5], "crop"), ([0.0, -0.1, 0.1], "shuffle"), ([0.1, 0.05, 0.2], "shuffle")]
)
def test_what_the_figures_support_can_be_started(runs: Path, gain: list[float], remedy: str) -> None:
    write_simulation(runs / "demo", gain, {"a": 0.0})
    app = open_page()
    assert not app.exception and f"Train again with {remedy}" in labels(app)
    assert any(f"--remedy {remedy} --out" in code.value and f"demo-{remedy}" in code.value for code in app.code)
    assert "50 points" in texts(app).replace("\\", "")


def test_the_last_layer_is_fitted_again_by_a_button_of_that_name(runs: Path) -> None:
    write_simulation(runs / "demo", [0.4, 0.3, 0.5], {"a": 0.0}, "head")
    app = open_page()
    assert not app.exception and "Fit the last layer again" in labels(app)
    assert any("--remedy head --out" in code.value and "demo-head" in code.value for code in app.code)


def test_a_cue_is_removed_by_a_button_of_that_name(runs: Path) -> None:
    write_simulation(runs / "demo", [0.4, 0.3, 0.5], {"a": 0.0}, "project")
    app = open_page()
    assert not app.exception and "Remove the cue from the last layer" in labels(app)
    assert any("--remedy project --out" in code.value and "demo-project" in code.value for code in app.code)
    assert "take a cue, by default the water, out of what the last layer reads" in texts(app)


def test_a_training_that_helped_is_named_and_not_started_again(runs: Path) -> None:
    shutil.copytree(runs / "demo", runs / "mine")
    mine = open_run(runs / "mine")
    mine.update(train={**mine.manifest.train, "remedy": "shuffle"})
    write_simulation(runs / "demo", [0.0, -0.1, 0.1], dict.fromkeys("abcdef", 0.0))
    write_simulation(runs / "mine", [0.0, -0.1, 0.1], dict.fromkeys("abcdef", 0.5))
    app = open_page(run="demo")
    said = texts(app).replace("\\", "")
    assert "Take run mine" in said and "+50 points (+50 to +50)" in said
    links = {link.proto.label: link.proto.query_string for link in app.get("page_link")}
    assert links["Compare demo with mine"] == "compared=demo&compared=mine"
    assert not [label for label in labels(app) if label.startswith("Train again")]
    app = open_page(run="mine")
    assert "trained with shuffle, and that helped" in texts(app).replace("\\", "")
    links = {link.proto.label: link.proto.query_string for link in app.get("page_link")}
    assert links["Compare demo with mine"] == "compared=demo&compared=mine"


def test_a_loaded_network_is_not_offered_to_be_trained_again(runs: Path) -> None:
    write_simulation(runs / "demo", [0.4, 0.3, 0.5], {"a": 0.0})
    open_run(runs / "demo").update(train={})
    app = open_page()
    assert "cannot be trained again from here" in texts(app)
    assert not [label for label in labels(app) if label.startswith("Train again")]
