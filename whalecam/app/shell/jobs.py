"""Long work beside the pages: the command line's verbs as child processes whose progress survives a refresh."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, cast

from whalecam.arrays import Progress
from whalecam.commands import Command, to_argv
from whalecam.errors import RunError
from whalecam.storage_errors import is_full
from whalecam.store.json_file import read_json, write_json
from whalecam.store.run import job_in, job_log_in
from whalecam.text import duration

DISK_FULL = "It stopped without a message: the disk of the run folder is full. Free some space, and start it again."
OUT_OF_MEMORY = "It stopped without a message; the machine may have run out of memory."
_children: dict[int, subprocess.Popen[bytes]] = {}


class Step(TypedDict):
    """One line of progress, as the command line writes it: `arrays.Progress`, and seconds since the verb began."""

    stage: str
    done: int
    total: int
    values: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class Job:
    """A piece of long work on a run.

    Attributes:
        state: `running`, `done`, `failed` or `cancelled`.
        steps: what it reported, oldest first.
        message: why it failed, in words.
        started: seconds since the epoch.
    """

    title: str
    state: str
    started: float
    steps: tuple[Step, ...] = ()
    message: str = ""

    @property
    def share(self) -> float:
        """How much of the present stage is done, 0 to 1."""
        last = self.steps[-1] if self.steps else None
        return min(1.0, last["done"] / last["total"]) if last and last["total"] else 0.0

    @property
    def stage(self) -> str:
        return self.steps[-1]["stage"] if self.steps else "starting"

    @property
    def progress(self) -> str:
        """The present stage and how far it is, as "training, 34 of 96"."""
        last = self.steps[-1] if self.steps else None
        return f"{self.stage}, {last['done']:,} of {last['total']:,}" if last and last["total"] else self.stage

    @property
    def seconds_left(self) -> float | None:
        """Of the present stage, from its own pace; None before there is a pace."""
        stage = [step for step in self.steps if step["stage"] == self.stage]
        return _seconds_left(stage[0], stage[-1]) if stage else None


def _seconds_left(first: Step, last: Step) -> float | None:
    """By the pace between two steps of one stage; None before there is one."""
    elapsed, done = last["seconds"] - first["seconds"], last["done"] - first["done"]
    return float(elapsed / done * (last["total"] - last["done"])) if done > 0 and last["total"] else None


def time_left(seconds: float | None) -> str:
    """As a progress bar says it."""
    if seconds is None:
        return "estimating time left"
    if seconds < 1:
        return "the next step begins"
    return f"{duration(seconds)} left in this step"


class Pace:
    """How long work that a page waits for will take, told like that of a job."""

    def __init__(self) -> None:
        self._first: Step | None = None

    def left_after(self, step: Progress) -> str:
        """The time left in the stage of a step, which was reported just now."""
        last = Step(
            stage=step.stage, done=step.done, total=step.total, values=dict(step.values), seconds=time.monotonic()
        )
        if self._first is None or self._first["stage"] != last["stage"]:
            self._first = last
        return time_left(_seconds_left(self._first, last))


def start(folder: Path, title: str, command: Command) -> None:
    """Start a command for the run folder.

    Raises RunError while another job runs there, and for options that no program can be given.
    """
    words, current = to_argv(command), status(folder)
    if current and current.state == "running":
        raise RunError(f"'{current.title}' is still running on '{folder.name}'. Wait for it, or cancel it first.")
    folder.mkdir(parents=True, exist_ok=True)
    with job_log_in(folder).open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "whalecam", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env={**os.environ, "WHALECAM_PROGRESS": "json"},
            start_new_session=True,
        )
    _children[child.pid] = child
    write_json(job_in(folder), {"title": title, "pid": child.pid, "started": time.time()})


def status(folder: Path) -> Job | None:
    """The last job of a run folder, from what it wrote; None if there never was one."""
    if not job_in(folder).is_file():
        return None
    record = read_json(job_in(folder))
    lines = _lines(job_log_in(folder))
    steps = tuple(cast(Step, line) for line in lines if "stage" in line)
    end = next((line for line in reversed(lines) if "state" in line), None)
    if end is None and _alive(int(record["pid"])):
        return Job(record["title"], "running", record["started"], steps)
    if end is None:
        end = {"state": "failed", "message": DISK_FULL if is_full(folder) else OUT_OF_MEMORY}
    return Job(record["title"], end["state"], record["started"], steps, end.get("message", ""))


def is_running(folder: Path) -> bool:
    """Whether a job of a run folder is at work."""
    job = status(folder)
    return job is not None and job.state == "running"


def cancel(folder: Path) -> None:
    """Ask the running job to stop. What it finished stays; a half-made checkpoint never exists."""
    job = status(folder)
    if job and job.state == "running":
        os.killpg(int(read_json(job_in(folder))["pid"]), signal.SIGINT)


def dismiss(folder: Path) -> None:
    """Forget a finished job, so that its message is not shown again."""
    job_in(folder).unlink(missing_ok=True)


def _lines(log: Path) -> list[dict[str, Any]]:
    """The JSON lines of a log; whatever libraries print between them is passed over."""
    contents = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else ():
        try:
            content = json.loads(line)
        except ValueError:
            continue
        if isinstance(content, dict):
            contents.append(content)
    return contents


def _alive(pid: int) -> bool:
    child = _children.get(pid)
    if child is not None:
        return child.poll() is None
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
