"""Savepoints where the server has none: what is done instead is what savepoints would have done."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunup.connecting.savepoints import ANEW, Savepoints, step_of


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("SAVEPOINT __asyncpg_savepoint_1__;", ("savepoint", "__asyncpg_savepoint_1__")),
        ("RELEASE SAVEPOINT __asyncpg_savepoint_1__;", ("release", "__asyncpg_savepoint_1__")),
        ("ROLLBACK TO __asyncpg_savepoint_1__;", ("rollback", "__asyncpg_savepoint_1__")),
        ('SAVEPOINT "_pg3_1"', ("savepoint", '"_pg3_1"')),
        ('RELEASE "_pg3_1"', ("release", '"_pg3_1"')),
        ('ROLLBACK TO SAVEPOINT "s1_x2"', ("rollback", '"s1_x2"')),
        ("rollback to savepoint sa_savepoint_1", ("rollback", "sa_savepoint_1")),
        ("rollback", None),
        ("ROLLBACK;", None),
        ("rollback and chain", None),
        ("rollback prepared 'x'", None),
        ("select 1", None),
        ("savepoint", None),
        ("savepoint a; drop table users", None),
        ("", None),
    ],
)
def test_a_step_is_told_from_other_statements(text: str, step: tuple[str, str] | None) -> None:
    assert step_of(text) == step


OPERATIONS = st.lists(
    st.one_of(
        st.just(("change", "")),
        st.just(("failure", "")),
        st.tuples(
            st.sampled_from(["savepoint", "release", "rollback"]), st.sampled_from(["a", "b"])
        ),
        st.just(("block", "keep")),
        st.just(("block", "undo")),
    ),
    max_size=12,
)


@given(OPERATIONS)
def test_nothing_is_undone_but_what_a_savepoint_would_undo(
    operations: list[tuple[str, str]],
) -> None:
    ours = Savepoints()
    # As PostgreSQL would have it: the rows, and the savepoints with how many rows there were.
    rows: list[int] = []
    stack: list[tuple[str, int]] = []
    kept = 0
    aborted = False
    for number, (kind, name) in enumerate(operations):
        if kind == "change" and not aborted:
            rows.append(number)
            ours.changes += 1
        elif kind == "failure":
            aborted = True
        elif kind == "block":
            text = ours.block_ended(undo=name == "undo", aborted=aborted)
            if name == "undo":
                rows = rows[:kept]
                stack = [each for each in stack if each[1] <= kept]
                if _differs(text, rows, ours):
                    return
                aborted = False
            elif aborted:
                return  # refused before this is asked
            kept = len(rows)
        elif kind in ("savepoint", "release", "rollback"):
            if aborted and kind != "rollback":
                continue  # the server refuses it
            found = [n for n, each in enumerate(stack) if each[0] == name]
            if kind == "savepoint":
                stack.append((name, len(rows)))
                assert ours.step(kind, name, aborted=False) == ""
            elif found:
                text = ours.step(kind, name, aborted=aborted)
                mark = stack[found[-1]][1]
                if kind == "release":
                    del stack[found[-1] :]
                    assert text == ""
                    continue
                del stack[found[-1] + 1 :]
                rows = rows[:mark]
                if _differs(text, rows, ours):
                    return
                kept = min(kept, len(rows))
                aborted = False
        assert ours.changes == len(rows)


def _differs(text: str | None, rows: list[int], ours: Savepoints) -> bool:
    """Whether the transaction is refused from now on; else what is left has to be the same."""
    if text is None:
        assert ours.spoiled
        return True
    if text == ANEW:
        assert rows == []
        ours.begun_anew()
    else:
        assert text == ""
    assert ours.changes == len(rows)
    return False
