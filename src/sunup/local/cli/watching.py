"""What a process that `sunup dev` reloads does beside serving: migrate, end with its parent."""

import json
import logging
import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sunup.failures import DatabaseUnavailable
from sunup.local import bytecode, notes, project
from sunup.local.errors import CommandError
from sunup.local.project import Project

logger = logging.getLogger("sunup.dev")

# The app's folder, and the file with its migrations when they were last applied.
STATE = "SUNUP_DEV"


def state(found: Project, port: int) -> str:
    """For the environment of the processes that are reloaded, once all migrations are applied."""
    seen = found.folder / ".sunup" / f"seen-{port}.json"
    with suppress(OSError):  # who may not write there looks at each reload
        notes.hidden(found.folder)
        seen.write_text(fingerprint(found), encoding="utf-8")
    return json.dumps({"folder": str(found.folder), "seen": str(seen)})


def fingerprint(found: Project) -> str:
    """Which migrations there are, and when they were written: Alembic's, and Django's in apps."""
    paths = {*(found.migrations / "versions").glob("*.py"), *found.django_migrations()}
    return json.dumps([[str(path), path.stat().st_mtime_ns] for path in sorted(paths)])


def begin() -> None:
    """Apply migrations that have changed, and end when the parent does. Only in `sunup dev`.

    Raises `CommandError`.
    """
    text = os.environ.get(STATE)
    if not text:
        return
    threading.Thread(target=_end_with_parent, daemon=True).start()
    content = json.loads(text)
    os.chdir(content["folder"])  # multiprocessing begins where the parent once did
    # What the parent settled: read again, .env would bring back what does not count.
    found = replace(project.find(Path(content["folder"])), environ=dict(os.environ))
    bytecode.distrust({found.folder, found.code})  # a formatter saves again, at once
    seen, now, before = Path(content["seen"]), fingerprint(found), ""
    with suppress(OSError):
        before = seen.read_text(encoding="utf-8")
    if now != before:
        # Not in this thread: uvicorn's event loop runs in it, and an async env.py begins its own.
        with ThreadPoolExecutor(1) as thread:
            done = thread.submit(_migrate, found).result()
        if done:
            # What is undone by hand from now on is not applied again by the next save.
            with suppress(OSError):
                seen.write_text(now, encoding="utf-8")


def _migrate(found: Project) -> bool:
    """Whether that is done; where not, the next reload tries and tells again."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from sunup.local.migrations import of_project  # 0.3 s, at a reload only

    try:
        if not of_project.has_any(found) or project.is_remote(found.migration_settings):
            return True
        applied = of_project.upgrade_here(found, _undone)
    except CommandError as error:
        logger.error("migrations: %s", error.sentences)  # noqa: TRY400  # told in words
    except DatabaseUnavailable as error:
        logger.error("migrations: %s", error)  # noqa: TRY400
    else:
        if applied:
            logger.info("migrations: applied %s", ", ".join(applied))
        return True
    return False


def _undone(revisions: list[str]) -> None:
    what = ", ".join(revisions)
    logger.warning("migrations: undone %s, with its data: the file has changed", what)


def _end_with_parent() -> None:
    """A parent that was killed could not end its children."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
