"""Run what README's figures rest on and write docs/benchmarks.md.

usage: python -m benchmarks [DATA]

DATA (photos/, photos.csv, masks/, masks.csv) is what training is measured on; without it that part is left out.
"""

import argparse
import platform
import tempfile
from pathlib import Path

import torch

from benchmarks import audit, training

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
IMAGES, ROUNDS = 1024, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="?")
    given = parser.parse_args()
    parts = [
        "# Benchmarks\n",
        f"`make bench` on {platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}. "
        "Everything in a table ran in turn in one process; ratios count, not the figures themselves.\n",
    ]
    with tempfile.TemporaryDirectory() as folder:
        run = audit.prepare(Path(folder), IMAGES)
        parts += ["## Audit\n", f"{audit.__doc__}", audit.table(audit.measure(run, IMAGES, ROUNDS)), ""]
    if given.data and given.data.is_dir():
        parts += ["## Training\n", f"{training.__doc__}", training.table(training.measure(given.data, 3, 3)), ""]
    PAGE.write_text("\n".join(parts), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
