"""Measure the numbers of README and write docs/method/benchmarks.md.

usage: python -m benchmarks [DATA]

DATA (photos/, pseudo_masks/, happywhale/, photos.csv) is what training and the full size are measured on; without it
these parts are left out.
"""

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks import architectures, audit, full_size, opening, pages, ratios, runtimes, scaling, training

PAGE = Path(__file__).parent.parent / "docs" / "method" / "benchmarks.md"
IMAGES, ROUNDS = 8192, 5
ROWS, RUNS = [51_033, 1_000_000], 20
SEEDS, EPOCHS = 6, 3
SIZES = [1_000, 4_000, 16_000]
OTHER_IMAGES, OTHER_ROUNDS = 384, 3


def audits() -> str:
    with tempfile.TemporaryDirectory() as folder:
        return audit.table(audit.measure(audit.prepare(Path(folder), IMAGES), IMAGES, ROUNDS))


def opened() -> str:
    with tempfile.TemporaryDirectory() as folder:
        return pages.table(pages.measure(ROWS, RUNS, Path(folder)))


def others() -> str:
    return architectures.table(architectures.measured(architectures.ARCHS, OTHER_IMAGES, OTHER_ROUNDS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?")
    given = parser.parse_args()
    parts: dict[str, tuple[str | None, Callable[[], str]]] = {
        "Audit": (audit.__doc__, audits),
        "Other networks": (architectures.__doc__, others),
        "Libraries": (runtimes.__doc__, lambda: runtimes.measured(runtimes.ARCHS, 224, 32, 7)),
        "Memory, pace and Ray": (scaling.__doc__, lambda: scaling.table(scaling.measure(SIZES))),
        "Pages": (pages.__doc__, opened),
        "Opening": (opening.__doc__, lambda: opening.table(opening.measure(ROWS, ROUNDS))),
        "Ratios": (ratios.__doc__, lambda: ratios.table(ratios.measure(ROWS[0], ROUNDS))),
    }
    if given.data and given.data.is_dir():
        parts["Full size"] = (full_size.__doc__, lambda: full_size.table(full_size.measure(given.data)))
        parts["Training"] = (training.__doc__, lambda: training.table(training.measure(given.data, SEEDS, EPOCHS)))
    told = [
        "# Benchmarks\n",
        f"`make bench` on {platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}. "
        "Compare the ratios of what ran in turn; the numbers themselves depend on the machine.\n",
        "[Published protocols](protocols.md) compare methods, not speed.\n",
    ]
    for title, (words, run) in parts.items():
        start = time.perf_counter()
        made = run()
        told += [f"## {title}\n", f"{words}", made, f"\n(Measured in {time.perf_counter() - start:.0f} s.)\n"]
        PAGE.write_text("\n".join(told), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
