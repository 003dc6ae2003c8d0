"""Many batches through one explainer, as many at once as the machine bears; what it says comes in their order."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pandas as pd
import torch

from whalecam.explain.explainer import Explained, Explainer

MOST = 8
"""Batches at once: what lies between two forward passes is Python's, of which one thread can run at a time."""


def explained(explainer: Explainer, batches: Sequence[pd.DataFrame]) -> Iterator[list[Explained]]:
    """What the explainer says of each batch, in order."""
    several = side_by_side if explainer.device.type == "cpu" else overlapped
    return several(explainer, batches)


def side_by_side(explainer: Explainer, batches: Sequence[pd.DataFrame]) -> Iterator[list[Explained]]:
    """On a CPU: whole batches beside one another, each on its share of the cores.

    Two passes on one core each take no longer than one after the other on both, and what lies between passes is then
    done beside a pass instead of holding one core of it up.
    """
    cores = torch.get_num_threads()
    workers = max(1, min(cores, MOST))
    each = max(1, cores // workers)
    pool = ThreadPoolExecutor(workers, "explaining", torch.set_num_threads, (each,))
    waiting = deque[Future[list[Explained]]]()
    try:
        for batch in batches:
            waiting.append(pool.submit(explainer, batch))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(cores)


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
