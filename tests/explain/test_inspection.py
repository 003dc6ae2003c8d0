"""What a checkpoint is recognized as before it is used, and that it is then used as it was recognized."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st

import whalecam as wc
from tests.commandline import whalecam
from tests.tiny import LABELS, draw, untrained_run
from whalecam.config import EXACTNESS, RESIZES
from whalecam.errors import ModelError, RunError
from whalecam.explain import cam
from whalecam.network import from_spec
from whalecam.store.checkpoint_record import CheckpointRecord, Given, read_record, save_record
from whalecam.store.run import Run, open_run

SIDE = 64


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return untrained_run(tmp_path / "run", *draw(tmp_path))


def resnet(path: Path, classes: int = 2, **more: Any) -> Path:
    torch.manual_seed(0)
    network = torchvision.models.resnet18(num_classes=classes)
    torch.save({"state_dict": network.state_dict(), **more}, path)
    return path


PADDED = {"arch": "resnet18", "resize": "pad", "classes": "a, b"}


def inspected(path: Path, *words: object) -> dict[str, Any]:
    done = whalecam("inspect", path, *words, "--json")
    assert done.returncode == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def test_a_network_of_torchvision_is_recognized_and_nothing_is_loaded(run: Run, tmp_path: Path) -> None:
    path = resnet(tmp_path / "w.pth")
    facts = inspected(path, "--run", run.path, "--arch", "resnet18", "--size", SIDE, "--save", run.checkpoint_record)
    known = {"arch": "resnet18", "size": SIDE, "resize": "squish", "exactness": "exact", "was_cut": True}
    assert {name: facts[name] for name in known} == known
    assert facts["classes"] == facts["labels"] == list(LABELS) and facts["positions"] == [2, 2]
    assert facts["mean"] == [0.485, 0.456, 0.406] and facts["unexplained"] < 1e-5
    assert facts["given"] == {"arch": "resnet18", "size": SIDE, "resize": None, "classes": None}
    assert facts["sentences"] == [
        "Architecture: resnet18.",
        "Classes: 2, in the order of the outputs: beluga, orca.",
        "Labels: 2 of 2 labels of the data set are classes of the network.",
        "Preprocessing: an image is squeezed to a square of 64 px, by a bilinear filter; mean 0.485, 0.456, 0.406, "
        "standard deviation 0.229, 0.224, 0.225.",
        f"Maps: exact. {EXACTNESS['exact']}",
        "Cut: its two parts give the logits of the whole network; maps of 2 × 2 positions leave less than 0.1\u00a0% "
        "of the largest logit open, on test images.",
    ]
    assert not open_run(run.path).trained and not (run.path / "model").exists()
    record = read_record(run.checkpoint_record)
    assert record is not None and list(record.sentences) == facts["sentences"] and not record.is_changed
    assert whalecam("inspect", path, "--run", run.path, "--size", SIDE).stdout.splitlines() == facts["sentences"]


def test_what_it_leaves_open_is_measured_as_the_maps_themselves_show(run: Run, tmp_path: Path) -> None:
    path = resnet(tmp_path / "w.pth")
    facts = inspected(path, "--run", run.path, "--size", SIDE)
    assert (
        whalecam(
            "train",
            run.manifest.dataset.csv,
            run.manifest.dataset.images,
            "--run",
            run.path,
            "--checkpoint",
            path,
            "--size",
            SIDE,
        ).returncode
        == 0
    )
    stored = open_run(run.path)
    network = from_spec(stored.manifest.network, stored.load_checkpoint())
    images = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        evidence = cam.explain(network.head, network.features(images))
        rest = (evidence.maps.sum((2, 3)) + evidence.bias - evidence.logits).abs().max()
    assert tuple(evidence.maps.shape[2:]) == tuple(facts["positions"])
    assert float(rest) < 1e-4 and facts["unexplained"] < 1e-5
    assert (facts["arch"], tuple(facts["classes"])) == (stored.manifest.network["arch"], stored.manifest.classes)


def test_classes_of_the_file_that_are_no_labels_are_counted(run: Run, tmp_path: Path) -> None:
    path = resnet(tmp_path / "w.pth", classes=3, class_names=["orca", "minke", "fin"])
    facts = inspected(path, "--run", run.path, "--size", SIDE)
    assert facts["classes"] == ["orca", "minke", "fin"]
    assert facts["sentences"][2] == (
        "Labels: 1 of 2 labels of the data set are classes of the network; it cannot predict beluga, so their images "
        "count as wrong."
    )
    assert "As the file says: classes." in facts["sentences"][-1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--arch", "resnet34"), "do not fit resnet34"),
        (("--arch", "resnet1"), "No architecture 'resnet1'"),
        (("--classes", "a,b,c"), "has 2 outputs, but 3 classes are named. Name its classes in order."),
        (("--classes", "a,a"), "The class 'a' is named twice"),
    ],
)
def test_a_network_found_wrong_says_what_to_do(run: Run, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    path = resnet(tmp_path / "w.pth")
    done = whalecam("inspect", path, "--run", run.path, "--save", run.checkpoint_record, *words)
    assert done.returncode == 2 and message in done.stderr and not done.stdout
    assert read_record(run.checkpoint_record) is None


def test_files_that_are_no_checkpoint_are_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "no.safetensors").write_bytes(b"no weights")
    torch.save(torchvision.models.resnet18(num_classes=2), tmp_path / "module.pkl")
    broken = torchvision.models.resnet18(num_classes=2)
    torch.nn.init.constant_(broken.fc.weight, float("nan"))
    torch.save(broken.state_dict(), tmp_path / "nan.pth")
    for name, message in {
        "no.safetensors": "is not a checkpoint that can be read",
        "module.pkl": "is a pickle and could run code",
        "nan.pth": "has weights that are NaN or infinite",
        "gone.pth": "There is no file",
    }.items():
        done = whalecam("inspect", tmp_path / name, "--run", run.path)
        assert done.returncode == 2 and message in done.stderr and name in done.stderr, name


def test_load_and_audit_in_one_go_reads_the_boxes(run: Run, tmp_path: Path) -> None:
    rows = "".join(f"{number}.png,10,10,30,30\n" for number in range(6))
    (tmp_path / "boxes.csv").write_text("image,x1,y1,x2,y2\n" + rows)
    data = (run.manifest.dataset.csv, run.manifest.dataset.images, "--run", run.path)
    words = ("train", *data, "--checkpoint", resnet(tmp_path / "w.pth"), "--size", SIDE)
    refused = whalecam(*words, "--boxes", tmp_path / "boxes.csv")
    assert refused.returncode == 2 and "Add --remedy or --audit" in refused.stderr and not open_run(run.path).trained
    done = whalecam(*words, "--boxes", tmp_path / "boxes.csv", "--audit", "--json")
    assert done.returncode == 0, done.stderr
    facts: Mapping[str, Any] = json.loads(done.stdout)
    assert (facts["exactness"], facts["audit"]["images"], facts["audit"]["new"]) == ("exact", 8, 8)
    assert facts["audit"]["joins"]["boxes"]["matched"] == 6
    assert open_run(run.path).manifest.audit["boxes"] == [str(tmp_path / "boxes.csv")]
    assert open_run(run.path).mask_sources()["boxes"] == 6


def test_train_and_audit_in_one_go(run: Run, tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text("image,x1,y1,x2,y2\n0.png,10,10,30,30\n")
    data = (run.manifest.dataset.csv, run.manifest.dataset.images, "--run", run.path)
    words = ("train", *data, "--recipe", "linear-probe", "--no-pretrained", "--arch", "resnet18", "--size", SIDE)
    done = whalecam(*words, "--boxes", tmp_path / "boxes.csv", "--audit")
    assert done.returncode == 0, done.stderr
    assert "boxes: matched 1 of 8 images" in done.stdout and len(open_run(run.path).audited()) == 8
    assert open_run(run.path).manifest.train["remedy"] == "none" and open_run(run.path).mask_sources()["boxes"] == 1


RECORD = CheckpointRecord(
    checkpoint="/w.pth",
    stamp=1,
    given=Given(),
    arch="resnet18",
    classes=("a", "b"),
    size=64,
    resize="squish",
    mean=(0.5, 0.5, 0.5),
    std=(1.0, 1.0, 1.0),
    exactness="none",
    positions=None,
    unexplained=None,
    was_cut=False,
)


@given(
    classes=st.lists(st.text(min_size=1), min_size=1, max_size=9, unique=True).map(tuple),
    labels=st.lists(st.text(min_size=1), max_size=9, unique=True).map(tuple),
    exactness=st.sampled_from(sorted(EXACTNESS)),
    resize=st.sampled_from(RESIZES),
    positions=st.none() | st.tuples(st.integers(1, 9), st.integers(1, 9)),
    unexplained=st.floats(0, 1),
)
def test_a_record_is_read_as_it_was_saved(tmp_path_factory: pytest.TempPathFactory, **values: Any) -> None:
    path = tmp_path_factory.mktemp("record") / "checkpoint.json"
    record = replace(RECORD, **values)
    save_record(record, path)
    assert read_record(path) == record
    assert record.unknown_labels == tuple(label for label in values["labels"] if label not in set(values["classes"]))
    assert len(record.sentences) == (6 if values["labels"] else 5) and record.is_changed


def test_a_file_that_is_no_record_is_an_error(tmp_path: Path) -> None:
    assert read_record(tmp_path / "nothing.json") is None
    (tmp_path / "half.json").write_text(json.dumps({**asdict(RECORD), "extra": 1}))
    with pytest.raises(RunError, match="is not a record of a checkpoint"):
        read_record(tmp_path / "half.json")
    assert "no positions before its logits" in RECORD.sentences[-1]


def test_python_recognizes_the_same_as_the_command_line(run: Run, tmp_path: Path) -> None:
    path = resnet(tmp_path / "w.pth")
    for words, options in (((), {}), (("--arch", "resnet18", "--resize", "pad", "--classes", "a, b"), PADDED)):
        record = wc.inspect(path, labels=LABELS, size=SIDE, **options)
        facts = inspected(path, "--run", run.path, "--size", SIDE, *words)
        assert json.loads(json.dumps(asdict(record) | {"sentences": record.sentences})) == facts
    listed = wc.inspect(str(path), size=SIDE, classes=["a", "b"])
    assert listed.classes == ("a", "b") and listed.labels == () and listed.size == SIDE


def test_python_refuses_what_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"There is no file .*no\.pth\. Give the path of a checkpoint"):
        wc.inspect(tmp_path / "no.pth")
    with pytest.raises(ModelError, match="has 2 outputs, but 3 classes are named"):
        wc.inspect(resnet(tmp_path / "w.pth"), classes=("a", "b", "c"), size=SIDE)
