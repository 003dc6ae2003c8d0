"""Who may see the dashboard: everybody, or, where secrets name an OpenID provider, those who signed in with it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitAuthError, StreamlitMissingAuthlibError, StreamlitSecretNotFoundError

from whalecam.app.components.assets import module
from whalecam.app.state import sign_in
from whalecam.errors import AccessError
from whalecam.extras import install

PLACE = ".streamlit/secrets.toml"
CLAIMS = ("iss", "sub", "aud", "iat", "exp", "nonce", "sid", "jti")
"""What tells one signing in from the next one of the same person (OpenID Connect Core 1.0, section 2)."""
NEEDED = ("redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url")
# The provider sends everybody back to the first page; a link that a colleague sent leads on from there.
_link = st.components.v2.component(
    "whalecam_link",
    js=module("link/link.js"),
)


def gate() -> None:
    """End the page with a way to sign in, before anything of a run is shown, unless its visitor may see it.

    Raises AccessError where the secrets cannot be read or name a provider that cannot be used.
    """
    rules = _rules()
    if not rules:
        return
    if _signed_in():
        _turn_away_strangers(rules)
        _link(key="access_link", data={"locked": False}, height=0)
        return
    st.title("Sign in", anchor=False)
    st.markdown("The runs of this server, their images and verdicts are open to people who have signed in.")
    for name in _providers(rules["auth"]):
        label = f"Sign in with {name.capitalize()}" if name else "Sign in"
        if st.button(label, key=f"sign_in_{name}", type="primary", icon=":material/login:"):
            sign_in.set_leaving(False)
            _send_to(name)
    if sign_in.is_leaving():
        st.logout()  # again: a run that follows at once drops what the last one has not sent yet
    _link(key="access_link", data={"locked": True}, height=0)
    st.stop()


def locked() -> bool:
    """Whether this session may see nothing: a fragment asks, since it runs without its page's `gate`."""
    try:
        rules = _rules()
    except AccessError:
        return True
    return bool(rules) and not (_signed_in() and _allowed(rules, _address()))


def who() -> str | None:
    """The name that signs this session's verdicts, given by the provider; None where nobody has to sign in.

    The e-mail address, since names are shared; the provider's own number of the person where it gives none.
    """
    return _name() if _rules() and _signed_in() else None


def badge(name: str) -> None:
    """Who is signed in, and the way out."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(name, width="stretch", help="Signs your verdicts")
        st.button("Sign out", key="sign_out", icon=":material/logout:", on_click=_sign_out)


def _sign_out() -> None:
    """Streamlit forgets this page's visitor and asks the browser to drop its cookie.

    The other pages that they have open, and whoever comes with that cookie later, are refused by us.
    """
    if name := who():
        sign_in.sign_out(name, _signing_in())
    sign_in.set_leaving(True)
    st.logout()


def _signing_in() -> sign_in.SigningIn:
    """Tells the signing in that this session's cookie was given for."""
    return tuple(str(st.user.get(name)) for name in CLAIMS)


def _rules() -> Mapping[str, Any]:
    """The secrets, where they name a provider; else empty. What cannot be read locks the dashboard."""
    try:
        secrets = st.secrets.to_dict()
    except StreamlitSecretNotFoundError as error:
        if any(Path(place).is_file() for place in st.get_option("secrets.files")):
            raise AccessError(f"{PLACE} cannot be read, so nobody can sign in. Correct it; it is TOML.") from error
        return {}
    if "auth" not in secrets:
        return {}
    access = secrets.get("access", {})
    if not isinstance(access, Mapping) or not isinstance(access.get("allowed", []), list):
        raise AccessError(f'[access] in {PLACE} is wrong, so nobody can sign in. It holds: allowed = ["@example.org"]')
    return secrets


def _providers(auth: Mapping[str, Any]) -> list[str]:
    """Names of the providers; "" for the one that stands in [auth] itself."""
    named = [name for name, value in auth.items() if isinstance(value, Mapping) and "client_id" in value]
    return ([""] if "client_id" in auth else []) + named or [""]


def _send_to(provider: str) -> None:
    try:
        st.login(provider or None)
    except StreamlitMissingAuthlibError as error:
        raise AccessError(f"Signing in needs the extra auth (Authlib). Install it: {install('auth')}") from error
    except StreamlitAuthError as error:
        needed = ", ".join(NEEDED)
        raise AccessError(f"[auth] in {PLACE} is not complete, so nobody can sign in. It needs: {needed}.") from error


def _signed_in() -> bool:
    return bool(st.user.get("is_logged_in")) and not sign_in.is_ended(_name(), _signing_in())


def _name() -> str:
    return _address() or f"{st.user.get('name') or 'user'} ({st.user.get('sub')})"


def _address() -> str:
    """The person's e-mail address; "" where there is none or the provider says that it is not verified."""
    verified = st.user.get("email_verified") is not False
    return str(st.user.get("email") or "").strip() if verified else ""


def _allowed(rules: Mapping[str, Any], address: str) -> bool:
    """Whether `[access] allowed`, addresses and @domains, holds the address; without a list all may come in."""
    allowed = rules.get("access", {}).get("allowed")
    if allowed is None:
        return True
    address = address.casefold()
    wanted = {str(entry).casefold() for entry in allowed}
    return bool(address) and (address in wanted or "@" + address.rpartition("@")[2] in wanted)


def _turn_away_strangers(rules: Mapping[str, Any]) -> None:
    if _allowed(rules, _address()):
        return
    st.title("No access", anchor=False)
    st.warning("Your account may not see this server. Ask who runs it to add your address to [access] allowed.")
    badge(who() or "")
    st.stop()
