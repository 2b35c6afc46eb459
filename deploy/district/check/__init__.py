"""Finds what is wrong with a district's files, whoever wrote them: `check(folder)`.

reading     the files, record by record: what is not valid is a finding, and the rest is looked at all the same
references  what one record says of another, in its own file or another one

All findings are told at once, with one exception: of a single record (a category, the calendar) that breaks several
rules over more than one of its fields, the first is told.
"""

from dataclasses import dataclass
from pathlib import Path

from deploy.district.check.reading import Finding, read, refused
from deploy.district.check.references import broken, remarks


@dataclass(frozen=True)
class Report:
    """What was found."""

    findings: tuple[Finding, ...]
    """Each must be mended: the services could not use the district, or would send work to units that nobody meant."""
    notes: tuple[Finding, ...]
    """Worth knowing, and no hindrance."""
    grids: int


def check(folder: Path) -> Report:
    """Looks at everything in a district's folder, and at the partners' file beside it if there is one."""
    files = read(folder)
    findings = [*files.findings, *broken(files)]
    findings += refused(files, but={finding.file for finding in findings})
    return Report(tuple(findings), tuple(remarks(files)), len(files.grids))


def report(folder: Path) -> int:
    """Prints what was found, a line each; the exit status, 1 where something must be mended."""
    found = check(folder)
    for finding in found.findings:
        print(finding)
    for note in found.notes:
        print(f"note: {note}")
    if found.findings:
        print(f"{folder}: {len(found.findings)} to be mended")
        return 1
    print(f"{folder}: a district of {found.grids} grids, nothing to be mended")
    return 0
