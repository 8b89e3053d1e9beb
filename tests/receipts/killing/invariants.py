"""What must be so when all is over, whatever was killed in between."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from .apps import STATUSES
from .clients import Post


class Broken(NamedTuple):
    """An invariant, and where it did not hold."""

    invariant: str
    post: str
    detail: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.post}: {self.detail}"


Rows = Iterable[tuple[Any, ...]]


def of_posts(posts: list[Post], rows: Rows, *, failures: bool) -> list[Broken]:
    """Each is there as often as its client was told, with the number that it was told.

    `rows`: post, run, number. `failures`: what clients that gave up were told counts, too. A naive
    one's failures speak of its own transactions, so that they say nothing of the work.
    """
    numbers: dict[str, list[int]] = defaultdict(list)
    for name, _, number in rows:
        numbers[name].append(number)
    broken = [each for post in posts for each in _of_post(post, numbers[post.name])]
    if failures:
        broken += [
            Broken("answered in time", post.name, f"{each.seconds:.1f} s; {_told(post)}")
            for post in posts
            for each in post.replies
            if each.late
        ]
        broken += [
            Broken("a failure is true", post.name, f"{numbers[post.name]}; {_told(post)}")
            for post in posts
            if post.given_up and not _as_told(post, len(numbers[post.name]))
        ]
    return broken


def _of_post(post: Post, numbers: list[int]) -> Iterable[Broken]:
    found = len(numbers)
    if post.stuck:
        yield Broken("no key is stuck", post.name, f"{_told(post)}; {found} rows")
    if found > 1:
        yield Broken("exactly once", post.name, f"{found} rows: {numbers}; {_told(post)}")
    if post.answers:
        if not found:
            yield Broken("exactly once", post.name, f"answered, but not there; {_told(post)}")
        if len({(each.status, each.body) for each in post.answers}) > 1:
            yield Broken("the same answer each time", post.name, _told(post))
        for each in post.answers:
            if not _is_own(post, each.status, each.body, numbers):
                yield Broken("the answer is the row's", post.name, f"{numbers}; {_told(post)}")
                break


def _is_own(post: Post, status: int, body: str, numbers: list[int]) -> bool:
    if status != STATUSES.get(post.path, 201):
        return False
    found = json.loads(body)
    return bool(found["post"] == post.name and found["number"] in numbers)


def _as_told(post: Post, found: int) -> bool:
    """Whether what is there is what a client that gave up was told."""
    last = post.replies[-1]
    if last.status == 0 or last.status == 409 or last.executed == "unknown":
        return found <= 1
    return found == (1 if last.executed == "yes" else 0)


def _told(post: Post) -> str:
    return f"{post.habit}, told " + " | ".join(
        f"{each.status} {each.body[:120]}" for each in post.replies[-6:]
    )


def of_confirmed(confirmed: set[str], committed: set[str]) -> list[Broken]:
    """What the server has confirmed is there. It is PostgreSQL's promise, and the test's ground."""
    return [
        Broken("what is confirmed stays", run, "the server has lost it")
        for run in sorted(confirmed - committed)
    ]


def of_notes(notes: list[str], committed: set[str]) -> list[Broken]:
    """What was called after a COMMIT was called once, and not without one."""
    return [
        *(
            Broken("after the COMMIT only", run, "called, but not committed")
            for run in sorted(set(notes) - committed)
        ),
        *(
            Broken("after the COMMIT once", run, f"called {times} times")
            for run, times in Counter(notes).items()
            if times > 1
        ),
    ]


def of_blocks(rows: Rows, details: Rows) -> list[Broken]:
    """A run's two blocks are there both, or none."""
    runs, others = {row[1] for row in rows}, {row[0] for row in details}
    return [
        Broken("all or nothing", run, "only one of its two blocks is there")
        for run in sorted(runs ^ others)
    ]


def of_receipts(open_claims: Rows) -> list[Broken]:
    """No claim was committed without its answer."""
    return [
        Broken("no claim without an answer", str(row[0]), "status is null") for row in open_claims
    ]
