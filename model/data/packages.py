"""Python source and licences straight out of wheels, sdists and folders; nothing is installed or imported.

`open_package(path)` reads name, version and licence from the archive's own metadata and yields its modules.
"""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from model.errors import ModelError

MAX_MODULE_BYTES = 400_000  # larger files are tables or generated code
SKIP_PARTS = frozenset(
    {"test", "tests", "testing", "_vendor", "vendor", "_vendored", "vendored", "extern", "externals"}
)

# SPDX identifiers (and the words that stand for them in older metadata) under which code may be learned
# from and redistributed with attribution. Copyleft and unknown licences are left out, not guessed.
PERMISSIVE = {
    "MIT": (r"\bMIT\b", r"Expat"),
    "Apache-2.0": (r"Apache",),
    "BSD": (r"\bBSD\b",),
    "ISC": (r"\bISC\b",),
    "PSF-2.0": (r"\bPSF\b", r"Python Software Foundation"),
    "HPND": (r"\bHPND\b", r"Historical Permission Notice"),
    "Zlib": (r"\bzlib\b",),
    "Unlicense": (r"Unlicense", r"public domain"),
    "Biopython": (r"Biopython License",),
}
COPYLEFT = re.compile(r"GPL|GNU|Mozilla|MPL|CDDL|EUPL|Eclipse", re.IGNORECASE)


class DataError(ModelError):
    """A source, sample file or configuration of training data that cannot be used."""


@dataclass(frozen=True, slots=True)
class Package:
    """Where code came from. licence: a key of PERMISSIVE, or '' when it is not permissive or not stated."""

    name: str
    version: str
    licence: str
    stated: str


@dataclass(frozen=True, slots=True)
class Module:
    path: str
    source: str


def permissive(stated: str) -> str:
    """The permissive licence that `stated` names, or ''. A text that also names a copyleft licence is not
    permissive."""
    if COPYLEFT.search(stated):
        return ""
    for name, patterns in PERMISSIVE.items():
        if any(re.search(pattern, stated, re.IGNORECASE) for pattern in patterns):
            return name
    return ""


def read_metadata(text: str) -> Package:
    """Parse core metadata (PEP 566 / 639). The expression counts before classifiers, classifiers before
    free text."""
    headers = HeaderParser().parsestr(text)
    classifiers = [
        c.split("::")[-1].strip() for c in headers.get_all("Classifier", []) if c.startswith("License ::")
    ]
    free = (headers.get("License") or "").strip().splitlines()
    stated = headers.get("License-Expression") or ", ".join(classifiers) or (free[0] if free else "")
    return Package(headers.get("Name", "?"), headers.get("Version", "?"), permissive(stated), stated[:120])


def open_package(path: Path, licence: str = "") -> tuple[Package, Iterator[Module]]:
    """A wheel, an sdist (.tar.gz) or a folder of Python. `licence` is what the caller vouches for a folder.

    Raises DataError when the archive is damaged or holds no metadata.
    """
    if path.is_dir():
        return Package(path.name, "", permissive(licence), licence), _folder(path)
    try:
        if path.suffix in {".whl", ".zip"}:
            archive = zipfile.ZipFile(path)
            name = next((n for n in archive.namelist() if n.endswith(".dist-info/METADATA")), None)
            if name is None:
                raise DataError(f"{path.name} holds no METADATA; is it a wheel?")
            return read_metadata(archive.read(name).decode("utf-8", "replace")), _wheel(archive)
        if path.name.endswith(".tar.gz"):
            files = _untar(path)
            name = min((n for n in files if n.endswith("PKG-INFO")), key=len, default=None)
            if name is None:
                raise DataError(f"{path.name} holds no PKG-INFO; is it an sdist?")
            return read_metadata(files[name]), _modules(files)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{path.name} cannot be read ({error}); download it again") from error
    raise DataError(f"{path} is no wheel, sdist or folder")


def _wanted(name: str) -> bool:
    parts = name.split("/")
    stem = parts[-1]
    return (
        stem.endswith(".py")
        and not SKIP_PARTS.intersection(parts[:-1])
        and not stem.startswith("test_")
        and not stem.endswith("_test.py")
        and stem != "conftest.py"
    )


def _wheel(archive: zipfile.ZipFile) -> Iterator[Module]:
    with archive:
        for info in archive.infolist():
            if _wanted(info.filename) and info.file_size <= MAX_MODULE_BYTES:
                yield Module(info.filename, archive.read(info).decode("utf-8", "replace"))


def _untar(path: Path) -> dict[str, str]:
    files: dict[str, str] = {}
    with tarfile.open(fileobj=io.BytesIO(path.read_bytes()), mode="r:gz") as archive:
        for member in archive:
            keep = _wanted(member.name) or member.name.endswith("PKG-INFO")
            if (
                member.isfile()
                and keep
                and member.size <= MAX_MODULE_BYTES
                and (handle := archive.extractfile(member))
            ):
                files[member.name] = handle.read().decode("utf-8", "replace")
    return files


def _modules(files: dict[str, str]) -> Iterator[Module]:
    for name, source in files.items():
        if _wanted(name):
            yield Module(name, source)


def _folder(root: Path) -> Iterator[Module]:
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if _wanted(name) and path.stat().st_size <= MAX_MODULE_BYTES:
            yield Module(name, path.read_text("utf-8", "replace"))
