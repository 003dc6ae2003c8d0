"""Who has signed out, of all sessions of this process, and where this session stands with it."""

import time

import streamlit as st

SigningIn = tuple[str, ...]
"""What tells one signing in from the next one of the same person."""


def sign_out(name: str, signing_in: SigningIn) -> None:
    """A visitor signs out: their other pages, and whoever comes with this signing in later, are refused."""
    _ended()[name] = time.monotonic()
    _revoked().add(signing_in)


def is_ended(name: str, signing_in: SigningIn) -> bool:
    """Whether this signing in was ended, or its visitor signed out anywhere after this session was first seen."""
    came = float(st.session_state.setdefault("_came", time.monotonic()))
    return signing_in in _revoked() or _ended().get(name, 0.0) >= came


def set_leaving(leaving: bool) -> None:
    """Whether this session's browser is on its way to drop its cookie."""
    st.session_state["_leaving"] = leaving


def is_leaving() -> bool:
    return bool(st.session_state.get("_leaving"))


@st.cache_resource
def _ended() -> dict[str, float]:
    """When each visitor last signed out, by the process's clock."""
    return {}


@st.cache_resource
def _revoked() -> set[SigningIn]:
    """The signings in that were ended by signing out, while this process lives."""
    return set()
