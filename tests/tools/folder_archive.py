"""An archive that is a folder: what lies in FOLDER/PACKAGE is the package, unpacked. No apt, no network."""

from collections.abc import Callable, Sequence
from pathlib import Path

import click
from fetching.apt import Package


class FolderArchive:
    """Stands in for `fetching.apt.Archive`."""

    def __init__(self, packages: Path) -> None:
        self.packages = packages

    def update(self, languages: Sequence[str]) -> None:
        """Nothing to fetch."""

    def download(self, package: str) -> Package:
        """As Archive.download has it."""
        if not (self.packages / package).is_dir():
            raise click.ClickException(f"package {package}: No packages found")
        return Package(package, "1:2-3", self.packages / package, f"sum-of-{package}")

    def unpack(self, package: Package, to: Path) -> Path:
        """As Archive.unpack has it."""
        assert to.name == "unpacked"
        return package.path

    def licence(self, unpacked: Path, package: Package) -> str:
        """As Archive.licence has it."""
        assert unpacked == package.path
        return f"licence-of-{package.name}"


def folder_archive(packages: Path) -> Callable[[Path, Path | None], FolderArchive]:
    """In place of the class Archive: whatever its folder and sources, the packages are those of the folder."""
    return lambda folder, sources: FolderArchive(packages)
