"""Every page and every verb on a run without maps: it says so, and shows what it has."""

import re
from pathlib import Path

import pytest
import torch

import whalecam as wc
from tests.conftest import _made_once
from tests.pages.test_pages import PAGES, open_page, texts
from whalecam import network
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
def test_every_page_opens_and_none_shows_a_map_that_there_is_not(
    boxed: Path, page: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHALECAM_RUNS", str(boxed))
    app = open_page(page, run="boxed")
    assert not app.exception, app.exception
    assert not app.error, texts(app)
    assert not re.search(r"\bnan\b|None", texts(app)), texts(app)


def test_overview_and_heatmaps_say_what_was_not_measured(boxed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHALECAM_RUNS", str(boxed))
    assert SAID in texts(open_page(None, run="boxed")).replace("\\", "")
    assert SAID in texts(open_page("pages/4_Heatmaps.py", run="boxed")).replace("\\", "")
