"""Formats of other tools: one contract over the registry, what is peculiar to each, and verdicts back from them."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from xml.etree.ElementTree import SubElement, tostring

import numpy as np
import pandas as pd
import pycocotools.mask
import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

import whalecam as wc
from tests.commandline import whalecam
from tests.explain.test_joining import ANIMAL, HEIGHT, WIDTH, drawn, turned_file
from whalecam.config import INTERCHANGE, MASK_GRID, MaskOptions
from whalecam.data import open_dataset, read_boxes, read_sample
from whalecam.data.outlines import Bools, coco_runs, filled
from whalecam.data.readers import registered
from whalecam.data.readers.boxes.source import Source
from whalecam.errors import ReviewError
from whalecam.explain.masks import MASK_METHODS, joined, opened
from whalecam.output.csv import COLUMNS, MergeReport, merge
from whalecam.output.csv.flagcsv import NUMBERS
from whalecam.output.interchange import (
    ENTRY_POINTS,
    FORMATS,
    Contents,
    Format,
    Item,
    Outgoing,
    export_run,
    formats,
    import_file,
    read_verdicts,
    regions,
    write_files,
    zipped,
)
from whalecam.output.interchange.outgoing import safe_path
from whalecam.store.reviews import Journal, Review
from whalecam.store.run import open_run

OLD, NEW = "2024-01-01T12:00:00+00:00", "2024-03-01T12:00:00+00:00"
READ_AS_BOXES = ("fiftyone", "label-studio", "cvat", "coco", "camtrap-dp")
"""Formats that the readers of boxes take as well."""
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
ODD = st.sampled_from(["=1+1", '"a, b"', "a/b c.jpg", "größe 🐋.png", "<b>&amp;", "x|y", "'", "it's", "a\nb", "-7"])
WORDS = st.one_of(TEXT, ODD)


def square(left: int, top: int, right: int, bottom: int) -> Bools:
    """A mask of the run with one rectangle, in cells of its grid."""
    mask = np.zeros((MASK_GRID, MASK_GRID), bool)
    mask[top:bottom, left:right] = True
    return mask


def item(image: str, **cells: Any) -> Item:
    """An image of 192 × 96 px whose animal stands in the left upper quarter."""
    texts = {name: value for name, value in cells.items() if value != ""}
    return Item(
        image=image,
        file=safe_path(image),
        cells={"image": image, "label": "orca", "predicted": "orca", "confidence": 0.9, "run": "mine", **texts},
        width=192,
        height=96,
        mask=square(0, 0, 48, 48),
    )


def reviewed(image: str, verdict: str, **cells: Any) -> Item:
    return item(image, **{"verdict": verdict, "reviewer": "Ana", "reviewed_at": OLD, **cells})


def outgoing(*items: Item) -> Outgoing:
    texts = {name: "" for name in COLUMNS if name not in NUMBERS}
    rows = pd.DataFrame([{name: one.cells.get(name) for name in COLUMNS} for one in items], columns=list(COLUMNS))
    rows = rows.assign(**{name: pd.to_numeric(rows[name]) for name in NUMBERS}).fillna(texts)
    return Outgoing(run="mine", network="resnet18 abc", rows=rows, items=items, folder=Path("/data/images"))


def written(name: str, folder: Path, *items: Item) -> Path:
    folder.mkdir(exist_ok=True)
    return write_files(FORMATS[name].write(outgoing(*items)), folder)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(f"sqlite:///{tmp_path / 'reviews.sqlite'}")


def taken(journal: Journal, path: Path, known: set[str], reviewer: str = "") -> MergeReport:
    return merge(journal, read_verdicts(path, known, reviewer), known)


# What a person does to a file there: each returns the file with the verdict of `b.jpg` set, signed where the tool signs


class Edit(NamedTuple):
    """How a person flags the image `b.jpg` in a tool, and who the tool then says it was."""

    flag: Callable[[Path], None]
    reviewer: str = ""


def changed_json(name: str, change: Callable[[Any], None]) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        file = path / name if path.is_dir() else path
        content = json.loads(file.read_text())
        change(content)
        file.write_text(json.dumps(content))

    return edit


def tag_sample(content: Any) -> None:
    next(sample for sample in content["samples"] if sample["filepath"] == "b.jpg")["tags"].append("flag")


def annotate_task(content: Any) -> None:
    task = next(task for task in content if task["data"]["image"].endswith("b.jpg"))
    choice = {"from_name": "verdict", "to_name": "image", "type": "choices", "value": {"choices": ["flag"]}}
    person = {"id": 3, "email": "bo@example.org", "first_name": "Bo", "last_name": ""}
    task["annotations"] = [{"completed_by": person, "result": [choice], "updated_at": "2024-03-01T12:00:00.000000Z"}]


def flag_image(content: Any) -> None:
    next(image for image in content["images"] if image["file_name"] == "b.jpg")["verdict"] = "flag"


def tag_in_cvat(path: Path) -> None:
    root = fromstring(path.read_bytes())
    image = next(image for image in root.iter("image") if image.get("name") == "b.jpg")
    SubElement(SubElement(image, "tag", {"label": "flag", "source": "manual"}), "attribute", {"name": "reason"})
    path.write_bytes(tostring(root))


def observe(path: Path) -> None:
    file = path / "observations.csv"
    rows = pd.read_csv(file, dtype=str, keep_default_na=False)
    own = (
        rows[rows["mediaID"] == "b.jpg"]
        .iloc[:1]
        .assign(
            observationID="mine",
            classificationMethod="human",
            classifiedBy="bo@example.org",
            classificationTimestamp="2024-03-01T12:00:00Z",
            observationTags="travelDirection:left | verdict:flag",
        )
    )
    pd.concat([rows, own]).to_csv(file, index=False)


def flag_line(path: Path) -> None:
    file = path / "metadata.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    next(line for line in lines if line["file_name"] == "b.jpg")["verdict"] = "flag"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


EDITS: Mapping[str, Edit] = {
    "huggingface": Edit(flag_line),
    "fiftyone": Edit(changed_json("samples.json", tag_sample)),
    "label-studio": Edit(changed_json("tasks.json", annotate_task), "bo@example.org"),
    "cvat": Edit(tag_in_cvat),
    "coco": Edit(changed_json("coco.json", flag_image)),
    "camtrap-dp": Edit(observe, "bo@example.org"),
}


# The contract of the registry


def test_every_format_can_be_named_and_has_an_edit() -> None:
    assert set(FORMATS) == set(INTERCHANGE) == set(EDITS)


@pytest.mark.parametrize("name", FORMATS)
def test_what_went_out_comes_back_as_it_was(name: str, tmp_path: Path, journal: Journal) -> None:
    journal.add(
        [Review("a b/ä.jpg", "keep", "Ana", "=wrong", 'a "note",\nin two lines', "orca|minke", reviewed_at=OLD)]
    )
    words = {"reason": "=wrong", "note": 'a "note",\nin two lines', "suggested_label": "orca|minke"}
    path = written(name, tmp_path / "out", reviewed("a b/ä.jpg", "keep", **words), item("b.jpg"))
    before = journal.version()
    report = taken(journal, path, {"a b/ä.jpg", "b.jpg"})
    assert (report.added, report.unknown, report.refused, report.blank) == ((), (), (), 1)
    assert [row["image"] for row in report.unchanged] == ["a b/ä.jpg"] and journal.version() == before


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_journal_gets_the_verdict_as_it_was_signed(name: str, tmp_path: Path, journal: Journal) -> None:
    words = {"reason": "water", "note": "n", "suggested_label": "minke", "attention_threshold": 2.5}
    path = written(name, tmp_path / "out", reviewed("a.jpg", "keep", **words), item("b.jpg"))
    assert len(taken(journal, path, {"a.jpg", "b.jpg"}).added) == 1
    (row,) = journal.latest().to_dict("records")
    assert [
        row[name] for name in ("image", "verdict", "reason", "note", "suggested_label", "reviewer", "reviewed_at")
    ] == [*("a.jpg", "keep", "water", "n", "minke", "Ana", OLD)]
    assert row["attention_threshold"] == 2.5


@pytest.mark.parametrize("sent", ["", "keep"])
@pytest.mark.parametrize("name", FORMATS)
def test_a_verdict_given_there_arrives(name: str, sent: str, tmp_path: Path, journal: Journal) -> None:
    known = {"a.jpg", "b.jpg"}
    mine = reviewed("b.jpg", sent, reason="water") if sent else item("b.jpg")
    path = written(name, tmp_path / "out", item("a.jpg"), mine)
    EDITS[name].flag(path)
    if not EDITS[name].reviewer:
        report = taken(journal, path, known)
        assert report.added == () and "reviewer" in report.refused[0]["why"] and report.refused[0]["image"] == "b.jpg"
    report = taken(journal, path, known, "Bo")
    who = EDITS[name].reviewer or "Bo"
    verdicts = [(row["image"], row["verdict"], row["reviewer"], row["counts"]) for row in report.added]
    assert verdicts == [*([("b.jpg", "keep", "Ana", False)] if sent else []), ("b.jpg", "flag", who, True)]
    assert report.refused == report.unknown == ()
    if EDITS[name].reviewer:
        assert report.added[-1]["reviewed_at"] == NEW
    again = taken(journal, path, known, "Bo")
    assert again.added == () and len(again.unchanged) == len(report.added)


@pytest.mark.parametrize("name", FORMATS)
def test_an_image_of_another_run_is_listed(name: str, tmp_path: Path, journal: Journal) -> None:
    path = written(name, tmp_path / "out", reviewed("a.jpg", "keep"), reviewed("b.jpg", "flag"))
    report = taken(journal, path, {"b.jpg"})
    assert [row["image"] for row in report.unknown] == ["a.jpg"] and len(report.added) == 1


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_without_a_verdict_says_so(name: str, tmp_path: Path) -> None:
    path = written(name, tmp_path / "out", item("a.jpg"), item("b.jpg"))
    with pytest.raises(ReviewError, match=r"has no verdict\. Verdicts may stand in"):
        read_verdicts(path, {"a.jpg", "b.jpg"})


@pytest.mark.parametrize("name", FORMATS)
def test_nothing_to_export_is_written_all_the_same(name: str, tmp_path: Path) -> None:
    files = FORMATS[name].write(outgoing())
    assert files and all(isinstance(content, bytes) for content in files.values())


@pytest.mark.parametrize("tag", ["Flag", " FLAG "])
def test_a_tag_counts_in_any_case(tag: str, tmp_path: Path, journal: Journal) -> None:
    path = written("fiftyone", tmp_path / "out", item("a.jpg"))
    changed_json("samples.json", lambda content: content["samples"][0]["tags"].extend([tag, "train"]))(path)
    assert [row["verdict"] for row in taken(journal, path, {"a.jpg"}, "Bo").added] == ["flag"]


def test_a_word_that_is_no_verdict_is_listed(tmp_path: Path, journal: Journal) -> None:
    path = written("huggingface", tmp_path / "out", item("b.jpg"))
    file = path / "metadata.jsonl"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"verdict": "maybe"}))
    report = taken(journal, path, {"b.jpg"}, "Bo")
    assert report.added == () and "'maybe' is not a verdict" in report.refused[0]["why"]


@pytest.mark.parametrize("name", FORMATS)
def test_files_stay_inside_and_are_taken_by_their_own_reader_alone(name: str, tmp_path: Path) -> None:
    content = outgoing(reviewed("../../etc/passwd", "flag"), item("/abs/b.jpg"), item("C:\\x\\c.jpg"))
    files = FORMATS[name].write(content)
    assert list(files) == [FORMATS[name].file] if FORMATS[name].file else len(files) > 1
    assert all(not PurePosixPath(file).is_absolute() and ".." not in file for file in files)
    assert [one.file for one in content.items] == ["passwd", "b.jpg", "c.jpg"]
    (tmp_path / "out").mkdir()
    path = write_files(files, tmp_path / "out")
    for other in list(FORMATS)[list(FORMATS).index(name) :]:
        assert (FORMATS[other].read(Source(path)) is not None) == (other == name), other


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(WORDS.filter(str.strip).map(str.strip), min_size=1, max_size=3, unique=True), data=st.data())
def test_any_name_and_any_words_survive(name: str, tmp_path: Path, names: list[str], data: st.DataObject) -> None:
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    verdicts = {image: data.draw(st.sampled_from(["flag", "keep", "unsure"])) for image in names}
    words = {
        image: {key: data.draw(WORDS) for key in ("reason", "note", "suggested_label", "label")} for image in names
    }
    items = [reviewed(image, verdicts[image], **words[image]) for image in names]
    frame = read_verdicts(written(name, tmp_path / "out", *items), set(names))
    assert frame.attrs["refused"] == []
    assert frame["image"].tolist() == names
    for key in ("reason", "note", "suggested_label", "label"):
        assert frame[key].tolist() == [str(one.cells.get(key, "")) for one in items]
    assert frame["verdict"].tolist() == list(verdicts.values()) and set(frame["reviewer"]) == {"Ana"}


def own_format(content: Outgoing) -> dict[str, bytes]:
    return {"x.own": "\n".join(one.image for one in content.items).encode()}


def own_reader(source: Source) -> Contents | None:
    return Contents(format="own", images=[], places="nowhere") if source.path.suffix == ".own" else None


OWN = Format(title="Own", write=own_format, read=own_reader)


def test_other_packages_add_formats(tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("own", "tests.output.test_interchange:OWN", ENTRY_POINTS)
    monkeypatch.setattr(registered, "entry_points", lambda group: EntryPoints([point]).select(group=group))
    assert list(formats()) == [*FORMATS, "own"]
    done = whalecam("export", runs / "demo", "--to", "own", "--only", "all", "--out", tmp_path / "x.own")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.own").read_text().split("\n") == sorted(open_run(runs / "demo").audited())
    with pytest.raises(ReviewError, match="own of 0 images and has no verdict"):
        read_verdicts(tmp_path / "x.own", set())


# Masks and boxes


BITS = st.integers(1, 7).flatmap(
    lambda side: st.lists(st.lists(st.booleans(), min_size=side, max_size=side), min_size=1, max_size=7)
)


@given(cells=BITS)
def test_rings_enclose_the_mask_once_and_have_no_holes(cells: list[list[bool]]) -> None:
    mask = np.array(cells)
    drawn = np.zeros(mask.shape, int)
    for ring in regions.rings(mask):
        assert len(ring) >= 4
        drawn += filled(np.array(ring, float), mask.shape)
    assert drawn.tolist() == mask.astype(int).tolist()


@given(cells=BITS, width=st.integers(1, 40), height=st.integers(1, 40))
def test_run_lengths_are_those_of_coco(cells: list[list[bool]], width: int, height: int) -> None:
    mask = np.array(cells)
    pixels = regions.raster(mask, width, height)
    for y in range(height):
        for x in range(width):
            cell = mask[int((y + 0.5) / height * mask.shape[0]), int((x + 0.5) / width * mask.shape[1])]
            assert pixels[y, x] == cell
    expected = pycocotools.mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
    text = regions.coco_text(regions.run_lengths(pixels.T.ravel()))
    assert text == expected["counts"].decode()
    outline = coco_runs(text, [height, width])
    assert outline is not None and outline.raster().tolist() == pixels.tolist()
    box = regions.bounds(pixels)
    assert box is None if not pixels.any() else list(box or ()) == pycocotools.mask.toBbox(expected).tolist()


def test_a_box_in_shares() -> None:
    assert regions.box(square(24, 48, 72, 96)) == (0.25, 0.5, 0.5, 0.5)
    assert regions.box(square(0, 0, 0, 0)) is regions.bounds(square(0, 0, 0, 0)) is None


@pytest.mark.parametrize("name", READ_AS_BOXES)
def test_the_readers_of_boxes_take_what_was_written(name: str, tmp_path: Path) -> None:
    path = written(name, tmp_path / "out", item("a.jpg"), item("b.jpg"))
    result = read_boxes([path / "tasks.json" if name == "label-studio" else path])
    images = [Path(image).name for image in result.rows["image"]]
    assert sorted(set(images)) == ["a.jpg", "b.jpg"] and result.refused == ()
    scale = np.where(result.rows["relative"].to_numpy(bool)[:, None], [[192, 96, 192, 96]], 1)
    corners = result.rows[["x1", "y1", "x2", "y2"]].to_numpy(float) * scale
    assert corners.tolist() == [[0, 0, 96, 48]] * len(images)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", READ_AS_BOXES)
def test_regions_cover_the_animal_of_an_image_in_every_orientation(name: str, orientation: int, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    turned_file(tmp_path / "images" / "a.png", orientation, drawn())
    (tmp_path / "train.csv").write_text("image,species\na.png,orca\n")
    left, top, right, bottom = ANIMAL
    scale = (MASK_GRID // WIDTH, MASK_GRID // HEIGHT)
    mask = square(left * scale[0], top * scale[1], right * scale[0], bottom * scale[1])
    path = written(name, tmp_path / "out", replace(item("a.png"), width=WIDTH, height=HEIGHT, mask=mask))
    stated = "auto" if name in ("fiftyone", "coco", "camtrap-dp") else "upright"
    boxes = str(path / "tasks.json" if name == "label-studio" else path)
    options = MaskOptions(boxes=(boxes,), box_orientation=stated)
    sources = joined(open_dataset(tmp_path / "train.csv", tmp_path / "images"), opened(options)).sources
    sample = read_sample(tmp_path / "images" / "a.png", "a.png")
    result = MASK_METHODS["boxes"](sources)(sample)
    assert result is not None and sample.orientation == orientation
    assert ((result.values > 0.5) == (sample.pixels[..., 0] > 120)).mean() >= 0.98


# What is peculiar to a format


def test_pycocotools_reads_the_masks(tmp_path: Path) -> None:
    path = written("coco", tmp_path / "out", item("a.jpg"), item("b.jpg", label="minke"))
    coco = COCO(str(path))
    assert {category["name"] for category in coco.loadCats(coco.getCatIds())} == {"orca", "minke"}
    (annotation,) = coco.loadAnns(coco.getAnnIds(imgIds=[2]))
    expected = np.zeros((96, 192), np.uint8)
    expected[:48, :96] = 1
    assert coco.annToMask(annotation).tolist() == expected.tolist()
    assert (annotation["bbox"], annotation["area"]) == ([0, 0, 96, 48], 96 * 48)
    assert coco.loadCats([annotation["category_id"]])[0]["name"] == "minke"


def test_what_pycocotools_rewrites_changes_nothing(tmp_path: Path, journal: Journal) -> None:
    path = written("coco", tmp_path / "out", reviewed("a.jpg", "flag", note="n"), item("b.jpg"))
    journal.add([Review("a.jpg", "flag", "Ana", note="n", reviewed_at=OLD)])
    path.write_text(json.dumps(COCO(str(path)).dataset))
    report = taken(journal, path, {"a.jpg", "b.jpg"})
    assert report.added == report.refused == () and len(report.unchanged) == 1


def test_a_category_that_is_a_verdict_counts(tmp_path: Path, journal: Journal) -> None:
    content = {
        "images": [{"id": 7, "file_name": "images/b.jpg"}],
        "categories": [{"id": 1, "name": "unsure"}],
        "annotations": [{"image_id": 7, "category_id": 1}],
    }
    (tmp_path / "other.json").write_text(json.dumps(content))
    report = taken(journal, tmp_path / "other.json", {"b.jpg"}, "Bo")
    assert [(row["image"], row["verdict"]) for row in report.added] == [("b.jpg", "unsure")]


def test_two_verdicts_that_nobody_signed_contradict_each_other(tmp_path: Path, journal: Journal) -> None:
    path = written("fiftyone", tmp_path / "out", reviewed("a.jpg", "keep"))
    changed_json("samples.json", lambda content: content["samples"][0]["tags"].extend(["flag", "unsure"]))(path)
    report = taken(journal, path, {"a.jpg"}, "Bo")
    assert report.added == () and "flag, unsure" in report.refused[0]["why"]


def test_a_field_of_a_sample_that_was_set_in_python_counts_and_a_tag_that_was_removed_does_not(
    tmp_path: Path, journal: Journal
) -> None:
    path = written("fiftyone", tmp_path / "out", reviewed("a.jpg", "keep"), reviewed("b.jpg", "flag"))

    def change(content: Any) -> None:
        content["samples"][0] |= {"verdict": "unsure", "reason": "fog"}
        content["samples"][1] |= {"tags": [], "verdict": None}

    changed_json("samples.json", change)(path)
    report = taken(journal, path, {"a.jpg", "b.jpg"}, "Bo")
    assert report.refused == ()
    latest = journal.latest().set_index("image")
    assert latest["verdict"].to_dict() == {"a.jpg": "unsure", "b.jpg": "flag"}
    assert latest.loc["a.jpg", "reason"] == "fog" and latest["reviewer"].to_dict() == {"a.jpg": "Bo", "b.jpg": "Ana"}


def test_an_unknown_choice_is_listed_and_each_annotator_counts(tmp_path: Path, journal: Journal) -> None:
    path = written("label-studio", tmp_path / "out", item("a.jpg"), item("b.jpg"))

    def annotated(choice: str, by: Any, **more: Any) -> dict[str, Any]:
        result = {"from_name": "verdict", "type": "choices", "value": {"choices": [choice]}}
        return {"completed_by": by, "result": [result], "updated_at": "2024-03-01T12:00:00Z", **more}

    def change(tasks: Any) -> None:
        tasks[0]["annotations"] = [annotated("flag", 3), annotated("keep", {"first_name": "Cy", "last_name": "Oh"})]
        tasks[1]["annotations"] = [annotated("rubbish", 3), annotated("flag", 4, was_cancelled=True)]

    changed_json("tasks.json", change)(path)
    report = taken(journal, path, {"a.jpg", "b.jpg"})
    assert {(row["reviewer"], row["verdict"]) for row in report.added} == {
        *(("Label Studio user 3", "flag"), ("Cy Oh", "keep"))
    }
    assert len(report.conflicts) == 1
    assert [(row["image"], "rubbish" in row["why"]) for row in report.refused] == [("b.jpg", True)]


def test_whoever_accepts_a_prediction_in_label_studio_signs_it(tmp_path: Path, journal: Journal) -> None:
    path = written("label-studio", tmp_path / "out", reviewed("a.jpg", "keep", reason="water"))

    def accept(tasks: Any) -> None:
        result = tasks[0]["predictions"][0]["result"]
        tasks[0]["annotations"] = [{"completed_by": 3, "result": result, "updated_at": "2024-03-01T12:00:00Z"}]

    changed_json("tasks.json", accept)(path)
    report = taken(journal, path, {"a.jpg"})
    assert [(row["verdict"], row["reviewer"], row["reviewed_at"]) for row in report.added] == [
        *(("keep", "Ana", OLD), ("keep", "Label Studio user 3", NEW))
    ]
    assert journal.latest()["reason"].tolist() == ["water"]


def test_json_min_of_label_studio(tmp_path: Path, journal: Journal) -> None:
    task = {"image": "/data/local-files/?d=images/b.jpg", "id": 1, "annotator": 3, "annotation_id": 9}
    task |= {"verdict": "flag", "reason": ["fog"], "updated_at": "2024-03-01T12:00:00Z"}
    (tmp_path / "min.json").write_text(json.dumps([task]))
    assert len(taken(journal, tmp_path / "min.json", {"b.jpg"}).added) == 1
    (row,) = journal.latest().to_dict("records")
    assert [row[key] for key in ("image", "verdict", "reason", "reviewer")] == [
        *("b.jpg", "flag", "fog", "Label Studio user 3")
    ]


def test_the_same_person_with_another_verdict_at_the_same_moment_is_not_taken_at_their_word(
    tmp_path: Path, journal: Journal
) -> None:
    path = written("huggingface", tmp_path / "out", reviewed("b.jpg", "keep"))
    flag_line(path)
    assert "reviewer" in taken(journal, path, {"b.jpg"}).refused[0]["why"]
    file = path / "metadata.jsonl"
    line = json.loads(file.read_text())
    file.write_text(json.dumps(line | {"reviewed_at": NEW}))
    report = taken(journal, path, {"b.jpg"})
    assert [(row["reviewer"], row["verdict"], row["reviewed_at"]) for row in report.added][-1] == ("Ana", "flag", NEW)


def test_an_observations_table_alone_is_enough(tmp_path: Path, journal: Journal) -> None:
    path = written("camtrap-dp", tmp_path / "out", item("a.jpg"), item("b.jpg"))
    observe(path)
    alone = shutil.copy(path / "observations.csv", tmp_path / "mine.csv")
    report = taken(journal, Path(alone), {"a.jpg", "b.jpg"})
    assert [(row["image"], row["verdict"], row["reviewer"]) for row in report.added] == [
        *[("b.jpg", "flag", "bo@example.org")]
    ]


def test_xml_holds_no_markup_of_the_data_set(tmp_path: Path) -> None:
    path = written("cvat", tmp_path / "out", reviewed("<image>&.jpg", "flag", note="]]></tag>\x0b"))
    root = fromstring(path.read_bytes())
    (image,) = root.iter("image")
    assert image.get("name") == "<image>&.jpg" and len(list(image.iter("tag"))) == 2
    assert [cell.text for cell in image.iter("attribute") if cell.get("name") == "note"] == ["]]></tag> "]


@pytest.mark.parametrize("subject", ["flag", "Keep", "unsure", "whalecam", "animal"])
def test_a_subject_called_like_a_verdict_goes_to_cvat_and_back(subject: str, tmp_path: Path, journal: Journal) -> None:
    items = (reviewed("a.jpg", "keep"), reviewed("b.jpg", "flag"), item("c.jpg"))
    content = FORMATS["cvat"].write(replace(outgoing(*items), subject=subject))
    path = write_files(content, tmp_path / "out")
    root = fromstring((path / "annotations.xml").read_bytes() if path.is_dir() else path.read_bytes())
    names = [str(name.text).casefold() for name in root.iterfind("meta/task/labels/label/name")]
    masks = [str(mask.get("label")) for mask in root.iter("mask")]
    assert len(names) == len(set(names)) == 5, "CVAT refuses a task with two labels of one name"
    assert len(masks) == 3 and {mask.casefold() for mask in masks} == {names[-1]} and subject in masks[0]
    assert len(taken(journal, path, {"a.jpg", "b.jpg", "c.jpg"}).added) == 2
    assert dict(journal.latest()[["image", "verdict"]].to_numpy()) == {"a.jpg": "keep", "b.jpg": "flag"}
    assert len(read_boxes([path]).rows) == 3


def test_no_cell_of_camtrap_dp_runs_as_a_formula(tmp_path: Path) -> None:
    path = written("camtrap-dp", tmp_path / "out", reviewed("=a.jpg", "flag", note="=1+1", label="@x"))
    for file in path.glob("*.csv"):
        cells = pd.read_csv(file, dtype=str, keep_default_na=False).to_numpy().ravel().tolist()
        assert not [cell for cell in cells if cell.startswith(("=", "@"))], file.name


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("inner", ["", "out/"])
def test_an_archive_of_a_format_is_unpacked(name: str, inner: str, tmp_path: Path, journal: Journal) -> None:
    files = FORMATS[name].write(outgoing(reviewed("a.jpg", "keep", note="x|y")))
    (tmp_path / "x.zip").write_bytes(zipped({f"{inner}{file}": content for file, content in files.items()}))
    assert len(taken(journal, tmp_path / "x.zip", {"a.jpg"}).added) == 1
    assert journal.latest()["note"].tolist() == ["x|y"]


def test_archives_write_nowhere_else_and_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.zip").write_bytes(zipped({"../../evil.json": b"{}"}))
    with pytest.raises(ReviewError, match="not a file of verdicts"):
        read_verdicts(tmp_path / "in" / "x.zip", set())
    assert not list(tmp_path.parent.rglob("evil.json"))
    whole = zipped({"samples.json": b"x" * 5000})
    (tmp_path / "cut.zip").write_bytes(whole.replace(b"PK\x03\x04", b"PK\x03\x05"))
    with pytest.raises(ReviewError, match="cannot be unpacked"):
        read_verdicts(tmp_path / "cut.zip", set())


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"samples": [', "cannot be read as JSON"),
        ('{"other": 1}', "not a file of verdicts. WhaleCAM reads its own CSV, Hugging Face, FiftyOne"),
        ("<annotations>", "cannot be read as XML"),
        ("a,b\n1,2\n", "has no column 'image'"),
        ('{"a": 1}\n{"b": 2}\n', "cannot be read as JSON"),
    ],
)
def test_other_files_are_refused_in_words(content: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text(content)
    with pytest.raises(wc.WhalecamError, match=says):
        read_verdicts(tmp_path / "file", set())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 300) | st.floats() | st.sampled_from(["", "a.jpg", "flag", "{}", "1"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("images", "annotations", "file_name", "id", "image_id", "category_id", "categories", "name"),
                    *("samples", "filepath", "tags", "verdict", "reason", "reviewer", "whalecam", "data", "image"),
                    *("predictions", "completed_by", "result", "from_name", "value", "choices", "annotator", "label"),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=JSON, lines=st.booleans())
def test_no_content_ends_in_a_traceback(content: Any, lines: bool, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps(content) + ("\n" + json.dumps(content) if lines else ""))
    try:
        frame = read_verdicts(tmp_path / "x.json", {"a.jpg"}, "Bo")
    except wc.WhalecamError:
        return
    assert set(COLUMNS) <= set(frame.columns)


# The run


@pytest.mark.parametrize("name", FORMATS)
def test_a_run_goes_out_and_comes_back(name: str, runs: Path, tmp_path: Path) -> None:
    run = open_run(runs / "demo")
    names, journal = sorted(run.audited()), Journal.of(run)
    journal.add([Review(names[0], "flag", "Ana", reason="water"), Review(names[1], "keep", "Bo")])
    done = export_run(run, tmp_path / "out", to=name, only="all")
    before = journal.version()
    report = import_file(run, done.path)
    assert (done.rows, list(done.notes)) == (len(names), [FORMATS[name].note] * bool(FORMATS[name].note))
    assert (len(report.unchanged), report.blank, journal.version()) == (2, len(names) - 2, before)
    assert report.added == report.unknown == report.refused == ()


def test_masks_and_sizes_of_a_run_are_those_of_its_table(runs: Path, tmp_path: Path) -> None:
    run = open_run(runs / "demo")
    coco = COCO(str(export_run(run, tmp_path / "coco.json", to="coco", only="all").path))
    images = {image["whalecam"]["image"]: image for image in coco.dataset["images"]}
    rows = wc.open_run(run.path).to_pandas().set_index("image")
    assert sorted(images) == sorted(rows.index)
    for name in list(images)[:20]:
        image = images[name]
        assert (image["width"], image["height"]) == (rows.loc[name, "width"], rows.loc[name, "height"])
        assert image["whalecam"]["predicted"] == rows.loc[name, "predicted"]
        assert image["whalecam"]["confidence"] == pytest.approx(rows.loc[name, "confidence"])
        (annotation,) = coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]]))
        area = coco.annToMask(annotation).mean()
        assert area == pytest.approx(rows.loc[name, "mask_area"], abs=0.03)


def test_the_verbs(runs: Path, tmp_path: Path) -> None:
    names = sorted(open_run(runs / "demo").audited())[:2]
    whalecam("review", runs / "demo", *names, "--verdict", "keep", "--reviewer", "Ana")
    done = whalecam("export", runs / "demo", "--to", "fiftyone", "--only", "reviewed", "--out", tmp_path / "fo")
    assert done.returncode == 0 and done.stdout.startswith(f"2 rows: {tmp_path / 'fo'}; ")
    changed_json("samples.json", lambda content: content["samples"][0]["tags"].append("flag"))(tmp_path / "fo")
    done = whalecam("import", runs / "demo", tmp_path / "fo", "--json")
    assert done.returncode == 1 and len(json.loads(done.stdout)["refused"]) == 1
    done = whalecam("import", runs / "demo", tmp_path / "fo", "--reviewer", "Bo", "--json")
    assert done.returncode == 0, done.stderr
    assert [(row["image"], row["verdict"]) for row in json.loads(done.stdout)["added"]] == [(names[0], "flag")]
    done = whalecam("export", runs / "demo", "--to", "excel", "--out", tmp_path / "x")
    assert done.returncode == 2 and "'excel' is not one of 'csv', 'fiftyone'" in done.stderr


def test_python(runs: Path, tmp_path: Path) -> None:
    run = wc.open_run(runs / "demo")
    names = sorted(run.audited())
    Journal.of(run).add([Review(names[0], "flag", "Ana")])
    assert run.export(tmp_path / "v.csv") == tmp_path / "v.csv"
    assert len(run.import_verdicts(run.export(tmp_path / "cvat.xml", to="cvat")).unchanged) == 1
    with pytest.raises(ReviewError, match=r"no format 'excel'\. There are: csv, huggingface"):
        run.export(tmp_path / "x", to="excel")
    with pytest.raises(ReviewError, match="'some' cannot be exported"):
        run.export(tmp_path / "x", only="some")


def test_a_run_whose_images_are_gone_says_so(runs: Path, tmp_path: Path) -> None:
    run = open_run(runs / "demo")
    run.update(dataset=type(run.manifest.dataset)(**{**vars(run.manifest.dataset), "csv": str(tmp_path / "gone.csv")}))
    done = export_run(run, tmp_path / "out.json", to="coco", only="all")
    assert "cannot be opened" in done.notes[0] and done.path.is_file()


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"camtrap-dp"}))
def test_what_a_mask_shows_is_called_by_the_word_of_the_run(name: str) -> None:
    files = FORMATS[name].write(replace(outgoing(item("a.jpg")), subject="bus stop"))
    text = "\n".join(content.decode("utf-8", "replace") for content in files.values())
    assert "bus stop" in text and "animal" not in text
