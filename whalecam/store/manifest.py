"""What `run.json` says of a run: its data set, its network, how it was trained and audited, and its words."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from whalecam.config import Columns
from whalecam.store.join_record import JoinRecord
from whalecam.store.network_spec import NetworkSpec
from whalecam.store.schema import SCHEMA_VERSION
from whalecam.words import Words


class Described(Protocol):
    """What `dataset.Dataset` knows of its source."""

    @property
    def csv(self) -> Path: ...

    @property
    def images(self) -> Path | None: ...

    @property
    def columns(self) -> Columns: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def merges(self) -> Mapping[str, str]: ...

    def words(self, subject: str = "", background: str = "") -> Words: ...


@dataclass(frozen=True)
class DatasetRecord:
    """Where a run's images came from. Paths are absolute; `fingerprint` is a SHA-256 of the CSV's content.

    Attributes:
        merges: the labels map, old → new, under which the run reads its labels; the CSV has the old ones.
    """

    csv: str
    images: str | None
    columns: Mapping[str, str]
    fingerprint: str
    merges: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises TypeError for a labels map of another kind, as a broken file may have one."""
        if not isinstance(self.merges, Mapping) or not all(isinstance(new, str) for new in self.merges.values()):
            raise TypeError("dataset.merges is no labels map")

    @classmethod
    def of(cls, data: Described) -> "DatasetRecord":
        """The record of a data set that was opened."""
        images = str(data.images.resolve()) if data.images else None
        return cls(str(data.csv.resolve()), images, vars(data.columns), data.fingerprint, dict(data.merges))


@dataclass(frozen=True)
class Manifest:
    """What `run.json` holds; written last, so a run without it does not exist."""

    dataset: DatasetRecord
    classes: tuple[str, ...] = ()
    network: NetworkSpec = field(default_factory=NetworkSpec)
    train: Mapping[str, Any] = field(default_factory=dict)
    audit: Mapping[str, Any] = field(default_factory=dict)
    joins: Mapping[str, JoinRecord] = field(default_factory=dict)
    exactness: str = ""
    model_sha256: str = ""
    words: Words = Words()
    versions: Mapping[str, str] = field(default_factory=dict)
    created: str = ""
    schema_version: int = SCHEMA_VERSION

    def content(self) -> Mapping[str, object]:
        """What `run.json` holds. No labels map is written where there is none: earlier versions know no such field."""
        content = asdict(self)
        if not content["dataset"]["merges"]:
            del content["dataset"]["merges"]
        return content
