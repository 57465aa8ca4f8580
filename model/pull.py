"""`pull(name)`: bring a named model onto this machine. First the hub, then the pinned mirror; the sha256
decides.

Nothing is visible under the model's name until it is fetched, checked and converted; a pull that fails
leaves what was there before. What was fetched stays in `models/.pull-NAME`, so the next pull goes on from
it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from model import hub, mirror, store
from model.errors import PullError
from model.names import NAMED, Named, nearest
from model.pulled import NO_SPACE, Pulled, Report, hash_tensors, record_of, source_sha

Source = Literal["auto", "hub", "mirror"]


_ELSEWHERE = "set TRIHEAD_HOME to another folder"


def pull(
    name: str,
    *,
    source: Source = "auto",
    force: bool = False,
    report: Report = lambda stage, done, total: None,
    note: Callable[[str], None] = lambda text: None,
) -> Pulled:
    """Fetch a named model unless it is here. force: fetch it again. note is told when the hub is passed over.

    Raises PullError: unknown name, nothing reachable, wrong hash, no space. What was there before stays.
    """
    entry = NAMED.get(name)
    if name == "tiny" or name.startswith("tiny-"):
        raise PullError(f"{name} is not fetched: it is written where a command uses it (--model {name})")
    if entry is None:
        raise PullError(f"no model is named {name!r}{nearest(name)}; known names: {', '.join(NAMED)}")
    target = store.folder_of(name)
    work = store.models_folder() / f".pull-{name}"
    try:
        with store.locked(
            target, "pull", lambda: note(f"another pull of {name} is under way; waiting for it")
        ):
            return _pull(entry, target, work, source, force, report, note)
    except OSError as error:
        raise PullError(_explain(error, work)) from error


def _pull(
    entry: Named,
    target: Path,
    work: Path,
    source: Source,
    force: bool,
    report: Report,
    note: Callable[[str], None],
) -> Pulled:
    """`pull`, with the lock of the name held."""
    if not force and store.is_pulled(entry.name):
        if store.is_whole(target):
            return Pulled(entry.name, target, "present", source_sha(store.record(target)))
        note(f"{target} is damaged; fetching it again")
    work.mkdir(parents=True, exist_ok=True)
    _need_space(entry, work)
    if entry.kind == "folder":
        came = _pull_folder(entry, work, source, report)
    else:
        came = _pull_gguf(entry, work, source, report, note)
    shutil.rmtree(work, ignore_errors=True)
    return Pulled(entry.name, target, came, source_sha(store.record(target)))


def download(
    name: str,
    file: Path,
    *,
    source: Source = "auto",
    report: Report = lambda stage, done, total: None,
    note: Callable[[str], None] = lambda text: None,
) -> str:
    """Fetch the published `.gguf` of a named model to `file`, for `adopt` elsewhere; returns its sha256.
    Raises PullError as `pull` does; an unfinished file never has its name."""
    entry = NAMED.get(name)
    if entry is None or entry.kind != "gguf":
        files = ", ".join(known for known, entry in NAMED.items() if entry.kind == "gguf")
        raise PullError(f"no model named {name!r} is one file; --download takes {files}")
    work = file.absolute().parent / f".download-{name}"
    try:
        work.mkdir(parents=True, exist_ok=True)
        _checked_gguf(entry, work, source, report, note)
        (work / entry.file).replace(file)
        shutil.rmtree(work)
    except OSError as error:
        raise PullError(_explain(error, work.parent, "name a FILE in another folder")) from error
    return entry.sha256


def _need_space(entry: Named, work: Path) -> None:
    """Refuse at once what cannot fit: pieces beside the joined file, later that file beside its tensors."""
    here = sum(path.stat().st_size for path in work.rglob("*") if path.is_file())
    if entry.kind == "gguf":
        need = entry.size + max(entry.size, entry.shape.weight_bytes)
    else:
        need = entry.size
    free = shutil.disk_usage(work).free
    if free < need - here:
        raise PullError(
            f"{entry.name} needs {(need - here) / 1e9:.1f} GB in {work.parent}, {free / 1e9:.1f} GB are free;"
            " make room or set TRIHEAD_HOME to a larger disk"
        )


def _explain(error: OSError, folder: Path, mend: str = _ELSEWHERE) -> str:
    """What an operating system error during a pull means and how to mend it."""
    if error.errno in NO_SPACE:
        return (
            f"the disk of {folder} is full; make room (or {mend}) and pull again,"
            " it goes on from what was fetched"
        )
    return f"cannot write in {folder} ({error.strerror or error}); {mend}"


def _pull_gguf(entry: Named, work: Path, source: Source, report: Report, note: Callable[[str], None]) -> str:
    came = _checked_gguf(entry, work, source, report, note)
    store.adopt_gguf(
        work / entry.file,
        entry.name,
        lambda done, total: report("convert", done, total),
        entry.sha256,
        again=True,
    )
    return came


def _checked_gguf(
    entry: Named, work: Path, source: Source, report: Report, note: Callable[[str], None]
) -> str:
    """The model's file in `work`, its hash checked; returns where it came from."""
    file = work / entry.file
    came = "earlier pull"
    if not file.is_file():
        came = _fetch_gguf(entry, file, source, report, note)
    sha256 = store.sha256_of(file, lambda done, total: report("check", done, total))
    if sha256 != entry.sha256:
        shutil.rmtree(work)
        raise PullError(
            f"the {came}'s {entry.name} has the sha256 {sha256[:12]}..., not {entry.sha256[:12]}...;"
            " it was thrown away, pull again"
        )
    mirror.forget(file)
    return came


def _fetch_gguf(entry: Named, file: Path, source: Source, report: Report, note: Callable[[str], None]) -> str:
    """Bring the file from the first place that has it; returns which."""
    if source != "mirror":
        try:
            hub.fetch_file(entry.hub, entry.file, file, lambda done, total: report("hub", done, total))
        except (hub.HubUnreachable, PullError) as error:
            if source == "hub" or entry.mirror is None:
                raise PullError(f"the hub cannot be used ({error}); try --source mirror") from error
            note(f"the hub cannot be used ({error}); going on with the mirror")
        else:
            return "hub"
    if entry.mirror is None:
        raise PullError(f"{entry.name} has no mirror; pull it from the hub or adopt it with --from")
    mirror.fetch(entry.mirror, entry.size, file, lambda done, total: report("mirror", done, total))
    return "mirror"


def _pull_folder(entry: Named, work: Path, source: Source, report: Report) -> str:
    if source == "mirror":
        raise PullError(f"{entry.name} has no mirror; pull it from the hub or adopt it with --from")
    folder = work / "folder"
    try:
        stated = hub.fetch_folder(entry.hub, folder, lambda done, total: report("hub", done, total))
    except hub.HubUnreachable as error:
        raise PullError(
            f"the hub cannot be reached ({error}) and {entry.name} has no mirror; bring the folder"
            f" {entry.hub} here by other means and run: model pull {entry.name} --from FOLDER"
        ) from error
    store.check_folder(folder)
    found = hash_tensors(folder, report)
    wrong = [file for file, sha256 in found.items() if stated.get(file) != sha256]
    for file in wrong:
        (folder / file).unlink()
    if wrong:
        raise PullError(f"{', '.join(wrong[:3])} of {entry.name} did not match the hub's sha256; pull again")
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    _finish_folder(folder, entry.name, found, {"hub": entry.hub})
    return "hub"


def _finish_folder(folder: Path, name: str, found: dict[str, str], source: dict[str, str]) -> None:
    """Give a checked folder its record and its final name."""
    store.write_record(folder, record_of(name, found, source, folder))
    with store.replacing(store.folder_of(name)) as place:
        place.rmdir()
        folder.rename(place)
