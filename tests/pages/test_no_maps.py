"""Every page and every verb on a run without maps: it says so, and shows what it has."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

import whalecam as wc
from tests.commandline import whalecam
from tests.conftest import _made_once
from tests.pages.test_pages import PAGES, drawn, open_page, texts
from whalecam import network
from whalecam.analysis.compare import compare_runs
from whalecam.analysis.compare.sentence import leaks_sentence
from whalecam.arrays import ByteArray
from whalecam.audit import run_audit
from whalecam.store.run import open_run

IMAGES = 24
SAID = "where the network looks was not measured"


@pytest.fixture(scope="session")
def boxed(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs whose one, `boxed`, was audited as a black box. Read only."""
    return _made_once(tmp_path_factory, "boxed", lambda folder: _make(prepared, folder))


def _make(prepared: Path, folder: Path) -> None:
    run = open_run(prepared / "runs" / "demo")
    model = network.from_spec(run.manifest.network, run.load_checkpoint())

    def predict(images: ByteArray) -> torch.Tensor:
        with torch.no_grad():
            logits: torch.Tensor = model.head(model.features(model.batch(images)))
            return logits.double().softmax(1)

    box = wc.open_model(predict=predict, classes=model.classes, size=model.size, resize=model.resize)
    data = run_audit.open_data(run)
    wc.audit(wc.Run.from_model(box, data, folder / "boxed"), masks=run.manifest.audit["masks"], limit=IMAGES)


@pytest.mark.parametrize("page", [None, *PAGES])
def test_every_page_opens_and_writes_no_number_that_there_is_not(
    boxed: Path, page: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHALECAM_RUNS", str(boxed))
    app = open_page(page, run="boxed")
    assert not app.exception, app.exception
    assert not app.error, texts(app)
    shown = texts(app) + " ".join(f"{metric.label} {metric.value}" for metric in app.metric)
    assert not re.search(r"\bnan\b|\bNone\b|\binf\b", shown), shown


def test_results_of_a_loaded_network_claim_no_held_out_images(
    boxed: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHALECAM_RUNS", str(boxed))
    loaded = texts(open_page("pages/2_Model.py", run="boxed"))
    assert "Confusion on the audited images" in loaded and "not trained on" not in loaded
    assert "split\\:" not in loaded and "what it was trained on is not known" in loaded
    monkeypatch.setenv("WHALECAM_RUNS", str(prepared / "runs"))
    trained = texts(open_page("pages/2_Model.py", run="demo"))
    assert "Confusion on images that were not trained on" in trained and "split\\: random" in trained


@pytest.mark.parametrize("tab", ["Map", "Strategies", "Attention atlas", "Confused pairs"])
def test_every_tab_of_patterns_says_what_is_missing(boxed: Path, tab: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHALECAM_RUNS", str(boxed))
    app = open_page("pages/8_Patterns.py", run="boxed", patterns_tab=tab)
    assert not app.exception, app.exception
    assert {metric.label: metric.value for metric in app.metric}["Images with a map"] == "0"
    expected = {
        "Map": "no vectors",
        "Strategies": "have a map",
        "Attention atlas": "No image here has a map",
        "Confused pairs": "No two species are taken for one another",
    }
    assert expected[tab] in texts(app)


def test_the_pages_say_what_was_not_measured(boxed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHALECAM_RUNS", str(boxed))
    start = open_page(None, run="boxed")
    assert "rely on their background" in texts(start) and "was not measured: this audit has no maps" in texts(start)
    assert "confirmed leak" not in texts(start) and not start.get("plotly_chart")[1:]
    leaks = open_page("pages/5_Leaks.py", run="boxed")
    assert "because this audit has no maps" in texts(leaks) and "Looks" not in texts(leaks)
    assert not leaks.get("plotly_chart")
    assert "Assessable" not in {metric.label for metric in leaks.metric}
    heatmaps = open_page("pages/4_Heatmaps.py", run="boxed")
    assert SAID in drawn(heatmaps)
    (canvas,) = (each for each in heatmaps.get("bidi_component") if each.proto.component_name.endswith("canvas"))
    assert json.loads(canvas.proto.json)["caption"] == "no map"


def test_what_cannot_be_simulated_is_not_offered(boxed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHALECAM_RUNS", str(boxed))
    app = open_page(None, run="boxed")
    assert "Simulate the remedies" not in {button.label for button in app.button}
    assert (
        "Remedies cannot be simulated here, since the network is a function or module in the memory of the process "
        "that made the run. Train with a remedy where the network was trained, audit the result, and compare the runs."
    ) in texts(app).replace("\\", "")


def test_controls_and_counts_without_a_meaning_are_not_shown(
    boxed: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, name, has_maps in ((boxed, "boxed", False), (prepared / "runs", "demo", True)):
        monkeypatch.setenv("WHALECAM_RUNS", str(folder))
        for page in ("pages/3_Top_losses.py", "pages/4_Heatmaps.py", "pages/5_Leaks.py", "pages/8_Patterns.py"):
            app = open_page(page, run=name)
            toggles = {toggle.label for toggle in app.toggle}
            assert "Outline of the mask" in toggles and ("Show the heat" in toggles) is has_maps, page
            assert ("Opacity" in {slider.label for slider in app.slider}) is has_maps, page
            assert ("No heat is shown, because this audit has no maps." in texts(app)) is not has_maps, page
    for folder, name, has_maps in ((boxed, "boxed", False), (prepared / "runs", "demo", True)):
        monkeypatch.setenv("WHALECAM_RUNS", str(folder))
        app = open_page("pages/5_Leaks.py", run=name)
        labels = {metric.label for metric in app.metric}
        assert ({"Confirmed leaks", "Hidden reliance"} <= labels) is has_maps
        assert ({"Confirmed leaks", "Hidden reliance"} & labels != set()) is has_maps
        assert has_maps or ("Background reliance" in labels and "it counts as background reliance" in texts(app))


def test_the_verbs_say_it_too_and_the_export_has_the_reliance(boxed: Path, tmp_path: Path) -> None:
    run = boxed / "boxed"
    told = whalecam("info", run)
    assert told.returncode == 0 and "was not measured: this audit has no maps" in told.stdout
    assert f"Attention cannot be assessed because: no map: {SAID} {IMAGES}" in told.stdout
    facts = json.loads(whalecam("info", run, "--json").stdout)
    assert facts["exactness"] == "none" and facts["confirmed"] == 0
    assert whalecam("export", run, "--out", tmp_path / "list.csv", "--only", "all").returncode == 0
    with (tmp_path / "list.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == IMAGES and all(row["attention_score"] == "" for row in rows)
    assert any(row["reliance_probability"] for row in rows)
    assert whalecam("report", run, "--out", tmp_path / "page.html").returncode == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "was not measured: this audit has no maps" in page and not re.search(r">\s*(nan|None)\s*<", page)


def test_a_remedy_is_not_simulated_without_the_network(boxed: Path) -> None:
    refused = whalecam("simulate", boxed / "boxed")
    assert (
        refused.returncode == 2 and "in the memory of the process" in refused.stderr and "reading" not in refused.stderr
    )


def test_it_is_compared_by_reliance_alone(boxed: Path, prepared: Path) -> None:
    mine, theirs = open_run(boxed / "boxed"), open_run(prepared / "runs" / "demo")
    compared = compare_runs([mine, theirs])
    (results,) = compared.differences.values()
    by_name = {result.metric: result for result in results}
    assert any("boxed" in note and "reliance alone" in note for note in compared.notes)
    for name in ("confirmed_leak", "hidden_reliance", "cosmetic", "suspect", "attention_score"):
        assert np.isnan(by_name[name].before) and np.isnan(by_name[name].after), name
    shared = set(mine.audited()) & set(theirs.audited())
    rows = wc.open_run(theirs.path).to_pandas()
    relies = rows[rows["image"].isin(shared)]["assessment"].isin(
        ["confirmed_leak", "hidden_reliance", "background_reliance"]
    )
    assert by_name["background_reliance"].after == pytest.approx(relies.mean())
    assert "onfirmed leaks are" not in leaks_sentence(compared, theirs.name)
    assert "Neither" not in leaks_sentence(compared, theirs.name)
