"""Tests that archives from a container are not trusted."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from lab.providers import container_files


def test_unpack_writes_only_plain_files_below_the_folder(tmp_path: Path) -> None:
    """Files of a container are not trusted: no parent folder, no absolute path, no link."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("./ledger/0.bin", "../escaped", "/absolute", "status.json"):
            member = tarfile.TarInfo(name)
            member.size = 2
            archive.addfile(member, io.BytesIO(b"ok"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    container_files.unpack(packed.getvalue(), tmp_path / "trial")
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir()}
    assert files == {"trial/ledger/0.bin", "trial/status.json"}
