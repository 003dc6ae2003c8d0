"""A lock on a file: one alone at a time, however many try at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from whalecam.store import locks
from whalecam.store.locks import FileLock

THREADS, TURNS = 8, 2000


def test_only_one_has_it_alone_however_many_try_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks are of each open file, so threads exclude each other as processes do."""
    monkeypatch.setattr(locks, "RETRY_SECONDS", 0.0)
    inside, counted = threading.Semaphore(1), [0]

    def turn(_: int) -> bool:
        with FileLock(tmp_path / "lock").alone(60.0) as is_ours:
            is_single = inside.acquire(blocking=False)
            counted[0] += 1
            if is_single:
                inside.release()
            return is_ours and is_single

    with ThreadPoolExecutor(THREADS) as pool:
        assert all(pool.map(turn, range(TURNS)))
    assert counted[0] == TURNS


def test_it_is_not_had_alone_while_it_is_shared_or_had_by_another(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    with lock.shared(), lock.alone(0.0) as is_ours:
        assert not is_ours
    with lock.alone(0.0) as is_ours, lock.alone(0.2) as is_too:
        assert is_ours and not is_too
    with lock.alone(0.0) as is_ours:
        assert is_ours


def test_several_share_it(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "lock")
    with lock.shared(), lock.shared(), lock.alone(0.0) as is_ours:
        assert not is_ours


def test_where_no_file_can_be_made_nobody_waits(tmp_path: Path) -> None:
    with FileLock(tmp_path / "missing" / "lock").alone(60.0) as is_ours:
        assert is_ours
