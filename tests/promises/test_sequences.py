"""Random sequences of requests, faults and freezes, with a real PostgreSQL and real processes.

Requests go well, raise, hang, block, are cancelled, nest connections, leave tasks and threads; in
between the database fails and the process freezes. After each, the promises are looked at; at the
end two plain requests must go well. `make soak` runs more of them. The simulator beside this
(tests/simulator) is four orders of magnitude faster, but knows asyncpg only and no real server.
"""

import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, Verbosity, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from sunup.local.emulator import AuroraOptions, Emulator
from sunup.local.testing import Emulate

from .apps import KINDS, Kind, works_async, works_sync
from .instance import MARGIN, Instances, Reply

SEQUENCES = int(os.environ.get("SUNUP_SEQUENCES", "3"))
STEPS = 8
POOL_SIZE = 2

# Seconds that a plain request may take when all is well: TLS and a token are part of it, and other
# tests want the processor. What hangs takes longer: a second attempt to connect begins after 5 s.
USUAL = 3.0

# Seconds in which the server sees what a client that is gone has ended.
SEEN = 1.5

# 200 does not mean that their row is there.
WITHOUT_ROW = {
    "hangs",
    "changes_the_session",
    "answers_itself",
    "gets_over_it",
    "begins_by_hand",
    "was_cleaned_up",
}
# What SQLAlchemy or Django do with it is theirs: a cancelled statement ends the transaction.
NOT_WITH = {
    "sqlalchemy": {"cancelled_within", "begins_by_hand"},
    "threads": {"computes_in_a_transaction"},  # a thread that computes cannot be ended
}

FAULTS: dict[str, Callable[[Emulator], Any]] = {
    "dropped": lambda aws: aws.run(aws.aurora.faults.drop(graceful=False)),
    "said goodbye": lambda aws: aws.run(aws.aurora.faults.drop(graceful=True)),
    "reset in the next statement": lambda aws: setattr(aws.aurora.faults, "reset_next", True),
    "restarted": lambda aws: aws.do("aurora/restart"),
    "refusing": lambda aws: aws.run(aws.aurora.faults.refuse(0.2)),
    "paused": lambda aws: aws.do("aurora/pause"),
}


class World:
    """The database, and the app's instance."""

    def __init__(self, kind: Kind, aws: Emulator, log: Path) -> None:
        self.kind = kind
        self.aws = aws
        self.numbers = itertools.count(1)
        server = aws._database
        self.admin = psycopg.connect(
            host=server["DB_HOST"], user="postgres", dbname=server["DB_NAME"], autocommit=True
        )
        for statement in (
            "create table t (id text)",
            "create table one (id int)",
            "insert into one values (1)",
            "grant select, insert, update on t, one to app",
            "grant pg_monitor to app",
        ):
            self.admin.execute(statement.encode())
        environ = {
            **aws.environ,
            **aws.iam.current.environment(),
            "AWS_LAMBDA_FUNCTION_NAME": "f",
            "DB_POOL_SIZE": str(POOL_SIZE),
            "DB_IDLE_SESSION_TIMEOUT": "0.6",
            "LOG_LEVEL": "ERROR",
        }
        self.instances = Instances(kind, environ, log)

    def close(self) -> None:
        self.instances.close()
        self.admin.close()

    def rows(self, prefix: str) -> list[str]:
        found = self.admin.execute("select id from t where id like %s", (f"{prefix}%",)).fetchall()
        return [row[0] for row in found]

    def sessions(self) -> list[tuple[Any, ...]]:
        """The app's sessions: whether at rest, and their last statement."""
        return self.admin.execute(
            "select state = 'idle', state, left(query, 60) from pg_stat_activity"
            " where application_name = 'sunup' and datname = current_database()"
        ).fetchall()


class Sequences(RuleBasedStateMachine):
    """One instance's life."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[str] = set()
        self.written: set[str] = set()
        self.world.instances.begin()
        self.before = self._plain()

    @rule(
        work=st.sampled_from(sorted({*works_async.WORKS, *works_sync.WORKS})),
        seconds=st.sampled_from([0.0, 0.1, 0.2, 0.4, 0.6]),
        left=st.sampled_from([0.2, 0.3, 3.0]),
    )
    def request(self, work: str, seconds: float, left: float) -> None:
        """One that may fail."""
        world = self.world
        known = works_async if world.kind in ("asyncpg", "sqlalchemy") else works_sync
        if work not in known.WORKS or work in NOT_WITH.get(world.kind, set()):
            return
        if (
            "hang" in work
            or work in ("two_blocks", "swallows", "cleans_up_slowly")
            or "_in_a_t" in work
        ):
            left = min(left, 0.3)
        row = f"{next(world.numbers)}."
        reply = world.instances.ask(work, row, seconds, left=left)
        note(f"  {work} {row} {seconds} {left}: {reply.status} {reply.text[:120]}")
        assert reply.seconds < left + MARGIN, "the answer came after the function's end"
        self._as_told(work, row, reply)
        self._left_behind()

    @rule(fault=st.sampled_from(sorted(FAULTS)))
    def fault(self, fault: str) -> None:
        """The database fails."""
        FAULTS[fault](self.world.aws)

    @rule(seconds=st.sampled_from([0.01, 0.8]))
    def freeze(self, seconds: float) -> None:
        """Nobody calls; the longer one outlasts the idle session's timeout."""
        time.sleep(seconds)

    def teardown(self) -> None:
        """All is well again: so must be two plain requests."""
        world = self.world
        if not hasattr(self, "before"):
            return
        world.aws.aurora.faults.reset_next = False
        time.sleep(0.3)
        wakes = time.monotonic()
        while world.instances.ask("plain", f"{next(world.numbers)}.", left=5).status != 200:
            assert time.monotonic() - wakes < 3, "it does not come back"
        self._plain()
        time.sleep(0.8)
        after = self._plain()
        self._rows_are_right()
        self._left_behind()
        if world.kind != "threads":  # asyncio_0 asks for addresses
            left = [n for n in after["threads"] if n not in ("MainThread", "later", "asyncio_0")]
            assert not left, "threads are left"
        tasks = [each for each in after["tasks"] if "later" not in each]
        assert len(tasks) <= len(self.before["tasks"]), tasks
        most = self.before["descriptors"] + POOL_SIZE
        assert after["descriptors"] <= most, "descriptors are left"

    def _plain(self) -> dict[str, Any]:
        """Returns what there is in the process afterwards."""
        world = self.world
        row = f"{next(world.numbers)}."
        reply = world.instances.ask("plain", row)
        assert (reply.status, reply.text) == (200, PLAIN), "the request after"
        usual = USUAL if world.kind != "threads" else USUAL + works_sync.HANG
        assert reply.seconds < usual, f"the request after took {reply.seconds:.2f} s"
        self.written.add(row)
        return world.instances.census()

    def _as_told(self, work: str, row: str, reply: Reply) -> None:
        if reply.status == 200:
            if work == "plain":
                assert reply.text == PLAIN, "another block's session state"
            if work not in WITHOUT_ROW:
                self.written.add(row)
        elif work == "answers_itself" and "deadline_exceeded" not in reply.text:
            assert (reply.status, reply.text) == (503, "the app's own words")
        elif work == "gets_over_it":
            assert "connections_busy" not in reply.text
        if reply.may_be_repeated or '"executed": "no"' in reply.text:
            self.refused.add(row)
        self._rows_are_right()

    def _rows_are_right(self) -> None:
        there = self.world.rows("")
        assert len(set(there)) == len(there), "something was executed twice"
        for row in self.refused:
            assert not [each for each in there if each.startswith(row)], f"{row} was told as not"
        for row in self.written:
            assert row in there, f"{row} was told as written"
        assert not [each for each in there if each.endswith("-never")]

    def _left_behind(self) -> None:
        """At the server, while the process is frozen."""
        until = time.monotonic() + SEEN
        while True:
            sessions = self.world.sessions()
            at_work = [each for each in sessions if not each[0]]
            if not at_work and len(sessions) <= POOL_SIZE:
                return
            assert time.monotonic() < until, f"left at the server: {sessions}"
            time.sleep(0.02)


PLAIN = repr(['"$user", public', "none", "read committed"])


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", KINDS)
def test_after_whatever_happened_the_next_request_goes_well(
    kind: Kind, emulate: Emulate, tmp_path: Path
) -> None:
    aws = emulate(aurora=AuroraOptions(resume_seconds=0.3))
    world = World(kind, aws, tmp_path / "log")
    machine = type("Sequences", (Sequences,), {"world": world})
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=SEQUENCES,
                stateful_step_count=STEPS,
                deadline=None,
                derandomize=SEQUENCES < 10,
                database=None,
                phases=(Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
                verbosity=Verbosity.normal,
            ),
        )
    finally:
        world.close()
