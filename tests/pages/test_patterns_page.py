"""The Patterns page: the library's own answers, and verdicts on groups."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

import whalecam as wc
from tests.analysis.test_patterns import looks
from tests.pages.test_pages import open_page, texts
from whalecam.analysis.patterns import places
from whalecam.store.reviews import Journal
from whalecam.store.run import open_run
from whalecam.store.table import embeddings


def tab(name: str, **query: str) -> AppTest:
    app = open_page("pages/8_Patterns.py", **query)
    app.query_params["patterns_tab"] = name
    return app.run()


@pytest.mark.parametrize("name", ["Map", "Strategies", "Attention atlas", "Confused pairs", "Slices", "Cues"])
def test_each_tab_opens(runs: Path, name: str) -> None:
    app = tab(name)
    assert not app.exception and not app.error, texts(app)
    assert len(texts(app)) > 40


def test_the_page_opens_on_how_many_are_mistaken_and_for_what(runs: Path) -> None:
    run = open_run(runs / "demo")
    audited = pd.concat(pq.read_table(part).drop_columns(["maps"]).to_pandas() for part in run.parts())
    mapped = audited[audited["predicted"].notna()]
    unseen = mapped[~mapped["in_training"].astype(bool) & mapped["label"].isin(run.manifest.classes)]
    wrong = unseen[unseen["label"] != unseen["predicted"]]
    pairs = Counter(frozenset(pair) for pair in wrong[["label", "predicted"]].itertuples(index=False))
    shown = {metric.label: metric for metric in tab("Map").metric}
    assert shown["Images with a map"].value == f"{len(mapped):,}"
    assert shown["Species"].value == str(mapped["label"].nunique())
    assert shown["Taken for another species"].value == f"{len(wrong):,} of {len(unseen):,}"
    assert ("Most confused pair" in shown) == (pairs.most_common(1)[0][1] > 1)
    if "Most confused pair" in shown:
        most = shown["Most confused pair"]
        names = frozenset(most.delta.replace("\\", "").split(" ↔ "))
        assert pairs[names] == max(pairs.values())
        assert most.value == f"{pairs[names]:,} of {int(unseen['species'].isin(names).sum()):,}"


def test_the_map_says_what_it_draws_and_falls_back_to_pca(runs: Path) -> None:
    count = len(embeddings(open_run(runs / "demo").parts()))
    app = tab("Map")
    assert f"{count:,} images of" in texts(app)
    app.segmented_control(key="map_way").set_value("umap").run()
    assert not app.exception and "Until then: PCA" in texts(app)
    assert app.button(key="lay_out").label == "Compute UMAP"
    for colouring in ("assessment", "fold", "right"):
        app.selectbox(key="map_colour").set_value(colouring).run()
        assert not app.exception, app.exception


def test_kept_places_are_drawn_without_a_button(runs: Path) -> None:
    run = open_run(runs / "demo")
    rows = places.laid_out(run)
    spots = np.zeros((len(rows), 2), np.float32)
    np.savez(run.embedding, places=spots, stamp=np.array(places.stamp(run)), image=rows["image"].to_numpy(str))
    app = tab("Map")
    app.segmented_control(key="map_way").set_value("umap").run()
    assert "lay_out" not in [button.key for button in app.button] and not app.exception


def test_an_audit_without_vectors_says_audit_again(runs: Path) -> None:
    for part in open_run(runs / "demo").parts():
        pq.write_table(pq.read_table(part).drop_columns(["embedding"]), part)
    app = tab("Map")
    assert not app.exception and "audit again" in texts(app)
    assert not tab("Strategies").exception


def with_a_copyright_text(runs: Path) -> set[str]:
    """Give the images of the demo maps of which eight of one species look at the bottom right corner."""
    run = open_run(runs / "demo")
    (part, *rest) = run.parts()
    rows = [row for path in (part, *rest) for row in pq.read_table(path).to_pylist()]
    known = [row for row in rows if row["predicted"]][:88]
    for row, share in zip(known, looks(0), strict=True):
        maps = np.zeros((len(run.manifest.classes), 8, 8))
        maps[run.manifest.classes.index(row["predicted"])] = share
        row |= {"label": "beluga", "maps": maps.astype("<f2").tobytes(), "map_height": 8, "map_width": 8}
    shutil.rmtree(run.path / "audit")
    run.write_part(known)
    return {row["image"] for row in known[80:]}


def test_an_odd_strategy_is_flagged_as_a_group_with_one_undo(runs: Path) -> None:
    odd = with_a_copyright_text(runs)
    journal = Journal(open_run(runs / "demo").reviews_url)
    app = tab("Strategies")
    app.selectbox(key="strategy_label").set_value("beluga").run()
    shown = texts(app)
    assert "An odd way" in shown and "· 8 images" in shown and shown.index("An odd way") < shown.index("The usual way")
    app.button(key="flag_all_beluga_1").click().run()
    assert "signed" in app.error[0].value and journal.latest().empty
    app.text_input(key="reviewer").set_value("Ana").run()
    app.selectbox(key="strategy_beluga_1_reason").set_value("text").run()
    app.button(key="flag_all_beluga_1").click().run()
    assert not app.exception and not app.error, texts(app)
    latest = journal.latest()
    assert set(latest["image"]) == odd and set(latest["verdict"]) == {"flag"} and set(latest["reason"]) == {"text"}
    app.button(key="strategy_undo").click().run()
    assert not app.exception and journal.latest().empty


def with_a_slice(runs: Path) -> set[str]:
    """Give the demo 48 unseen images of one label, of two kinds; most of the smaller kind are taken for another's."""
    run, rng = open_run(runs / "demo"), np.random.default_rng(0)
    rows = [row for part in run.parts() for row in pq.read_table(part).to_pylist()]
    known, (label, other) = [row for row in rows if row["predicted"]][:48], run.manifest.classes[:2]
    size = len(np.frombuffer(known[0]["embedding"], "<f2"))
    for at, row in enumerate(known):
        is_odd, vector = at < 16, np.zeros(size)
        vector[:4] = rng.normal(0, 0.1, 4) + np.eye(4)[int(is_odd)]
        taken = other if (is_odd and at < 13) or at in (20, 30) else label
        row |= {"label": label, "predicted": taken, "in_training": False, "mask_area": 0.1 if is_odd else 0.4}
        row |= {"embedding": vector.astype("<f2").tobytes(), "correct": taken == label, "fold": 0}
    shutil.rmtree(run.path / "audit")
    run.write_part(known)
    return {row["image"] for row in known[:16]}


def test_a_slice_is_named_by_what_its_images_share_and_opened(runs: Path) -> None:
    odd = with_a_slice(runs)
    app = tab("Slices")
    shown = texts(app).replace("\\", "")
    assert "13 of 16 images are named wrongly (81\u00a0%)" in shown
    assert "of the other 32 of this species, 2 (6\u00a0%). p 0.005" in shown
    assert "lower share of the image that the animal covers (median 10\u00a0%; elsewhere 40\u00a0%)" in shown
    assert f"taken for {open_run(runs / 'demo').manifest.classes[1]} (81\u00a0%; elsewhere 6\u00a0%)" in shown
    app.button(key="open_slice_1").click().run()
    region = app.session_state["leaks_region"]
    assert all(f'"{image}"' in region for image in odd) and region.startswith("images [")
    (same,) = wc.open_run(runs / "demo").slices()
    assert set(same.images) == odd and (same.mistakes, same.others, same.other_mistakes) == (13, 32, 2)


def test_without_unseen_images_the_tab_says_why_it_has_no_slices(runs: Path) -> None:
    run = open_run(runs / "demo")
    rows = [row for part in run.parts() for row in pq.read_table(part).to_pylist()]
    shutil.rmtree(run.path / "audit")
    run.write_part([row | {"in_training": True} for row in rows])
    app = tab("Slices")
    assert not app.exception and "No image here was kept from training" in app.info[0].value


def test_the_page_needs_no_network_library() -> None:
    import subprocess
    import sys

    screens = ", ".join(f"whalecam.app.screens.{name}" for name in ("embedding", "patterns", "slices_panel"))
    program = f"import sys, {screens}; sys.exit(bool({{'torch', 'umap'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
