from pathlib import Path

import pytest

from sunup.local.errors import CommandError
from sunup.local.packaging import verify


def test_sizes_are_compared_with_lambda_s_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "lambda.zip"
    package.write_bytes(b"x" * 100)
    parts = {"small": 1, "numpy": 200 * 2**20, "pandas": 80 * 2**20}
    assert verify.sizes(package, 1000, parts) == []
    with pytest.raises(CommandError, match="281 MB unpacked; Lambda takes 250 MB") as raised:
        verify.sizes(package, 281 * 2**20, parts)
    assert raised.value.cure.startswith("The largest parts: numpy 200 MB, pandas 80 MB")
    monkeypatch.setattr(verify, "LARGEST_ZIP", 10)
    (note,) = verify.sizes(package, 1000, parts)
    assert "[tool.sunup] bucket" in note
