"""One image under a corrected mask: the row of a fresh audit, taken back exactly, refused where it cannot be."""

import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import whalecam as wc
from tests import tiny
from tests.copies import copied
from whalecam.arrays import Sample
from whalecam.audit import remask, run_audit
from whalecam.cli import cli
from whalecam.config import WRONG_MASK, AuditOptions, MaskOptions, Thresholds
from whalecam.data import Dataset, Shape, read_sample, read_shape
from whalecam.data.geometry import TURNED, rotate_array
from whalecam.errors import DatasetError, ReviewError, RunError
from whalecam.explain.masks import MASK_METHODS, MaskSources
from whalecam.explain.masks.corrected import mask_png, read_subject
from whalecam.store import corrected
from whalecam.store.corrected import latest_reviews
from whalecam.store.open_table import open_table
from whalecam.store.parts import replace_row, with_row, write_revision
from whalecam.store.reviews import Corrections, Journal, Review, sign
from whalecam.store.run import Run, open_run
from whalecam.store.schema import MASKED, SCHEMA
from whalecam.store.table import Filters, Store, Table

FIRST = 16
"""Images of the CSV that the audits here are of."""


def white(path: Path, subject: NDArray[np.bool_]) -> Path:
    Image.fromarray(subject).save(path)
    return path


def path_of(data: Dataset, name: str) -> Path:
    return Path(str(data.table.set_index("image").loc[name, "path"]))


def rows_of(run: Run) -> dict[str, dict[str, Any]]:
    return {name: run.row_of(name).to_pylist()[0] for name in run.audited()}


@dataclass(frozen=True)
class Done:
    """An audited run whose image `name` was measured under another mask, and the rows before."""

    run: Run
    data: Dataset
    name: str
    before: Mapping[str, dict[str, Any]]
    result: remask.Remasked


@pytest.fixture(scope="module")
def source(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The demo run with an audit of its first images. Read only."""
    folder = copied(prepared / "runs" / "demo", tmp_path_factory.mktemp("remask") / "demo")
    run = open_run(folder)
    run.clear_audit()
    run_audit.run_audit(run, run_audit.open_data(run), replace(AuditOptions.stored(run.manifest.audit), limit=FIRST))
    return run


@pytest.fixture(scope="module")
def done(source: Run, tmp_path_factory: pytest.TempPathFactory) -> Done:
    home = tmp_path_factory.mktemp("done")
    run = open_run(shutil.copytree(source.path, home / "demo"))
    data = run_audit.open_data(run)
    table = open_table(run)
    rows = table.all_rows()
    name = str(rows.loc[rows["reliance_swap"].notna() & (rows["mask_area"] < 0.4), "image"].iloc[0])
    path = path_of(data, name)
    shape = read_shape(path)
    subject = np.zeros((shape.height, shape.width), bool)
    subject[shape.height // 4 : -shape.height // 5, shape.width // 5 : shape.width // 2] = True
    before = rows_of(run)
    result = remask.remask(run, data, name, white(home / "drawn.png", subject), reviewer="Ana")
    return Done(run, data, name, before, result)


def alike(row: Mapping[str, Any], other: Mapping[str, Any], within: float) -> list[str]:
    """The columns that differ by more."""
    apart = []
    for name, value in row.items():
        if isinstance(value, float) or (isinstance(value, list) and value and isinstance(value[0], float)):
            if not np.allclose(value, other[name], rtol=0, atol=within):
                apart.append(name)
        elif value != other[name]:
            apart.append(name)
    return apart


def test_the_row_is_that_of_a_fresh_audit_with_the_folder_of_corrected_masks(done: Done, tmp_path: Path) -> None:
    options = AuditOptions.stored(done.run.manifest.audit)
    assert options.masks is not None
    masks = Path(shutil.copytree(options.masks, tmp_path / "masks"))
    (masks / f"{Path(done.name).stem}.png").unlink()
    shutil.copytree(done.run.corrected_masks, masks, dirs_exist_ok=True)
    fresh = open_run(shutil.copytree(done.run.path, tmp_path / "fresh", ignore=shutil.ignore_patterns("reviews*")))
    summary = run_audit.run_audit(fresh, done.data, AuditOptions(masks=str(masks), limit=FIRST))
    assert summary.restarted
    row, expected = done.run.row_of(done.name).to_pylist()[0], fresh.row_of(done.name).to_pylist()[0]
    assert alike(row, expected, 1e-6) == []
    assert expected["mask_source"] == "given" and row["mask_bits"] != done.before[done.name]["mask_bits"]
    assert row["background_share"] != pytest.approx(done.before[done.name]["background_share"], abs=1e-3)


def test_the_folder_of_corrected_masks_alone_is_taken_by_masks(done: Done) -> None:
    options = MaskOptions(masks=str(done.run.corrected_masks))
    joined = run_audit.joined_sources(done.data, AuditOptions(**vars(options)))
    assert set(joined.sources.given) == {done.name} and joined.joins[0].unused == 0


def test_only_columns_that_rest_on_the_mask_change_and_no_other_row_does(done: Done) -> None:
    after = rows_of(done.run)
    before = done.before[done.name]
    changed = {name for name in SCHEMA.names if repr(after[done.name][name]) != repr(before[name])}
    assert {"mask_bits", "mask_area", "background_share", "reliance_swap"} <= changed <= set(MASKED)
    others = set(done.before) - {done.name}
    assert set(after) == set(done.before) and all(repr(after[name]) == repr(done.before[name]) for name in others)
    assert done.result.background_share == (before["background_share"], after[done.name]["background_share"])


def test_every_view_of_the_table_has_the_new_row_once(done: Done) -> None:
    rows = open_table(done.run).all_rows().set_index("image")
    assert len(rows) == len(done.before) and rows.index.is_unique
    new = done.run.row_of(done.name).to_pylist()[0]
    assert rows.loc[done.name, "background_share"] == pytest.approx(new["background_share"], abs=1e-7)
    assert open_table(done.run).row(done.name)["mask_bits"] == new["mask_bits"]
    assert sum(done.run.mask_sources().values()) == len(done.before)


def test_undo_and_redo_bring_the_rows_back_to_the_bit(done: Done, tmp_path: Path) -> None:
    run = open_run(shutil.copytree(done.run.path, tmp_path / "run"))
    new, mask = run.row_of(done.name), corrected.corrected_path(run, done.name).read_bytes()
    assert corrected.step(run, done.name, "Ben", "undo") is not None
    assert repr(run.row_of(done.name).to_pylist()[0]) == repr(done.before[done.name])
    assert not corrected.corrected_path(run, done.name).exists() and corrected.corrected_masks(run) == {}
    assert corrected.step(run, done.name, "Ben", "undo") is None, "there was one correction"
    assert corrected.step(run, done.name, "Cleo", "redo") is not None
    assert run.row_of(done.name).equals(new) and corrected.corrected_path(run, done.name).read_bytes() == mask
    history = Corrections.of(run).history(done.name)
    assert history["event"].tolist() == ["correction", "undo", "redo"]
    assert history["reviewer"].tolist() == ["Ana", "Ben", "Cleo"]
    assert len(rows_of(run)) == len(done.before)


def test_the_journal_keeps_the_scores_before_and_after(done: Done) -> None:
    standing = Corrections.of(done.run).standing(done.name)
    assert standing is not None and (standing.reviewer, standing.image) == ("Ana", done.name)
    assert repr(standing.before.to_pylist()[0]) == repr({name: done.before[done.name][name] for name in MASKED})
    assert standing.after.equals(corrected.masked(done.run.row_of(done.name)).cast(standing.after.schema))
    assert standing.mask == corrected.corrected_path(done.run, done.name).read_bytes()


def test_a_later_audit_of_the_run_uses_the_corrected_mask(done: Done) -> None:
    options = AuditOptions.stored(done.run.manifest.audit)
    sources = run_audit.joined_sources(done.data, options, run=done.run).sources
    assert sources.corrected == {done.name: corrected.corrected_path(done.run, done.name)}
    sample = read_sample(path_of(done.data, done.name), done.name)
    mask, plain = MASK_METHODS["given"](sources)(sample), run_audit.joined_sources(done.data, options).sources
    own = MASK_METHODS["given"](plain)(sample)
    assert mask is not None and own is not None and not np.array_equal(mask.values, own.values)
    assert mask.source == "given" and set(np.unique(mask.values)) == {0.0, 1.0}


def test_a_rejection_of_the_mask_before_counts_no_longer(done: Done, tmp_path: Path) -> None:
    run = open_run(shutil.copytree(done.run.path, tmp_path / "run"))
    journal, corrections = Journal.of(run), Corrections.of(run)
    earlier = Review(done.name, "unsure", "Ben", reason=WRONG_MASK, reviewed_at="2020-01-01T00:00:00+00:00")
    journal.add([earlier], imported=True)
    assert done.name not in set(latest_reviews(journal, corrections)["image"])
    assert open_table(run).row(done.name)["assessment"] != "not_assessable"
    corrected.step(run, done.name, "Ana", "undo")
    row = open_table(run).row(done.name)
    assert (row["assessment"], row["reason"]) == ("not_assessable", "mask rejected by Ben")
    corrected.step(run, done.name, "Ana", "redo")
    sign(run, [done.name], Review("", "keep", "Cleo"), Thresholds())
    assert open_table(run).row(done.name)["review"] == "keep"
    assert journal.latest()["reviewer"].tolist() == ["Cleo"]


def test_after_another_audit_an_undo_measures_anew(done: Done, tmp_path: Path) -> None:
    run = open_run(shutil.copytree(done.run.path, tmp_path / "run"))
    row = run.row_of(done.name)
    again = pa.array([0.123], pa.float32())
    run.replace_row(done.name, row.set_column(SCHEMA.get_field_index("background_share"), "background_share", again))
    with pytest.raises(corrected.StaleRowError, match=r"whalecam remask .* --undo"):
        corrected.step(run, done.name, "Ana", "undo")
    result = remask.step(run, done.data, done.name, reviewer="Ana", name="undo")
    assert result.changed and Corrections.of(run).standing(done.name) is None
    back = run.row_of(done.name).to_pylist()[0]
    assert alike(back, done.before[done.name], 1e-6) == []


@pytest.mark.parametrize(
    ("name", "what"), [("nobody.jpg", "no row for 'nobody.jpg'"), ("unreadable", "has no prediction")]
)
def test_images_that_were_not_predicted_are_refused(source: Run, tmp_path: Path, name: str, what: str) -> None:
    run = open_run(shutil.copytree(source.path, tmp_path / "run"))
    if name == "unreadable":
        name = sorted(run.audited())[0]
        row = run.row_of(name).to_pylist()[0] | {"predicted": None, "reason": "truncated"}
        run.replace_row(name, pa.Table.from_pylist([row], schema=SCHEMA))
    with pytest.raises(RunError, match=what):
        remask.remask(run, run_audit.open_data(run), name, tmp_path / "m.png", reviewer="Ana")


def test_masks_that_cannot_be_used_are_refused_and_nothing_is_written(source: Run, tmp_path: Path) -> None:
    run = open_run(shutil.copytree(source.path, tmp_path / "run"))
    data = run_audit.open_data(run)
    rows = open_table(run).all_rows()
    name = str(rows.dropna(subset=["attention_score"])["image"].iloc[0])
    shape = read_shape(path_of(data, name))
    size = (shape.height, shape.width)
    (tmp_path / "text.png").write_text("no image")
    for path, what in (
        (white(tmp_path / "empty.png", np.zeros(size, bool)), "is empty"),
        (white(tmp_path / "square.png", np.ones((50, 500), bool)), "must have one shape"),
        (tmp_path / "text.png", "."),
        (tmp_path / "missing.png", "."),
    ):
        with pytest.raises(DatasetError, match=what):
            remask.remask(run, data, name, path, reviewer="Ana")
    with pytest.raises(ReviewError, match="signed"):
        remask.remask(run, data, name, white(tmp_path / "good.png", np.ones(size, bool)), reviewer="  ")
    assert rows_of(run) == rows_of(source) and Corrections.of(run).version() == 0
    assert not run.corrected_masks.exists()


def test_no_mask_is_corrected_while_an_audit_goes_on(source: Run, tmp_path: Path) -> None:
    run = open_run(shutil.copytree(source.path, tmp_path / "run"))
    name = sorted(run.audited())[0]
    with run.auditing(), pytest.raises(RunError, match="An audit of run 'run' is going on"):
        remask.remask(run, run_audit.open_data(run), name, tmp_path / "m.png", reviewer="Ana")
    with run.correcting(), pytest.raises(RunError), run.correcting(patience=0.2):
        pass
    with run.auditing(), run.auditing():
        pass
    with run.correcting(patience=0.2):
        pass


def test_a_network_in_memory_has_to_be_given(tmp_path: Path) -> None:
    csv, images = tiny.draw(tmp_path)
    data = wc.open_dataset(csv, images)

    def predict(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        share = pixels[..., 0].mean(axis=(1, 2)) / (1 + pixels[..., :2].mean(axis=(1, 2)).sum(axis=-1))
        return np.stack([share, 1 - share], axis=1)

    model = wc.open_model(predict=predict, classes=tiny.LABELS, size=32)
    run = wc.Run.from_model(model, data, tmp_path / "run")
    wc.audit(run, mask_method="border")
    subject = np.zeros((40, 40), bool)
    subject[10:30, 10:30] = True
    mask = white(tmp_path / "m.png", subject)
    opened = open_run(run.path)
    with pytest.raises(RunError, match="model="):
        remask.remask(opened, data, "0.png", mask, reviewer="Ana")
    result = wc.remask(run, "0.png", mask, reviewer="Ana")
    row = opened.row_of("0.png").to_pylist()[0]
    assert (result.mask_source, row["mask_source"], row["maps"]) == ("given", "given", None)
    assert row["reliance_swap"] is not None and row["mask_area"] == pytest.approx(0.25, abs=0.02)
    Image.fromarray(np.full((40, 40, 3), (0, 255, 0), np.uint8)).save(images / "2.png")
    with pytest.raises(RunError, match=r"something else of '2\.png'"):
        wc.remask(run, "2.png", mask, reviewer="Ana")
    assert wc.step_mask(run, "0.png", "undo", reviewer="Ana").changed
    assert not wc.step_mask(run, "0.png", "undo", reviewer="Ana").changed


def test_the_verb_needs_a_mask_or_a_step(source: Run) -> None:
    for words in ([], ["--undo", "--redo"], ["--mask", "m.png", "--undo"]):
        result = CliRunner().invoke(cli, ["remask", str(source.path), "a.jpg", "--reviewer", "Ana", *words])
        assert isinstance(result.exception, DatasetError) and "one of the three" in str(result.exception)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(30, 44), (36, 36)])
def test_a_mask_lies_right_in_an_image_that_exif_turns(orientation: int, size: tuple[int, int], tmp_path: Path) -> None:
    subject = np.zeros(size, bool)
    subject[3:12, 5:20] = True
    (tmp_path / "m.png").write_bytes(mask_png(subject, orientation))
    shape = Shape(size[1], size[0], orientation)
    assert np.array_equal(read_subject(tmp_path / "m.png", shape), subject)
    with Image.open(tmp_path / "m.png") as stored:
        assert stored.size == (size if orientation >= TURNED else size[::-1])
        assert np.array_equal(rotate_array(np.asarray(stored), orientation), subject)
    sample = Sample("a.jpg", np.zeros((*size, 3), np.uint8), orientation)
    mask = MASK_METHODS["given"](MaskSources(corrected={"a.jpg": tmp_path / "m.png"}))(sample)
    assert mask is not None and np.array_equal(mask.values, subject)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("a.jpg", "a.jpg.png"),
        ("x/a.jpg", "x/a.jpg.png"),
        ("../a.jpg", None),
        ("/etc/a", None),
        ("a/../../b", None),
        ("C:\\a", None),
        ("a\0b", None),
        ("ü" * 200, None),
    ],
)
def test_no_name_leads_out_of_the_folder(source: Run, image: str, expected: str | None) -> None:
    path = corrected.corrected_path(source, image)
    assert path.resolve().is_relative_to(source.corrected_masks)
    assert expected is None or path == source.corrected_masks / expected
    assert expected is not None or (path.parent == source.corrected_masks and len(path.name) == 28)


@pytest.fixture
def writable(source: Run, tmp_path: Path) -> Iterator[Run]:
    yield open_run(shutil.copytree(source.path, tmp_path / "run"))


def numbered(run: Run, name: str, number: float) -> pa.Table:
    column = pa.array([number], pa.float32())
    return run.row_of(name).set_column(SCHEMA.get_field_index("floor"), "floor", column)


def test_rows_that_are_replaced_at_once_are_all_replaced(writable: Run) -> None:
    names = sorted(writable.audited())[:6]
    rows = {name: numbered(writable, name, at) for at, name in enumerate(names)}
    threads = [
        threading.Thread(target=open_run(writable.path).replace_row, args=(name, row)) for name, row in rows.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [writable.row_of(name)["floor"][0].as_py() for name in names] == list(range(6))
    assert len(writable.parts()) == 1 and len(list((writable.path / "audit").iterdir())) == 2
    assert list((writable.path / "audit").glob("*.writing")) == []


def test_a_revision_of_what_is_no_longer_the_last_one_is_refused(writable: Run) -> None:
    """The names between the part that was read and the last one are free again, as only the last two are kept."""
    (first,), names = writable.parts(), sorted(writable.audited())[:4]
    stale = with_row(first, names[0], numbered(writable, names[0], 7))
    assert stale is not None
    for at, name in enumerate(names[1:], 1):
        writable.replace_row(name, numbered(writable, name, at))
    before = sorted(path.name for path in (writable.path / "audit").iterdir())
    assert not write_revision(first, stale)
    assert sorted(path.name for path in (writable.path / "audit").iterdir()) == before
    assert [writable.row_of(name)["floor"][0].as_py() for name in names[1:]] == [1, 2, 3]
    assert not first.exists()
    assert replace_row(first, names[0], numbered(writable, names[0], 7)), "whoever read it goes on from the last"
    assert [writable.row_of(name)["floor"][0].as_py() for name in names] == [7, 1, 2, 3]


def test_pages_that_hold_the_rows_read_the_new_revision_alone(writable: Run) -> None:
    store, name = Store(), sorted(writable.audited())[3]
    store.take(writable.parts())
    assert "exchange_own" in SCHEMA.names
    count, proven = store.rows("select count(*) from audited.rows"), store.rows("select count(*) from audited.proven")
    writable.replace_row(name, numbered(writable, name, 0.5))
    store.take(writable.parts())
    assert store.rows("select count(*) from audited.rows") == count
    assert store.rows("select count(*) from audited.proven") == proven
    assert store.rows("select floor from audited.rows where image = $image", {"image": name}) == [(0.5,)]
    fresh = Store()
    fresh.take(writable.parts())
    held, read = (Table((), Thresholds(), store=each).page(Filters(), "name", 100) for each in (store, fresh))
    assert held.drop(columns="part", errors="ignore").equals(read.drop(columns="part", errors="ignore"))


STEPS = st.lists(st.sampled_from(["correction", "undo", "redo"]), max_size=8)


@settings(max_examples=10)
@given(STEPS)
def test_the_stack_of_corrections_is_that_of_an_editor(steps: list[str]) -> None:
    row = pa.table({"floor": [1.0]})
    with tempfile.TemporaryDirectory() as folder:
        corrections = Corrections(f"sqlite:///{folder}/reviews.sqlite")
        for standing, undone in _of_an_editor(corrections, row, steps):
            for content, top in ((standing, corrections.standing("a.jpg")), (undone, corrections.undone("a.jpg"))):
                assert (top.mask if top else None) == (content[-1] if content else None)
            assert set(corrections.moments()) == ({"a.jpg"} if standing else set())
        assert corrections.standing("b.jpg") is None


def _of_an_editor(
    corrections: Corrections, row: pa.Table, steps: list[str]
) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """After each step, done to `corrections` too, what an editor has standing and what is undone, the last one last."""
    standing: list[bytes] = []
    undone: list[bytes] = []
    for number, name in enumerate(steps):
        if name == "correction":
            corrections.add("a.jpg", reviewer="Ana", mask=str(number).encode(), before=row, after=row)
            standing.append(str(number).encode())
            undone.clear()
        elif name == "undo" and (top := corrections.standing("a.jpg")):
            corrections.undo(top, "Ben")
            undone.append(standing.pop())
        elif name == "redo" and (top := corrections.undone("a.jpg")):
            corrections.redo(top, "Ben")
            standing.append(undone.pop())
        yield standing, undone
