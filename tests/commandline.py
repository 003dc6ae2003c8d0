"""The command line for tests: in this process, which imports torch once, or in a real one of its own."""

import contextlib
import io
import os
import signal
import subprocess
import sys
import warnings
from subprocess import CompletedProcess

import pytest

from tests.conftest import ROOT
from whalecam.cli import main


def whalecam(*arguments: object, **environment: str) -> CompletedProcess[str]:
    """A verb through `main`, as `python -m whalecam` runs it: its exit status and what it printed."""
    words, out, err = [str(word) for word in arguments], io.StringIO(), io.StringIO()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(ROOT), warnings.catch_warnings():
        patch.setattr(sys, "argv", ["whalecam", *words])
        for name, value in environment.items():
            patch.setenv(name, value)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
                main()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    return CompletedProcess(words, int(ended.value.code or 0), out.getvalue(), err.getvalue())


def process(*arguments: object, **environment: str) -> CompletedProcess[str]:
    """The same in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "whalecam", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
