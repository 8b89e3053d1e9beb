"""psycopg loads libpq by name: without it a package starts where there is one, not on Lambda."""

from pathlib import Path

import pytest

from sunup.local.errors import CommandError
from sunup.local.packaging.verify import libpq


def test_psycopg_alone_is_an_error_that_says_what_to_depend_on(tmp_path: Path) -> None:
    libpq(tmp_path)  # an app without psycopg
    (tmp_path / "psycopg").mkdir()
    with pytest.raises(CommandError, match="without libpq") as raised:
        libpq(tmp_path)
    assert "psycopg[binary]" in raised.value.cure


@pytest.mark.parametrize("name", ["psycopg_binary", "psycopg_c", "libpq.so.5", "lib/libpq.so.5.17"])
def test_what_brings_libpq_is_enough(tmp_path: Path, name: str) -> None:
    (tmp_path / "psycopg").mkdir()
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    libpq(tmp_path)
