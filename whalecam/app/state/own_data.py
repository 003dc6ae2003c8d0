"""Somebody's own data before it becomes a run: the uploads of a session, what its fields mean, and the preview."""

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import streamlit as st

from whalecam.analysis import own_data
from whalecam.analysis.own_data import OwnData, OwnDataPreview
from whalecam.app.state import fields, session
from whalecam.config import IMAGE_SUFFIXES, AuditOptions, Columns, MaskOptions
from whalecam.data import open_dataset
from whalecam.data.preview import layout_of, sorted_files
from whalecam.errors import DatasetError, RunError, WhalecamError
from whalecam.store import uploads
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run, is_run
from whalecam.store.uploads import Upload
from whalecam.words import Words

FOLDER = "uploads"
TABLE, IMAGES, MASKS, BOXES, NAME = "own_csv", "own_images", "own_masks", "own_boxes", "own_name"
SUBJECT, BACKGROUND = "own_subject", "own_background"
CHECKPOINT = "load_checkpoint"
PLACES = (TABLE, IMAGES, MASKS, BOXES, CHECKPOINT)
"""Fields that have paths and uploads."""
COLUMN_KEYS = {"image": "own_image", "label": "own_label", "group": "own_group"}
EMPTY = {**dict.fromkeys((TABLE, IMAGES, MASKS, BOXES, NAME, SUBJECT, BACKGROUND, *COLUMN_KEYS.values()), "")}
EMPTY |= {f"own_{name}": value for name, value in vars(MaskOptions()).items() if name not in ("masks", "boxes")}
"""Fields of the form and their values at first; all but the name are in the address."""


def uploads_folder() -> Path:
    """Where uploads lie: WHALECAM_UPLOADS, else `uploads` in the folder of runs."""
    return Path(os.environ.get("WHALECAM_UPLOADS") or session.runs_folder() / FOLDER).resolve()


def is_given() -> bool:
    """Whether any place of data is in the fields or the address."""
    return any(fields.shared_value(key) for key in (TABLE, IMAGES, MASKS, BOXES))


def uploader_key(kind: str) -> str:
    """The key of an uploader, another one after each upload: what was stored need not stay in memory."""
    return f"own_upload_{kind}_{fields.value('_own_uploads', 0)}"


def keep(files: Iterable[tuple[str, bytes]]) -> Upload:
    """Store files for this session. Raises DatasetError as `uploads.store`."""
    upload = uploads.store(uploads_folder(), files)
    known: tuple[str, ...] = fields.value("_uploads", ())
    fields.set_values(_uploads=(*known, upload.name), _own_uploads=fields.value("_own_uploads", 0) + 1)
    return upload


def use(upload: Upload) -> None:
    """Fill the fields with what was uploaded: a folder of images, or a table and box files.

    Raises DatasetError where it is neither, and where there are several tables.
    """
    folder = _top(upload)
    if any(path.name.lower().endswith(IMAGE_SUFFIXES) for path in folder.rglob("*")):
        _use_folder(upload, folder)
    else:
        _use_files(upload, folder)


def _use_folder(upload: Upload, folder: Path) -> None:
    """Class folders, or a table, images, masks and boxes; images alone are those of the table that is there."""
    layout = layout_of(folder)
    values = {BOXES: ", ".join(_reference(upload, path) for path in layout.boxes)} if layout.boxes else {}
    if layout.table == folder and not _has_folders(folder) and fields.shared_value(TABLE):
        fields.set_values(**values, **{IMAGES: _reference(upload, folder)})
        return
    values |= {TABLE: _reference(upload, layout.table), IMAGES: _reference(upload, layout.images)}
    values |= {MASKS: _reference(upload, layout.masks)} if layout.masks else {}
    fields.set_values(**values, **dict.fromkeys(COLUMN_KEYS.values(), ""))


def _use_files(upload: Upload, folder: Path) -> None:
    """The table of labels and the boxes."""
    kinds = sorted_files(folder)
    tables = [path for path in kinds.tables if path not in kinds.boxes]
    if not tables and not fields.shared_value(TABLE):
        tables = list(kinds.tables)
    if len(tables) > 1:
        names = ", ".join(path.name for path in tables)
        raise DatasetError(f"These files may all be the table of labels: {names}. Upload that table alone.")
    if not tables and not kinds.boxes:
        names = ", ".join(upload.tops[:3])
        raise DatasetError(f"Nothing in {names} is an image, a table or a box file. Upload one of these.")
    boxes = ", ".join(_reference(upload, path) for path in kinds.boxes)
    values = {BOXES: boxes} if boxes else {}
    if tables:
        values |= {TABLE: _reference(upload, tables[0]), **dict.fromkeys(COLUMN_KEYS.values(), "")}
    fields.set_values(**values)


def _top(upload: Upload) -> Path:
    """The only folder at the top of an upload, else the upload itself."""
    top = upload.path / upload.tops[0]
    return top if len(upload.tops) == 1 and top.is_dir() else upload.path


def use_masks(upload: Upload) -> None:
    """Fill the field of masks with an uploaded folder."""
    fields.set_values(**{MASKS: _reference(upload, _top(upload))})


def use_checkpoint(upload: Upload) -> None:
    """Fill the field of the checkpoint with an uploaded file."""
    fields.set_values(**{CHECKPOINT: upload.reference(upload.tops[0])})


def chosen(table: str, images: str, masks: MaskOptions) -> OwnData | None:
    """The data that the fields mean; None where they are empty.

    Raises DatasetError where the table is missing, and for an upload that is not here.
    """
    if not (table.strip() or images.strip() or masks.masks or masks.boxes):
        return None
    if not table.strip():
        raise DatasetError(
            "Name the table, such as /data/survey/train.csv, or a folder of class folders: one for each label."
        )
    home = uploads_folder()
    given = {name: fields.shared_value(key) for name, key in COLUMN_KEYS.items()}
    folder = str(uploads.path_of(home, masks.masks)) if masks.masks else None
    boxes = tuple(str(uploads.path_of(home, text)) for text in masks.boxes)
    return OwnData(
        table=uploads.path_of(home, table),
        images=uploads.path_of(home, images) if images.strip() else None,
        columns=replace(Columns(), **{name: value for name, value in given.items() if value}),
        masks=replace(masks, masks=folder, boxes=boxes),
    )


def words_of() -> Words:
    """The words that the fields give; the defaults where one of them is no word, which is said when a run is made."""
    try:
        return Words.of_columns(Columns(), *(str(fields.shared_value(key) or "") for key in (SUBJECT, BACKGROUND)))
    except DatasetError:
        return Words()


def preview_of(data: OwnData) -> OwnDataPreview:
    """See `own_data.preview`; made again where a file changed. Raises DatasetError where no table can be read."""
    paths = [data.table, data.images, *(Path(path) for path in (data.masks.masks, *data.masks.boxes) if path)]
    return _preview(data, repr(data), tuple(_stamp(path) for path in paths if path))


def as_written(text: str) -> str:
    """A message with files called as the person wrote them: an upload by its file's name, a home folder by `~`."""
    home = uploads_folder()
    names = sorted({path.name for path in home.iterdir()} if home.is_dir() else (), key=len)
    for name in names:
        text = text.replace(f"{home / name}{os.sep}", "").replace(str(home / name), "the upload")
    for key in PLACES:
        for part in str(fields.shared_value(key) or "").split(","):
            written = part.strip()
            if written.startswith("~"):
                text = text.replace(str(Path(written).expanduser()), written)
    return text


def suggested_name(data: OwnData | None) -> str:
    """A name for the run that is not in use: that of the table's file or folder."""
    stem = data.table.stem if data and data.table.suffix else (data.table.name if data else "")
    clean = session.run_name(stem) or "my-data"
    number, name = 2, clean
    while is_run(session.runs_folder() / name):
        name, number = f"{clean}-{number}", number + 1
    return name


def add_run(name: str, data: OwnData) -> Run:
    """Check data and make a run folder for it, which keeps its masks and boxes for the audit and for remedies.

    Raises DatasetError or RunError in plain words; masks and boxes that cannot be used are refused, never left out.
    """
    clean = session.run_name(name)
    if not clean:
        raise RunError("Give the run a name, such as 'survey-2026': letters, digits, - and _.")
    if is_run(session.runs_folder() / clean):
        raise RunError(f"There is a run '{clean}' already. Choose another name, or select it in the sidebar.")
    preview = preview_of(data)
    if preview.problems:
        raise DatasetError(" ".join(preview.problems))
    opened = open_dataset(data.table, data.images, data.columns)
    words = opened.words(*(str(fields.shared_value(key) or "") for key in (SUBJECT, BACKGROUND)))
    run = create_run(session.runs_folder() / clean, DatasetRecord.of(opened), words)
    if data.masks != MaskOptions():
        run.update(audit=asdict(AuditOptions(**vars(_absolute(data.masks)))))
    return run


def listed_uploads() -> list[Upload]:
    """The uploads of this session, and those that the fields and the address name."""
    texts = [part for key in PLACES for part in str(fields.shared_value(key) or "").split(",")]
    names = dict.fromkeys((*fields.value("_uploads", ()), *filter(None, map(uploads.name_in, texts))))
    listed = []
    for name in names:
        try:
            listed.append(uploads.upload_in(uploads_folder(), name))
        except DatasetError:
            continue
    return listed


def runs_of(upload: Upload) -> list[str]:
    """Names of the runs that read from an upload."""
    names = []
    for name in session.run_paths():
        try:
            manifest = session.open_named(name).manifest
        except WhalecamError:
            continue
        places = [manifest.dataset.csv, manifest.dataset.images, manifest.audit.get("masks")]
        places += list(manifest.audit.get("boxes") or ())
        if any(place and Path(place).is_relative_to(upload.path) for place in places):
            names.append(name)
    return names


def delete(upload: Upload) -> None:
    """Remove an upload, and what the fields say of it."""
    with suppress(DatasetError):  # deleted already, in another tab
        uploads.delete(uploads_folder(), upload.name)
    named = [key for key in PLACES if upload.name in str(fields.shared_value(key) or "")]
    fields.set_values(**dict.fromkeys(named, ""), _uploads=tuple(set(fields.value("_uploads", ())) - {upload.name}))


def clear_next() -> None:
    """Let the next run of the page begin with empty fields."""
    fields.set_values(_own_clear=True)


def begin() -> None:
    """Empty the fields where `clear_next` asked for it; to be called before they are drawn."""
    if fields.value("_own_clear"):
        fields.set_values(_own_clear=False, **EMPTY)


def forget_columns() -> None:
    """Another table has other columns; to be called before the fields are drawn, as in a callback."""
    fields.set_values(**dict.fromkeys(COLUMN_KEYS.values(), ""))


def _absolute(options: MaskOptions) -> MaskOptions:
    folder = str(Path(options.masks).absolute()) if options.masks else None
    return replace(options, masks=folder, boxes=tuple(str(Path(path).absolute()) for path in options.boxes))


def _reference(upload: Upload, path: Path | None) -> str:
    if path is None:
        return ""
    below = path.relative_to(upload.path).as_posix()
    return upload.reference("" if below == "." else below)


def _has_folders(folder: Path) -> bool:
    return any(entry.is_dir() and not entry.name.startswith(".") for entry in folder.iterdir())


def _stamp(path: Path) -> int:
    try:
        return session.stamp_of(path)
    except (OSError, ValueError):
        return 0


@st.cache_resource(max_entries=4, show_spinner="Looking at the data …")
def _preview(_data: OwnData, key: str, stamps: Sequence[int]) -> OwnDataPreview:
    return own_data.preview(_data)
