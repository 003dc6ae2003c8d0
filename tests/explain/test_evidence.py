"""Evidence maps against autograd, two published tools, a slow second writing and known answers."""

import math
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam, LayerGradientXActivation
from fastai.vision.learner import create_head
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_grad_cam import HiResCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torchvision.models import resnet18

from whalecam.errors import ModelError
from whalecam.explain import cam as evidence
from whalecam.network import heads
from whalecam.network.exactness import exactness

Layers = TypeVar("Layers", bound=nn.Module)
FAMILIES = ("fastai default", "fastai linear", "own default", "own linear", "maximum", "deep")


def shaken(head: Layers, rng: torch.Generator) -> Layers:
    """The head in eval mode with weights, biases and statistics such as training leaves them."""
    for name, values in head.state_dict().items():
        if name.endswith("running_var"):
            values.copy_(torch.rand(values.shape, generator=rng) + 0.05)
        elif values.is_floating_point():
            scale = 1 / math.sqrt(values.shape[1]) if values.ndim == 2 else 1.0
            values.copy_(torch.randn(values.shape, generator=rng) * scale)
    return head.eval()


def a_head(family: str, channels: int, classes: int, rng: torch.Generator) -> nn.Sequential:
    head: nn.Sequential
    if family == "fastai default":
        head = create_head(channels, classes)
    elif family == "fastai linear":
        head = create_head(channels, classes, lin_ftrs=[], concat_pool=False)
    elif family == "own default":
        head = heads.fastai_head(channels, classes)
    elif family == "own linear":
        head = heads.linear_head(channels, classes)
    elif family == "maximum":
        head = nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
    else:
        inner = nn.Sequential(nn.Linear(channels, 20), nn.ReLU(), nn.BatchNorm1d(20, affine=False), nn.Linear(20, 20))
        outer = nn.Sequential(nn.Identity(), nn.ReLU(inplace=True), nn.Linear(20, classes))
        head = nn.Sequential(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), inner, outer)
    return shaken(head, rng)


def activations_of(*shape: int, rng: torch.Generator) -> Tensor:
    """Like the output of a ReLU: half zeros."""
    return torch.randn(shape, generator=rng).relu()


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def pairs(rng: torch.Generator) -> Iterator[tuple[str, evidence.Evidence]]:
    """500 random heads with 4 random images each."""
    for at in range(500):
        channels, classes, h, w = (int(torch.randint(low, high, (), generator=rng)) for low, high in RANGES)
        head = a_head(FAMILIES[at % len(FAMILIES)], channels, classes, rng)
        yield FAMILIES[at % len(FAMILIES)], evidence.explain(head, activations_of(4, channels, h, w, rng=rng))


RANGES = ((4, 513), (2, 40), (1, 9), (1, 9))


def test_2000_pairs_are_complete(rng: torch.Generator, record_property: Callable[[str, object], None]) -> None:
    worst, largest, seen = 0.0, 0.0, 0
    for family, found in pairs(rng):
        rest = (found.maps.sum((2, 3)) + found.bias - found.logits).abs().amax(1)
        assert torch.equal(rest, found.completeness_error)
        assert float(rest.max()) <= 1e-4 * float(found.logits.abs().max()), family
        worst, largest = max(worst, float(rest.max())), max(largest, float((rest / found.logits.abs().amax(1)).max()))
        seen += len(rest)
    record_property("max_residual", worst)
    record_property("max_relative_residual", largest)
    print(f"\nmax completeness_error {worst:.2e} logits, {largest:.2e} of the image's max |z|")
    assert seen == 2000


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_folded_not_differentiated(family: str, rng: torch.Generator) -> None:
    head = a_head(family, 6, 4, rng)
    assert exactness(head) == ("exact" if family.endswith("linear") else "exact_here")
    found = evidence.explain(head, activations_of(2, 6, 3, 3, rng=rng))
    assert not found.maps.requires_grad and not found.bias.requires_grad


@pytest.mark.parametrize("family", ["fastai linear", "own linear"])
def test_bias_of_a_linear_head_does_not_depend_on_the_image(family: str, rng: torch.Generator) -> None:
    bias = evidence.explain(a_head(family, 6, 4, rng), activations_of(3, 6, 3, 3, rng=rng)).bias
    assert torch.equal(bias[0], bias[1]) and torch.equal(bias[0], bias[2])


class Cut(nn.Module):
    """A whole network as the published tools want it: `cut` is where activations leave the body."""

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body, self.cut, self.head = body, nn.Identity(), head

    def forward(self, pictures: Tensor) -> Tensor:
        logits: Tensor = self.head(self.cut(self.body(pictures)))
        return logits


def toy_body(rng: torch.Generator) -> nn.Module:
    return shaken(nn.Sequential(nn.Conv2d(3, 16, 3, 2), nn.ReLU(), nn.Conv2d(16, 24, 3, 2), nn.ReLU()), rng)


def real_body(_: torch.Generator) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(*list(resnet18(weights=None).children())[:-2]).eval()


# Float32 rounds values of 100 logits to 1e-5, so there the bound is relative; float64 shows that it is only rounding.
BODIES = [
    pytest.param(toy_body, 24, 33, torch.float32, 1e-5, id="toy"),
    pytest.param(toy_body, 24, 33, torch.float64, 1e-12, id="toy-float64"),
    pytest.param(real_body, 512, 128, torch.float32, 1e-5, id="resnet18"),
]


@pytest.mark.parametrize(("body", "channels", "size", "dtype", "bound"), BODIES)
@pytest.mark.parametrize("family", FAMILIES)
def test_maps_equal_two_published_tools(
    family: str,
    body: Callable[[torch.Generator], nn.Module],
    channels: int,
    size: int,
    dtype: torch.dtype,
    bound: float,
    rng: torch.Generator,
    record_property: Callable[[str, object], None],
) -> None:
    network = Cut(body(rng), a_head(family, channels, 3, rng)).eval().to(dtype)
    pictures = torch.randn((3, 3, size, size), generator=rng).to(dtype)
    with torch.inference_mode():
        maps = evidence.explain(network.head, network.body(pictures)).maps
    scale = max(1.0, float(maps.abs().max()))
    worst = {"captum": 0.0, "hirescam": 0.0}
    for c in range(3):
        captum = LayerGradientXActivation(network, network.cut).attribute(pictures, target=c).sum(1)
        worst["captum"] = max(worst["captum"], float((captum - maps[:, c]).detach().abs().max()))
        worst["hirescam"] = max(worst["hirescam"], float((hirescam(network, pictures, c) - maps[:, c]).abs().max()))
    record_property("peers", worst)
    print(f"\n{family}, {dtype}, scale {scale:.1f}: {worst}")
    assert max(worst.values()) <= bound * scale


def hirescam(network: Cut, pictures: Tensor, c: int) -> Tensor:
    """pytorch-grad-cam's HiResCAM before it drops the negative part and rescales."""
    with HiResCAM(model=network, target_layers=[network.cut]) as cam:
        logits = cam.activations_and_grads(pictures)
        network.zero_grad()
        sum(ClassifierOutputTarget(c)(row) for row in logits).backward()
        held = cam.activations_and_grads
        values, slopes = (held.activations[0].detach().numpy(), held.gradients[0].detach().numpy())
        return torch.from_numpy(cam.get_cam_image(pictures, network.cut, None, values, slopes, False))


def test_a_linear_head_gives_grad_cam_too(rng: torch.Generator) -> None:
    network = Cut(toy_body(rng), a_head("own linear", 24, 3, rng)).eval()
    pictures = torch.randn((2, 3, 33, 33), generator=rng)
    maps = evidence.explain(network.head, network.body(pictures)).maps
    gradcam = LayerGradCam(network, network.cut).attribute(pictures, target=1)[:, 0]
    torch.testing.assert_close(maps[:, 1], gradcam, rtol=0, atol=1e-5)


def slow_default_head(layers: nn.Sequential, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maps and bias of concat pool → BatchNorm → Linear → ReLU → BatchNorm → Linear, one path at a time."""
    _, _, bn1, _, lin1, _, bn2, _, lin2 = layers
    assert isinstance(bn1, nn.BatchNorm1d) and isinstance(bn2, nn.BatchNorm1d)
    assert isinstance(lin1, nn.Linear) and isinstance(lin2, nn.Linear)
    s1, t1, s2, t2 = *scale_and_shift(bn1), *scale_and_shift(bn2)
    w1, w2 = lin1.weight.detach().double().numpy(), lin2.weight.detach().double().numpy()
    channels, h, w = image.shape
    pooled = [max(image[k].flat) for k in range(channels)] + [sum(image[k].flat) / (h * w) for k in range(channels)]
    hidden = [sum(w1[m, k] * (s1[k] * pooled[k] + t1[k]) for k in range(2 * channels)) for m in range(len(w1))]
    maps, bias = np.zeros((len(w2), h, w)), np.zeros(len(w2))
    for c in range(len(w2)):
        for m in range(len(w1)):
            bias[c] += w2[c, m] * t2[m]
            if hidden[m] <= 0:
                continue
            for k in range(2 * channels):
                path = w2[c, m] * s2[m] * w1[m, k]
                bias[c] += path * t1[k]
                plane = image[k % channels]
                for i in range(h):
                    for j in range(w):
                        share = (plane[i, j] == pooled[k]) / (plane == pooled[k]).sum() if k < channels else 1 / (h * w)
                        maps[c, i, j] += path * s1[k] * share * plane[i, j]
    return maps, bias


def scale_and_shift(layer: nn.BatchNorm1d) -> tuple[np.ndarray, np.ndarray]:
    mean, variance, gain, base = (layer.state_dict()[name].detach().double().numpy() for name in STATISTICS)
    return gain / np.sqrt(variance + layer.eps), base - gain * mean / np.sqrt(variance + layer.eps)


def test_equals_the_slow_writing(rng: torch.Generator) -> None:
    head = shaken(heads.fastai_head(3, 2, hidden=5), rng)
    given_ = torch.randint(0, 4, (4, 3, 2, 3), generator=rng).float()
    found = evidence.explain(head, given_)
    for at in range(len(given_)):
        maps, bias = slow_default_head(head, given_[at].double().numpy())
        np.testing.assert_allclose(found.maps[at].numpy(), maps, atol=1e-5)
        np.testing.assert_allclose(found.bias[at].numpy(), bias, atol=1e-5)


def test_known_answer_of_average_pooling() -> None:
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2)).eval()
    head[2].weight.data, head[2].bias.data = torch.tensor([[2.0], [-1.0]]), torch.tensor([0.5, 3.0])
    found = evidence.explain(head, torch.tensor([[[[4.0, 0.0], [8.0, 0.0]]]]))
    assert found.maps[0].tolist() == [[[2, 0], [4, 0]], [[-1, 0], [-2, 0]]]
    assert found.bias[0].tolist() == [0.5, 3.0]
    assert found.logits[0].tolist() == [6.5, 0.0]
    assert found.completeness_error.tolist() == [0.0]


def test_ties_of_a_maximum_share_equally() -> None:
    head = nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(1, 1, bias=False)).eval()
    head[2].weight.data = torch.tensor([[3.0]])
    found = evidence.explain(head, torch.tensor([[[[2.0, 1.0], [2.0, 0.0]]]]))
    assert found.maps[0, 0].tolist() == [[3, 0], [3, 0]]


def test_a_dead_channel_adds_nothing() -> None:
    head = nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(1, 1)).eval()
    found = evidence.explain(head, torch.zeros(1, 1, 2, 2))
    assert found.maps.tolist() == [[[[0, 0], [0, 0]]]]
    assert found.completeness_error.tolist() == [0.0]


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(FAMILIES), st.integers(0, 2**31), st.floats(0.1, 10))
def test_a_class_shift_moves_the_bias_and_no_map(family: str, seed: int, shift: float) -> None:
    rng = torch.Generator().manual_seed(seed)
    head, given_ = a_head(family, 5, 3, rng), activations_of(2, 5, 3, 4, rng=rng)
    added = nn.BatchNorm1d(3, eps=0).eval()
    added.bias.data.fill_(shift)
    before, after = evidence.explain(head, given_), evidence.explain(nn.Sequential(head, added).eval(), given_)
    torch.testing.assert_close(after.maps, before.maps, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(after.bias, before.bias + shift, rtol=1e-5, atol=1e-5)


def test_permuted_hidden_units_leave_the_map_and_change_the_notebooks(rng: torch.Generator) -> None:
    head, given_ = shaken(heads.fastai_head(32, 4, hidden=32), rng), activations_of(4, 32, 4, 4, rng=rng)
    before, notebook = evidence.explain(head, given_), notebook_map(head, given_)
    order = torch.randperm(32, generator=rng)
    first, last = head.get_parameter("4.weight"), head.get_parameter("8.weight")
    first.data = first.data[order]
    for name in ("weight", "bias", "running_mean", "running_var"):
        getattr(head[6], name).data = getattr(head[6], name).data[order]
    last.data = last.data[:, order]
    after = evidence.explain(head, given_)
    torch.testing.assert_close(after.logits, before.logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(after.maps, before.maps, rtol=1e-5, atol=1e-5)
    assert abs(correlation(notebook, notebook_map(head, given_))) < 0.5


def notebook_map(head: nn.Sequential, given_: Tensor) -> Tensor:
    last = head[-1]
    assert isinstance(last, nn.Linear)
    return torch.einsum("ck,nkij->ncij", last.weight.detach(), given_)


def correlation(a: Tensor, b: Tensor) -> float:
    """Of maps against the mean over classes, for all maps share what softmax ignores."""
    a, b = (values - values.mean(1, keepdim=True) for values in (a, b))
    return float(torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1])


@pytest.mark.parametrize("family", FAMILIES)
def test_randomised_weights_change_the_map(family: str, rng: torch.Generator) -> None:
    given_ = activations_of(4, 64, 4, 4, rng=rng)
    one, other = (evidence.explain(a_head(family, 64, 8, rng), given_).maps for _ in range(2))
    assert abs(correlation(one, other)) < 0.3


class TwoSided(nn.Sequential):
    """Answers with one set of layers and shows another."""

    def answer_with(self, head: nn.Module) -> "TwoSided":
        self.honest = [head]
        return self

    def forward(self, given_: Tensor) -> Tensor:
        logits: Tensor = self.honest[0](given_)
        return logits


STATISTICS = ("running_mean", "running_var", "weight", "bias")
BROKEN = [f"{layer}.{name}" for layer in (2, 6) for name in STATISTICS] + ["4.weight", "8.weight"]


@pytest.mark.parametrize("broken", BROKEN)
def test_one_wrong_number_raises_the_residual(broken: str, rng: torch.Generator) -> None:
    head, given_ = a_head("own default", 8, 3, rng), activations_of(2, 8, 3, 3, rng=rng)
    shown = heads.fastai_head(8, 3).eval()
    shown.load_state_dict(head.state_dict())
    two_sided = TwoSided(*shown).answer_with(head).eval()
    sound = evidence.explain(two_sided, given_).completeness_error.max()
    values = shown.state_dict()[broken].flatten()
    unit = hot(head, given_)
    values[{"2": 0, "4": unit * 16, "6": unit, "8": unit}[broken[0]]] += 1.0
    assert evidence.explain(two_sided, given_).completeness_error.max() > 100 * sound


def hot(head: nn.Sequential, given_: Tensor) -> int:
    """A hidden unit that is on in every image, for what feeds a dead one does not matter."""
    return int(head[:6](given_).amin(0).argmax())


def gelu_head() -> nn.Sequential:
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.GELU(), nn.Linear(1, 1, bias=False)).eval()
    head.get_parameter("3.weight").data.fill_(1.0)
    return head


def test_another_head_shows_what_it_leaves_unexplained() -> None:
    # z = p Φ(p), so gradient × activation gives p Φ(p) + p² φ(p) and p² φ(p) stays over.
    found = evidence.explain(gelu_head(), torch.tensor([[[[2.0, 0.0]]]]))
    rest = math.exp(-0.5) / math.sqrt(2 * math.pi)
    whole = 0.5 * (1 + math.erf(1 / math.sqrt(2)))
    assert exactness(gelu_head()) == "approximate"
    assert found.bias.tolist() == [[0.0]]
    assert found.maps.flatten().tolist() == pytest.approx([whole + rest, 0.0], abs=1e-6)
    assert found.completeness_error.tolist() == pytest.approx([rest], abs=1e-6)
    assert evidence.rest_percent(found) == pytest.approx(100 * rest / whole, rel=1e-5)


def test_another_head_equals_captum(rng: torch.Generator) -> None:
    layers = (nn.Conv2d(24, 12, 1), nn.SiLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 3))
    network = Cut(toy_body(rng), nn.Sequential(*layers)).eval()
    pictures = torch.randn((2, 3, 33, 33), generator=rng)
    maps = evidence.explain(network.head, network.body(pictures).detach()).maps
    for c in range(3):
        captum = LayerGradientXActivation(network, network.cut).attribute(pictures, target=c).sum(1)
        torch.testing.assert_close(maps[:, c], captum, rtol=0, atol=1e-5)


def test_gradient_times_activation_is_whole_for_a_homogeneous_head(rng: torch.Generator) -> None:
    middle = nn.Linear(6, 8, bias=False), nn.LeakyReLU(), nn.Linear(8, 3, bias=False)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), *middle).eval()
    found = evidence.explain(head, activations_of(3, 6, 4, 4, rng=rng))
    assert exactness(head) == "approximate"
    assert evidence.rest_percent(found) < 1e-3


@pytest.mark.parametrize("head", [gelu_head(), nn.Sequential(nn.SiLU(inplace=True), *gelu_head()).eval()])
def test_neither_inference_mode_nor_an_in_place_layer_is_in_the_way(head: nn.Module) -> None:
    with torch.inference_mode():
        given_ = torch.tensor([[[[2.0, 1.0]]]])
        found = evidence.explain(head, given_)
    assert given_.tolist() == [[[[2.0, 1.0]]]]
    assert torch.isfinite(found.maps).all() and not found.maps.requires_grad


VECTOR_HEADS = [nn.Linear(6, 3), nn.Sequential(nn.Dropout(), nn.LayerNorm(6), nn.Linear(6, 3)), nn.Identity()]


@pytest.mark.parametrize("head", VECTOR_HEADS, ids=["linear", "norm", "nothing"])
def test_a_head_without_positions_is_refused(head: nn.Module) -> None:
    assert exactness(head) == "none"
    with pytest.raises(ModelError, match="No map"):
        evidence.explain(head.eval(), torch.zeros(1, 6, 2, 2))


def test_activations_must_have_positions(rng: torch.Generator) -> None:
    with pytest.raises(ModelError, match=r"\(1, 6\)"):
        evidence.explain(a_head("own linear", 6, 3, rng), torch.zeros(1, 6))


def test_training_mode_is_an_error() -> None:
    with pytest.raises(ModelError, match="training mode"):
        evidence.explain(heads.linear_head(6, 3), torch.zeros(2, 6, 2, 2))


def test_batchnorm_without_statistics_is_not_called_exact() -> None:
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(6, track_running_stats=False))
    assert exactness(head) == "approximate"
