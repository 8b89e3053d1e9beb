"""The root certificate of the emulated Aurora: for one run, or one that stays."""

import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from sunup.local.emulator import certificates


def test_a_root_that_is_kept_stays_with_its_key_for_the_owner(tmp_path: Path) -> None:
    keep = tmp_path / "app" / ".sunup"
    first = certificates.make(tmp_path, keep=keep).root
    content = first.read_bytes()
    assert certificates.make(tmp_path, keep=keep).root.read_bytes() == content
    assert (keep / "root.key").stat().st_mode & 0o777 == 0o600
    end = x509.load_pem_x509_certificate(content).not_valid_after_utc
    assert end > datetime.now(UTC) + timedelta(days=300)


@pytest.mark.parametrize("name", ["root.pem", "root.key"])
@pytest.mark.parametrize("content", [b"", b"nonsense", None])
def test_one_that_is_damaged_or_another_s_is_made_anew(
    tmp_path: Path, name: str, content: bytes | None
) -> None:
    keep, other = tmp_path / "keep", tmp_path / "other"
    before = certificates.make(tmp_path, keep=keep).root.read_bytes()
    certificates.make(tmp_path, keep=other)
    (keep / name).write_bytes((other / name).read_bytes() if content is None else content)
    after = certificates.make(tmp_path, keep=keep).root.read_bytes()
    assert after != before
    assert certificates.make(tmp_path, keep=keep).root.read_bytes() == after


def test_one_that_ends_soon_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(certificates, "_KEPT", timedelta(days=3))
        before = certificates.make(tmp_path, keep=tmp_path / "keep").root.read_bytes()
    assert certificates.make(tmp_path, keep=tmp_path / "keep").root.read_bytes() != before


def test_where_nothing_can_be_kept_it_is_for_one_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    made = certificates.make(tmp_path, keep=tmp_path / "file" / "emulator")
    assert made.root == tmp_path / "root.pem"


def test_two_that_begin_at_once_have_one_root(tmp_path: Path) -> None:
    code = """if True:
        import sys
        from pathlib import Path
        from sunup.local.emulator import certificates
        folder, keep = map(Path, sys.argv[1:])
        folder.mkdir()
        sys.stdin.readline()
        certificates.make(folder, keep=keep)
    """
    for number in range(3):
        keep, folders = tmp_path / f"keep{number}", [tmp_path / f"{number}{each}" for each in "ab"]
        both = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(folder), str(keep)], stdin=subprocess.PIPE
            )
            for folder in folders
        ]
        time.sleep(1)
        for each in both:
            assert each.stdin is not None
            each.stdin.write(b"\n")
            each.stdin.flush()
        for each in both:
            each.communicate()
            assert each.returncode == 0
        root = x509.load_pem_x509_certificate((keep / "root.pem").read_bytes())
        for folder in folders:
            leaf = x509.load_pem_x509_certificate((folder / "server.pem").read_bytes())
            leaf.verify_directly_issued_by(root)
