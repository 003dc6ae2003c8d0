"""One small demo run, made once for the whole test session; tests that write get a copy of their own."""

import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from hypothesis import settings

from tests.copies import copied
from tests.postgres import Server, programs

if TYPE_CHECKING:
    from whalecam.demo.planted import Planted

os.environ.setdefault("OMP_NUM_THREADS", "1")
# Numba, which UMAP is written with, otherwise raises OpenMP's threads to all cores, torch's too, for the whole process:
# whatever trained after a test of UMAP then took five times the CPU.
os.environ.setdefault("NUMBA_NUM_THREADS", "1")
# No test, however late a thread of it ends, may prepare a demo inside the project.
os.environ.setdefault("WHALECAM_RUNS", str(Path(tempfile.gettempdir()) / f"whalecam-tests-{os.getpid()}"))
os.environ.setdefault("WHALECAM_DEMO_IMAGES", "12")

# How long an example takes depends on what else the machine does.
settings.register_profile("unhurried", settings.get_profile(settings.get_current_profile_name()), deadline=None)
settings.load_profile("unhurried")

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"
PICTURES = 120


FIRST: tuple[str, ...] = ("test_components", "journeys", "test_ray", "test_simulation", "test_reviews", "test_selftest")
FIRST += ("test_remedies", "test_masks", "test_killed", "test_audit", "test_classifier", "test_patterns", "pages")
"""Files and folders that take longest, so that no worker is left alone with one of them at the end.

The very first needs no demo run: no worker waits while another makes it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        names = (item.path.stem, item.path.parent.name)
        return next((at for at, name in enumerate(FIRST) if name in names), len(FIRST))

    items.sort(key=place)


def _prepare(folder: Path) -> None:
    from whalecam import demo
    from whalecam.audit import run_audit
    from whalecam.config import AuditOptions, TrainOptions
    from whalecam.data import inspect_images, open_dataset
    from whalecam.network import training
    from whalecam.store.manifest import DatasetRecord
    from whalecam.store.run import create_run
    from whalecam.words import MARINE

    csv = demo.write_demo(folder / "pictures", images=PICTURES, seed=0)
    data = open_dataset(csv, csv.parent / "images")
    record = DatasetRecord.of(data)
    run = create_run(folder / "runs" / "demo", record, MARINE)
    options = TrainOptions(arch="efficientnet_lite0_fine", epochs=7, lr=1e-2, size=80, batch=16, split="random")
    training.train(inspect_images(data), run, options)
    run_audit.run_audit(run, data, AuditOptions(masks=str(csv.parent / "masks")))


def _made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that the first worker to ask makes, for all of them."""
    base = factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder = shared / name
    with FileLock(str(shared / f"{name}.lock")):
        if not (folder / "ready").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            (folder / "ready").touch()
    return folder


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `pictures/` (demo data set) and `runs/demo` (trained and audited). Read only."""
    return _made_once(tmp_path_factory, "prepared", _prepare)


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> "Planted":
    """120 scenes whose label stands in the colour of their water, and their twins. Read only."""
    from whalecam.demo import write_planted
    from whalecam.demo.planted import KINDS, Planted

    folder = _made_once(tmp_path_factory, "planted", lambda folder: write_planted(folder, "colour", 120, seed=1))
    return Planted(**{kind: folder / kind for kind in KINDS})


@pytest.fixture(scope="session", autouse=True)
def components_sought_once() -> Iterator[None]:
    """Streamlit reads the metadata of every installed package for each AppTest: 0.3 s that find the same each time."""
    from streamlit.components.v2 import manifest_scanner

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            manifest_scanner, "scan_component_manifests", functools.cache(manifest_scanner.scan_component_manifests)
        )
        yield


@pytest.fixture
def runs(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of runs of this test's own, which the dashboard is pointed at."""
    target = tmp_path / "runs"
    copied(prepared / "runs", target)
    monkeypatch.setenv("WHALECAM_RUNS", str(target))
    yield target


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; absent on a machine that has only the project, but never in CI."""
    if not SHARED.is_dir():
        assert not os.environ.get("CI"), f"CI must have {SHARED}"
        pytest.skip(f"no real data at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server of the tests' own; may be missing on a developer's machine, but never in CI."""
    binaries = programs()
    if binaries is None:
        assert not os.environ.get("CI"), "no PostgreSQL on this machine, and CI must test the journal on it"
        pytest.skip("no PostgreSQL on this machine; `make postgres` installs it")
    server = Server(binaries)
    yield server
    server.remove()
