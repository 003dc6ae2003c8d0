"""A throw-away PostgreSQL server on a free port of this machine, for as long as the tests run."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa

USER = "postgres"


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`; Debian keeps it off the path. None where there is no PostgreSQL."""
    found = shutil.which("initdb")
    known = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return Path(found).resolve().parent if found else known[-1].parent if known else None


class Server:
    """Its own data folder and port; nothing of it outlives `remove`."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._account = USER if os.geteuid() == 0 else None  # the server refuses to run as root
        self._folder = Path(tempfile.mkdtemp(prefix="whalecam-postgres-"))
        if self._account:
            shutil.chown(self._folder, USER)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = str(free.getsockname()[1])
        self._run("initdb", "-D", self._data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        self.start()

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def start(self) -> None:
        # After a kill, the server would flush every file of every database one by one before it answers.
        quick = "recovery_init_sync_method=syncfs"
        options = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "logging_collector=off", quick)
        settings = [part for option in options for part in ("-c", option)]
        command = [str(self._binaries / "postgres"), "-D", self._data, "-p", self._port, *settings]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, user=self._account, cwd="/", stdout=log, stderr=log)
        for _ in range(900):
            if not self._run("pg_isready", "-q", "-h", "127.0.0.1", "-p", self._port, check=False):
                return
            assert self._process.poll() is None, (self._folder / "log").read_text()
            time.sleep(0.1)
        raise AssertionError("the server did not become ready")

    def kill(self) -> None:
        """End the server and every process of it by SIGKILL, as a machine that runs out of memory does."""
        leader = self._process.pid
        os.kill(leader, signal.SIGSTOP)  # so that it starts no further process meanwhile
        children = Path(f"/proc/{leader}/task/{leader}/children").read_text().split()
        for process in (leader, *map(int, children)):
            os.kill(process, signal.SIGKILL)
        self._process.wait()
        while any(_runs(child) for child in children):
            time.sleep(0.02)

    def journal(self) -> str:
        """The URL of a new, empty place: a schema, since a database of its own would be 300 files."""
        name = f"journal_{uuid4().hex[:12]}"
        address = f"postgresql://{USER}@127.0.0.1:{self._port}/postgres"
        with sa.create_engine(address, poolclass=sa.NullPool).begin() as connection:
            connection.exec_driver_sql(f"create schema {name}")
        return f"{address}?options=-csearch_path%3D{name}"

    def remove(self) -> None:
        self._process.send_signal(signal.SIGQUIT)  # at once: nothing is to be kept
        self._process.wait(60)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str, check: bool = True) -> int:
        command = [str(self._binaries / program), *arguments]
        done = subprocess.run(
            command, user=self._account, cwd="/", capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0 or not check, f"{program}: {done.stdout}{done.stderr}"
        return done.returncode


def _runs(process: str) -> bool:
    """Whether it still holds memory of the server: a zombie does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False
