"""Fetch the 24 photos of photos.tsv from their Debian packages; they are never committed.

    python -m benchmarks.real_size.fetch FOLDER

Needs `apt-get`, `dpkg-deb` and Debian's keyring (package debian-archive-keyring), but no root and no change to the
system: apt works in a private folder inside FOLDER, with the suites that the table names. About 140 MB are
downloaded, and what is already there in the right form is kept. A photo whose SHA-256 differs is refused.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

TABLE = Path(__file__).with_name("photos.tsv")
MIRRORS = ("http://deb.debian.org/debian", "http://archive.debian.org/debian")
"""Where a suite is looked for, in turn: old suites move to the archive."""
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A row of photos.tsv."""

    id: str
    suite: str
    package: str
    version: str
    path: str
    """Inside the package."""
    width: int
    height: int
    sha256: str
    author: str
    licence: str
    note: str

    @property
    def file(self) -> str:
        return self.id + Path(self.path).suffix


def photos(table: Path = TABLE) -> list[Photo]:
    with table.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [Photo(**{**row, "width": int(row["width"]), "height": int(row["height"])}) for row in rows]


def is_there(photo: Photo, folder: Path) -> bool:
    """Whether the photo lies in `folder`, unchanged."""
    path = folder / photo.file
    return path.is_file() and sha256(path.read_bytes()).hexdigest() == photo.sha256


def fetch(folder: Path, mirrors: tuple[str, ...] = MIRRORS) -> None:
    """Put every photo that is missing into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [photo for photo in photos() if not is_there(photo, folder)]
    by_package: dict[tuple[str, str, str], list[Photo]] = {}
    for photo in missing:
        by_package.setdefault((photo.suite, photo.package, photo.version), []).append(photo)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".packages-") as work:
        suites = {suite: Apt(Path(work) / suite, suite, mirrors) for suite in {key[0] for key in by_package}}
        for (suite, package, version), wanted in by_package.items():
            unpacked = suites[suite].unpack(package, version)
            for photo in wanted:
                take(photo, unpacked / photo.path.lstrip("/"), folder)
                sys.stderr.write(f"{photo.file}  {photo.width}x{photo.height}  {package} {version}\n")


def take(photo: Photo, source: Path, folder: Path) -> None:
    """Move one unpacked file to its place, if it is the one that the table describes."""
    if not source.is_file():
        raise SystemExit(f"{photo.package} {photo.version} has no {photo.path}")
    found = sha256(source.read_bytes()).hexdigest()
    if found != photo.sha256:
        raise SystemExit(f"{photo.path}: SHA-256 is {found}, expected {photo.sha256}")
    shutil.move(source, folder / photo.file)


class Apt:
    """apt with a private folder and a single suite, so that neither the system's sources nor its lists matter."""

    def __init__(self, folder: Path, suite: str, mirrors: tuple[str, ...]) -> None:
        for tool in ("apt-get", "dpkg-deb"):
            if shutil.which(tool) is None:
                raise SystemExit(f"{tool} is not installed; this command runs on Debian and its relatives")
        if not KEYRING.is_file():
            raise SystemExit(f"{KEYRING} is missing: apt-get install debian-archive-keyring")
        self.folder = folder
        for part in ("state/lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True)
        (folder / "status").touch()
        self.options = [
            f"Dir::State={folder / 'state'}",
            f"Dir::State::status={folder / 'status'}",
            f"Dir::Cache={folder / 'cache'}",
            f"Dir::Etc::sourcelist={folder / 'sources.list'}",
            "Dir::Etc::sourceparts=/dev/null",
            "Acquire::Languages=none",
            "Acquire::Check-Valid-Until=false",  # an archived suite is signed no longer
            "APT::Update::Error-Mode=any",
            "APT::Sandbox::User=root",  # as root, apt would otherwise drop to a user who cannot write here
        ]
        for mirror in mirrors:
            (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror} {suite} main\n")
            done = self._run("update")
            if done.returncode == 0:
                return
        raise SystemExit(f"no mirror has the suite {suite}:\n{done.stderr}")

    def unpack(self, package: str, version: str) -> Path:
        """Folder with the files of one package."""
        done = self._run("download", f"{package}={version}")
        files = list(self.folder.glob(f"{package}_*.deb"))
        if done.returncode or not files:
            raise SystemExit(f"{package} {version} could not be downloaded:\n{done.stderr}")
        target = self.folder / package
        subprocess.run(["dpkg-deb", "-x", str(files[0]), str(target)], check=True)
        files[0].unlink()
        return target

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        options = [word for option in self.options for word in ("-o", option)]
        return subprocess.run(["apt-get", "-q", *options, *words], cwd=self.folder, capture_output=True, text=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the photos are written")
    parser.add_argument("--mirror", action="append", help="a Debian mirror; may be given more than once")
    arguments = parser.parse_args(argv)
    fetch(arguments.folder.resolve(), tuple(arguments.mirror or MIRRORS))
    sys.stdout.write(f"{len(photos())} photos in {arguments.folder}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
