"""Many batches through one explainer, as many at once as the machine bears; what it says comes in their order."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pandas as pd

from whalecam.explain.explainer import Explained, Explainer
from whalecam.network.beside import side_by_side


def explained(explainer: Explainer, batches: Sequence[pd.DataFrame]) -> Iterator[list[Explained]]:
    """What the explainer says of each batch, in order."""
    if explainer.device.type == "cpu":
        return side_by_side(explainer, batches)
    return overlapped(explainer, batches)


def overlapped(explainer: Explainer, batches: Sequence[pd.DataFrame]) -> Iterator[list[Explained]]:
    """On a GPU, which takes one pass at a time: while it looks at a batch, the next is read and the last measured."""
    if not batches:
        return
    with ThreadPoolExecutor(1, "reading") as reader, ThreadPoolExecutor(1, "measuring") as measurer:
        loaded, pending = reader.submit(explainer.read, batches[0]), list[Future[list[Explained]]]()
        for following in [*batches[1:], None]:
            looked = explainer.look(loaded.result())
            if following is not None:
                loaded = reader.submit(explainer.read, following)
            pending.append(measurer.submit(explainer.measure, looked))
            if len(pending) > 1:
                yield pending.pop(0).result()
        yield pending.pop().result()
