"""What a training starts from: the network that was chosen, or the fallback that was named, or nothing."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from tests.commandline import whalecam
from tests.tiny import draw, untrained_run
from whalecam import data, network, remedies
from whalecam.config import FALLBACKS, TrainOptions
from whalecam.errors import ModelError
from whalecam.network import pretrained, training
from whalecam.remedies.retraining import _options
from whalecam.store.run import open_run

NOWHERE = "hub.invalid"  # a name that RFC 2606 keeps from ever resolving
NEVER = "lcnet_035"
"""A small network of which timm has no pretrained weights, with a hub or without."""
PLAIN: dict[str, Any] = {"seed": None, "fallback": None, "region": "mask", "weight": None}
"""What `retrain` is given where nobody gives it any of these options."""


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No hub in reach and nothing in torch's cache; returns the folder of that cache."""
    for family in ("torchvision", "timm"):
        monkeypatch.setitem(pretrained.HUBS, family, NOWHERE)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "hub" / "checkpoints"


class TestStartingPoint:
    def test_what_was_chosen_where_its_weights_are_there(self, no_hub: Path) -> None:
        for arch in ("efficientnet_lite0", "efficientnet_lite0_fine"):
            assert network.starting_point(arch, True, "untrained") == network.Start(arch, True, "")
        assert network.starting_point("resnet18", False) == network.Start("resnet18", False, "")
        assert network.starting_point(NEVER, False) == network.Start(NEVER, False, "")

    @pytest.mark.parametrize("arch", ["resnet18", "resnet18.a1_in1k", NEVER])
    def test_else_nothing_unless_a_fallback_is_named(self, no_hub: Path, arch: str) -> None:
        with pytest.raises(ModelError) as refused:
            network.starting_point(arch, True)
        words = str(refused.value)
        assert all(f"--fallback {name} " in words for name in FALLBACKS) and arch in words and "\n" not in words
        assert (NOWHERE in words) == (arch != NEVER)
        with pytest.raises(ModelError, match=r"cannot be fetched|has no pretrained weights"):
            network.build_body(arch, pretrained=True)

    @pytest.mark.parametrize(
        ("fallback", "start"),
        [("untrained", ("resnet18", False)), ("efficientnet_lite0", ("efficientnet_lite0", True))],
    )
    def test_the_fallback_that_was_named(self, no_hub: Path, fallback: str, start: tuple[str, bool]) -> None:
        found = network.starting_point("resnet18", True, fallback)
        assert (found.arch, found.pretrained) == start
        assert "resnet18" in found.note and NOWHERE in found.note

    def test_weights_of_an_earlier_download_need_no_hub(self, no_hub: Path) -> None:
        torch.manual_seed(0)
        kept = timm.create_model("resnet18", pretrained=False)  # the names and shapes of torchvision's
        no_hub.mkdir(parents=True)
        torch.save(kept.state_dict(), no_hub / "resnet18-f37072fd.pth")
        assert network.missing_weights("resnet18") == ""
        body = network.build_body("resnet18", pretrained=True)
        assert torch.equal(next(body.features.parameters()), kept.get_parameter("conv1.weight"))

    def test_a_broken_download_is_one_sentence(self, no_hub: Path) -> None:
        no_hub.mkdir(parents=True)
        (no_hub / "resnet18-f37072fd.pth").write_bytes(b"half a file")
        with pytest.raises(ModelError, match=r"pretrained weights of resnet18 cannot be loaded: \S"):
            network.build_body("resnet18", pretrained=True)

    def test_unknown_names(self) -> None:
        with pytest.raises(ModelError, match="no fallback 'resnet34'"):
            network.starting_point("resnet18", True, "resnet34")
        with pytest.raises(ModelError, match="No architecture 'resnet1'"):
            network.starting_point("resnet1", True, "untrained")


class TestCommandLine:
    def test_pretrained_without_weights_ends_before_an_image_is_read(self, no_hub: Path, tmp_path: Path) -> None:
        csv, images = draw(tmp_path)
        (images / "0.png").write_bytes(b"broken")  # which would be told, were it read
        done = whalecam("train", csv, images, "--run", tmp_path / "run", "--arch", "resnet18", "--pretrained")
        assert done.returncode == 2 and not (tmp_path / "run").exists()
        assert f"{NOWHERE} is out of reach" in done.stderr and "--fallback untrained" in done.stderr

    def test_a_remedy_is_no_way_around_it(self, no_hub: Path, tmp_path: Path) -> None:
        csv, images = draw(tmp_path)
        run = untrained_run(tmp_path / "run", csv, images)
        options = TrainOptions(arch="resnet18", remedy="crop")
        with pytest.raises(ModelError, match="--fallback"):
            remedies.train(data.open_dataset(csv, images), run, options)
        assert sorted(path.name for path in run.path.iterdir()) == ["run.json"]

    def test_the_run_notes_what_was_asked_for_and_what_was_used(self, tmp_path: Path) -> None:
        csv, images = draw(tmp_path)
        small = ["--epochs", 1, "--size", 32, "--arch", NEVER, "--fallback", "untrained"]
        done = whalecam("train", csv, images, "--run", tmp_path / "run", *small)
        assert done.returncode == 0, done.stderr
        run = open_run(tmp_path / "run")
        asked, used = run.manifest.train, run.manifest.train["used"]
        assert (asked["arch"], asked["pretrained"], asked["fallback"]) == (NEVER, True, "untrained")
        assert (used["arch"], used["pretrained"]) == (NEVER, False) and "no pretrained weights" in used["note"]
        assert run.manifest.network["arch"] == NEVER and run.metrics()["note"] == used["note"]
        assert used["note"] in whalecam("info", tmp_path / "run").stdout
        # Trained again it is the same network, without asking for weights that are not there.
        again = _options(run, "shuffle", PLAIN)
        assert (again.arch, again.pretrained, again.remedy) == (NEVER, False, "shuffle")
        assert training.check_start(replace(again, fallback=None)) == network.Start(NEVER, False, "")


def test_a_run_from_before_that_was_noted_is_trained_again_as_what_it_is(tmp_path: Path) -> None:
    csv, images = draw(tmp_path)
    run = untrained_run(tmp_path / "run", csv, images)
    asked = asdict(TrainOptions(arch="resnet18"))
    del asked["fallback"]
    run.update(train=asked, network={"arch": "efficientnet_lite0"}, classes=("beluga", "orca"))
    again = _options(open_run(run.path), "none", PLAIN | {"seed": 3})
    assert (again.arch, again.pretrained, again.seed) == ("efficientnet_lite0", True, 3)


def test_the_plain_command_trains_a_network_whose_weights_are_there(no_hub: Path) -> None:
    assert training.check_start(TrainOptions()) == network.Start("efficientnet_lite0", True, "")


def test_a_size_that_leaves_no_position_is_refused_before_training() -> None:
    with pytest.raises(ModelError, match="'resnet10t' cannot be used at 0 px"):
        training.check_start(TrainOptions(arch="resnet10t", pretrained=False, size=0))
