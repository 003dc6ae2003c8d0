"""Where networks are cut: what is tried must give the network's logits, in the order of the image."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from whalecam.errors import ModelError
from whalecam.network.modules import cut, cut_alike
from whalecam.network.positions import grid, out_of_place
from whalecam.network.ways_to_cut import Until

SIDE, CHANNELS, CLASSES = 32, 6, 3


class Turned(nn.Module):
    """Activations of a small network as another one would lay them out."""

    def __init__(self, turn: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution, self.turn = nn.Conv2d(3, CHANNELS, 4, 4), turn

    def forward(self, images: Tensor) -> Tensor:
        return self.turn(self.convolution(images).relu())


class Last(nn.Module):
    """A head for activations whose channels come last."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(CHANNELS, CLASSES)

    def forward(self, activations: Tensor) -> Tensor:
        found: Tensor = self.linear(activations.mean(dim=(1, 2)))
        return found


class OwnWay(nn.Module):
    """Its children do not run one after the other, and one of them not at all."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(3, CHANNELS, 4, 4)
        self.unused = nn.Linear(2, 2)
        self.second = nn.Conv2d(CHANNELS, CHANNELS, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.last = nn.Linear(CHANNELS, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        seen = self.first(images).relu()
        found: Tensor = self.last(self.pool(seen * self.second(seen)).flatten(1))
        return found


def averaged() -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(CHANNELS, CLASSES))


def same(activations: Tensor) -> Tensor:
    return activations


TURNS: dict[str, Callable[[Tensor], Tensor]] = {
    "rows for columns": lambda found: found.transpose(2, 3),
    "from right to left": lambda found: found.flip(3),
    "upside down": lambda found: found.flip(2),
}


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
def test_positions_in_another_order_are_refused_although_the_logits_are_the_networks(
    turn: Callable[[Tensor], Tensor],
) -> None:
    assert not out_of_place(Turned(same), SIDE) and out_of_place(Turned(turn), SIDE)
    with pytest.raises(ModelError, match="another order than the image's rows and columns"):
        cut(nn.Sequential(Turned(turn), averaged()), SIDE)


def test_channels_that_come_last_are_not_taken_for_columns() -> None:
    features = Turned(lambda found: found.permute(0, 2, 3, 1))
    assert out_of_place(features, SIDE)
    with pytest.raises(ModelError, match="another order"):
        cut(nn.Sequential(features, Last()), SIDE)


def test_a_network_of_one_position_cannot_be_asked() -> None:
    assert not out_of_place(nn.Sequential(nn.Conv2d(3, 4, SIDE), nn.ReLU()), SIDE)


def test_a_network_is_run_up_to_its_pooling_whatever_it_does_before() -> None:
    whole, images = OwnWay().eval(), torch.rand(2, 3, SIDE, SIDE)
    found = cut(whole, SIDE)
    assert isinstance(found.features, Until) and found.way.startswith("until")
    with torch.no_grad():
        seen = whole.first(images).relu()
        assert torch.equal(found.features(images), seen * whole.second(seen))
        assert torch.equal(found.head(found.features(images)), whole(images)), "and it still runs itself"
    alike = cut_alike(OwnWay(), found.way)
    alike.features.load_state_dict(found.features.state_dict())
    alike.head.load_state_dict(found.head.state_dict())
    with torch.no_grad():
        assert torch.equal(alike.head(alike.features(images)), whole(images))


def test_sessions_that_share_a_network_up_to_its_pooling_do_not_disturb_each_other() -> None:
    features = cut(OwnWay(), SIDE).features
    images = [torch.rand(1, 3, SIDE, SIDE) for _ in range(64)]
    with torch.no_grad():
        alone = [features(image) for image in images]

    def run(image: Tensor) -> Any:
        with torch.no_grad():
            return features(image)

    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(run, images))
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


class ScaleFree(nn.Module):
    """A head that no closed form is known of, and that its gradient says nothing about: it forgets the scale."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(CHANNELS, CLASSES, bias=False)

    def forward(self, activations: Tensor) -> Tensor:
        found: Tensor = self.linear(nn.functional.normalize(activations.mean(dim=(2, 3))))
        return found


def test_a_map_that_would_explain_nothing_is_refused() -> None:
    torch.manual_seed(0)
    with pytest.raises(ModelError, match="a map by gradient would leave 100\u00a0% of the largest logit unexplained"):
        cut(nn.Sequential(Turned(same), ScaleFree()), SIDE)


def test_a_way_that_another_network_has_is_none_for_this_one() -> None:
    with pytest.raises(ModelError, match="there is no way 'class token' here"):
        cut_alike(OwnWay(), "class token")


def test_tokens_become_rows_and_columns_row_by_row() -> None:
    tokens = torch.arange(12.0).reshape(1, 6, 2)
    assert torch.equal(grid(tokens, (2, 3))[0, 0], torch.tensor([[0.0, 2.0, 4.0], [6.0, 8.0, 10.0]]))
    assert torch.equal(grid(tokens[:, :4], (2, 3))[0, 1], torch.tensor([[1.0, 3.0], [5.0, 7.0]]))
    with pytest.raises(ValueError, match="6 tokens are not a grid"):
        grid(tokens, None)
