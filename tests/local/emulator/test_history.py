"""An hour under load stays small, and true."""

import json
import threading
import time
from itertools import pairwise

from sunup.local.emulator.history import History, Runs, Steps
from sunup.local.emulator.timeline import Timeline


def feed(history: History, began: float, seconds: int, rate: int = 100) -> None:
    """What happens at so many requests a second on three instances; the database sleeps once."""
    history.take({"kind": "aurora", "at": began, "state": "awake"})
    for name in ("a" * 32, "b" * 32, "c" * 32):
        history.take({"kind": "instance", "at": began, "instance": name, "state": "init"})
    number = 0
    for second in range(seconds):
        if second == seconds // 2:
            history.take({"kind": "aurora", "at": began + second, "state": "asleep"})
            history.take({"kind": "fault", "at": began + second, "fault": "pause"})
            history.take({"kind": "connections", "at": began + second, "connections": 0})
            continue
        if second == seconds // 2 + 1:
            history.take({"kind": "aurora", "at": began + second, "state": "awake"})
        for part in range(rate):
            at = began + second + part / rate
            name, number = "abc"[number % 3] * 32, number + 1
            history.take({"kind": "request", "at": at, "id": number})
            history.take({"kind": "instance", "at": at, "instance": name, "state": "running"})
            history.take({"kind": "connections", "at": at, "connections": 3 + part % 5})
            done = {"at": at + 0.005, "instance": name, "state": "frozen"}
            history.take({"kind": "instance"} | done)
            status = 500 if part == 7 else 404 if part in (1, 2) else 200
            answer = {"id": number, "status": status, "wait": 0.005, "at": at + 0.005}
            history.take({"kind": "response"} | answer)


def test_an_hour_of_a_hundred_requests_a_second_is_small_and_true() -> None:
    history, began = History(), time.time() - 3600
    feed(history, began, 3600)
    found = history.since(began - 1)
    assert len(json.dumps(found)) < 400_000
    counts = [sum(each[column] for each in found["seconds"]) for column in (1, 2, 3)]
    assert counts == [97 * 3599, 2 * 3599, 3599]
    assert [state for _, state in found["database"]] == ["awake", "asleep", "awake"]
    assert [words for _, words in found["marks"]] == ["pause"]
    assert found["waiting"] == []
    assert len(found["lanes"]) == 3
    for lane in found["lanes"]:
        busy = sum(each[2] for each in lane["runs"])
        assert abs(busy - 3599 * 100 / 3 * 0.005) < 1
        recent = [each for each in lane["runs"] if each[0] > began + 3599]
        assert len(recent) > 20  # one by one
    values = [value for _, value in found["connections"]]
    assert max(values) == 7


def test_only_what_is_asked_for_is_told() -> None:
    history, began = History(), time.time() - 600
    feed(history, began, 600)
    last = history.since(began + 590)
    assert len(json.dumps(last)) < 80_000
    assert last["seconds"][0][0] >= int(began + 590)
    assert last["database"][0][1] == "awake"  # as it was then, though it began before
    assert last["marks"] == []


def test_what_is_little_is_kept_exactly() -> None:
    runs, steps = Runs(), Steps()
    for number in range(100):
        runs.begin(number)
        runs.end(number + 0.5)
        steps.note(number, number % 4)
    assert runs.parts == [[number, number + 0.5, 0.5] for number in range(100)]
    assert steps.points == [[number, number % 4] for number in range(100)]
    runs.begin(100.0)
    assert runs.since(99.6) == [[100.0, None, 0.0]]
    assert steps.since(50.5) == [[number, number % 4] for number in range(50, 100)]


def test_what_is_much_keeps_its_heights_its_end_and_its_order() -> None:
    steps, now = Steps(), time.time()
    for number in range(20_000):
        steps.note(now + number / 100, 9 if number % 1000 == 0 else number % 3)
    steps.note(now + 200.5, 5)
    assert len(steps.points) <= 1500
    assert all(one[0] < other[0] for one, other in pairwise(steps.points))
    assert max(value for _, value in steps.points) == 9
    assert steps.points[-1] == [now + 200.5, 5]


def test_an_instance_s_life_is_told() -> None:
    history = History()
    for at, state, more in (
        (1.0, "init", {}),
        (2.0, "running", {}),
        (3.0, "frozen", {}),
        (4.0, "running", {}),
        (5.0, "gone", {"reason": "reaped"}),
    ):
        history.take({"kind": "instance", "at": at, "instance": "i", "state": state} | more)
    (lane,) = history.since(0)["lanes"]
    assert lane == {
        "id": "i",
        "began": 1.0,
        "ready": 2.0,
        "gone": 5.0,
        "reason": "reaped",
        "runs": [[2.0, 3.0, 1.0], [4.0, 5.0, 1.0]],
    }
    assert history.since(5.5)["lanes"] == []


def test_of_many_instances_those_that_ended_first_are_forgotten() -> None:
    history = History()
    for number in range(500):
        for state in ("init", "running", "gone"):
            made = {"instance": f"{number}", "state": state, "reason": "", "at": float(number)}
            history.take({"kind": "instance"} | made)
    lanes = history.since(-1)["lanes"]
    assert len(lanes) <= 60
    assert lanes[-1]["id"] == "499"


def test_what_is_recent_stays_exact_after_hours() -> None:
    """A request every five seconds for three hours: the last minute has twelve short runs."""
    runs, now = Runs(), 1_800_000_000.0
    for number in range(3 * 720):
        runs.begin(now + number * 5)
        runs.end(now + number * 5 + 0.01)
    end = now + 3 * 3600
    last = runs.since(end - 60)
    assert len(last) == 12
    assert all(abs(each[1] - each[0] - 0.01) < 1e-6 for each in last)
    assert len(runs.parts) < 1500
    whole = runs.since(end - 3600)
    assert abs(sum(each[2] for each in whole) - 7.2) < 0.5
    assert max(each[1] - each[0] for each in whole) < 1000


def test_the_events_are_bounded_by_their_number_and_by_their_size() -> None:
    timeline = Timeline()
    for number in range(6000):
        timeline.add("log", line=f"{number}")
    assert len(timeline.events) == 5000
    for _ in range(100):
        timeline.add("log", line="x" * 1_000_000)
    assert 25 < len(timeline.events) < 35
    timeline.add("log", line="y")
    assert timeline.events[-1]["line"] == "y"
    assert timeline.count == 6101


def test_the_timeline_is_read_in_one_thread_while_another_adds() -> None:
    timeline = Timeline()
    done = threading.Event()

    def add() -> None:
        while not done.is_set():
            timeline.add("instance", instance=f"i-{timeline.count % 50}", state="running")

    adding = threading.Thread(target=add)
    adding.start()
    try:
        for _ in range(300):
            numbers = [each["n"] for each in timeline.events]
            assert numbers == sorted(numbers)
            timeline.since(0.0)
    finally:
        done.set()
        adding.join()
