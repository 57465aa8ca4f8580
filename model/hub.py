"""Fetches weights from the model hub with `huggingface_hub`, and gives up within seconds where there is
none.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model.errors import PullError

# Long enough for a slow network's first answer, short enough to wait for in vain.
_TIMEOUT_S = 4.0


class HubUnreachable(Exception):
    """No hub from here; the message says why, in a few words."""


def probe(path: str) -> str:
    """Ask the hub for a path and give its address back, or raise within seconds.

    The library itself tries five times over half a minute before it says that a hub is not there.
    Raises HubUnreachable, PullError when the hub is there and has no such path.
    """
    import httpx
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise HubUnreachable("HF_HUB_OFFLINE is set")
    endpoint = os.environ.get("HF_ENDPOINT", constants.ENDPOINT).rstrip("/")
    try:
        answer = httpx.head(f"{endpoint}/{path}", timeout=_TIMEOUT_S)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise HubUnreachable(str(error) or type(error).__name__) from error
    if answer.status_code in (401, 403, 404):
        raise PullError(f"the hub does not give {path}: status {answer.status_code}")
    if answer.status_code >= 400:
        raise HubUnreachable(f"status {answer.status_code}")
    return endpoint


def fetch_file(repo: str, file: str, target: Path, progress: Callable[[int, int], None]) -> None:
    """Download one file of a repository to `target`, resuming what is there. The caller checks the hash.

    Raises HubUnreachable, PullError when the hub has no such file, OSError when the disk is full.
    """
    import httpx
    from huggingface_hub import errors, hf_hub_download

    endpoint = probe(f"{repo}/resolve/main/{file}")
    try:
        path = hf_hub_download(
            repo,
            file,
            local_dir=target.parent / "hub",
            etag_timeout=_TIMEOUT_S,
            endpoint=endpoint,
            tqdm_class=_bar(progress),
        )
    except (errors.EntryNotFoundError, errors.RepositoryNotFoundError, errors.GatedRepoError) as error:
        raise PullError(f"the hub does not give {repo}/{file}: {type(error).__name__}") from error
    except (httpx.HTTPError, errors.HfHubHTTPError, errors.LocalEntryNotFoundError) as error:
        raise HubUnreachable(_first_line(error)) from error
    Path(path).replace(target)


def fetch_folder(repo: str, target: Path, progress: Callable[[int, int], None]) -> dict[str, str]:
    """Download a checkpoint's safetensors, JSON and template files into `target`, resuming what is there.

    Returns {file: sha256} as the hub states them for its large files. Raises HubUnreachable, PullError,
    OSError.
    """
    import httpx
    from huggingface_hub import HfApi, errors, snapshot_download

    endpoint = probe(f"{repo}/resolve/main/config.json")
    try:
        snapshot_download(
            repo,
            local_dir=target,
            allow_patterns=["*.safetensors", "*.json", "*.jinja", "merges.txt", "LICENSE*"],
            etag_timeout=_TIMEOUT_S,
            endpoint=endpoint,
            tqdm_class=_bar(progress),
        )
        about = HfApi(endpoint=endpoint).model_info(repo, files_metadata=True, timeout=30)
    except (errors.RepositoryNotFoundError, errors.GatedRepoError) as error:
        raise PullError(f"the hub does not give {repo}: {type(error).__name__}") from error
    except (httpx.HTTPError, errors.HfHubHTTPError, errors.LocalEntryNotFoundError) as error:
        raise HubUnreachable(_first_line(error)) from error
    return {
        sibling.rfilename: sibling.lfs.sha256
        for sibling in about.siblings or []
        if sibling.lfs is not None and (target / sibling.rfilename).is_file()
    }


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    text = lines[0] if lines else type(error).__name__
    return "".join(char for char in text if char.isprintable())[:200]


def _bar(progress: Callable[[int, int], None]) -> Any:
    """A tqdm class that draws nothing and tells the bytes of its byte bars to `progress`."""
    from tqdm.auto import tqdm  # type: ignore[import-untyped]  # tqdm ships no types

    class Bar(tqdm):  # type: ignore[misc]  # its base is therefore Any
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            self._bytes = kwargs.get("unit") == "B"
            kwargs["disable"] = False
            kwargs["file"] = _Nowhere()
            super().__init__(*args, **kwargs)

        def update(self, n: float | None = 1) -> bool | None:
            shown: bool | None = super().update(n)
            if self._bytes and self.total:
                progress(int(self.n), int(self.total))
            return shown

    return Bar


class _Nowhere:
    """A text stream that keeps nothing."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        """Nothing is held."""
