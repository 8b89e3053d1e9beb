import os
import zipfile
from pathlib import Path

import pytest

from sunup.local.errors import CommandError
from sunup.local.packaging import archive


def test_names_are_as_the_files_have_them(tmp_path: Path) -> None:
    (tmp_path / "ü.txt").touch()
    archive.write(tmp_path, tmp_path.with_suffix(".zip"))
    assert zipfile.ZipFile(tmp_path.with_suffix(".zip")).namelist() == ["ü.txt"]


def test_a_name_that_is_not_utf_8_is_told(tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9.txt")).touch()
    with pytest.raises(CommandError) as raised:
        archive.write(tmp_path, tmp_path.with_suffix(".zip"))
    assert raised.value.what == r"the name of caf\xe9.txt is not UTF-8"
