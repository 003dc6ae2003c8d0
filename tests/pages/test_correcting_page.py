"""Correcting a mask on the Heatmaps page, through Streamlit's own test runner."""

import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.test_no_maps import boxed  # noqa: F401
from tests.pages.test_pages import open_page, texts
from whalecam.app.components.canvas.drawing import Drawing
from whalecam.app.shell import jobs
from whalecam.app.state import image_cache
from whalecam.explain.masks.corrected import mask_png
from whalecam.store import corrected
from whalecam.store.json_file import write_json
from whalecam.store.open_table import open_table
from whalecam.store.reviews import Corrections
from whalecam.store.run import Run, job_in, open_run
from whalecam.store.schema import MASKED, SCHEMA

# ruff: noqa: F811
HEATMAPS = "pages/4_Heatmaps.py"


@pytest.fixture
def run(runs: Path) -> Run:
    return open_run(runs / "demo")


@pytest.fixture
def image(run: Run) -> str:
    return str(open_table(run).all_rows().dropna(subset=["attention_score"])["image"].iloc[2])


def opened(image: str, name: str = "Ana", **query: str) -> AppTest:
    app = open_page(HEATMAPS, image=image, **query)
    return app.text_input(key="reviewer").set_value(name).run() if name else app


def send(app: AppTest, run: Run, image: str, kind: str, **value: Any) -> AppTest:
    """As the browser sends what was done on the canvas."""
    shown = zlib.crc32(image_cache.image_uri(run, image).encode())
    waiting = (kind, {"id": "7", "shown": shown} | value, time.monotonic())
    app.session_state["_events_canvas"]["waiting"].extend([waiting])
    app.run()
    assert not app.exception, app.exception
    return app


def blank(run: Run, image: str) -> Drawing:
    row = open_table(run).row(image)
    return Drawing.start(None, row["width"], row["height"])


def test_a_mask_without_a_name_or_of_another_size_is_refused_and_stays_drawn(run: Run, image: str) -> None:
    full = Drawing.of(np.ones_like(blank(run, image).mask()))
    app = send(opened(image, ""), run, image, "mask", mask=dict(full.packed()))
    assert "Give your name" in app.session_state["_mask_answer"]["note"]
    app = send(opened(image), run, image, "mask", mask={"width": 2, "height": 2, "runs": [4]})
    assert "no mask of" in app.session_state["_mask_answer"]["note"]
    app = send(opened(image), run, image, "mask", mask=dict(blank(run, image).packed()))
    answer = app.session_state["_mask_answer"]
    assert (answer["id"], answer["kind"]) == ("7", "refused") and "is empty" in answer["note"]
    assert jobs.status(run.path) is None and not run.drawn_masks.exists()


def test_a_mask_is_refused_while_another_job_runs(run: Run, image: str) -> None:
    write_json(job_in(run.path), {"title": "Audit", "pid": 1, "started": time.time()})
    full = Drawing.of(np.ones_like(blank(run, image).mask()))
    app = send(opened(image), run, image, "mask", mask=dict(full.packed()))
    assert "'Audit' is still running" in app.session_state["_mask_answer"]["note"]


def test_the_cut_comes_back_to_the_canvas(run: Run, image: str) -> None:
    app = send(opened(image), run, image, "cut", corners=[[0.05, 0.05], [0.95, 0.95]])
    answer = app.session_state["_mask_answer"]
    assert (answer["id"], answer["kind"]) == ("7", "cut")
    row = open_table(run).row(image)
    assert Drawing.read(answer["drawing"], row["width"], row["height"]).mask().any()
    app = send(app, run, image, "cut", corners=[[0.5, 0.5], [0.5, 0.5]])
    assert "stands out" in app.session_state["_mask_answer"]["note"]


def test_undo_and_redo_on_the_page(run: Run, image: str) -> None:
    before = run.row_of(image)
    row = before.to_pylist()[0]
    values = {name: row[name] for name in MASKED} | {"background_share": 0.125, "attention_score": 0.25}
    after = pa.Table.from_pylist([values], pa.schema([SCHEMA.field(name) for name in MASKED]))
    corrected.correct(
        run, image, reviewer="Ben", mask=mask_png(np.ones((row["height"], row["width"]), bool)), after=after
    )
    app = opened(image)
    assert "mask corrected by Ben" in texts(app).replace("\\", "")
    assert [metric.value for metric in app.metric if metric.label == "Attention score"] == ["0.25"]
    app.button(key="mask_undo").click().run()
    assert not app.exception and run.row_of(image).equals(before)
    assert "correction undone by Ana" in texts(app).replace("\\", "")
    assert app.button(key="mask_undo").disabled
    app.button(key="mask_redo").click().run()
    assert run.row_of(image).to_pylist()[0]["background_share"] == 0.125
    assert Corrections.of(run).history(image)["reviewer"].tolist() == ["Ben", "Ana", "Ana"]
    assert open_table(run).count() == len(run.audited())


def test_an_undo_without_a_name_asks_for_it(run: Run, image: str) -> None:
    row = run.row_of(image)
    png = mask_png(np.ones((row["height"][0].as_py(), row["width"][0].as_py()), bool))
    corrected.correct(run, image, reviewer="Ben", mask=png, after=corrected.masked(row))
    app = opened(image, "")
    app.button(key="mask_undo").click().run()
    assert not app.exception and "name" in app.error[0].value.lower()
    assert Corrections.of(run).standing(image) is not None


def test_a_network_in_memory_is_said_to_need_python(boxed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHALECAM_RUNS", str(boxed))
    app = open_page(HEATMAPS, run="boxed")
    said = texts(app).replace("\\", "")
    assert "The mask cannot be corrected here" in said and "whalecam.remask" in said
    assert "Whether the network trained on this image is not known." in said
    assert "did not train" not in said
    assert not {"show", "contrast", "scale"} & {str(box.key) for box in app.selectbox}
