"""Views under a name, in the file of a run."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whalecam.errors import RunError
from whalecam.store.views import MAX_NAME, MAX_VIEWS, SavedView, remove_view, save_view, views_in

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=MAX_NAME).filter(str.strip)
FIELDS = st.dictionaries(
    st.sampled_from(["label", "text", "order"]), st.none() | st.text(st.characters(codec="utf-8")) | st.lists(NAMES)
)


@given(st.lists(st.tuples(NAMES, st.sampled_from(["leaks", "losses"]), FIELDS), max_size=6))
def test_what_is_saved_is_read_and_the_last_of_a_name_counts(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, dict[str, str]]]
) -> None:
    file = tmp_path_factory.mktemp("views") / "v.json"
    assert views_in(file) == []
    last = {}
    for name, of, fields in rows:
        save_view(file, SavedView(name, of, fields))
        last[name, of] = fields
    assert {(view.name, view.of): view.fields for view in views_in(file)} == last
    for view in views_in(file):
        remove_view(file, view)
        remove_view(file, view)
    assert views_in(file) == []


def test_a_view_without_a_name_and_one_too_many_are_refused(tmp_path: Path) -> None:
    for name in ("", "  ", "a" * (MAX_NAME + 1)):
        with pytest.raises(RunError, match="needs a name"):
            save_view(tmp_path / "v", SavedView(name, "leaks", {}))
    for number in range(MAX_VIEWS):
        save_view(tmp_path / "v", SavedView(str(number), "leaks", {}))
    save_view(tmp_path / "v", SavedView("3", "leaks", {"text": "again"}))
    with pytest.raises(RunError, match="Delete one"):
        save_view(tmp_path / "v", SavedView("more", "leaks", {}))


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"views": 3}', '{"views": [{"name": "a"}]}', '{"views": ["a"]}'])
def test_a_file_that_holds_no_views_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "v.json").write_text(content)
    with pytest.raises(RunError, match=r"v\.json"):
        views_in(tmp_path / "v.json")
