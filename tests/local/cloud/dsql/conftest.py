"""Aurora DSQL's control plane, played by moto."""

from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest

from tests.local.cli.cloud import DSQL_REGION, like_dsql, moto_server


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """botocore's client."""
    like_dsql(monkeypatch)
    with moto_server(monkeypatch):
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            monkeypatch.setenv(name, DSQL_REGION)
        yield botocore.session.Session().create_client("dsql")
