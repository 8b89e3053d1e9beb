import importlib.metadata
import json
from pathlib import Path
from typing import Any

import pytest

import sunup
from sunup.local import installation

VCS = {"url": "https://example.com/sunup.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}


def installed(monkeypatch: pytest.MonkeyPatch, content: object) -> None:
    class Distribution:
        def read_text(self, _: str) -> str | None:
            return None if content is None else json.dumps(content)

    def distribution(_: str) -> Any:
        return Distribution()

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)


@pytest.mark.parametrize(
    ("content", "requirement", "source"),
    [
        (None, f"sunup[deploy]=={sunup.__version__}", ""),
        (
            VCS,
            "sunup[deploy] @ git+https://example.com/sunup.git@abc",
            '{ git = "https://example.com/sunup.git", rev = "abc" }',
        ),
        (
            {"url": "file:///home/me/sunup", "dir_info": {"editable": True}},
            f"./vendor/sunup-{sunup.__version__}-py3-none-any.whl[deploy]",
            '{ path = "../sunup" }',
        ),
        (
            {"url": "file:///home/me/app/w/sunup-1.whl", "archive_info": {}},
            "w/sunup-1.whl[deploy]",
            '{ path = "w/sunup-1.whl" }',
        ),
    ],
)
def test_another_machine_can_install_what_this_one_has(
    monkeypatch: pytest.MonkeyPatch, content: object, requirement: str, source: str
) -> None:
    installed(monkeypatch, content)
    assert installation.requirement("deploy", Path("/home/me/app")) == requirement
    assert installation.uv_source(Path("/home/me/app")) == source
