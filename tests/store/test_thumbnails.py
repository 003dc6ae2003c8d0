"""Thumbnails: packed into few files, found by name, exact to the byte, whatever was killed in between."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run, open_run
from whalecam.store.thumbnails import (
    FULL,
    GROUP,
    SCHEMA,
    Packs,
    earlier_path,
    packed,
    save_thumbs,
    thumbnail_of,
    unpacked,
)

JPEG, WEBP = b"\xff\xd8\xff a jpeg", b"RIFF....WEBP a webp"
THUMBS = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=6), st.binary(max_size=9))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create_run(tmp_path / "run", DatasetRecord("train.csv", None, {}, "0"))


def many(start: int, stop: int) -> dict[str, bytes]:
    return {f"{number:06}.jpg": f"thumbnail {number}".encode() * (1 + number % 3) for number in range(start, stop)}


def test_a_pack_gives_back_what_it_was_made_of() -> None:
    thumbs = many(0, 3 * GROUP + 1) | {"äöü/ .jpg": JPEG, "empty": b""}
    assert unpacked(packed(thumbs)) == thumbs and unpacked(packed({})) == {}


def test_a_page_finds_each_by_its_name(run: Run) -> None:
    assert thumbnail_of(run, "a.jpg") is None
    save_thumbs(run, {"a.jpg": JPEG, "orca/a.jpg": WEBP})
    assert thumbnail_of(run, "a.jpg") == JPEG and thumbnail_of(run, "orca/a.jpg") == WEBP
    save_thumbs(run, {"b.jpg": WEBP, "a.jpg": WEBP})
    assert thumbnail_of(open_run(run.path), "b.jpg") == WEBP
    assert unpacked(next(run.thumbs.iterdir())) == {"a.jpg": WEBP, "orca/a.jpg": WEBP, "b.jpg": WEBP}
    assert thumbnail_of(run, "c.jpg") is None


def test_the_number_of_files_follows_the_images_and_not_the_parts(run: Run) -> None:
    """6,000 images in parts of 100, as a slow audit writes them: a pack closes at the first that makes it full."""
    thumbs = many(0, 6000)
    for start in range(0, 6000, 100):
        save_thumbs(run, many(start, start + 100))
    packs = sorted(run.thumbs.iterdir())
    assert [pq.read_metadata(pack).num_rows for pack in packs] == [1100] * 5 + [500]
    assert 51_033 / FULL < 50, "the real data set takes that many files at most"
    assert {name: thumbnail_of(run, name) for name in list(thumbs)[::37]} == dict(list(thumbs.items())[::37])
    assert {name: thumb for pack in packs for name, thumb in unpacked(pack).items()} == thumbs


def test_a_kill_at_any_step_loses_and_doubles_nothing(run: Run) -> None:
    save_thumbs(run, many(0, 5))
    before = next(run.thumbs.iterdir())
    kept = before.read_bytes()
    save_thumbs(run, many(5, 9))
    before.write_bytes(kept)  # killed before the pack that was taken over was removed
    (run.thumbs / "part-000002-dead.writing").write_bytes(packed(many(0, 12))[:40])  # killed while writing
    assert {name: thumbnail_of(run, name) for name in many(0, 12)} == many(0, 9) | dict.fromkeys(many(9, 12))
    save_thumbs(run, many(9, 12))
    assert {name: thumbnail_of(run, name) for name in many(0, 12)} == many(0, 12)
    assert not list(run.thumbs.glob("*.writing"))
    assert unpacked(max(run.thumbs.iterdir())) == many(0, 12)


def test_audits_that_save_at_once_lose_nothing(run: Run) -> None:
    starts = range(0, 200, 5)
    with ThreadPoolExecutor(8) as pool:  # the lock is of each open file, so threads exclude each other as processes do
        list(pool.map(lambda start: save_thumbs(run, many(start, start + 5)), starts))
    assert {name: thumbnail_of(run, name) for name in many(0, 200)} == many(0, 200)
    assert len(list(run.thumbs.iterdir())) == 1


def test_the_last_saved_counts_though_it_lies_in_another_pack(run: Run) -> None:
    save_thumbs(run, many(0, FULL))
    assert thumbnail_of(run, "000003.jpg") == many(3, 4)["000003.jpg"]
    save_thumbs(run, {"000003.jpg": JPEG, "new.jpg": WEBP})
    assert len(list(run.thumbs.iterdir())) == 2
    assert thumbnail_of(run, "000003.jpg") == JPEG and thumbnail_of(run, "new.jpg") == WEBP


def test_a_reader_follows_an_audit_that_starts_anew(run: Run) -> None:
    save_thumbs(run, {"a.jpg": JPEG})
    packs = Packs(run.thumbs)
    assert packs.get("a.jpg") == JPEG
    run.clear_audit()
    assert not run.thumbs.exists()
    save_thumbs(run, {"b.jpg": WEBP})
    assert (packs.get("a.jpg"), packs.get("b.jpg")) == (None, WEBP)


def test_runs_of_earlier_versions_show_their_single_files_beside_packs(run: Run) -> None:
    run.thumbs.mkdir()
    earlier_path(run, "a.jpg").with_suffix(".jpg").write_bytes(JPEG)
    earlier_path(run, "b.jpg").write_bytes(WEBP)
    assert (thumbnail_of(run, "a.jpg"), thumbnail_of(run, "b.jpg")) == (JPEG, WEBP)
    save_thumbs(run, {"b.jpg": JPEG, "c.jpg": JPEG})
    assert [thumbnail_of(run, name) for name in ("a.jpg", "b.jpg", "c.jpg")] == [JPEG] * 3


def test_packs_that_workers_of_ray_wrote_are_found(run: Run) -> None:
    run.thumbs.mkdir()
    names, thumbs = list(many(0, 130)), list(many(0, 130).values())
    earlier = pq.ParquetWriter(run.thumbs / "part-1f3a5c.parquet", SCHEMA)
    for start in range(0, 130, 64):  # which had longer groups of rows
        some = pa.table([names[start : start + 64], thumbs[start : start + 64]], schema=SCHEMA)
        earlier.write_batch(some.to_batches()[0])
    earlier.close()
    (run.thumbs / "part-2b.parquet").write_bytes(packed({}))
    assert {name: thumbnail_of(run, name) for name in many(0, 130)} == many(0, 130)


@given(st.lists(THUMBS, max_size=4))
@settings(max_examples=30)
def test_packs_hold_what_a_dictionary_would(saves: list[dict[str, bytes]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        run, wanted = create_run(Path(folder) / "run", DatasetRecord("train.csv", None, {}, "0")), dict[str, bytes]()
        for thumbs in saves:
            save_thumbs(run, thumbs)
            wanted |= thumbs
            assert {name: thumbnail_of(run, name) for name in [*wanted, "\0"]} == {"\0": None} | wanted


@given(st.text(min_size=1))
@settings(max_examples=50)
def test_no_name_leads_a_thumbnail_out_of_its_folder(name: str) -> None:
    run = Run(Path("/runs/mine"), None)  # type: ignore[arg-type]
    assert earlier_path(run, name).parent == Path("/runs/mine/thumbs")
