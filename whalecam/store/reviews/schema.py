"""The journal's tables, their version, and how those of an older WhaleCAM are brought up to date."""

import sqlalchemy as sa

from whalecam.errors import ReviewError

METADATA = sa.MetaData()
ENTRIES = sa.Table(
    "whalecam_entries",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("event", sa.String, nullable=False),
    sa.Column("action", sa.String, nullable=False),
    sa.Column("target", sa.String),
    sa.Column("image", sa.String),
    sa.Column("verdict", sa.String),
    sa.Column("reason", sa.String),
    sa.Column("note", sa.String),
    sa.Column("suggested_label", sa.String),
    sa.Column("reviewer", sa.String, nullable=False, index=True),
    sa.Column("reviewed_at", sa.String, nullable=False),
    sa.Column("attention_threshold", sa.Float),
    sa.Column("reliance_threshold", sa.Float),
    sa.Column("map", sa.String),
    sa.Column("blind", sa.Integer),
    sa.Column("run", sa.String),
    sa.Column("false_rate", sa.Float),
    sa.Index("whalecam_newest", "image", "reviewed_at", "id"),
    sa.Index("whalecam_undone", "target", "reviewer", "id"),
    sa.Index("whalecam_moment", "reviewed_at"),
)
"""One row per verdict (`event` review or import) and per undo or redo, whose `target` is the action it speaks of.
`reviewed_at` has one fixed width, so that its order as text is its order in time under every collation. `blind` is 1
where the image was a control. `run` names the run on a server that several share; entries without one count in every
run, as those do that an older WhaleCAM wrote there, and those of a journal in a run's own folder."""

VERSIONS = sa.Table("whalecam_schema", METADATA, sa.Column("version", sa.Integer, primary_key=True))
"""One row: the version of ENTRIES. Journals of the first version have no such table."""

STEPS = {
    # Every verdict asks for the newest moment, which took as long as the journal was.
    2: ("create index if not exists whalecam_moment on whalecam_entries (reviewed_at)",),
    3: (
        "alter table whalecam_entries add column blind integer",
        "alter table whalecam_entries add column run varchar",
    ),
    4: ("alter table whalecam_entries add column false_rate float",),
    5: (
        "alter table whalecam_entries rename column excess_threshold to attention_threshold",
        "alter table whalecam_entries rename column needs_threshold to reliance_threshold",
    ),
}
"""Version → what makes it of the one before."""
VERSION = max(STEPS)


def prepare(connection: sa.Connection) -> None:
    """Make the tables where there are none, and bring older ones up to date; their entries stay as they are.

    Raises ReviewError for a journal that a newer WhaleCAM wrote.
    """
    old = 1 if sa.inspect(connection).has_table(ENTRIES.name) else VERSION
    METADATA.create_all(connection)
    stored = connection.scalar(sa.select(VERSIONS.c.version))
    if stored == VERSION:
        return
    if stored is None:
        connection.execute(sa.insert(VERSIONS), {"version": old})
    _upgrade(connection, old if stored is None else stored)


def _upgrade(connection: sa.Connection, stored: int) -> None:
    if stored > VERSION:
        raise ReviewError(
            f"The journal of verdicts has schema version {stored}; this WhaleCAM reads up to {VERSION}. "
            "Update WhaleCAM, or export the verdicts with the newer one and import them here."
        )
    for version in range(stored + 1, VERSION + 1):
        for statement in STEPS[version]:
            connection.exec_driver_sql(statement)
    connection.execute(sa.update(VERSIONS), {"version": VERSION})
