"""What Streamlit makes of the project's settings: an option that it does not know is ignored without a word."""

import json
import subprocess
import sys
import tomllib
from typing import Any

from tests.conftest import ROOT

SETTINGS = ROOT / ".streamlit" / "config.toml"


def options(settings: dict[str, Any], above: str = "") -> dict[str, object]:
    """Every option under its full name, such as `server.headless`."""
    flat: dict[str, object] = {}
    for name, value in settings.items():
        flat |= options(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}": value}
    return flat


def test_streamlit_knows_and_applies_every_setting() -> None:
    """In a process of its own, started where the server is."""
    wanted = options(tomllib.loads(SETTINGS.read_text(encoding="utf-8")))
    code = "print(json.dumps({name: config.get_option(name) for name in sys.argv[1:]}))"
    words = [sys.executable, "-c", f"import json, sys; from streamlit import config; {code}", *wanted]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == wanted


def test_no_run_of_a_page_ends_with_a_walk_through_all_objects() -> None:
    """It holds up everybody on the server; `benchmarks.sessions` measures how long."""
    assert options(tomllib.loads(SETTINGS.read_text(encoding="utf-8")))["runner.postScriptGC"] is False
