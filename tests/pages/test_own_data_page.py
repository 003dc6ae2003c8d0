"""Open your own data on the Dataset page: by path and by upload, recognized before it is used, kept in the address."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests.pages.test_pages import open_page, texts
from tests.pages.test_starting import command
from whalecam.app.state import own_data
from whalecam.config import AuditOptions
from whalecam.store.run import open_run

PAGE, MODEL = "pages/1_Dataset.py", "pages/2_Model.py"
SIDE = 40
SHARES = [0.25, 0.25, 0.5, 0.5]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """`set/` with class folders of 12 images, `md.json` with boxes of ten, `odd.csv` with strange columns."""
    home = tmp_path / "data"
    for number in range(12):
        path = home / "set" / ("orca", "beluga")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.full((SIDE, SIDE, 3), 40 + number, np.uint8)
        pixels[10:30, 10:30, number % 2] = 220
        Image.fromarray(pixels).save(path)
    detections = [{"category": "1", "conf": 0.9, "bbox": SHARES}]
    images = [{"file": f"{('orca', 'beluga')[n % 2]}/{n}.png", "detections": detections} for n in range(10)]
    content = {"images": images, "detection_categories": {"1": "animal"}, "info": {"format_version": "1.4"}}
    (home / "md.json").write_text(json.dumps(content))
    rows = [f"{n}.png,{('orca', 'beluga')[n % 2]},w{n // 4}" for n in range(12)]
    (home / "odd.csv").write_text("\n".join(["photo,kind,who", *rows]) + "\n")
    return home


def fill(app: AppTest, **values: object) -> AppTest:
    """The page after its fields were filled, by the ends of their keys."""
    for name, value in values.items():
        app.text_input(key=f"own_{name}").set_value(str(value))
    app.run()
    assert not app.exception, app.exception
    return app


def words(app: AppTest) -> str:
    return texts(app).replace("\\", "")


def recognized(app: AppTest) -> bool:
    return "Recognized:" in words(app)


def upload(app: AppTest, kind: str, files: list[tuple[str, bytes]]) -> AppTest:
    key = next(one.key for one in app.file_uploader if one.key and one.key.startswith(f"own_upload_{kind}"))
    app.file_uploader(key=key).set_value([(name, content, "application/octet-stream") for name, content in files])
    app.run()
    assert not app.exception, app.exception
    return app


def test_nothing_is_said_before_anything_is_named(runs: Path) -> None:
    app = open_page(PAGE)
    assert not app.error and not recognized(app) and not app.exception
    app.button(key="own_open").click().run()
    assert [error.value.replace("\\", "") for error in app.error] == [
        "Not opened. Name a table or a folder of class folders, and correct what is wrong above."
    ]
    assert sorted(path.name for path in runs.iterdir() if path.is_dir()) == ["demo"]


@pytest.mark.parametrize("named", ["~/nowhere/train.csv", "no such/train.csv"])
def test_an_error_names_the_file_as_it_was_written(runs: Path, named: str) -> None:
    app = fill(open_page(PAGE), csv=named)
    assert len(app.error) == 1 and named in words(app) and str(Path.home()) not in words(app)
    assert not recognized(app)


def test_boxes_without_a_table_say_what_is_missing(runs: Path, data: Path) -> None:
    app = fill(open_page(PAGE), boxes=data / "md.json")
    assert "Name the table" in words(app) and not recognized(app)


def test_class_folders_and_boxes_are_recognized_then_opened(runs: Path, data: Path) -> None:
    app = fill(open_page(PAGE), csv=data / "set", boxes=data / "md.json")
    assert not app.error and "Recognized: class folders" in words(app)
    assert "12 of 12 rows usable · 2 labels: beluga (6), orca (6)" in words(app)
    assert "Boxes: matched 10 of 12 images, 0 of 10 rows were not used." in words(app)
    assert sorted(path.name for path in runs.iterdir() if path.is_dir()) == ["demo"]
    app.button(key="own_open").click().run()
    assert not app.exception and not app.error, texts(app)
    run = open_run(runs / "set")
    assert (Path(run.manifest.dataset.csv), run.manifest.dataset.images) == (data / "set", str(data / "set"))
    assert AuditOptions.stored(run.manifest.audit) == AuditOptions(boxes=(str(data / "md.json"),))
    assert app.selectbox(key="run").value == "set" and not recognized(app)
    assert app.text_input(key="own_csv").value == app.text_input(key="own_boxes").value == ""
    assert [button.label for button in app.button if (button.key or "").startswith("next_")] == [
        "Train a network",
        "Load a checkpoint",
    ]


def test_columns_are_chosen_from_those_of_the_table(runs: Path, data: Path) -> None:
    app = fill(open_page(PAGE), csv=data / "odd.csv", images=data / "set")
    assert "odd.csv has no column 'image'" in words(app) and len(app.error) == 1
    app.button(key="own_open").click().run()
    assert "Not opened" in words(app) and not (runs / "odd").exists()
    for name, column in {"image": "photo", "label": "kind", "group": "who"}.items():
        assert app.selectbox(key=f"own_{name}").value == ""
        app.selectbox(key=f"own_{name}").set_value(column)
    app.run()
    assert not app.error and "12 of 12 rows usable" in words(app) and "3 groups" in words(app)
    fill(app, name="odd one").button(key="own_open").click().run()
    assert not app.error and open_run(runs / "odd-one").manifest.dataset.columns == {
        "image": "photo",
        "label": "kind",
        "group": "who",
    }
    fill(app, csv=data / "set")
    assert not app.error and "Recognized: class folders" in words(app)
    assert app.selectbox(key="own_image").value == ""


def test_a_link_brings_the_choice_back(runs: Path, data: Path) -> None:
    places = {"own_csv": str(data / "odd.csv"), "own_images": str(data / "set"), "own_boxes": str(data / "md.json")}
    columns = {"own_image": "photo", "own_label": "kind", "own_group": "who"}
    app = open_page(PAGE, **places, **columns, own_box_confidence="0.95")
    assert not app.exception, app.exception
    assert app.text_input(key="own_boxes").value == str(data / "md.json")
    assert "10 of 10 boxes are below the confidence 0.95" in words(app) and len(app.error) == 1
    app.number_input(key="own_box_confidence").set_value(0.2).run()
    assert not app.error and "Boxes: matched 10 of 12 images" in words(app)
    assert app.selectbox(key="own_group").value == "who"


def test_boxes_that_cannot_be_used_are_never_left_out(runs: Path, data: Path) -> None:
    app = fill(open_page(PAGE), csv=data / "set", boxes=data / "odd.csv")
    assert "odd.csv is not a box file" in words(app) and "Recognized: class folders" in words(app)
    app.button(key="own_open").click().run()
    assert "Not opened" in words(app) and not (runs / "set").exists()
    fill(app, boxes="").button(key="own_open").click().run()
    assert not app.error and open_run(runs / "set").manifest.audit == {}


def folder_of(data: Path) -> list[tuple[str, bytes]]:
    """The class folders as a browser sends them."""
    return [
        (f"set/{path.relative_to(data / 'set').as_posix()}", path.read_bytes())
        for path in sorted((data / "set").rglob("*.png"))
    ]


def test_uploads_are_recognized_opened_and_deleted(runs: Path, data: Path) -> None:
    app = upload(open_page(PAGE), "folder", folder_of(data))
    assert "Recognized: class folders" in words(app) and "12 of 12 rows usable" in words(app)
    name = str(app.text_input(key="own_csv").value).removeprefix("upload:").split("/")[0]
    assert app.text_input(key="own_csv").value == f"upload:{name}/set" and len(name) == 16
    app = upload(app, "files", [("md.json", (data / "md.json").read_bytes())])
    assert "Boxes: matched 10 of 12 images" in words(app) and not app.error
    assert "Uploaded: set · 12 files" in words(app) and "Uploaded: md.json · 1 file" in words(app)
    app.button(key="own_open").click().run()
    assert not app.error and not app.exception
    run = open_run(runs / "set")
    assert Path(run.manifest.dataset.csv) == runs / "uploads" / name / "set"
    assert Path(run.manifest.audit["boxes"][0]).read_bytes() == (data / "md.json").read_bytes()
    assert "These runs read from it and lose their images: set." in words(app)
    app.button(key=f"deleted_{name}").click().run()
    assert not (runs / "uploads" / name).exists() and len(list((runs / "uploads").iterdir())) == 1


def test_an_error_of_an_upload_names_the_file_alone(runs: Path, data: Path) -> None:
    app = upload(open_page(PAGE), "files", [("md.json", (data / "md.json").read_bytes())])
    assert "Name the table" in words(app)
    app = upload(app, "folder", [("only/a.png", (data / "set" / "orca" / "0.png").read_bytes())])
    assert "only has images but no class folders" in words(app) and str(runs) not in words(app)
    app = upload(app, "files", [("odd.csv", (data / "odd.csv").read_bytes())])
    assert "odd.csv has no column 'image'" in words(app) and str(runs) not in words(app)


def test_detections_in_the_folder_fill_the_field_of_boxes(runs: Path, data: Path) -> None:
    files = [*folder_of(data), ("set/md.json", (data / "md.json").read_bytes())]
    app = upload(open_page(PAGE), "folder", files)
    assert "Boxes: matched 10 of 12 images" in words(app) and "Recognized: class folders" in words(app)
    assert not app.error and str(app.text_input(key="own_boxes").value).endswith("/set/md.json")


def test_what_is_neither_images_nor_a_table_nor_boxes_is_said(runs: Path) -> None:
    app = upload(open_page(PAGE), "folder", [("odd/deep/notes.txt", b"x")])
    assert "Nothing in odd is an image, a table or a box file." in words(app) and not recognized(app)
    tables = [("a.csv", b"image,species\na.png,orca\n"), ("b.csv", b"image,species\na.png,orca\n")]
    app = upload(open_page(PAGE), "files", tables)
    assert "may all be the table of labels: a.csv, b.csv" in words(app)


def test_an_upload_that_is_gone_is_said(runs: Path) -> None:
    app = fill(open_page(PAGE), csv="upload:0123456789abcdef/set")
    assert "This upload is not here any more. Upload the files again." in words(app)
    app = fill(app, csv="upload:../demo")
    assert "not here any more" in words(app) and not recognized(app)


def test_a_folder_with_table_images_and_masks_fills_all_fields(runs: Path, data: Path) -> None:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[10:30, 10:30] = 255
    Image.fromarray(mask).save(data / "mask.png")
    masks = [(f"mine/masks/{number}.png", (data / "mask.png").read_bytes()) for number in range(12)]
    images = [(f"mine/images/{Path(name).name}", content) for name, content in folder_of(data)]
    table = (data / "odd.csv").read_text().replace("photo,kind,who", "image,species,individual_id").encode()
    app = upload(open_page(PAGE), "folder", [("mine/train.csv", table), *images, *masks])
    values = {
        name: str(app.text_input(key=f"own_{name}").value).split("/", 1)[1] for name in ("csv", "images", "masks")
    }
    assert values == {"csv": "mine/train.csv", "images": "mine/images", "masks": "mine/masks"}
    assert "Masks: matched 12 of 12 images" in words(app) and not app.error


def test_masks_and_boxes_reach_the_training_and_the_audit(runs: Path, data: Path) -> None:
    app = fill(open_page(PAGE), csv=data / "set", boxes=data / "md.json")
    app.number_input(key="own_box_confidence").set_value(0.5).run()
    app.button(key="own_open").click().run()
    app.switch_page(MODEL).run()
    assert not app.exception and app.selectbox(key="run").value == "set"
    boxes = next(field for field in app.text_input if field.label == "Box files")
    assert boxes.value == str(data / "md.json")
    next(box for box in app.selectbox if box.label == "Remedy").set_value("crop")
    next(button for button in app.button if button.label == "Train").click().run()
    given = command(runs / "set")
    assert given[given.index("--boxes") + 1] == str(data / "md.json")
    assert given[given.index("--box-confidence") + 1] == "0.5" and given[given.index("--remedy") + 1] == "crop"
    app = open_page(MODEL, run="set")
    next(button for button in app.button if button.label == "Train").click().run()
    assert not {"--boxes", "--audit"} & set(command(runs / "set"))  # no remedy reads them, and they stay with the run
    app = open_page(MODEL, run="set")
    next(button for button in app.button if button.label == "Train and audit").click().run()
    given = command(runs / "set")
    assert given[given.index("--boxes") + 1] == str(data / "md.json") and "--audit" in given
    demo, mine = open_run(runs / "demo"), open_run(runs / "set")
    shutil.copytree(demo.path / "model", mine.path / "model")
    mine.update(classes=("beluga", "orca"), network=demo.manifest.network, model_sha256=demo.manifest.model_sha256)
    app = open_page(MODEL, run="set")
    next(button for button in app.button if button.label == "Audit").click().run()
    assert not app.exception
    given = command(runs / "set")
    assert given[3:5] == ["audit", str(runs / "set")]
    assert given[given.index("--boxes") + 1] == str(data / "md.json")
    assert given[given.index("--box-confidence") + 1] == "0.5"


def test_uploads_lie_where_the_environment_says(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_data.uploads_folder() == (runs / "uploads").resolve()
    monkeypatch.setenv("WHALECAM_UPLOADS", str(tmp_path / "elsewhere"))
    assert own_data.uploads_folder() == tmp_path / "elsewhere"
