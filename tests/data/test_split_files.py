"""Splits that people bring: every name is matched or counted, contradictions are refused; out and in gives the same."""

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import whalecam as wc
from tests.commandline import whalecam
from tests.data.test_groups import QUICK, drawings
from whalecam.data import Dataset
from whalecam.data.split_columns import PARTS
from whalecam.data.split_file import read_split
from whalecam.errors import DatasetError, RunError

NAMES = ["a.jpg", "b.jpg", "sub/c.jpg", "d.jpg"]


def data_of(names: list[str] = NAMES) -> Dataset:
    return wc.open_dataset(pd.DataFrame({"image": names, "species": "orca"}))


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "parts", "folds"),
    [
        ("image,split\na.jpg,train\nb.jpg,Val\nsub/c.jpg,TEST\n", ["train", "valid", "test", ""], [-1, 0, -1, -1]),
        ("image,split\nA,training\nb.png,holdout\nc.jpg,dev\n", ["train", "test", "valid", ""], [-1, -1, 0, -1]),
        ("image,split\na.jpg,train\nb.jpg,test\nd.jpg,\n", ["train", "valid", "", ""], [-1, 0, -1, -1]),
        ("file_name,fold\na.jpg,1\nb.jpg,2\nsub/c.jpg,2\nd.jpg,1\n", ["valid"] * 4, [0, 1, 1, 0]),
        ("image,fold\na.jpg,5\nb.jpg,7\nsub/c.jpg,-1\nd.jpg,\n", ["valid", "valid", "train", ""], [0, 1, -1, -1]),
        (
            "image,fold,part\na.jpg,0,valid\nb.jpg,,train\nsub/c.jpg,1,valid\nd.jpg,,test\n",
            ["valid", "train", "valid", "test"],
            [0, -1, 1, -1],
        ),
        (
            "image,fold,split\na.jpg,0,train\nb.jpg,1,train\nd.jpg,1,test\n",
            ["valid", "valid", "", "test"],
            [0, 1, -1, -1],
        ),
    ],
)
def test_tables_of_parts_and_folds(text: str, parts: list[str], folds: list[int], tmp_path: Path) -> None:
    split = read_split(write(tmp_path / "s.csv", text), data_of())
    assert (split.parts.tolist(), split.folds.tolist()) == (parts, folds)
    assert split.count == max(1, len(set(folds) - {-1}))
    is_replaced = "test" not in parts and any(word in text.lower() for word in ("test", "holdout"))
    assert any("so the test part is used for validation" in note for note in split.notes) == is_replaced


def test_lists_of_names(tmp_path: Path) -> None:
    write(tmp_path / "lists" / "train.txt", "a.jpg\n# by hand\n\nb.jpg\n")
    write(tmp_path / "lists" / "val.txt", "c.jpg\n")
    split = read_split(tmp_path / "lists", data_of())
    assert split.parts.tolist() == ["train", "train", "valid", ""]
    alone = read_split(tmp_path / "lists" / "train.txt", data_of())
    assert alone.parts.tolist() == ["train", "train", "valid", "valid"]
    assert read_split(tmp_path / "lists" / "val.txt", data_of()).parts.tolist() == ["train", "train", "valid", "train"]
    write(tmp_path / "lists" / "valid.txt", "d.jpg\n")
    with pytest.raises(DatasetError, match=r"two lists of one part: val.txt and valid.txt"):
        read_split(tmp_path / "lists", data_of())


def test_names_are_matched_and_counted(tmp_path: Path) -> None:
    text = "image,split\nA.JPG,train\nb,train\nc.jpg,val\nsub/d.jpg,val\nz.jpg,val\n"
    split = read_split(write(tmp_path / "s.csv", text), data_of())
    assert split.notes[0] == "s.csv: matched 3 of 5 rows with 3 of 4 images; 1 images are not in it: d.jpg."
    assert "1 of 5 names matched in another case." in split.notes
    assert split.notes[-1] == "2 rows for training, 1 for validation, 1 are left out."


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("s.csv", "image,split\na.jpg,train\na.jpg,val\n", "a.jpg in two parts or folds"),
        ("s.csv", "image,fold\na.jpg,1\nA.JPG,2\n", "leaves no image|in two parts or folds"),
        ("s.csv", "image,split\na.jpg,north\n", "'north' as a part"),
        ("s.csv", "image,fold\na.jpg,x\n", "'x' as a fold"),
        ("s.csv", "image,species\na.jpg,x\n", "needs the columns image and split"),
        ("s.csv", "image,split\nz.jpg,train\n", "none of 1 names is one of the 4 images"),
        ("s.csv", "image,split\na.jpg,train\n", "no image to validate on"),
        ("s.csv", "image,split\na.jpg,val\n", "no image to train on"),
        ("s.csv", "image,fold,split\na.jpg,1,val\nb.jpg,,val\nd.jpg,,train\n", "without a fold beside others"),
        ("mine.txt", "a.jpg\n", "Call it train.txt"),
    ],
)
def test_what_is_no_split_gets_one_sentence(name: str, text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=words) as caught:
        read_split(write(tmp_path / name, text), data_of())
    assert "\n" not in str(caught.value)
    with pytest.raises(DatasetError, match="no split file"):
        read_split(tmp_path / "gone.csv", data_of())


ROWS = st.lists(
    st.tuples(st.sampled_from([*NAMES, "c.jpg", "B", "z.jpg", "sub/d.jpg"]), st.sampled_from([*PARTS, ""])),
    max_size=8,
)


@given(rows=ROWS)
@settings(max_examples=200, deadline=None)
def test_every_row_is_used_or_counted_and_no_image_is_in_two_parts(
    rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("split") / "s.csv"
    pd.DataFrame([*rows, ("a.jpg", "train"), ("d.jpg", "val")], columns=["image", "split"]).to_csv(path, index=False)
    meant = {"c.jpg": "sub/c.jpg", "B": "b.jpg"}
    stated: dict[str, set[str]] = {name: set() for name in NAMES}
    for name, part in [*rows, ("a.jpg", "train"), ("d.jpg", "val")]:
        if meant.get(name, name) in stated:
            stated[meant.get(name, name)].add(PARTS.get(part, ""))
    shares = {name for name, _ in rows} >= {"b.jpg", "B"}  # then whose file it is cannot be known
    try:
        split = read_split(path, data_of())
    except DatasetError as error:
        assert any(len(parts) > 1 for parts in stated.values()), str(error)
        return
    for name, part in zip(NAMES, split.parts, strict=True):
        assert {part} == (stated[name] or {""}) or (shares and name == "b.jpg")


def test_a_column_of_a_split_is_proposed_and_not_used(tmp_path: Path) -> None:
    write(tmp_path / "t.csv", "image,species,Split\na.jpg,orca,train\nb.jpg,orca,val\nc.jpg,orca,val\n")
    [note] = wc.open_dataset(tmp_path / "t.csv").notes
    assert note.startswith("The column 'Split' states a split (train: 1, val: 2). Training draws its own")
    assert note.endswith("name t.csv as --split-file.")
    write(tmp_path / "o.csv", "image,species,split\na.jpg,orca,north\nb.jpg,orca,val\n")
    assert not wc.open_dataset(tmp_path / "o.csv").notes


def test_out_and_in_again_gives_the_same_folds(tmp_path: Path) -> None:
    csv = drawings(tmp_path)
    data = wc.open_dataset(csv, tmp_path / "images")
    for name, options in (("once", {}), ("folds", {"folds": 3}), ("cameras", {"group": "camera", "folds": 2})):
        run = wc.train(data, tmp_path / name, **{**QUICK, **options})
        done = whalecam("export-split", run.path, "--out", tmp_path / f"{name}.csv", "--json")
        assert done.returncode == 0 and json.loads(done.stdout)["images"] == 32
        again = wc.train(data, tmp_path / f"{name}-2", **QUICK, seed=7, split_file=tmp_path / f"{name}.csv")
        assert again.folds == run.folds
        for fold in range(run.folds):
            assert again.training_images(fold) == run.training_images(fold)
            assert again.validation_images(fold) == run.validation_images(fold) != set()
        pd.testing.assert_frame_equal(again.split(), run.split())
        metrics = again.metrics()
        assert metrics["split"] == "file" and "matched 32 of 32 rows with 32 of 32 images." in metrics["split_notes"][0]


def test_test_images_stay_out_of_training_and_come_out_again(tmp_path: Path) -> None:
    csv = drawings(tmp_path)
    data = wc.open_dataset(csv, tmp_path / "images")
    parts = ["test" if n < 4 else "valid" if n < 12 else "train" for n in range(32)]
    pd.DataFrame({"image": data.table["image"], "split": parts}).to_csv(tmp_path / "s.csv", index=False)
    run = wc.train(data, tmp_path / "run", **QUICK, split_file=tmp_path / "s.csv")
    assert len(run.training_images()) == 20 and len(run.validation_images()) == 8
    assert run.split()["part"].tolist() == parts
    assert any(
        "4 images of the test part are neither trained nor validated on" in n for n in run.metrics()["split_notes"]
    )
    with pytest.raises(DatasetError, match="has 1 folds, --folds says 3"):
        wc.train(data, tmp_path / "no", **QUICK, split_file=tmp_path / "s.csv", folds=3)


def test_a_run_from_before_validation_images_were_noted_and_a_loaded_one(tmp_path: Path) -> None:
    data = wc.open_dataset(drawings(tmp_path), tmp_path / "images")
    run = wc.train(data, tmp_path / "run", **QUICK, folds=2)
    before = run.split()
    for fold in range(2):
        record = run.path / "model" / f"fold-{fold}.json"
        record.write_text(json.dumps({"training": sorted(run.training_images(fold))}))
    pd.testing.assert_frame_equal(run.split(), before)
    for fold in range(2):
        (run.path / "model" / f"fold-{fold}.json").write_text('{"training": []}')
    with pytest.raises(RunError, match="was loaded"):
        run.split()
