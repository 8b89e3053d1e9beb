import time

from sunup import request
from sunup.failures import DatabaseResuming


def test_a_log_line_tells_where_the_time_went() -> None:
    current = request.Request(method="GET", path="/users", id="r1", cold_start=True)
    current.started = time.time() - 1
    current.note_query(0.25, 3)
    token = request.current.set(current)
    request.note_wait(0.5, resuming=False)
    request.note_wait(12, resuming=True)
    request.current.reset(token)
    fields = current.log_fields(200)
    duration = fields.pop("duration_ms")
    assert isinstance(duration, float)
    assert 1000 <= duration < 5000
    assert fields == {
        "method": "GET",
        "path": "/users",
        "status": 200,
        "request_id": "r1",
        "cold_start": True,
        "connect_ms": 500.0,
        "resume_ms": 12000.0,
        "queries": 1,
        "query_ms": 250.0,
        "rows": 3,
    }


def test_a_failure_is_remembered_until_the_database_works_again() -> None:
    current = request.Request()
    token = request.current.set(current)
    request.note_failure(DatabaseResuming("no connection in 28.0 s"))
    fields = current.log_fields(503)
    assert fields["code"] == "database_resuming"
    assert "no connection in 28.0 s" in str(fields["cause"])
    request.note_failure(None)
    assert "code" not in current.log_fields(200)
    request.current.reset(token)


def test_outside_a_request_nothing_is_remembered() -> None:
    request.note_wait(1, resuming=True)
    request.note_failure(DatabaseResuming())
    assert request.current.get() is None
