"""Who sends the POSTs, and what each is told."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from .instances import Reply

Habit = Literal[
    "patient",  # repeats until it is answered
    "twice at once",  # does so twice at the same time, with the same key
    "curious",  # repeats although it has its answer
    "gives up",  # after the first failure
]
_HABITS: dict[Habit, int] = {"patient": 62, "twice at once": 14, "curious": 14, "gives up": 10}
_PATHS = {"/add": 70, "/refused": 10, "/flaky": 20}

_PAUSE = 0.05

Ask = Callable[[str, str, str], Reply]


@dataclass
class Post:
    """A logical POST: one key, whatever it takes."""

    name: str
    path: str
    habit: Habit
    replies: list[Reply] = field(default_factory=list)
    # It was not answered within the client's patience.
    stuck: bool = False

    @property
    def answers(self) -> list[Reply]:
        """Those that a client is done with."""
        return [each for each in self.replies if each.final]

    @property
    def given_up(self) -> bool:
        """Whether its client went away without an answer."""
        return not self.stuck and not self.answers


def post_of_seed(seed: int, number: int, habits: dict[Habit, int] | None = None) -> Post:
    """The POST of this number: the same for the same seed."""
    random = Random(f"{seed} client {number}")
    chances = habits or _HABITS
    (habit,) = random.choices(list(chances), list(chances.values()))
    (path,) = random.choices(list(_PATHS), list(_PATHS.values()))
    return Post(f"post-{number}", path, habit)


def without_two_at_once() -> dict[Habit, int]:
    """For what does not claim to bear them."""
    return {habit: weight for habit, weight in _HABITS.items() if habit != "twice at once"}


def send(post: Post, ask: Ask, patience: float) -> None:
    """Do what its client does."""
    if post.habit != "twice at once":
        _repeat(post, ask, patience)
        return
    other = threading.Thread(target=_repeat, args=(post, ask, patience))
    other.start()
    _repeat(post, ask, patience)
    other.join()


def _repeat(post: Post, ask: Ask, patience: float) -> None:
    end = time.monotonic() + patience
    wanted = 3 if post.habit == "curious" else 1
    while True:
        reply = ask(post.path, post.name, post.name)
        post.replies.append(reply)
        if reply.final:
            wanted -= 1
            if not wanted:
                return
        elif post.habit == "gives up":
            return
        elif time.monotonic() > end:
            post.stuck = True
            return
        time.sleep(_PAUSE)
