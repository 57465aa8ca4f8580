from __future__ import annotations

import os
from pathlib import Path

import pytest

from verify.bend import install
from verify.bend.install import InstallError, install_bend


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with a cargo that records how it was called and puts scripts where the binaries belong."""
    folder = tmp_path / "tools"
    folder.mkdir()
    cargo = folder / "cargo"
    cargo.write_text(
        "#!/bin/sh\n"
        'echo "$@" >> "$LOG"; echo "PATH=$PATH" >> "$LOG"\n'
        'case "$*" in\n'
        '  *broken*) echo "error: no" >&2; exit 1;;\n'
        '  *install*hvm@*) for a; do p="$l"; l="$a"; done; out="$p/bin/hvm"; v="hvm 2.0.22";;\n'
        '  *install*bend-lang@*) for a; do p="$l"; l="$a"; done; out="$p/bin/bend"; v="bend-lang 0.2.38";;\n'
        '  *build*) for a; do l="$a"; done; mkdir -p "$l/release"; '
        'out="$l/release/trihead-bend-worker"; v=w;;\n'
        "esac\n"
        'printf \'#!/bin/sh\\necho "%s"\\n\' "$v" > "$out"; chmod +x "$out"\n'
    )
    cargo.chmod(0o755)
    (folder / "cc").write_text("#!/bin/sh\n")
    (folder / "cc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    monkeypatch.setenv("TRIHEAD_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CARGO_TARGET_DIR", raising=False)
    return folder


def test_builds_once(tools: Path, tmp_path: Path) -> None:
    report = install_bend(progress=False)
    assert report["built"] == ["hvm", "bend", "trihead-bend-worker"]
    assert report["version"] == "bend-lang 0.2.38, hvm 2.0.22"
    assert "--locked" in (tmp_path / "log").read_text()
    assert install_bend(progress=False)["built"] == []
    assert install_bend(progress=False, force=True)["built"] == report["built"]


def test_a_missing_part_is_built_again(tools: Path, tmp_path: Path) -> None:
    install_bend(progress=False)
    (tmp_path / "home" / "bend" / "bin" / "bend").unlink()
    assert install_bend(progress=False)["built"] == ["bend"]


def test_nvcc_is_hidden_unless_asked_for(
    tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda = tmp_path / "cuda"
    cuda.mkdir()
    (cuda / "nvcc").write_text("#!/bin/sh\n")
    (cuda / "nvcc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{cuda}:{os.environ['PATH']}")
    install_bend(progress=False)
    assert str(cuda) not in (tmp_path / "log").read_text()
    assert install_bend(progress=False, gpu=True)["built"] == ["hvm"]
    assert str(cuda) in (tmp_path / "log").read_text()


def test_gpu_needs_nvcc(tools: Path) -> None:
    with pytest.raises(InstallError, match="nvcc"):
        install_bend(progress=False, gpu=True)


def test_no_cargo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TRIHEAD_HOME", str(tmp_path / "home"))
    with pytest.raises(InstallError, match="cargo is missing"):
        install_bend(progress=False)


def test_no_c_compiler(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tools / "cc").unlink()
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(InstallError, match="no C compiler"):
        install_bend(progress=False)


def test_a_failed_build_names_the_log(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "HVM_VERSION", "broken")
    with pytest.raises(InstallError, match=r"error: no; the whole log is .*build\.log"):
        install_bend(progress=False)


def test_the_folder_cannot_be_made(tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TRIHEAD_HOME", str(tmp_path / "file"))
    with pytest.raises(InstallError, match="TRIHEAD_HOME"):
        install_bend(progress=False)
