"""The flag CSV out and in, the merge report, and the source CSV without flagged rows."""

import csv
import io
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import SHARED
from whalecam.config import EXPORT_CHOICES, Thresholds
from whalecam.errors import DatasetError, ReviewError
from whalecam.output.csv import COLUMNS, MergeReport, cleaned_source, flag_rows, merge, read_csv, write_csv
from whalecam.store.reviews import Journal, Review

OLD, NEW = "2024-01-01T12:00:00+00:00", "2024-03-01T12:00:00+00:00"
CONTRACT = (
    "image,label,group,verdict,reason,note,suggested_label,reviewer,reviewed_at,predicted,confidence,loss,"
    "background_share,attention_score,reliance_probability,p_value,q_value,reliance,assessment,mask_source,attention_threshold,"
    "reliance_threshold,false_rate,map,run,model_sha256"
)
TRAIN = SHARED / "happywhale" / "train.csv"
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
FORMULAS = st.builds(str.__add__, st.sampled_from([*"=+-@\t\r\n'\"; ,", "''=", "'x"]), TEXT)
CELLS = st.one_of(TEXT, FORMULAS)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(f"sqlite:///{tmp_path / 'reviews.sqlite'}")


def table(**columns: list[Any]) -> pd.DataFrame:
    """Rows as `Table.all_rows` gives them, the columns that matter and one that does not."""
    rows = pd.DataFrame(
        {
            "image": ["c.jpg", "a.jpg", "b.jpg"],
            "label": ["orca", "beluga", "orca"],
            "group": ["0012", "", "-7"],
            "predicted": ["orca", None, "beluga"],
            "confidence": np.array([0.9, np.nan, 0.1], np.float32),
            "loss": np.array([0.1, np.nan, -0.5], np.float32),
            "background_share": [0.5, np.nan, 0.25],
            "attention_score": [1.5, np.nan, -2.0],
            "reliance_probability": [0.97, np.nan, 0.5],
            "p_value": [0.01, np.nan, 0.25],
            "q_value": [0.03, np.nan, 1.0],
            "reliance": [np.nan] * 3,
            "assessment": ["suspect", "not_assessable", "clean"],
            "mask_source": ["given", None, "border"],
            "note": ["from the table, not from the journal"] * 3,
        }
    )
    return rows.assign(**columns)


def exported(journal: Journal, only: str = "all", rows: pd.DataFrame | None = None) -> pd.DataFrame:
    return flag_rows(table() if rows is None else rows, journal.latest(), only, run_name="mine", model_sha256="abc")


def with_csv(raw: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(raw.decode(), newline="")))


def test_columns_are_those_of_the_contract() -> None:
    assert ",".join(COLUMNS) == CONTRACT
    assert (
        write_csv(flag_rows(table(), Journal("sqlite://").latest(), "flagged", run_name="r", model_sha256="s")).decode()
        == CONTRACT + "\r\n"
    )


def test_rows_keep_the_tables_order_and_hold_both_witnesses(journal: Journal) -> None:
    journal.add([Review("b.jpg", "flag", "ana", "water", "said", "minke", 1.25, None, "raw", NEW, False, 0.1)])
    frame = flag_rows(
        table(),
        journal.latest(),
        "all",
        run_name="mine",
        model_sha256="abc",
        thresholds=Thresholds(attention=2.0, reliance=0.3),
    )
    assert frame["image"].tolist() == ["c.jpg", "a.jpg", "b.jpg"]
    raw = write_csv(frame)
    c, a, b = with_csv(raw)
    assert list(b.values()) == [
        *("b.jpg", "orca", "'-7", "flag", "water", "said", "minke", "ana", NEW),
        *("beluga", "0.1", "-0.5", "0.25", "-2.0", "0.5", "0.25", "1.0", "", "clean", "border"),
        *("1.25", "0.3", "0.1", "raw", "mine", "abc"),
    ]
    assert (c["verdict"], c["note"], c["group"], c["assessment"]) == ("", "", "0012", "suspect")
    assert (c["attention_threshold"], c["reliance_threshold"], c["false_rate"], c["map"]) == (
        "2.0",
        "0.3",
        "0.05",
        "relative",
    )
    assert (a["predicted"], a["confidence"], a["mask_source"], a["group"]) == ("", "", "", "")
    read = pd.read_csv(io.BytesIO(raw), dtype={"individual_id": str})
    assert read["group"].tolist()[0] == "0012"
    np.testing.assert_allclose(read["loss"], [0.1, np.nan, -0.5])


@pytest.mark.parametrize(
    ("only", "images"),
    [
        ("flagged", ["a.jpg"]),
        ("reviewed", ["c.jpg", "a.jpg"]),
        ("suspects", ["c.jpg", "b.jpg"]),
        ("all", ["c.jpg", "a.jpg", "b.jpg"]),
    ],
)
def test_choices(journal: Journal, only: str, images: list[str]) -> None:
    journal.add(
        [Review("a.jpg", "flag", "ana"), Review("c.jpg", "keep", "ana"), Review("elsewhere.jpg", "flag", "ana")]
    )
    rows = table(assessment=["suspect", "clean", "confirmed_leak"])
    assert exported(journal, only, rows)["image"].tolist() == images
    assert only in EXPORT_CHOICES


def test_an_unknown_choice_is_refused(journal: Journal) -> None:
    with pytest.raises(ReviewError, match=r"'some' cannot be exported. There are: flagged, reviewed, suspects, all"):
        exported(journal, "some")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "'"])
def test_formulas_are_neutralised_in_texts_and_restored(start: str) -> None:
    frame = pd.DataFrame({"image": [f"{start}1+1"], "verdict": ["flag"], "reviewer": [start], "loss": [-1.5]})
    raw = write_csv(frame)
    assert with_csv(raw)[0] == {"image": f"'{start}1+1", "verdict": "flag", "reviewer": f"'{start}", "loss": "-1.5"}
    back = read_csv(raw)
    assert back.iloc[0].to_dict() == frame.iloc[0].to_dict()


@pytest.mark.parametrize("text", ["", "plain", " =1", "x=1", "1-1", "\n=1", "＝1", "0012", "nan", "None", "NA", "1e5"])
def test_other_texts_are_written_as_they_are(text: str) -> None:
    raw = write_csv(pd.DataFrame({"image": ["a"], "verdict": ["flag"], "reviewer": ["ana"], "note": [text]}))
    assert with_csv(raw)[0]["note"] == text
    assert read_csv(raw)["note"].tolist() == [text]


def test_an_apostrophe_that_we_did_not_write_stays() -> None:
    assert read_csv(b"image,verdict,reviewer\n'tis.jpg,flag,'\n").iloc[0].tolist() == ["'tis.jpg", "flag", "'"]


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS, st.floats(width=32), st.floats()), max_size=5))
def test_round_trip_of_any_text_and_number(rows: list[tuple[Any, ...]]) -> None:
    frame = of_texts_and_numbers([row for row in rows if any(row[:4]) or not np.isnan(row[4:]).all()])
    raw = write_csv(frame)
    back = read_csv(raw)
    assert back.attrs["refused"] == []
    pd.testing.assert_frame_equal(back.reset_index(drop=True), frame, check_exact=True)
    seen = list(csv.reader(io.StringIO(raw.decode(), newline="")))[1:]
    assert not any(cell[:1] in tuple("=+-@\t\r") and cell for cells in seen for cell in cells[:4])
    as_text = pd.read_csv(
        io.BytesIO(raw.replace(b"\0", b"0")), dtype=str, keep_default_na=False, skip_blank_lines=False
    )
    assert as_text["note"].tolist() == [cells[3].replace("\0", "0") for cells in seen]


def of_texts_and_numbers(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    names = ["image", "verdict", "reviewer", "note", "loss", "attention_score"]
    return pd.DataFrame(rows, columns=names).astype(dict.fromkeys(names[:4], "str") | dict.fromkeys(names[4:], float))


def test_ten_thousand_generated_rows_survive_and_none_would_run_as_a_formula() -> None:
    rows: list[tuple[Any, ...]] = []

    @settings(max_examples=10_000, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(row=st.tuples(CELLS, CELLS, CELLS, CELLS, st.floats(width=32), st.floats()))
    def gather(row: tuple[Any, ...]) -> None:
        rows.append(row)

    gather()
    frame = of_texts_and_numbers([row for row in rows if any(row[:4]) or not np.isnan(row[4:]).all()])
    raw = write_csv(frame)
    back = read_csv(raw)
    assert back.attrs["refused"] == [] and len(rows) >= 10_000
    pd.testing.assert_frame_equal(back.reset_index(drop=True), frame, check_exact=True)
    seen = list(csv.reader(io.StringIO(raw.decode(), newline="")))[1:]
    assert not [cell for cells in seen for cell in cells[:4] if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


SPREADSHEET = pd.DataFrame(
    {
        "image": ["=1+1.jpg", "0012", "a,b.jpg", "né ☂.jpg", "'tis.jpg", "1e5"],
        "label": ["orca"] * 6,
        "group": ["0012", "-7", "1/2", "2024-01-02", "12345678901234567890", "TRUE"],
        "verdict": ["flag", "keep", "unsure", "flag", "keep", "flag"],
        "reviewer": ["@ana", "bo", "+1", "-x", "cy", "dé"],
        "reviewed_at": [NEW] * 6,
        "note": ["line\ntwo", 'a "quote"', '=HYPERLINK("http://example.org")', " lead", "", "'"],
        "confidence": [0.1, 0.123456789012, np.nan, 1e-7, 1.0, 0.33333334],
        "loss": [-1.5, 2.0, 3.0, 4.0, 5.25, 1e-12],
    }
)
"""What spreadsheets like to change: formulas, leading zeros, dates, long numbers, quotes, line ends."""


def through_libreoffice(raw: bytes, folder: Path, opened_as: str) -> bytes:
    """The file opened in LibreOffice, saved as its own, opened again and saved as CSV."""
    program = shutil.which("soffice")
    if program is None:
        assert not os.environ.get("CI"), "no LibreOffice on this machine, and CI must test with it"
        pytest.skip("no LibreOffice on this machine: apt-get install libreoffice-calc")
    (folder / "a.csv").write_bytes(raw)
    saved_as = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false"
    steps: list[tuple[str, str, list[str]]] = [
        ("a.csv", "ods", [f"--infilter={opened_as}"]),
        ("out/a.ods", saved_as, []),
    ]
    for source, form, how in steps:
        profile, target = f"-env:UserInstallation=file://{folder}/profile", str(folder / "out")
        command = [program, "--headless", profile, "--convert-to", form, "--outdir", target, *how, str(folder / source)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return (folder / "out" / "a.csv").read_bytes()


@pytest.mark.slow
def test_libreoffice_with_columns_as_text_changes_nothing(tmp_path: Path, journal: Journal) -> None:
    columns = "/".join(f"{number}/2" for number in range(1, len(SPREADSHEET.columns) + 1))
    raw = through_libreoffice(write_csv(SPREADSHEET), tmp_path, f"CSV:44,34,76,1,{columns}")
    back = read_csv(raw)
    pd.testing.assert_frame_equal(back.reset_index(drop=True), SPREADSHEET, check_exact=True)
    assert "Err:" not in raw.decode() and ",2\r" not in raw.decode()
    names = set(SPREADSHEET["image"])
    assert len(merge(journal, read_csv(write_csv(SPREADSHEET)), names).added) == 6
    assert len(merge(journal, back, names).unchanged) == 6, "a file that was only looked at brings nothing new"


@pytest.mark.slow
def test_libreoffice_left_to_guess_runs_no_formula_and_loses_no_verdict_silently(
    tmp_path: Path, journal: Journal
) -> None:
    back = read_csv(through_libreoffice(write_csv(SPREADSHEET), tmp_path, "CSV:44,34,76,1"))
    assert back["note"].tolist()[:3] == SPREADSHEET["note"].tolist()[:3]
    assert back["image"].tolist() == ["=1+1.jpg", "12", "a,b.jpg", "né ☂.jpg", "'tis.jpg", "100000"]
    np.testing.assert_allclose(back["loss"], SPREADSHEET["loss"])
    report = merge(journal, back, set(SPREADSHEET["image"]))
    assert [item["image"] for item in report.unknown] == ["12", "100000"]
    assert len(report.added) == 4 and not report.refused


def test_pandas_reads_and_writes_the_file_without_a_change(journal: Journal) -> None:
    raw = write_csv(SPREADSHEET)
    frame = pd.read_csv(io.BytesIO(raw), dtype=str, keep_default_na=False)
    back = read_csv(frame.to_csv(index=False).encode())
    pd.testing.assert_frame_equal(back.reset_index(drop=True), SPREADSHEET, check_exact=True)


def test_half_a_character_is_said_in_words() -> None:
    with pytest.raises(ReviewError, match="half a character"):
        write_csv(pd.DataFrame({"image": pd.Series(["\ud800"], dtype=object)}))


@settings(max_examples=40, deadline=None)
@given(
    names=st.lists(
        TEXT.map(str.strip).filter(lambda text: text and "\0" not in text), min_size=1, max_size=4, unique=True
    ),
    note=CELLS.filter(lambda text: "\0" not in text),
    verdict=st.sampled_from(["flag", "keep", "unsure"]),
)
def test_a_journal_goes_through_a_file_into_another(
    names: list[str], note: str, verdict: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("journals")
    first, second = Journal(f"sqlite:///{folder / '1'}"), Journal(f"sqlite:///{folder / '2'}")
    first.add(
        [Review(name, verdict, "ana", note=note, suggested_label=note, attention_threshold=0.3) for name in names]
    )
    rows = pd.DataFrame({"image": names, "label": note, "group": note, "assessment": "suspect"})
    raw = write_csv(flag_rows(rows, first.latest(), "reviewed", run_name=note, model_sha256=""))
    report = merge(second, read_csv(raw), set(names))
    assert len(report.added) == len(names)
    pd.testing.assert_frame_equal(second.latest(), first.latest())
    again = merge(second, read_csv(raw), set(names))
    assert (len(again.added), len(again.unchanged)) == (0, len(names))
    assert second.version() == len(names)


def file_of(*rows: str, header: str = "image,verdict,reviewer,reviewed_at,note") -> pd.DataFrame:
    return read_csv("\n".join([header, *rows]).encode())


def test_merge_accounts_for_every_row(journal: Journal) -> None:
    journal.add([Review("a", "flag", "ana", reviewed_at=OLD)])
    frame = file_of(
        f"a,flag,ana,{OLD},",
        f"b, Keep ,bo,{NEW},hm",
        f"zz,flag,bo,{NEW},",
        f"c,maybe,bo,{NEW},",
        f"c,flag, ,{NEW},",
        "c,flag,bo,soon,",
        "c,flag,bo,2999-01-01,",
        ",flag,bo,,",
        "c,,,,a note alone",
        "c,,bo,,",
        "c,flag,bo",
        f"c,flag,bo,{NEW},x,y",
    )
    report = merge(journal, frame, {"a", "b", "c"})
    assert report.unchanged == ({"image": "a", "verdict": "flag", "reviewer": "ana", "reviewed_at": OLD},)
    b = {"image": "b", "verdict": "keep", "reviewer": "bo", "reviewed_at": NEW}
    assert report.added == ({**b, "counts": True},)
    assert report.unknown == ({"image": "zz", "verdict": "flag", "reviewer": "bo", "reviewed_at": NEW},)
    assert report.blank == 1
    said = {item["row"]: item["why"] for item in report.refused}
    assert sorted(said) == [5, 6, 7, 8, 9, 10, 12, 13]
    for row, why in {
        5: "'maybe' is not a verdict",
        6: "signed",
        7: "'soon', not a date",
        8: "future",
        9: "name of an image",
        10: "without a verdict",
        12: "3 cells stand under 5",
        13: "6 cells stand under 5",
    }.items():
        assert why in said[row]
    assert journal.latest()["image"].tolist() == ["a", "b"]
    assert journal.latest()["reviewed_at"].tolist() == [OLD, NEW]


def test_reviewers_who_disagree_are_both_listed_and_the_newest_counts(journal: Journal) -> None:
    journal.add([Review("a", "flag", "ana", reviewed_at=OLD), Review("b", "flag", "ana", reviewed_at=NEW)])
    journal.add([Review("c", "flag", "ana", reviewed_at=OLD), Review("d", "flag", "ana", reviewed_at=OLD)])
    report = merge(
        journal,
        file_of(
            f"a,keep,bo,{NEW},", f"b,keep,bo,{OLD},", f"c,flag,bo,{NEW},", f"d,keep,ana,{NEW},", f"e,flag,bo,{OLD},"
        ),
        {"a", "b", "c", "d", "e"},
    )
    ana = {"verdict": "flag", "reviewer": "ana"}
    against_bo = {"against": "keep", "against_reviewer": "bo", "against_reviewed_at": OLD}
    against_ana = {"against": "flag", "against_reviewer": "ana", "against_reviewed_at": OLD}
    assert report.conflicts == (
        {"image": "a", "verdict": "keep", "reviewer": "bo", "reviewed_at": NEW, **against_ana},
        {"image": "b", **ana, "reviewed_at": NEW, **against_bo},
    )
    assert [item["counts"] for item in report.added] == [True, False, True, True, True]
    assert journal.latest()["verdict"].tolist() == ["keep", "flag", "flag", "keep", "flag"]
    assert len(journal.standing()) == 9


def test_reviewers_who_disagree_within_the_file(journal: Journal) -> None:
    report = merge(journal, file_of(f"a,keep,bo,{NEW},", f"a,flag,ana,{OLD},", f"a,unsure,cy,{OLD},"), {"a"})
    assert [(item["verdict"], item["against"]) for item in report.conflicts] == [("keep", "flag"), ("keep", "unsure")]


def test_a_reviewer_who_speaks_again_is_the_newest(journal: Journal) -> None:
    journal.add([Review("a", "flag", "ana", reviewed_at=OLD)])
    report = merge(journal, file_of("a,keep,bo,2024-02-01,", f"a,unsure,ana,{NEW},"), {"a"})
    assert [(item["verdict"], item["against"]) for item in report.conflicts] == [("unsure", "keep")]
    assert [item["counts"] for item in report.added] == [False, True]


def test_a_file_without_moments_is_taken_in_once(journal: Journal) -> None:
    frame = file_of("a,flag,ana", "b,keep,ana", header="image,verdict,reviewer")
    assert len(merge(journal, frame, {"a", "b"}).added) == 2
    again = merge(journal, frame, {"a", "b"})
    assert (len(again.added), len(again.unchanged), journal.version()) == (0, 2, 2)
    assert journal.undo("ana") == []


def test_nothing_new_leaves_the_journal_alone(journal: Journal) -> None:
    assert merge(journal, file_of("x,flag,ana,,"), set()) == MergeReport(
        (), (), (), ({"image": "x", "verdict": "flag", "reviewer": "ana", "reviewed_at": ""},), ()
    )
    assert journal.version() == 0


def test_what_a_german_spreadsheet_saves(journal: Journal) -> None:
    text = (
        'image;verdict;reviewer;note;attention_threshold;;\r\na;flag;ana;"1;2";0,5;;\r\n;;;;;;\r\nb;flag;ana;;x;;\r\n'
    )
    frame = read_csv(text.encode("utf-8-sig"))
    assert (frame["note"].tolist(), frame["attention_threshold"].tolist()) == (["1;2"], [0.5])
    assert frame.attrs["refused"] == [{"row": 4, "image": "b", "why": "attention_threshold is 'x', not a number"}]
    assert [item["row"] for item in merge(journal, frame, {"a", "b"}).refused] == [4]


def test_unicode_text_with_tabs_as_spreadsheets_save_it() -> None:
    frame = read_csv("image\tverdict\treviewer\tloss\nå\tflag\t鯨\t-1.5e-3\n".encode("utf-16"))
    assert list(frame.loc[2]) == ["å", "flag", "鯨", -0.0015]


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "is empty"),
        (b"  \n\n", "is empty"),
        (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", "not UTF-8 text"),
        ("image,verdict,reviewer\na,flag,Ren\xe9".encode("latin-1"), "not UTF-8 text.*CSV UTF-8"),
        (b"\xff\xfea", "not UTF-16 text"),
        (b"name,verdict,reviewer\n", "no column 'image'. It has: name, verdict, reviewer"),
        (b"image,species\na,orca\n", "no column 'verdict'"),
        (b"image,verdict\na,flag\n", "no column 'reviewer'"),
        (b"image,verdict,reviewer,verdict\n", "two columns 'verdict'"),
        (b'image,verdict,reviewer\na,flag,"ana\n', r"cannot be read as CSV.*line 2"),
        (b'image,verdict,reviewer\na,flag,"ana"x\n', r"cannot be read as CSV.*line 2"),
        (b'image,verdict,reviewer\na,flag,"' + b"x" * 200_000 + b'"\n', "field larger"),
    ],
)
def test_files_that_are_no_verdict_file(raw: bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match=says):
        read_csv(raw)
    (tmp_path / "back.csv").write_bytes(raw)
    with pytest.raises(ReviewError, match=says):
        read_csv(tmp_path / "back.csv")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match=r"none\.csv cannot be read"):
        read_csv(tmp_path / "none.csv")
    with pytest.raises(DatasetError, match=r"none\.csv cannot be read"):
        cleaned_source(tmp_path / "none.csv", "image", {"a"})


ROWS = [
    b"\xef\xbb\xbf",
    b' "image" ; note\r\n',
    b'a;"one\r\ntwo;x"\r\n',
    b"\r\n",
    b'"b" ;he said "no"\n',
    b"c;\r",
    b"d;caf\xc3\xa9",
]


@pytest.mark.parametrize(
    ("flagged", "dropped"),
    [(set(), []), ({"a"}, [2]), ({"b", "c"}, [4, 5]), ({"d"}, [6]), ({"a", "b", "c", "d", "unknown"}, [2, 4, 5, 6])],
)
def test_cleaned_source_keeps_every_other_byte(tmp_path: Path, flagged: set[str], dropped: list[int]) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(b"".join(ROWS))
    kept = b"".join(row for at, row in enumerate(ROWS) if at not in dropped)
    assert cleaned_source(path, "image", flagged) == kept


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_cleaned_source_of_utf_16(tmp_path: Path, codec: str) -> None:
    lines = ["\ufeffspecies\timage\n", "orca\tå.jpg\n", 'béluga\t"b\n.jpg"\n', "orca\tc.jpg"]
    (tmp_path / "train.csv").write_bytes("".join(lines).encode(codec))
    cleaned = cleaned_source(tmp_path / "train.csv", "image", {"å.jpg", "b\n.jpg"})
    assert cleaned == (lines[0] + lines[3]).encode(codec)


def test_cleaned_source_tells_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(b"picture,species\na,orca\n")
    with pytest.raises(DatasetError, match=r"train\.csv has no column 'image'. It has: picture, species"):
        cleaned_source(path, "image", {"a"})
    path.write_bytes(b'image,note\na,"open\nb,\nc,\n')
    with pytest.raises(DatasetError, match="unexpected end"):
        cleaned_source(path, "image", {"a"})


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(st.tuples(st.sampled_from(["a", "b", "c,1"]), CELLS), max_size=6),
    flagged=st.sets(st.sampled_from(["a", "b", "c,1"])),
    end=st.sampled_from(["\n", "\r\n"]),
    delimiter=st.sampled_from(",;\t|"),
)
def test_cleaned_source_of_any_csv(
    rows: list[tuple[str, str]], flagged: set[str], end: str, delimiter: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def written(some: list[tuple[str, str]]) -> bytes:
        out = io.StringIO(newline="")
        csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(
            [("image", "note"), *some]
        )
        return out.getvalue().encode()

    path = tmp_path_factory.mktemp("source") / "train.csv"
    path.write_bytes(written(rows))
    assert cleaned_source(path, "image", flagged) == written([row for row in rows if row[0] not in flagged])


def test_cleaned_source_of_the_real_table() -> None:
    if not TRAIN.is_file():
        pytest.skip("the shared Happywhale tables are not here")
    lines = TRAIN.read_bytes().splitlines(keepends=True)
    flagged = {line.split(b",")[0].decode() for line in lines[1::5]}
    kept = [line for at, line in enumerate(lines) if at % 5 != 1]
    assert cleaned_source(TRAIN, "image", flagged) == b"".join(kept)
