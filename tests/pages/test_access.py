"""Who may see a page, with secrets of every kind, through Streamlit's own test runner."""

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT
from tests.pages.test_pages import open_page

PAGES = (None, *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "pages").glob("*.py")))
AUTH = {"redirect_uri": "http://here/oauth2callback", "cookie_secret": "s" * 32}


def opened(page: str | None, **secrets: Any) -> AppTest:
    app = AppTest.from_file(str(ROOT / "dashboard.py"), default_timeout=60)
    for name, value in secrets.items():
        app.secrets[name] = value
    return (app.switch_page(page) if page else app).run()


@pytest.mark.parametrize("page", PAGES)
def test_every_page_is_locked_where_a_provider_is_named(runs: Path, page: str | None) -> None:
    app = opened(page, auth={**AUTH, "client_id": "x", "client_secret": "y", "server_metadata_url": "http://z"})
    assert not app.exception
    assert app.title[0].value == "Sign in"
    assert [button.label for button in app.button] == ["Sign in"]
    assert not app.dataframe and not app.selectbox and not app.metric and not app.text_input


def test_each_of_several_providers_has_a_button(runs: Path) -> None:
    one = {"client_id": "x", "client_secret": "y", "server_metadata_url": "http://z"}
    app = opened(None, auth={**AUTH, "google": one, "whalehub": one})
    assert [button.label for button in app.button] == ["Sign in with Google", "Sign in with Whalehub"]


def test_half_a_provider_locks_the_page_and_says_what_is_missing(runs: Path) -> None:
    app = opened(None, auth={**AUTH, "client_id": "x"})
    app.button[0].click().run()
    assert not app.exception
    assert "client_secret" in app.error[0].value.replace("\\", "")
    assert not app.metric


@pytest.mark.parametrize("access", ["all", {"allowed": "@example.org"}])
def test_a_wrong_allow_list_locks_every_page(runs: Path, access: Any) -> None:
    app = opened(None, auth={**AUTH, "client_id": "x"}, access=access)
    assert not app.exception and not app.metric and not app.button
    assert "allowed" in app.error[0].value


def test_secrets_of_another_kind_lock_nothing(runs: Path) -> None:
    app = opened("pages/4_Heatmaps.py", database={"password": "x"})
    assert app.title[0].value == "Heatmaps"
    assert app.text_input(key="reviewer").value == ""


def test_a_secrets_file_that_cannot_be_read_locks_every_page(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamlit import config
    from streamlit.runtime.secrets import secrets_singleton

    (tmp_path / "secrets.toml").write_text("[auth\nhalf")
    before = config.get_option("secrets.files")
    config.set_option("secrets.files", [str(tmp_path / "secrets.toml")])
    monkeypatch.setattr(secrets_singleton, "_secrets", None)
    try:
        app = open_page("pages/5_Leaks.py")
        assert not app.exception
        assert "cannot be read" in app.error[0].value and not app.dataframe and not app.metric
    finally:
        config.set_option("secrets.files", before)
