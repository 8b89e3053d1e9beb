"""Our answers beside those that were recorded from a live cluster, which are not part of this.

    SUNUP_DSQL_GOLDEN=folder pytest -s tests/local/emulator/dsql/test_golden.py

The folder has the JSON files of Dreamescaper/dsql-emulator, test/conformance/golden (MIT; recorded
2026-09-15 to 18). Each difference is printed.
"""

import json
import os
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sunup.local.emulator import DsqlOptions
from sunup.local.testing import Emulate

from .clients import connect

# As the fixture takes the variables away.
FOLDER = os.environ.get("SUNUP_DSQL_GOLDEN", "")

# One group needs what another has left: a row of name `tx`.
ORDER = (
    *("environment", "supported", "types", "enum", "unsupported", "index", "occ", "transaction"),
    *("isolation", "multi_statement", "alters", "backlog", "queries"),
)

SEED = "00000000-0000-0000-0000-0000000000aa"
SETUP = (
    "create table baseline_parent (id uuid primary key default gen_random_uuid(), name text not null)",
    "create table baseline_child (id uuid primary key, parent_id uuid not null references baseline_parent(id))",
    "create table baseline_idx (id uuid primary key, value text)",
    "create table baseline_bulk (id int)",
    "create table baseline_implicit_bulk (id int)",
    "create table baseline_drop_me (id int)",
    "create table baseline_alter (id int primary key, a text, b int)",
    "create table baseline_alter_pk (id int primary key, a text)",
    "create table baseline_alter_pkadd (id int, v text)",
    "create table baseline_alter_big (big bigint, note text)",
    "create table baseline_alter_fk (id int primary key, parent_id uuid)",
    "create table baseline_multi (id int primary key, a int)",
    f"insert into baseline_parent (id, name) values ('{SEED}', 'seed')",
)


def answer(cursor: "psycopg.Cursor[Any]") -> dict[str, Any]:
    """As it was recorded, as far as it can be compared: rows of text only."""
    found: dict[str, Any] = {"command_tag": cursor.statusmessage}
    if cursor.description:
        found["columns"] = [each.name for each in cursor.description]
        rows = cursor.fetchall()
        if rows and all(isinstance(value, str) for row in rows for value in row):
            found["rows"] = [list(row) for row in rows]
    return found


def observed(connection: "psycopg.Connection[Any]", step: str, *, prepare: bool) -> dict[str, Any]:
    try:
        cursor = connection.execute(step.encode(), prepare=prepare)
    except psycopg.Error as error:
        words = error.diag.message_primary
        return {"outcome": "error", "sqlstate": error.sqlstate, "message": words}
    results = [answer(cursor)]
    while cursor.nextset():
        results.append(answer(cursor))
    return {"outcome": "ok", **(results[0] if len(results) == 1 else {"results": results})}


def same(recorded: dict[str, Any], ours: dict[str, Any], *, rows: bool) -> bool:
    if "results" in recorded:
        pairs = zip(recorded["results"], ours.get("results", []), strict=False)
        return all(same(one, other, rows=rows) for one, other in pairs)
    names = ["outcome", "sqlstate", "message", "columns"]
    if rows:
        names.append("command_tag")
        if "rows" in recorded and "rows" in ours:
            names.append("rows")
    return all(recorded.get(name) == ours.get(name) for name in names)


@pytest.mark.skipif(not FOLDER, reason="SUNUP_DSQL_GOLDEN names no folder of recorded answers")
@pytest.mark.parametrize("prepare", [False, True], ids=["simple", "extended"])
def test_our_answers_are_the_recorded_ones(emulate: Emulate, prepare: bool) -> None:
    aws = emulate(engine="dsql", dsql=DsqlOptions(schema_conflicts=False))
    with connect(aws) as connection:
        for each in SETUP:
            connection.execute(each.encode())
    cases, equal = 0, 0
    for group in ORDER:
        file = Path(FOLDER) / f"{group}.json"
        for case in json.loads(file.read_text())["cases"] if file.exists() else []:
            if not case["steps"] or (prepare and case.get("simple_protocol")):
                continue
            cases += 1
            with connect(aws) as connection:
                found = [observed(connection, step, prepare=prepare) for step in case["steps"]]
            exact = not case.get("ignore_rows")
            pairs = list(zip(case["observations"], found, strict=True))
            if all(same(recorded, ours, rows=exact) for recorded, ours in pairs):
                equal += 1
            else:
                told = f"\n{group} {case['name']}\n  recorded {pairs[-1][0]}\n  ours     {found}"
                print(told)  # noqa: T201
    print(f"\n{cases} cases, {equal} equal")  # noqa: T201
    assert equal / cases > 0.9
