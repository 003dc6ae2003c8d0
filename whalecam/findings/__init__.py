"""What is wrong with a data set, before any network and after: one family of detectors per file, and the menu."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from whalecam.csvtext import safe_csv
from whalecam.findings.duplicates import duplicates
from whalecam.findings.files import files
from whalecam.findings.finding import SEVERITIES, Detector, Evidence, Finding
from whalecam.findings.individuals import individuals
from whalecam.findings.judgements import judgements
from whalecam.findings.labels import labels, labels_map
from whalecam.findings.outliers import outliers
from whalecam.findings.shortcuts import shortcuts

FAMILIES: Mapping[str, Detector] = {
    "Labels": labels,
    "Individuals": individuals,
    "Files": files,
    "Duplicates": duplicates,
    "Shortcuts": shortcuts,
    "Judgements": judgements,
    "Outliers": outliers,
}

__all__ = ["FAMILIES", "SEVERITIES", "Detector", "Evidence", "Finding", "find", "labels_map", "write"]


def find(evidence: Evidence) -> list[Finding]:
    """All findings, worst first; among equals in the order of the menu."""
    found = [finding for detector in FAMILIES.values() for finding in detector(evidence)]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def write(found: Sequence[Finding], folder: Path) -> None:
    """A CSV of the rows of each finding, and the suggested merges as `labels-map.csv`."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, finding in enumerate(found, 1):
        if len(finding.rows):
            target = folder / f"{number:02d}-{finding.code.replace('_', '-')}.csv"
            target.write_bytes(safe_csv(finding.rows))
    merges = labels_map(found)
    if len(merges):
        (folder / "labels-map.csv").write_bytes(safe_csv(merges))
