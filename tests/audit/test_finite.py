"""Weights and logits that are NaN or infinite: refused, or a row with a reason; never scored."""

import math
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from tests.commandline import whalecam
from tests.conftest import ROOT
from tests.tiny import LABELS, draw, untrained_run
from whalecam import network
from whalecam.audit import run_audit
from whalecam.audit.precision import check_answers
from whalecam.config import AuditOptions, Thresholds, TrainOptions
from whalecam.data import open_dataset, read_sample
from whalecam.data.geometry import to_input
from whalecam.errors import ModelError
from whalecam.explain import background_test, cam
from whalecam.explain.background_test.backgrounds import Scene
from whalecam.explain.explainer import NOT_FINITE, Explainer
from whalecam.explain.masks import MaskSources
from whalecam.network import Network, training
from whalecam.store.run import Run, open_run
from whalecam.store.table import NO_REVIEWS, Table

CASES = ROOT.parent / "shared" / "cases" / "make" / "checkpoints.py"
TINY = "lcnet_035"
PLAIN = AuditOptions(background_test="none", mask_method="border")


def untrained(arch: str = TINY) -> Network:
    torch.manual_seed(0)
    body = network.build_body(arch, pretrained=False)
    head = network.linear_head(body.channels, len(LABELS)).eval()
    return Network(body.features.eval(), head, arch, LABELS, 32, "squish", body.mean, body.std)


@pytest.fixture
def adopted(tmp_path: Path) -> Run:
    csv, images = draw(tmp_path)
    run = untrained_run(tmp_path / "run", csv, images)
    training.adopt(run, untrained())
    return run


class TestWeights:
    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300])
    @pytest.mark.parametrize("name", ["head.4.weight", "head.2.running_var", "features.conv_stem.weight"])
    @pytest.mark.parametrize("ending", ["pth", "safetensors"])
    def test_one_bad_value_in_any_tensor_is_refused_by_name(
        self, tmp_path: Path, value: float, name: str, ending: str
    ) -> None:
        state = {key: torch.from_numpy(values).clone() for key, values in untrained().tensors().items()}
        state[name] = state[name].double()
        state[name].view(-1)[-1] = value
        path = tmp_path / f"weights.{ending}"
        save_file(state, path) if ending == "safetensors" else torch.save({"model": state}, path)
        with pytest.raises(ModelError, match=rf"weights\.{ending} has weights that are NaN or infinite, in {name}\. "):
            network.load_checkpoint(path, LABELS, arch=TINY, size=32)

    def test_three_of_many_are_named(self) -> None:
        broken = untrained()
        with torch.no_grad():
            for parameter in broken.head.parameters():
                parameter.fill_(math.nan)
            broken.features.get_parameter("conv_stem.weight").fill_(math.inf)
        with pytest.raises(
            ModelError, match=r"in features\.conv_stem\.weight, head\.2\.weight, head\.2\.bias and 1 more"
        ):
            network.check_finite(broken, "It")
        network.check_finite(untrained(), "It")

    def test_counters_that_are_no_floats_and_halves_pass(self, tmp_path: Path) -> None:
        state = {key: torch.from_numpy(values) for key, values in untrained().tensors().items()}
        halves = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
        torch.save(halves, tmp_path / "half.pth")
        assert network.load_checkpoint(tmp_path / "half.pth", LABELS, arch=TINY, size=32).network.classes == LABELS

    def test_the_command_line_refuses_it_and_leaves_no_run(self, tmp_path: Path) -> None:
        csv, images = draw(tmp_path)
        broken = untrained()
        with torch.no_grad():
            broken.head.get_parameter("4.weight")[0, 0] = math.nan
        save_file({key: torch.from_numpy(value) for key, value in broken.tensors().items()}, tmp_path / "n.safetensors")
        verb = ["train", csv, images, "--run", tmp_path / "run", "--checkpoint", tmp_path / "n.safetensors"]
        done = whalecam(*verb, "--arch", TINY, "--size", 32)
        assert done.returncode == 2 and "head.4.weight" in done.stderr and "Traceback" not in done.stderr
        assert not (tmp_path / "run").exists()

    def test_a_run_with_such_weights_is_not_audited(self, adopted: Run) -> None:
        tensors = adopted.load_checkpoint()
        tensors["head.4.weight"][0, 0] = np.nan
        adopted.save_checkpoint(0, tensors, ())
        done = whalecam("audit", adopted.path, "--background-test", "none")
        assert done.returncode == 2 and "head.4.weight" in done.stderr
        assert not open_run(adopted.path).parts()

    def test_a_training_that_diverges_is_refused_and_keeps_the_old_network(self, adopted: Run) -> None:
        before = adopted.load_checkpoint()
        options = TrainOptions(arch=TINY, pretrained=False, epochs=1, size=32, batch=4, lr=1e30, split="random")
        with pytest.raises(ModelError, match=r"trained network has weights that are NaN or infinite, in \S+.*lower"):
            training.train(run_audit.open_data(adopted), adopted, options)
        after = open_run(adopted.path).load_checkpoint()
        assert all(np.array_equal(before[name], after[name]) for name in before)

    def test_the_checkpoint_that_people_have(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        if not CASES.is_file():
            pytest.skip(f"no cases at {CASES}")
        monkeypatch.setattr(sys, "argv", ["checkpoints.py", str(tmp_path)])
        runpy.run_path(str(CASES), run_name="__main__")
        with pytest.raises(ModelError, match=r"nan\.pth has weights that are NaN or infinite, in fc\.weight\. "):
            network.load_checkpoint(tmp_path / "nan.pth", LABELS, arch="resnet18")


class Picky(nn.Module):
    """A body that gives `value` everywhere for images whose mean is above a limit."""

    def __init__(self, inner: nn.Module, value: float, limit: float) -> None:
        super().__init__()
        self.inner, self.value, self.limit = inner, value, limit

    def forward(self, x: Tensor) -> Tensor:
        bad = x.mean((1, 2, 3), keepdim=True) > self.limit
        return torch.where(bad, torch.full_like(x[:, :1, :1, :1], self.value), self.inner(x))


def picky(value: float, limit: float) -> Network:
    return replace(untrained(), features=Picky(untrained().features, value, limit).eval())


class TestLogits:
    @pytest.mark.parametrize("value", [math.nan, math.inf, 1e38])
    def test_one_image_becomes_a_row_with_a_reason_and_the_rest_goes_on(self, tmp_path: Path, value: float) -> None:
        csv, images = draw(tmp_path)
        Image.new("RGB", (40, 40), "white").save(images / "3.png")
        rows = open_dataset(csv, images).table
        explained = Explainer(picky(value, 1.5), MaskSources(None, None), "border")(rows)
        by_name = {item.row["image"]: item.row for item in explained}
        bad = by_name.pop("3.png")
        assert bad["reason"] == NOT_FINITE
        assert (
            not {"predicted", "confidence", "loss", "background_share", "attention_score", "reliance", "logits", "maps"}
            & bad.keys()
        )
        plain = Explainer(untrained(), MaskSources(None, None), "border")(rows)
        for item in plain:
            if item.row["image"] != "3.png":
                assert item.row["logits"] == by_name[item.row["image"]]["logits"]

    @pytest.mark.parametrize("weight", [3e38, 1e20])
    def test_an_audit_of_which_no_image_is_usable_is_refused(self, adopted: Run, weight: float) -> None:
        """Weights that are finite, but whose sums, or whose maps in float16, are not."""
        tensors = adopted.load_checkpoint()
        tensors["head.4.weight"][:] = weight
        tensors["head.2.weight"][:] = 100
        adopted.save_checkpoint(0, tensors, ())
        with pytest.raises(ModelError, match=r"run 'run', fold 0 gives no usable numbers for any .*8 asked"):
            run_audit.run_audit(adopted, run_audit.open_data(adopted), PLAIN)
        assert not adopted.parts()
        done = whalecam("audit", adopted.path, "--background-test", "none")
        assert done.returncode == 2 and "any image" in done.stderr

    def test_an_audit_lists_the_one_image_that_overflows(self, adopted: Run) -> None:
        """The last layer is scaled until the largest map, and no other, lies beyond what is stored."""
        images = Path(str(adopted.manifest.dataset.images))
        Image.new("RGB", (40, 40), "white").save(images / "3.png")
        data, model = run_audit.open_data(adopted), untrained()
        largest = {}
        for path in sorted(images.iterdir()):
            pixels = to_input(read_sample(path, path.name).pixels, 32, "squish")
            largest[path.name] = float(cam.explain(model.head, model.look(pixels[None])).maps.abs().max())
        bad, *others = sorted(largest, key=lambda name: -largest[name])
        assert largest[bad] > 1.05 * largest[others[0]]
        tensors = adopted.load_checkpoint()
        tensors["head.4.weight"] *= 65_504 / (largest[bad] * largest[others[0]]) ** 0.5
        adopted.save_checkpoint(0, tensors, ())
        done = whalecam("audit", adopted.path, "--background-test", "none", "--mask-method", "border")
        assert done.returncode == 0, done.stderr
        table = Table(open_run(adopted.path).parts(), Thresholds(), NO_REVIEWS)
        rows = table.all_rows().set_index("image")
        assert rows.loc[bad, "reason"] == NOT_FINITE and rows.loc[bad, "assessment"] == "not_assessable"
        assert rows.loc[bad, ["predicted", "confidence", "loss", "attention_score"]].isna().all()
        assert rows.loc[others, ["predicted", "confidence", "loss"]].notna().all().all()
        assert len(data.table) == len(rows) == 8 and NOT_FINITE in whalecam("info", adopted.path).stdout

    def test_one_image_that_works_is_enough(self, tmp_path: Path) -> None:
        csv, images = draw(tmp_path)
        data = open_dataset(csv, images)
        check_answers(untrained(), data, "run 'x'")
        means = [read_sample(path, path.name).pixels.mean() for path in images.iterdir()]
        assert max(means) - min(means) < 255
        check_answers(picky(math.nan, 50.0), data, "run 'x'")
        with pytest.raises(ModelError, match="any image"):
            check_answers(picky(math.nan, -50.0), data, "run 'x'")

    def test_stored_rows_have_null_and_say_why(self, tmp_path: Path) -> None:
        csv, images = draw(tmp_path)
        run = untrained_run(tmp_path / "run", csv, images)
        rows = Explainer(picky(math.nan, -50.0), MaskSources(None, None), "border")(open_dataset(csv, images).table)
        part = pq.read_table(run.write_part([item.row for item in rows])).to_pandas()
        assert set(part["reason"]) == {NOT_FINITE} and len(part) == 8
        assert (
            part[
                ["predicted", "confidence", "loss", "attention_score", "background_share", "peak", "completeness_error"]
            ]
            .isna()
            .all()
            .all()
        )
        assert all(item.thumb for item in rows)

    def test_the_second_witness_measures_nothing_where_an_answer_is_not_finite(self) -> None:
        pixels = np.full((32, 32, 3), 120, np.uint8)
        mask = np.zeros((32, 32), np.float32)
        mask[8:24, 8:24] = 1
        scene = Scene(pixels, mask)
        question = background_test.Question("x", scene, 0)
        assert background_test.BackgroundTest(picky(math.nan, -50.0), [])([question]) == [None]
        (sound,) = background_test.BackgroundTest(untrained(), [])([question])
        assert sound is not None
