"""The whole path, in an AWS on this machine: `pytest`. The app itself: users/tests.py."""

import urllib.request
from pathlib import Path

from sunup.local.emulator import AuroraOptions
from sunup.local.testing import Emulate

APP = Path(__file__).parent.parent


def test_the_first_request_waits_for_a_sleeping_database(emulate: Emulate) -> None:
    aws = emulate(APP, aurora=AuroraOptions(resume_seconds=1), environ={"SECRET_KEY": "of a test"})
    aws.do("aurora/pause")
    with urllib.request.urlopen(f"{aws.url}/users", timeout=30) as response:
        assert response.read() == b"[]"
    with urllib.request.urlopen(f"{aws.url}/static/admin/css/base.css") as response:
        assert response.headers["content-type"].startswith("text/css")
