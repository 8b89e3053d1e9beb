"""Django on Aurora DSQL: `atomic()` in `atomic()` without savepoints, and what else differs."""

import json
import os
import subprocess
import sys
from pathlib import Path

from sunup.local.testing import Emulate

from ..local.emulator.dsql.clients import connect

SCRIPT = Path(__file__).parent / "django_on_dsql.py"


def test_what_can_be_done_without_savepoints_is_done_and_the_rest_is_loud(emulate: Emulate) -> None:
    aws = emulate(engine="dsql")
    with connect(aws) as connection:
        connection.execute("create table t (id int primary key)")
        connection.execute("grant select, insert, update, delete on t to app")
    environ = {**os.environ, **aws.environ}
    ran = subprocess.run([sys.executable, SCRIPT], env=environ, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    refused = found["outcomes"].pop("inner_refused_later")
    assert "Aurora DSQL has no savepoints" in refused
    assert set(found["outcomes"].values()) == {"done"}, found
    # Of what was refused nothing is there.
    assert found["there"] == [2, 4, 5, 6]
