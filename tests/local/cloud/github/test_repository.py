import subprocess
from pathlib import Path

import pytest

from sunup.local.cloud.github.repository import Repository
from sunup.local.errors import CommandError


def of(folder: Path, url: str) -> Repository:
    subprocess.run(["git", "init", "-q", folder], check=True)
    subprocess.run(["git", "-C", folder, "remote", "add", "origin", url], check=True)
    return Repository.of(folder, None, None, None)


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/o/r.x.git",
        "https://GitHub.com/o/r.x",
        "https://token:x@github.com/o/r.x/",
        "git@github.com:o/r.x.git",
        "git@github.com-work:o/r.x.git",
        "ssh://git@github.com/o/r.x.git",
        "ssh://git@ssh.github.com:443/o/r.x.git",
    ],
)
def test_each_way_to_github_is_known(tmp_path: Path, url: str) -> None:
    assert of(tmp_path, url).name == "o/r.x"


@pytest.mark.parametrize(
    "url",
    [
        "https://notgithub.com/o/r.git",
        "https://gitlab.com/mirror/github.com/o/r",
        "git@evil.com:github.com/o/r",
        "https://github.com.evil.com/o/r",
        "https://evil.com/@github.com/o/r",
        "git@github.com:o/..",
        "https://github.com/o/r/s",
    ],
)
def test_another_s_address_is_no_repository_of_github_s(tmp_path: Path, url: str) -> None:
    with pytest.raises(CommandError, match="no repository is known"):
        of(tmp_path, url)
