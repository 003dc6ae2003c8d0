"""Work on a CPU, as many items at once as the machine bears; what comes of them comes in their order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

MOST = 8
"""Items at once: what lies between two forward passes is Python's, of which one thread can run at a time."""
Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Whole items beside one another, each on its share of the cores; items are taken as they are needed.

    Two passes on one core each take no longer than one after the other on both, and what lies between passes is then
    done beside a pass instead of holding one core of it up.
    """
    cores = torch.get_num_threads()
    workers = max(1, min(cores, MOST))
    each = max(1, cores // workers)
    pool = ThreadPoolExecutor(workers, "beside", torch.set_num_threads, (each,))
    waiting = deque[Future[Result]]()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(cores)
