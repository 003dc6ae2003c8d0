"""Memory and pace of an audit by the number of images, and what Ray costs compared with the local engine.

usage: python -m benchmarks.scaling [--images 1000 4000 16000] [--json FILE]

Each audit runs in a process of its own, from files of 128 px to rows, with given masks. The table compares the pace of
the last tenth with that of the first. Ray starts on this machine with one worker per core; its start is counted apart.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import audit as setting
from benchmarks.memory import peak_mb
from whalecam.arrays import Progress
from whalecam.audit import run_audit
from whalecam.audit.fold_job import Engine
from whalecam.store.run import open_run

ROOT = Path(__file__).resolve().parent.parent


def alone(
    folder: Path, images: int, engine: str, *, background_test: str = "none", runtime: str = "auto"
) -> dict[str, Any]:
    """One audit in its own process: `seconds`, `cpu_s`, `peak_mb`, `pace` of the last tenth to the first, `start`."""
    given, how = (str(folder), images, engine), {"background_test": background_test, "runtime": runtime}
    code = f"from benchmarks.scaling import audited; audited(*{given!r}, **{how!r})"
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return found


def audited(folder: str, images: int, engine: str, *, background_test: str, runtime: str) -> None:
    """Prints what `alone` returns, as JSON."""
    run = open_run(Path(folder) / "run")
    run.clear_audit()
    marks: list[tuple[float, int]] = []

    def note(at: Progress) -> None:
        if at.stage == "audit":
            marks.append((time.perf_counter(), at.done))

    data, started = run_audit.open_data(run), 0.0
    how: Engine = run_audit.LOCAL
    if engine == "ray":
        from whalecam.audit.engines.ray import OnRay

        how, before = OnRay(workers=os.cpu_count()), time.perf_counter()
        how.audited(run)
        started = time.perf_counter() - before
    before, spent = time.perf_counter(), time.process_time()
    options = replace(setting.options_of(run, images), background_test=background_test, runtime=runtime)
    run_audit.run_audit(run, data, options, note, engine=how)
    figures = {"seconds": time.perf_counter() - before, "cpu_s": time.process_time() - spent, "peak_mb": peak_mb()}
    print(json.dumps(figures | {"pace": _pace(marks, images), "start": started}))


def _pace(marks: list[tuple[float, int]], images: int) -> float:
    def when(done: int) -> float:
        return next(at for at, count in marks if count >= done)

    first = when(images // 10) - marks[0][0]
    return first / (when(images) - when(images - images // 10))


def measure(sizes: list[int]) -> dict[str, dict[str, Any]]:
    """By name of the audit."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        setting.prepare(Path(folder), max(sizes))
        for images in sizes:
            found[f"{images:,} images"] = alone(Path(folder), images, "local") | {"images": images}
        found[f"{sizes[-1]:,} images on Ray"] = alone(Path(folder), sizes[-1], "ray") | {"images": sizes[-1]}
    return found


def table(found: dict[str, dict[str, Any]]) -> str:
    """Markdown: one row per audit."""
    lines = ["| | images/s | peak memory | last tenth to first tenth | start of Ray |", "|---|---|---|---|---|"]
    for name, row in found.items():
        lines.append(
            f"| {name} | {row['images'] / row['seconds']:.0f} | {row['peak_mb']:.0f} MB | {row['pace']:.2f} | "
            f"{row['start']:.1f} s |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 4000, 16000])
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = measure(given.images)
    print(table(found))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
