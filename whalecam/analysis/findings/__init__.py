"""What is wrong with a data set, before any network and after: one family of detectors per file, and the menu."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from whalecam.analysis.findings.duplicates import duplicates
from whalecam.analysis.findings.files import files
from whalecam.analysis.findings.finding import SEVERITIES, Detector, Evidence, Finding
from whalecam.analysis.findings.groups import groups
from whalecam.analysis.findings.individuals import individuals
from whalecam.analysis.findings.label_doubts import judgements
from whalecam.analysis.findings.label_values import label_values
from whalecam.analysis.findings.labels import labels, labels_map
from whalecam.analysis.findings.outliers import outliers
from whalecam.analysis.findings.shortcuts import shortcuts
from whalecam.data.csv_text import safe_csv

FAMILIES: Mapping[str, Detector] = {
    "Labels": labels,
    "Label values": label_values,
    "Individuals": individuals,
    "Groups": groups,
    "Files": files,
    "Duplicates": duplicates,
    "Shortcuts": shortcuts,
    "Judgements": judgements,
    "Outliers": outliers,
}

__all__ = ["FAMILIES", "SEVERITIES", "Detector", "Evidence", "Finding", "find", "labels_map", "write"]


def find(evidence: Evidence) -> list[Finding]:
    """All findings, worst first; among equals in the order of the menu."""
    problems = [finding for detector in FAMILIES.values() for finding in detector(evidence)]
    return sorted(problems, key=lambda finding: SEVERITIES.index(finding.severity))


def write(problems: Sequence[Finding], folder: Path) -> None:
    """A CSV of the rows of each finding, and the suggested merges as `labels-map.csv`."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, finding in enumerate(problems, 1):
        if len(finding.rows):
            target = folder / f"{number:02d}-{finding.code.replace('_', '-')}.csv"
            target.write_bytes(safe_csv(finding.rows))
    merges = labels_map(problems)
    if len(merges):
        (folder / "labels-map.csv").write_bytes(safe_csv(merges))
