"""What the benchmark of many people says of visits and of memory whose answers are known, and what it asks a server."""

import asyncio
import math
from pathlib import Path

from benchmarks.pages import Server
from benchmarks.sessions import Seen, pages_of, report, visited
from benchmarks.synthetic import write_both


def test_the_first_tenth_stands_apart_and_a_page_has_its_own_percentiles() -> None:
    slow = [(float(at), "Leaks", 9.0) for at in range(11)]
    rest = [(float(at), ("Leaks", "Export")[at % 2], 1.0 + at % 2) for at in range(11, 101)]
    memory = [(float(at), 500.0 if at < 25 else 600.0) for at in range(0, 101, 5)]
    lines = report(Seen([*slow, *rest], memory), 7).splitlines()
    assert lines[0].startswith("| 7 people, 101 pages")
    assert "| first tenth | 11 | 9.00 s | 9.00 s | 9.00 s |" in lines
    assert "| after it | 90 | 1.50 s | 2.00 s | 2.00 s |" in lines
    assert (
        "| Leaks | 45 | 1.00 s | 1.00 s | 1.00 s |" in lines and "| Export | 45 | 2.00 s | 2.00 s | 2.00 s |" in lines
    )
    assert lines[-1] == "Memory: 500 MB after the first tenth, 600 MB in the last."


def test_sessions_visit_pages_of_a_real_server_until_the_end(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    write_both(folder, 300)
    pages = pages_of(folder)
    assert {page.partition("?")[2].rpartition("run=")[2] for page in pages} == {"run", "twin"}
    server = Server(folder)
    try:
        seen = asyncio.run(visited(server, pages, 2, seconds=8, reading=0.5))
    finally:
        server.process.kill()
    assert len(seen.visits) >= 2 and all(0 < seconds < math.inf for _, _, seconds in seen.visits)
    assert {page for _, page, _ in seen.visits} <= {"Overview", *(name.partition("?")[0] for name in pages)}
    assert seen.memory and all(megabytes > 50 for _, megabytes in seen.memory)
