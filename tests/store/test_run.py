"""The run folder: what is written can be read, half-written things never appear, broken ones say so."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from whalecam.errors import RunError
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run, list_runs, open_run
from whalecam.store.schema import SCHEMA, SCHEMA_VERSION

RECORD = DatasetRecord("/data/train.csv", "/data/images", {"image": "image", "label": "species", "group": "id"}, "ab12")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create_run(tmp_path / "mine", RECORD)


def test_a_new_run_opens_again_with_what_was_written(run: Run) -> None:
    run.update(classes=("beluga", "orca"), exactness="exact")
    again = open_run(run.path)
    assert again.manifest.classes == ("beluga", "orca")
    assert again.manifest.dataset == RECORD
    assert again.trained


def test_checkpoint_round_trip_and_its_training_images(run: Run) -> None:
    weights = {"head.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
    digest = run.save_checkpoint(0, weights, ["b.jpg", "a.jpg"])
    np.testing.assert_array_equal(run.load_checkpoint(0)["head.weight"], weights["head.weight"])
    assert run.training_images(0) == {"a.jpg", "b.jpg"}
    assert len(digest) == 64


def test_parts_hold_the_schema_and_leave_nothing_half_written(run: Run) -> None:
    run.write_part([{"image": "a.jpg", "attention_score": 0.5}, {"image": "b.jpg", "reason": "truncated"}])
    run.write_part([{"image": "c.jpg"}])
    assert run.audited() == {"a.jpg", "b.jpg", "c.jpg"}
    assert all(pq.read_schema(part).equals(SCHEMA) for part in run.parts())
    assert not list((run.path / "audit").glob("*.writing"))


def test_parts_are_those_that_lie_there_now(run: Run) -> None:
    assert run.parts() == []
    for name in ("part-000001-b.parquet", "part-000000-a.parquet", "part-000002-c.writing", "else.parquet"):
        (run.path / "audit").mkdir(exist_ok=True)
        (run.path / "audit" / name).touch()
        assert run.parts() == sorted((run.path / "audit").glob("part-*.parquet"))
    run.parts().clear()  # a caller's own list
    assert [part.name[-9] for part in run.parts()] == ["a", "b"]
    (run.path / "audit" / "part-000000-a.parquet").unlink()
    assert [part.name[-9] for part in run.parts()] == ["b"]
    run.clear_audit()
    assert run.parts() == []


def test_an_interrupted_part_is_not_a_part(run: Run) -> None:
    run.write_part([{"image": "a.jpg"}])
    (run.path / "audit" / "part-000001-dead.writing").write_bytes(b"half")
    assert run.audited() == {"a.jpg"}


def test_clearing_the_audit_keeps_verdicts(run: Run) -> None:
    run.write_part([{"image": "a.jpg"}])
    (run.path / "reviews.sqlite").write_bytes(b"journal")
    run.clear_audit()
    assert run.parts() == []
    assert (run.path / "reviews.sqlite").read_bytes() == b"journal"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "cannot be read"),
        ("[1]", "does not contain a JSON object"),
        ('{"schema_version": 99}', "schema version 99"),
        ('{"schema_version": 99}', r"a newer WhaleCAM .* Update WhaleCAM to open it"),
        ('{"schema_version": 2}', r"schema version 2; this WhaleCAM reads .* Train and audit into a new folder"),
        ('{"schema_version": 4}', "not a WhaleCAM manifest"),
        ('{"schema_version": 4, "dataset": {"csv": 1}, "classes": []}', "not a WhaleCAM manifest"),
    ],
)
def test_a_broken_manifest_is_explained(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunError, match=words):
        open_run(tmp_path)


def test_a_folder_that_is_something_else_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(RunError, match="not a run folder"):
        create_run(tmp_path, RECORD)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_runs_are_listed_newest_first(tmp_path: Path) -> None:
    import os

    for age, name in enumerate(("old", "new")):
        made = create_run(tmp_path / name, RECORD)
        os.utime(made.path / "run.json", (age, age))
    assert [path.name for path in list_runs(tmp_path)] == ["new", "old"]


def test_manifest_is_plain_json_without_nan(run: Run) -> None:
    with pytest.raises(ValueError, match="Out of range"):
        run.update(train={"loss": float("nan")})
    assert json.loads((run.path / "run.json").read_text())["schema_version"] == SCHEMA_VERSION
