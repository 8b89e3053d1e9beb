"""Events that AWS documents, and events that others recorded, each with its source beside it.

`kind`: "documented" by AWS; "captured" from AWS, and said so by who recorded it; "published" in another project's tests,
where nobody says whether it was edited; "sam local", AWS's own emulator. What the adapter makes of them (`seen`) was
checked by reading; null: no HTTP request.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from sunup import caller
from sunup.adapter.events import format_of
from sunup.adapter.handler import Handler

FILES = sorted((Path(__file__).parent / "events").glob("*.json"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recorded_event_is_read(file: Path) -> None:
    record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    assert record["source"]
    assert record["kind"] in ("documented", "captured", "published", "sam local")
    event = record["event"]
    form = format_of(event)
    if form is None:
        assert record["seen"] is None
        return
    call, who = form.read(event), caller({"aws.event": event})
    assert record["seen"] == {
        "method": call.method,
        "path": call.path,
        "root_path": call.root_path,
        "query": call.query,
        "client": call.client and call.client[0],
        "server": list(call.server),
        "headers": len(call.headers),
        "body": call.body.decode("utf-8", "replace")[:80],
        "caller": who and [who.kind, who.id],
    }


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_recorded_event_is_answered(file: Path) -> None:
    def app(_: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]

    record = json.loads(file.read_text(encoding="utf-8"))
    handler = Handler(app, events=lambda event, _: event)
    answer = handler(record["event"], None)
    if record["seen"] is None:
        assert answer == record["event"]
    else:
        body = "" if record["seen"]["method"] == "HEAD" else "ok"
        assert (answer["statusCode"], answer["body"]) == (200, body)
