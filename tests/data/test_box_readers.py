"""Readers of box formats: one contract over the registry, and what is peculiar to each."""

import json
import math
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cases import case
from tests.data.box_files import WRITERS, coco_content, table, written
from whalecam.config import MaskOptions
from whalecam.data import read_boxes
from whalecam.data.boxes import COLUMNS, part_of
from whalecam.data.outlines import Polygons, Runs, coco_runs, filled
from whalecam.data.readers import boxes as registry
from whalecam.data.readers import registered
from whalecam.data.readers.boxes import BOX_READERS, Box, BoxContents, Source, read_source
from whalecam.errors import DatasetError

WIDTH, HEIGHT = 48, 32
BOXES = {"a.jpg": [(12.0, 6.0, 40.0, 16.0)], "b.jpg": [(1.0, 2.0, 9.0, 30.0), (20.0, 3.0, 24.0, 8.0)]}
CORNERS = ["x1", "y1", "x2", "y2"]


# The contract of the registry


def test_every_reader_has_a_writer() -> None:
    assert list(WRITERS) == list(BOX_READERS)


@pytest.mark.parametrize("name", BOX_READERS)
def test_a_reader_gives_back_what_was_written(name: str, tmp_path: Path) -> None:
    path = WRITERS[name](tmp_path, BOXES, WIDTH, HEIGHT)
    result = read_boxes([path])
    rows, expected = result.rows, [box for several in BOXES.values() for box in several]
    assert [Path(image).stem for image in rows["image"]] == ["a", "b", "b"]
    scale = np.where(rows["relative"].to_numpy(bool)[:, None], [[WIDTH, HEIGHT, WIDTH, HEIGHT]], 1)
    assert rows[CORNERS].to_numpy(float) * scale == pytest.approx(np.array(expected))
    assert set(rows["kind"]) == {"body"} and set(COLUMNS) <= set(rows.columns)
    assert result.refused == result.unused == ()
    assert result.read_as[0].startswith(f"{path.name}: ") and all(rows["where"] != "")


@pytest.mark.parametrize("name", BOX_READERS)
def test_only_the_reader_of_a_format_or_those_after_it_take_a_file(name: str, tmp_path: Path) -> None:
    source = Source(WRITERS[name](tmp_path, BOXES, WIDTH, HEIGHT))
    takers = [other for other, reader in BOX_READERS.items() if reader(source) is not None]
    assert takers[0] == name and set(takers) <= {name, "table"}


@pytest.mark.parametrize("name", ["MegaDetector", "Label Studio", "FiftyOne", "COCO", "CVAT"])
def test_a_cut_off_file_is_refused_in_words(name: str, tmp_path: Path) -> None:
    path = WRITERS[name](tmp_path, BOXES, WIDTH, HEIGHT)
    path.write_text(path.read_text()[:-20])
    with pytest.raises(DatasetError, match="cannot be read as"):
        read_boxes([path])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 300) | st.floats() | st.sampled_from(["", "a.jpg", "1", "Detections"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("images", "annotations", "file", "file_name", "detections", "bbox", "category", "conf", "id"),
                    *("image_id", "segmentation", "counts", "size", "data", "result", "value", "type", "points"),
                    *("samples", "labels", "classes", "_cls", "predictions", "filepath", "info", "image", "x", "y"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@given(content=st.lists(JSON, max_size=3) | st.dictionaries(st.sampled_from(["images", "samples", "labels"]), JSON))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_reader_fails_on_strange_json(content: Any, tmp_path: Path) -> None:
    path = written(tmp_path / "x.json", json.dumps(content))
    try:
        rows = read_boxes([path]).rows
    except DatasetError as error:
        assert "\n" not in str(error)
    else:
        assert np.isfinite(rows[CORNERS].to_numpy(float)).all()


@pytest.mark.parametrize(
    "text",
    ["<annotations><image><box/></image></annotations>", "<annotation><object/></annotation>", "<a/>", "<a", "<"],
)
def test_no_reader_fails_on_strange_xml(text: str, tmp_path: Path) -> None:
    try:
        assert read_boxes([written(tmp_path / "x.xml", text)]).rows.empty
    except DatasetError as error:
        assert "x.xml" in str(error)


@pytest.mark.parametrize("root", ["annotation", "annotations"])
def test_entities_of_xml_are_refused(root: str, tmp_path: Path) -> None:
    text = f'<!DOCTYPE {root} [<!ENTITY a "b"><!ENTITY c SYSTEM "file:///etc/passwd">]><{root}>&a;&c;</{root}>'
    with pytest.raises(DatasetError, match="document type"):
        read_boxes([written(tmp_path / "x.xml", text)])


@pytest.mark.parametrize("text", ["{}", "[]", '{"images": []}', "image,left,top\na.jpg,1,2\n", "<svg/>"])
def test_another_file_is_refused_with_what_it_has(text: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"x.txt is not a box file. WhaleCAM reads Camtrap DP, table, Mega"):
        read_boxes([written(tmp_path / "x.txt", text)])


def test_what_is_missing_or_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="The folder is empty"):
        read_boxes([tmp_path / "empty"])
    with pytest.raises(DatasetError, match="cannot be read"):
        read_boxes([tmp_path / "gone.csv"])


def own_reader(source: Source) -> BoxContents | None:
    """A reader that another package brings."""
    if source.path.suffix != ".own":
        return None
    return BoxContents(format="own", boxes=[Box(source.lines[1], (1, 2, 30, 40), "line 2")], units="pixels")


def test_other_packages_add_readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("Own", "tests.data.test_box_readers:own_reader", registry.ENTRY_POINTS)
    monkeypatch.setattr(registered, "entry_points", lambda group: EntryPoints([point]).select(group=group))
    contents = read_source(Source(written(tmp_path / "x.own", "OWN,1\na.jpg\n")))
    assert contents.format == "own" and contents.boxes[0].image == "a.jpg"


def test_several_files_stand_one_below_the_other(tmp_path: Path) -> None:
    paths = [WRITERS[name](tmp_path / name, BOXES, WIDTH, HEIGHT) for name in ("COCO", "table")]
    result = read_boxes(paths)
    assert result.rows["source"].tolist() == ["coco.json"] * 3 + ["boxes.csv"] * 3
    assert len(result.read_as) == 2


# Tables


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("filename,xmin,ymin,xmax,ymax", "a.jpg,10,20,40,60"),
        ("Image,X1,Y1,X2,Y2", "a.jpg,10,20,40,60"),
        ("image,left,top,width,height", "a.jpg,10,20,30,40"),
        ("image_path,left,top,right,bottom", "a.jpg,10,20,40,60"),
        ("file_name,x,y,width,height", "a.jpg,10,20,30,40"),
        ("ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax", "a.jpg,x,/m/1,1,10,40,20,60"),
        ("filePath,bboxX,bboxY,bboxWidth,bboxHeight", "a.jpg,10,20,30,40"),
        ("img,bbox_x1,bbox_y1,bbox_x2,bbox_y2", "a.jpg,10,20,40,60"),
        ("image,x_center,y_center,w,h", "a.jpg,25,40,30,40"),
        ("image,bbox_xywh", 'a.jpg,"[10, 20, 30, 40]"'),
        ("image,bbox_xyxy", 'a.jpg,"(10 20 40 60)"'),
        ("filename,width,height,class,xmin,ymin,xmax,ymax", "a.jpg,160,120,orca,10,20,40,60"),
        ("relative_path,px_xmin,px_ymin,px_xmax,px_ymax", "a.jpg,10,20,40,60"),
        ("image,minx,miny,maxx,maxy", "a.jpg,10,20,40,60"),
    ],
)
def test_the_names_of_columns_that_people_use(header: str, row: str, tmp_path: Path) -> None:
    rows = read_boxes([written(tmp_path / "b.csv", f"{header}\n{row}\n")]).rows
    assert rows["image"].tolist() == ["a.jpg"]
    assert rows[CORNERS].to_numpy(float).tolist() == [[10, 20, 40, 60]]
    assert rows["relative"].tolist() == [False]
    assert rows[["stated_width", "stated_height"]].to_numpy().tolist() == [[160, 120] if "class" in header else [0, 0]]


@pytest.mark.parametrize("form", ["x1_pct,y1_pct,x2_pct,y2_pct", "percent_xmin,percent_ymin,percent_xmax,percent_ymax"])
def test_percent_by_the_names_of_columns(form: str, tmp_path: Path) -> None:
    rows = read_boxes([written(tmp_path / "b.csv", f"image,{form}\na.jpg,10,20,40,60\n")]).rows
    assert rows[CORNERS].to_numpy(float)[0] == pytest.approx([0.1, 0.2, 0.4, 0.6])
    assert rows["relative"].tolist() == [True]


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        (["[70, 18, 53, 40]", "[5, 6, 53, 40]"], [70, 18, 123, 58]),
        (["[0.4, 0.2, 0.9, 0.5]", "[0.5, 0.1, 0.7, 0.9]"], [0.4, 0.2, 0.9, 0.5]),
        (["[10, 20, 40, 60]", "[1, 2, 4, 6]"], None),
    ],
)
def test_lists_of_four_are_read_where_they_show_what_they_are(
    lists: list[str], expected: list[float] | None, tmp_path: Path
) -> None:
    path = written(tmp_path / "b.csv", "image,bbox\n" + "".join(f'a.jpg,"{text}"\n' for text in lists))
    if expected is None:
        with pytest.raises(DatasetError, match="Call the column bbox_xyxy or bbox_xywh"):
            read_boxes([path])
    else:
        assert read_boxes([path]).rows[CORNERS].to_numpy(float)[0] == pytest.approx(expected)


def test_columns_of_the_box_are_not_the_size_of_the_image(tmp_path: Path) -> None:
    text = "image,xmin,ymin,xmax,ymax,width,height\na.jpg,10,20,40,60,30,40\n"
    rows = read_boxes([written(tmp_path / "b.csv", text)]).rows
    assert rows[["stated_width", "stated_height"]].to_numpy().tolist() == [[0, 0]]


@given(
    boxes=st.lists(
        st.tuples(st.integers(0, 300), st.integers(0, 300), st.integers(1, 300), st.integers(1, 300)),
        min_size=1,
        max_size=12,
    ),
    units=st.sampled_from(["pixels", "shares", "mixed"]),
    layout=st.sampled_from(["x1,y1,x2,y2", "x,y,w,h", "xmin,ymin,xmax,ymax", "left,top,width,height"]),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_units_are_those_of_all_rows_or_the_file_is_refused(
    boxes: list[tuple[int, int, int, int]], units: str, layout: str, tmp_path: Path
) -> None:
    """Whole pixels of images of 601 × 601, shares of them, or a row of shares among pixels."""
    is_sized = layout.endswith(("h", "height"))
    corners = [(x, y, x + w, y + h) for x, y, w, h in boxes]
    values = [np.array(box if is_sized else corner, float) for box, corner in zip(boxes, corners, strict=True)]
    if units == "shares":
        values = [row / 601 for row in values]
    elif units == "mixed":
        values = [np.array([10, 20, 30, 40.0]), values[0] / 601, *values]
    text = "".join(f"a.jpg,{','.join(map(repr, map(float, row)))}\n" for row in values)
    path = written(tmp_path / "b.csv", f"image,{layout}\n{text}")
    if units == "mixed":
        with pytest.raises(DatasetError, match=r"b.csv mixes units: line 3 \(.*line 2 \(10, 20, "):
            read_boxes([path])
        return
    rows = read_boxes([path]).rows
    in_pixels = max(max(corner[2:]) for corner in corners) > 2
    assert set(rows["relative"]) == {units == "shares" or (not in_pixels and corners[0] == (0, 0, 1, 1))}
    scale = 601 if units == "shares" else 1
    assert rows[CORNERS].to_numpy(float) * scale == pytest.approx(np.array(corners, float))


def test_units_can_be_stated(tmp_path: Path) -> None:
    path = written(tmp_path / "b.csv", "image,x1,y1,x2,y2\na.jpg,10,20,40,60\na.jpg,0.2,0.1,0.9,0.8\n")
    for units, expected in (("percent", [0.1, 0.2, 0.4, 0.6]), ("pixels", [10, 20, 40, 60])):
        rows = read_boxes([path], MaskOptions(box_units=units)).rows
        assert rows[CORNERS].to_numpy(float)[0] == pytest.approx(expected)
        assert rows["units_stated"].all()
    with pytest.raises(DatasetError, match="There are no box units 'feet'"):
        read_boxes([path], MaskOptions(box_units="feet"))
    small = written(tmp_path / "c.csv", "image,x1,y1,x2,y2\na.jpg,0.2,0.1,0.9,0.8\n")
    with pytest.raises(DatasetError, match="no box reaches beyond 1"):
        read_boxes([small], MaskOptions(box_units="pixels"))


def test_confidences_of_a_table_count(tmp_path: Path) -> None:
    path = written(
        tmp_path / "b.csv", "image,x1,y1,x2,y2,score\na.jpg,1,1,9,9,0.5\nb.jpg,1,1,9,9,0.1\nc.jpg,1,1,9,9,\n"
    )
    result = read_boxes([path])
    assert result.rows["image"].tolist() == ["a.jpg", "c.jpg"] and result.unused == ("b.jpg",)
    assert result.refused == ("b.csv: 1 of 3 boxes are below the confidence 0.2 (--box-confidence)",)
    assert result.read_as == ("b.csv: table, in pixels, confidence from 0.2 on.",)
    assert len(read_boxes([path], MaskOptions(box_confidence=0)).rows) == 3
    assert read_boxes([path], MaskOptions(box_confidence=0.6)).rows["image"].tolist() == ["c.jpg"]


def test_rows_without_a_box_are_counted(tmp_path: Path) -> None:
    result = read_boxes([written(tmp_path / "b.csv", "image,x1,y1,x2,y2\na.jpg,1,1,9,9\nb.jpg,,,,\n")])
    assert result.refused == ("b.csv: 1 of 2 boxes have no box",)


@pytest.mark.parametrize(
    ("label", "part"),
    [
        ("fin", "fin"),
        ("Dorsal Fin", "fin"),
        ("fluke", "fluke"),
        ("fin_whale", "body"),
        ("dolphin", "body"),
        ("", "body"),
    ],
)
def test_a_fin_whale_is_no_fin(label: str, part: str) -> None:
    assert part_of(label) == part


# MegaDetector and SpeciesNet


def test_the_case_of_megadetector() -> None:
    result = read_boxes([case("10-megadetector-json") / "md.json"])
    assert len(result.rows) == 8 and set(result.rows["confidence"]) == {0.93}
    assert result.refused == (
        "md.json: 8 of 24 boxes show person, not an animal",
        "md.json: 8 of 24 boxes are below the confidence 0.2 (--box-confidence)",
    )
    assert len(result.unused) == 16
    assert set(result.rows["orientation"]) == {"upright"}, "the file names its detector"


def detection(**changes: object) -> dict[str, object]:
    return {"category": "1", "conf": 0.9, "bbox": [0.1, 0.2, 0.3, 0.4], **changes}


def test_species_net_is_upright_and_names_people(tmp_path: Path) -> None:
    several = [detection(label="animal"), detection(category="2", label="human"), detection(conf=0.05)]
    content = {"predictions": [{"filepath": "/x/a.jpg", "detections": several}, {"filepath": "b.jpg", "failures": []}]}
    result = read_boxes([written(tmp_path / "p.json", json.dumps(content))])
    assert result.rows["image"].tolist() == ["/x/a.jpg"] and result.rows["orientation"].tolist() == ["upright"]
    assert len(result.unused) == 2 and "show person, not an animal" in result.refused[0]


@pytest.mark.parametrize(
    ("info", "orientation"),
    [
        ({"format_version": "1.4"}, "upright"),
        ({"format_version": "1.0"}, ""),
        ({"format_version": "1.0", "detector": "md_v5a.0.0.pt"}, "upright"),
        ({}, ""),
        ("text", ""),
    ],
)
def test_only_current_files_of_megadetector_state_the_orientation(
    info: object, orientation: str, tmp_path: Path
) -> None:
    content = {"info": info, "images": [{"file": "a.jpg", "detections": [detection()]}]}
    assert read_boxes([written(tmp_path / "m.json", json.dumps(content))]).rows["orientation"].tolist() == [orientation]


def test_categories_that_the_file_names_are_used(tmp_path: Path) -> None:
    several = [detection(category="7"), detection(category="8"), detection(category="9")]
    content = {
        "detection_categories": {"7": "whale", "8": "Vehicle"},
        "images": [{"file": "a.jpg", "detections": several}, {"file": "b.jpg", "detections": None, "failure": "x"}],
    }
    result = read_boxes([written(tmp_path / "m.json", json.dumps(content))])
    assert result.rows["kind_raw"].tolist() == ["whale"]
    assert [text.partition("boxes ")[2] for text in result.refused] == [
        "show Vehicle, not an animal",
        "show the category 9, which has no name, not an animal",
    ]


def test_the_newest_writer_has_corners_in_pixels(tmp_path: Path) -> None:
    several = [{"category": "animal", "confidence": 0.9, "bbox": [102.4, 88.1, 540.7, 470.2]}]
    several += [{"category": "person", "confidence": 0.9, "bbox": [1, 1, 9, 9]}]
    result = read_boxes([written(tmp_path / "m.json", json.dumps([{"file": "a.jpg", "detections": several}]))])
    assert result.rows[CORNERS].to_numpy(float).tolist() == [[102.4, 88.1, 540.7, 470.2]]
    assert result.rows["relative"].tolist() == [False]


# COCO


def test_polygons_of_coco_are_outlines(tmp_path: Path) -> None:
    content = coco_content(BOXES, {"width": WIDTH, "height": HEIGHT})
    ring = [12, 6, 40, 6, 40, 16]
    content["annotations"][0]["segmentation"] = [ring]
    content["annotations"][1] = {"image_id": 1, "segmentation": [[1, 2, 9, 2, 9, 30, 1, 30]]}
    content["annotations"].append({"image_id": 1, "category_id": 3})
    content["annotations"].append({"image_id": 9, "bbox": [1, 1, 2, 2]})
    content["annotations"].append({"image_id": 0, "bbox": [1, 1, 2, 2], "segmentation": [[1, 2]]})
    result = read_boxes([written(tmp_path / "c.json", json.dumps(content))])
    assert result.rows["outline"].tolist()[:2] == [Polygons((tuple(ring),)), Polygons(((1, 2, 9, 2, 9, 30, 1, 30),))]
    assert result.rows[CORNERS].to_numpy(float)[1].tolist() == [1, 2, 9, 30], "the bounds of its outline"
    assert [text.partition("boxes ")[2] for text in result.refused] == [
        "have no box",
        "belong to an image that the file does not list",
    ]
    assert result.read_as[1] == "1 boxes have an outline that cannot be read, so their box is used."
    assert "2 with an outline" in result.read_as[0]


def test_run_lengths_of_coco_are_those_of_its_own_library() -> None:
    generator = np.random.default_rng(0)
    for _ in range(40):
        height, width = generator.integers(1, 40, 2)
        truth = generator.random((height, width)) < generator.random()
        encoded = pycocotools.mask.encode(np.asfortranarray(truth.astype(np.uint8)))
        runs = coco_runs(encoded["counts"].decode(), encoded["size"])
        assert runs is not None and np.array_equal(runs.raster(), truth)
        plain = coco_runs(list(runs.counts), [height, width])
        assert plain == runs
        bounds = pycocotools.mask.toBbox(encoded)
        if truth.any():
            x, y, w, h = bounds
            assert runs.bounds() == (x, y, x + w, y + h)
        else:
            assert all(map(math.isnan, runs.bounds()))


@pytest.mark.parametrize(
    ("counts", "size"),
    [
        ([1, 2], [2, 2]),
        ("zz~", [2, 2]),
        (None, [2, 2]),
        ([4], [2]),
        ([], [0, 0]),
        ([-1, 5], [2, 2]),
        ([1e9], [1e9, 1e9]),
    ],
)
def test_run_lengths_that_do_not_fill_their_rectangle_are_none(counts: Any, size: Any) -> None:
    assert coco_runs(counts, size) is None


def test_run_lengths_state_the_size_of_their_image_or_are_broken(tmp_path: Path) -> None:
    runs = {"counts": [2, 2, 2], "size": [2, 3]}
    annotations = [{"image_id": 1, "segmentation": runs}, {"image_id": 2, "segmentation": runs, "bbox": [1, 1, 2, 2]}]
    images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg", "width": 30, "height": 30}]
    path = written(tmp_path / "c.json", json.dumps({"images": images, "annotations": annotations}))
    result = read_boxes([path])
    assert result.rows["outline"].notna().tolist() == [True, False]
    assert result.rows[["stated_width", "stated_height"]].to_numpy().tolist() == [[3, 2], [30, 30]]
    assert "1 boxes have an outline that cannot be read" in " ".join(result.read_as)


def test_results_of_coco_without_images_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "r.json", json.dumps([{"image_id": 3, "bbox": [1, 2, 3, 4], "score": 0.5}]))
    with pytest.raises(DatasetError, match="Give the COCO file that lists the images"):
        read_boxes([path])


# Outlines


@given(
    ring=st.lists(st.tuples(st.floats(-5, 25), st.floats(-5, 20)), min_size=3, max_size=8),
    shape=st.tuples(st.integers(1, 15), st.integers(1, 20)),
)
@settings(max_examples=200, deadline=None)
def test_a_pixel_is_inside_where_a_ray_from_its_centre_crosses_the_ring_an_odd_number_of_times(
    ring: list[tuple[float, float]], shape: tuple[int, int]
) -> None:
    inside_of = filled(np.array(ring), shape)
    for row in range(shape[0]):
        for column in range(shape[1]):
            x, y, inside = column + 0.5, row + 0.5, False
            for (x1, y1), (x2, y2) in zip(ring, [*ring[1:], ring[0]], strict=True):
                if (y1 <= y) != (y2 <= y):
                    crossing = x1 + (y - y1) * (x2 - x1) / (y2 - y1)
                    if abs(crossing - x) < 1e-9:
                        break
                    inside ^= crossing < x
            else:
                assert inside_of[row, column] == inside


def test_run_lengths_along_rows_lie_where_their_rectangle_does() -> None:
    runs = Runs((1, 2, 1, 2), 3, 2, left=4, top=1, is_down_first=False)
    expected = np.zeros((4, 8), bool)
    expected[1:3, 4:7] = [[False, True, True], [False, True, True]]
    assert np.array_equal(runs.drawn(8, 4, (4, 8)), expected)
    assert runs.bounds() == (5, 1, 7, 3)
    assert np.array_equal(runs.drawn(8, 4, (8, 16)), np.kron(expected, np.ones((2, 2), bool)))


# YOLO, VOC and CVAT


def test_yolo_takes_folders_confidences_polygons_and_empty_files(tmp_path: Path) -> None:
    home = tmp_path / "set" / "labels"
    written(home / "train" / "a.txt", "1 0.5 0.5 0.2 0.4 0.9\n1 0.5 0.5 0.2 0.4 0.1\n0 0.1 0.1 0.5 0.1 0.5 0.9\n")
    written(home / "val" / "b.txt", "")
    written(home.parent / "classes.txt", "orca\nbeluga\n")
    result = read_boxes([home.parent])
    assert result.rows["image"].tolist() == ["train/a", "train/a"]
    assert result.rows["kind_raw"].tolist() == ["beluga", "orca"]
    assert result.rows[CORNERS].to_numpy(float) == pytest.approx(np.array([[0.4, 0.3, 0.6, 0.7], [0.1, 0.1, 0.5, 0.9]]))
    assert result.rows["outline"].tolist()[1] == Polygons(((0.1, 0.1, 0.5, 0.1, 0.5, 0.9),))
    written(home / "train" / "c.txt", "hello world\n")
    with pytest.raises(DatasetError, match=r"labels/train/c.txt is not a YOLO file: .* It has: hello world"):
        read_boxes([home.parent])


def test_one_file_of_voc_is_enough() -> None:
    result = read_boxes([case("10-megadetector-json") / "p00.xml"])
    assert result.rows["image"].tolist() == ["p00.jpg"]
    assert result.rows[[*CORNERS, "stated_width", "stated_height"]].to_numpy(float).tolist() == [
        [20, 20, 70, 60, 160, 120]
    ]


def test_shapes_of_cvat(tmp_path: Path) -> None:
    text = (
        '<annotations><image name="a.jpg" width="48" height="32">'
        '<polygon label="orca" points="1,2;9,2;9,30;1,30"/>'
        '<mask label="orca" rle="1, 2, 1, 2" left="4" top="1" width="3" height="2"/>'
        '<box label="orca" xtl="10" ytl="10" xbr="30" ybr="20" rotation="90"/>'
        '<ellipse label="orca" cx="20" cy="10" rx="8" ry="4"/>'
        '<points label="eye" points="1,2"/><polyline label="x" points="1,2;3,4"/><tag label="sea"/>'
        '<polygon label="orca" points="1,2"/>'
        "</image></annotations>"
    )
    result = read_boxes([written(tmp_path / "x.xml", text)])
    expected = [[1, 2, 9, 30], [5, 1, 7, 3], [15, 5, 25, 25], [12, 6, 28, 14]]
    assert result.rows[CORNERS].to_numpy(float) == pytest.approx(np.array(expected), abs=0.01)
    assert [text.partition("boxes ")[2] for text in result.refused] == [
        "are a points, which has no area",
        "are a polyline, which has no area",
        "have no name or no numbers",
    ]
    video = written(tmp_path / "v.xml", '<annotations><track id="0"/></annotations>')
    with pytest.raises(DatasetError, match="Export the job as 'CVAT for images'"):
        read_boxes([video])


# Label Studio, FiftyOne and Camtrap DP


def test_label_studio_takes_short_files_urls_polygons_and_angles(tmp_path: Path) -> None:
    sides = {"original_width": 200, "original_height": 100}
    square = {"x": 50, "y": 20, "width": 10, "height": 20, "rotation": 90, "rectanglelabels": ["orca"]}
    polygon = {"points": [[10, 10], [30, 10], [30, 40]], "polygonlabels": ["orca"]}
    tasks = [
        {
            "data": {"image": "/data/local-files/?d=whales/a%20b.jpg"},
            "annotations": [
                {"result": [{"type": "rectanglelabels", "value": square, **sides}]},
                {"was_cancelled": True, "result": [{"type": "rectanglelabels", "value": square, **sides}]},
            ],
            "predictions": [{"result": [{"type": "rectanglelabels", "value": square}], "score": 0.9}],
        },
        {
            "data": {"photo": "https://example.org/sets/b.jpg?x=1"},
            "annotations": [],
            "predictions": [{"score": 0.1, "result": [{"type": "polygonlabels", "value": polygon}]}],
        },
        {"data": {"image": "c.jpg"}, "annotations": [{"result": [{"type": "brushlabels", "value": {"rle": [1]}}]}]},
    ]
    result = read_boxes([written(tmp_path / "t.json", json.dumps(tasks))], MaskOptions(box_confidence=0))
    assert result.rows["image"].tolist() == ["/whales/a b.jpg", "https://example.org/sets/b.jpg"]
    # 20 × 20 px at (100, 20), turned about its upper left corner: it lies left of it, from 80 to 100 px.
    assert result.rows[CORNERS].to_numpy(float) == pytest.approx(np.array([[0.4, 0.2, 0.5, 0.4], [0.1, 0.1, 0.3, 0.4]]))
    assert result.refused == ("t.json: 1 of 3 boxes are of the type brushlabels, which is not read",)
    tasks = [{"data": {"image": "a.jpg"}, "annotations": [{"result": [turned_region(polygon)]}]}]
    result = read_boxes([written(tmp_path / "r.json", json.dumps(tasks))])
    assert result.refused == ("r.json: 1 of 1 boxes lie in an image that was turned in Label Studio",)
    short = [{"image": "/data/upload/1/0a1b2c3d-d.jpg", "label": [{**square, "rotation": 0, **sides}]}]
    rows = read_boxes([written(tmp_path / "s.json", json.dumps(short))]).rows
    assert rows["image"].tolist() == ["d.jpg"]


def turned_region(polygon: dict[str, object]) -> dict[str, object]:
    return {"type": "polygonlabels", "value": polygon, "image_rotation": 90}


def test_fiftyone_has_one_field_of_boxes_or_the_one_that_is_true(tmp_path: Path) -> None:
    def field(*x: float, **more: object) -> dict[str, object]:
        items = [{"label": "orca", "bounding_box": [left, 0.1, 0.2, 0.3], **more} for left in x]
        return {"_cls": "Detections", "detections": items}

    def written_samples(**fields: object) -> Path:
        return written(tmp_path / "samples.json", json.dumps({"samples": [{"filepath": "/x/a.jpg", **fields}]}))

    lines = {"_cls": "Polylines", "polylines": [{"points": [[[0.1, 0.1], [0.5, 0.1], [0.5, 0.5]]], "closed": True}]}
    assert read_boxes([written_samples(found=field(0.4))]).rows["x1"].tolist() == [0.4]
    both = read_boxes([written_samples(found=field(0.4), ground_truth=field(0.1, 0.2))])
    assert both.rows["x1"].tolist() == [0.1, 0.2]
    assert "Of the fields found, ground_truth, ground_truth is used." in both.read_as
    with pytest.raises(DatasetError, match="boxes in several fields: a, b"):
        read_boxes([written_samples(a=field(0.4), b=field(0.4))])
    assert read_boxes([written_samples(a=lines)]).rows["outline"].notna().all()
    assert "masks inside FiftyOne" in " ".join(read_boxes([written_samples(a=field(0.4, mask={"x": 1}))]).read_as)
    labels = {"classes": ["orca"], "labels": {"a": [{"label": 0, "bounding_box": [0.1, 0.2, 0.3, 0.4]}]}}
    rows = read_boxes([written(tmp_path / "labels.json", json.dumps(labels))]).rows
    assert (rows["image"].tolist(), rows["kind_raw"].tolist()) == (["a"], ["orca"])


def test_camtrap_dp_needs_the_files_of_its_media(tmp_path: Path) -> None:
    header = "mediaID,observationType,bboxX,bboxY,bboxWidth,bboxHeight\n"
    rows = "m1,animal,0.1,0.2,0.3,0.4\nm1,human,0.1,0.2,0.3,0.4\nm2,animal,,,,\n,animal,0.1,0.2,0.3,0.4\n"
    path = written(tmp_path / "observations.csv", header + rows)
    with pytest.raises(DatasetError, match=r"Put media.csv, which has their file paths, beside it"):
        read_boxes([path])
    written(tmp_path / "media.csv", "mediaID,filePath\nm1,media/a.jpg\nm2,media/b.jpg\n")
    written(tmp_path / "datapackage.json", "{}")
    for source in (path, tmp_path, tmp_path / "datapackage.json"):
        result = read_boxes([source])
        assert result.rows["image"].tolist() == ["media/a.jpg"]
        assert [text.partition("boxes ")[2] for text in result.refused] == [
            "are of the type human, not an animal",
            "have no box",
            "have no name or no numbers",
        ]


@pytest.mark.parametrize("name", ["voc.csv", "xywidth.csv", "caps.csv", "camtrapdp.csv", "coco.json", "yolo"])
def test_the_cases_have_the_same_boxes(name: str) -> None:
    folder = case("10-megadetector-json")
    rows = read_boxes([folder / name]).rows
    assert [Path(image).stem for image in rows["image"]] == [f"p0{at}" for at in range(8)]
    truth = read_boxes([folder / "names-stem.csv"]).rows[CORNERS].to_numpy(float)
    scale = np.where(rows["relative"].to_numpy(bool)[:, None], [[160, 120, 160, 120]], 1)
    assert rows[CORNERS].to_numpy(float) * scale == pytest.approx(truth, abs=0.01 * 160)


def test_a_link_out_of_a_folder_is_not_followed(tmp_path: Path) -> None:
    outside = table(tmp_path, BOXES, WIDTH, HEIGHT)
    (tmp_path / "yolo").mkdir()
    (tmp_path / "yolo" / "a.txt").symlink_to(outside)
    with pytest.raises(DatasetError, match="not a box file"):
        read_boxes([tmp_path / "yolo"])
