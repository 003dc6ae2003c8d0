"""Validates a data package with frictionless and writes its tables again.

Arguments: the package's `datapackage.json`, the new folder.
"""

import json
import sys
from pathlib import Path

import frictionless


def main(source: Path, out: Path) -> None:
    report = frictionless.validate(str(source))
    faults = sorted({(str(kind), str(field)) for kind, field in report.flatten(["type", "fieldName"])})
    out.mkdir()
    package = frictionless.Package(str(source))
    for resource in package.resources:
        resource.write(str(out / Path(str(resource.path)).name))
    facts = {"names": package.resource_names, "faults": faults, "errors": report.flatten(["type", "note"])[:5]}
    print(f"\n{json.dumps(facts)}")


# frictionless validates tables in processes of its own, which import this file.
if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
