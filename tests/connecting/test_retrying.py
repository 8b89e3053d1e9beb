"""`Database.run` and `run_transaction`: a transaction that others made fail is run again."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import asyncpg
import psycopg
import pytest
import sqlalchemy
from sqlalchemy import event
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

import sunup.asyncpg
import sunup.psycopg
from sunup import deadline, request
from sunup.connecting.retrying import Retries, refused_for_others
from sunup.connecting.session import Swallowed
from sunup.failures import ConnectionLost, ConnectionsBusy, DatabaseResuming, TransactionConflict
from sunup.integrations.sqlalchemy import (
    create_async_engine,
    create_engine,
    run_async_transaction,
    run_transaction,
)
from sunup.settings import Settings

from ..receipts.proxy import proxy_of

Admin = Callable[[str], list[tuple[object, ...]]]
# Gets what executes a statement and returns its first value.
Execute = Callable[[str], Any]

# Yields statements, and gets the first value of each one's answer.
Work = Generator[str, Any, None]

KINDS = ["asyncpg", "psycopg", "sqlalchemy", "sqlalchemy async"]

READ = "select n from counter"


class Runner:
    """Runs work, a generator of statements that gets each one's first value, with one of KINDS."""

    def __init__(self, kind: str, settings: Settings) -> None:
        self.kind = kind
        self.settings = settings

    def run(self, work: Callable[[], Work], isolation: Any = "serializable") -> None:
        if self.kind in ("asyncpg", "sqlalchemy async"):
            asyncio.run(self._run_async(work, isolation))
            return
        db = sunup.psycopg.Database(self.settings)
        try:
            if self.kind == "psycopg":
                db.run(lambda connection: _steps(work(), _psycopg(connection)), isolation=isolation)
                return
            level = isolation.replace("_", " ").upper()
            engine = create_engine(db, isolation_level=level)
            sessions = sessionmaker(engine)
            try:
                run_transaction(sessions, lambda session: _steps(work(), _sqlalchemy(session)))
            finally:
                engine.dispose()
        finally:
            db.close()

    async def _run_async(self, work: Callable[[], Work], isolation: Any) -> None:
        db = sunup.asyncpg.Database(self.settings)

        async def with_driver(connection: Any) -> None:
            await _async_steps(work(), connection.fetchval)

        async def with_session(session: Any) -> None:
            async def execute(statement: str) -> Any:
                result = await session.execute(sqlalchemy.text(statement))
                return result.scalar() if result.returns_rows else None

            await _async_steps(work(), execute)

        try:
            if self.kind == "asyncpg":
                await db.run(with_driver, isolation=isolation)
                return
            level = isolation.replace("_", " ").upper()
            engine = create_async_engine(db, isolation_level=level)
            try:
                await run_async_transaction(async_sessionmaker(engine), with_session)
            finally:
                await engine.dispose()
        finally:
            await db.close()


def _psycopg(connection: Any) -> Execute:
    def execute(statement: str) -> Any:
        cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None

    return execute


def _sqlalchemy(session: Any) -> Execute:
    def execute(statement: str) -> Any:
        result = session.execute(sqlalchemy.text(statement))
        return result.scalar() if result.returns_rows else None

    return execute


def _steps(work: Work, execute: Execute) -> None:
    with suppress(StopIteration):
        statement = next(work)
        while True:
            try:
                value = execute(statement)
            except Exception as error:
                statement = work.throw(error)
            else:
                statement = work.send(value)


async def _async_steps(work: Work, execute: Callable[[str], Any]) -> None:
    try:
        statement = next(work)
        while True:
            try:
                value = await execute(statement)
            except Exception as error:
                statement = work.throw(error)
            else:
                statement = work.send(value)
    except StopIteration:
        pass


@pytest.fixture(params=KINDS)
def runner(request: pytest.FixtureRequest, settings: Settings, admin: Admin) -> Runner:
    admin("create table counter (n int not null)")
    admin("insert into counter values (0)")
    return Runner(request.param, settings)


@contextmanager
def requested() -> Iterator[request.Request]:
    current = request.Request("POST", "/count")
    token = request.begin(current)
    try:
        yield current
    finally:
        request.end(token)


def add_one() -> Work:
    """Read, think, write: what loses an update where nobody looks after it."""
    found = yield READ
    yield "select pg_sleep(0.005)"
    yield f"update counter set n = {found + 1}"


@pytest.mark.parametrize("isolation", ["repeatable_read", "serializable"])
def test_no_update_is_lost_however_many_write_at_once(
    runner: Runner, admin: Admin, isolation: str
) -> None:
    failures: list[BaseException] = []

    def worker() -> None:
        try:
            for _ in range(3):
                runner.run(add_one, isolation)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=worker) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures, failures
    assert admin(READ) == [(18,)]


def test_when_time_is_up_it_is_told_that_nothing_was_changed(runner: Runner, admin: Admin) -> None:
    runs: list[int] = []

    def always_late() -> Work:
        found = yield READ
        runs.append(found)
        admin("update counter set n = n + 100")
        yield f"update counter set n = {found + 1}"

    refused = pytest.raises(TransactionConflict, match=r"refused \d+ times in")
    with requested() as current, refused as caught, deadline.within(2):
        runner.run(always_late)
    assert caught.value.nothing_executed
    assert current.executed == "no"
    assert len(runs) >= 3
    # The last run may have had no time to connect.
    assert current.log_fields(503)["retries"] in (len(runs) - 1, len(runs))
    assert current.log_fields(503)["code"] == "transaction_conflict"
    assert admin(READ) == [(100 * len(runs),)]
    runner.run(add_one)
    assert admin(READ) == [(100 * len(runs) + 1,)]


@pytest.mark.parametrize("runner", ["psycopg", "sqlalchemy"], indirect=True)
def test_a_later_run_that_meets_the_deadline_is_not_why_the_work_was_not_done(
    runner: Runner, admin: Admin
) -> None:
    runs: list[int] = []

    def late_and_slow() -> Work:
        found = yield READ
        runs.append(found)
        if len(runs) == 2:
            yield "select pg_sleep(20)"
        admin("update counter set n = n + 100")
        yield f"update counter set n = {found + 1}"

    refused = pytest.raises(TransactionConflict, match="refused once in")
    with requested() as current, refused as caught, deadline.within(2):
        runner.run(late_and_slow)
    assert caught.value.nothing_executed
    assert (len(runs), current.executed) == (2, "no")
    runner.run(add_one)
    assert admin(READ) == [(101,)]


@pytest.mark.parametrize("runner", ["psycopg", "sqlalchemy"], indirect=True)
def test_a_commit_that_meets_the_deadline_after_a_conflict_is_no_conflict(
    runner: Runner, admin: Admin, settings: Settings
) -> None:
    runs: list[int] = []

    def late_once() -> Work:
        found = yield READ
        runs.append(found)
        if len(runs) == 1:
            admin("update counter set n = n + 100")
        yield f"update counter set n = {found + 1} /* insert into sunup_receipts */"

    with proxy_of(settings) as proxy:
        runner.settings = proxy.settings
        proxy.plan = ["mute"]
        with pytest.raises(deadline.DeadlineExceeded), deadline.within(2):
            runner.run(late_once)
        assert (len(runs), proxy.met) == (2, ["mute"])
    runner.settings = settings
    runner.run(add_one)
    assert admin(READ) == [(101,)]


def test_what_went_well_at_last_leaves_only_a_count(runner: Runner, admin: Admin) -> None:
    runs: list[int] = []

    def late_once() -> Work:
        found = yield READ
        runs.append(found)
        if len(runs) == 1:
            admin("update counter set n = n + 100")
        yield f"update counter set n = {found + 1}"

    with requested() as current:
        runner.run(late_once)
    assert runs == [0, 100]
    assert admin(READ) == [(101,)]
    fields = current.log_fields(200)
    assert fields["retries"] == 1
    assert "code" not in fields
    assert current.executed == "yes"


def test_the_app_s_own_errors_are_raised_at_once(runner: Runner, admin: Admin) -> None:
    runs: list[int] = []

    def wrong() -> Work:
        runs.append(1)
        yield "update counter set n = 5"
        raise LookupError("no such user")

    def refused() -> Work:
        runs.append(1)
        yield "insert into counter values (null)"

    with pytest.raises(LookupError):
        runner.run(wrong)
    with pytest.raises((asyncpg.PostgresError, psycopg.Error, sqlalchemy.exc.IntegrityError)):
        runner.run(refused)
    assert runs == [1, 1]
    assert admin(READ) == [(0,)]
    runner.run(add_one)
    assert admin(READ) == [(1,)]


def test_a_connection_that_breaks_before_the_commit_is_no_reason_to_give_up(
    runner: Runner, admin: Admin
) -> None:
    runs: list[int] = []

    def cut_once() -> Work:
        found = yield READ
        yield f"update counter set n = {found + 1}"
        pid = yield "select pg_backend_pid()"
        runs.append(pid)
        if len(runs) == 1:
            admin(f"select pg_terminate_backend({pid}, 5000)")
        yield "select 1"

    runner.run(cut_once)
    assert len(runs) == 2
    assert admin(READ) == [(1,)]


def test_a_commit_whose_answer_was_lost_is_never_sent_again(
    runner: Runner, admin: Admin, settings: Settings
) -> None:
    runs: list[int] = []

    def counted() -> Work:
        runs.append(1)
        yield "update counter set n = n + 1 /* insert into sunup_receipts */"

    with proxy_of(settings) as proxy:
        runner.settings = proxy.settings
        proxy.plan = ["answer lost"]
        with pytest.raises(ConnectionLost):
            runner.run(counted)
        assert proxy.met == ["answer lost"]
        assert admin(READ) == [(1,)]
        runner.run(counted)
    assert len(runs) == 2
    assert admin(READ) == [(2,)]


def test_an_older_conflict_that_is_being_handled_is_not_taken_for_this_one(
    runner: Runner, admin: Admin
) -> None:
    runs: list[int] = []

    def wrong() -> Work:
        runs.append(1)
        yield READ
        raise LookupError("no such user")

    with pytest.raises(LookupError):
        try:
            raise psycopg.errors.SerializationFailure("an older one")
        except psycopg.Error:
            runner.run(wrong)
    assert len(runs) == 1
    assert admin(READ) == [(0,)]
    runner.run(add_one)


def test_a_conflict_is_found_in_a_group_and_behind_a_cause() -> None:
    conflict = psycopg.errors.SerializationFailure("could not serialize access")
    wrapped = RuntimeError("the app's own")
    wrapped.__cause__ = conflict
    assert refused_for_others(ExceptionGroup("tasks", [ValueError(), wrapped]))
    assert not refused_for_others(ExceptionGroup("tasks", [ValueError()]))
    assert not refused_for_others(psycopg.errors.LockNotAvailable("lock timeout"))


def test_a_conflict_that_the_work_hides_is_run_again(runner: Runner, admin: Admin) -> None:
    runs: list[int] = []

    def hides() -> Work:
        found = yield READ
        runs.append(found)
        if len(runs) == 1:
            admin("update counter set n = n + 100")
        with suppress(Exception):
            yield f"update counter set n = {found + 1}"

    runner.run(hides)
    assert runs == [0, 100]
    assert admin(READ) == [(101,)]


def test_another_failure_that_the_work_hides_is_told(runner: Runner, admin: Admin) -> None:
    def hides() -> Work:
        yield "update counter set n = 5"
        with suppress(Exception):
            yield "insert into counter values (null)"

    with pytest.raises(Swallowed, match="SQLSTATE 23502"):
        runner.run(hides)
    assert admin(READ) == [(0,)]
    runner.run(add_one)
    assert admin(READ) == [(1,)]


@pytest.mark.parametrize("kind", ["sqlalchemy"])
def test_what_follows_a_commit_is_not_a_reason_to_run_again(
    kind: str, settings: Settings, admin: Admin
) -> None:
    admin("create table counter (n int not null)")
    admin("insert into counter values (0)")
    conflicts = [psycopg.errors.SerializationFailure("of a listener's own")]

    def listen(_: Any) -> None:
        if conflicts:
            raise conflicts.pop()

    event.listen(Session, "after_commit", listen)
    try:
        with pytest.raises(psycopg.errors.SerializationFailure):
            Runner(kind, settings).run(add_one)
        assert admin(READ) == [(1,)]
        Runner(kind, settings).run(add_one)
    finally:
        event.remove(Session, "after_commit", listen)
    assert admin(READ) == [(2,)]


@pytest.mark.parametrize("kind", ["sqlalchemy", "sqlalchemy async"])
def test_a_commit_that_flushes_is_seen(kind: str, settings: Settings, admin: Admin) -> None:
    """What the app meets behind it is no reason to do again what is committed."""
    admin("create table note (id serial primary key)")
    runs: list[int] = []

    class Base(DeclarativeBase):
        pass

    class Note(Base):
        __tablename__ = "note"
        id: Mapped[int] = mapped_column(primary_key=True)

    def add(session: Any) -> None:
        runs.append(1)
        session.add(Note())

    def after() -> None:
        if len(runs) == 1:
            raise psycopg.errors.SerializationFailure("of the app's own")

    class Sessions:
        def __init__(self, made: Any) -> None:
            self.made = made

        @contextmanager
        def begin(self) -> Iterator[Any]:
            with self.made.begin() as session:
                yield session
            after()

    class AsyncSessions(Sessions):
        @asynccontextmanager
        async def begin(self) -> AsyncIterator[Any]:  # type: ignore[override]
            async with self.made.begin() as session:
                yield session
            after()

    async def run_async() -> None:
        db = sunup.asyncpg.Database(settings)
        engine = create_async_engine(db)
        sessions: Any = AsyncSessions(async_sessionmaker(engine))

        async def work(session: Any) -> None:
            add(session)

        with pytest.raises(psycopg.errors.SerializationFailure):
            await run_async_transaction(sessions, work)
        await run_async_transaction(sessions, work)
        await engine.dispose()
        await db.close()

    if kind == "sqlalchemy":
        db = sunup.psycopg.Database(settings)
        engine = create_engine(db)
        sessions = Sessions(sessionmaker(engine))
        with pytest.raises(psycopg.errors.SerializationFailure):
            run_transaction(sessions, add)
        run_transaction(sessions, add)
        engine.dispose()
        db.close()
    else:
        asyncio.run(run_async())
    assert len(runs) == 2
    assert admin("select count(*) from note") == [(2,)]


def test_a_session_that_has_begun_before_the_work_is_watched_too(
    settings: Settings, admin: Admin
) -> None:
    """Such as one that is told its tenant first."""
    admin("create table counter (n int not null)")
    db = sunup.psycopg.Database(settings)
    engine = create_engine(db)
    runs: list[int] = []

    class Tenants:
        @contextmanager
        def begin(self) -> Iterator[Session]:
            with sessionmaker(engine).begin() as session:
                session.execute(sqlalchemy.text("select set_config('app.tenant', '1', true)"))
                yield session
            if len(runs) == 1:
                raise psycopg.errors.SerializationFailure("of the app's own")

    def work(session: Session) -> None:
        runs.append(1)
        session.execute(sqlalchemy.text("insert into counter values (1)"))

    def hides(session: Session) -> None:
        with suppress(sqlalchemy.exc.DBAPIError):
            session.execute(sqlalchemy.text("select 1 / 0"))

    with pytest.raises(psycopg.errors.SerializationFailure):
        run_transaction(Tenants(), work)
    assert admin(READ) == [(1,)]
    with pytest.raises(Swallowed):
        run_transaction(Tenants(), hides)
    run_transaction(Tenants(), work)
    assert admin(READ) == [(1,), (1,)]
    engine.dispose()
    db.close()


@pytest.mark.parametrize("error", [ConnectionsBusy, DatabaseResuming, deadline.DeadlineExceeded])
@pytest.mark.parametrize("sent", [False, True])
def test_a_run_that_there_was_no_time_for_is_a_conflict_unless_its_commit_was_sent(
    error: type[BaseException], sent: bool
) -> None:
    with deadline.within(0.1):
        retries = Retries(time.time(), None)
        conflict = psycopg.errors.SerializationFailure("could not serialize access")
        assert retries.pause_after(conflict, sent=False) is not None
        time.sleep(0.1)
        if sent:
            assert retries.pause_after(error("late"), sent=True) is None
        else:
            with pytest.raises(TransactionConflict, match="refused once in"):
                retries.pause_after(error("late"), sent=False)


def test_what_the_app_has_made_of_a_conflict_is_raised_when_time_is_up(
    runner: Runner, admin: Admin
) -> None:
    class Taken(Exception):
        pass

    def translates() -> Work:
        found = yield READ
        admin("update counter set n = n + 100")
        try:
            yield f"update counter set n = {found + 1}"
        except Exception as error:
            raise Taken from error

    with pytest.raises(Taken), deadline.within(0.5):
        runner.run(translates)
    runner.run(add_one)
