"""The live kit, as far as it goes without an account: against the emulator, with scripted commands."""

import subprocess
from pathlib import Path

import pytest
from scripts.live import __main__ as kit
from scripts.live.questions import QUESTIONS

from sunup.local.cli.commands import run


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    app = kit.copy(tmp_path_factory.mktemp("live") / "sunup-live-1", "sunup-live-1")
    return kit.emulated(app)


def test_each_question_has_an_answer_of_the_emulator_s(answers: dict[str, dict[str, str]]) -> None:
    assert answers.keys() == QUESTIONS.keys()
    assert list(answers["The contract"].values()) == ["201", "200", "200", "200", "404", "400"]
    assert [each for each in answers.values() if "failed" in each] == []
    paths = answers["What rawPath looks like"]
    assert paths["/_live/echo/a%2Fb"] == "/_live/echo/a/b"
    assert paths["/_live/echo/%2561"] == "/_live/echo/%61"
    assert answers["What failures look like"]["/_live/error"].startswith("500 ")
    assert answers["How logins are refused"]["no token"].startswith(("28000", "None"))
    assert "200 at " in answers["How a sleeping database is waited for"]["answers"]
    assert set(answers["Where a connect hangs"]) == {"tcp", "SSLRequest", "tls"}


def test_they_are_written_beside_each_other(
    answers: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    text = kit.write(tmp_path, answers, answers).read_text()
    assert "| | AWS | the emulator |" in text
    assert "| /_live/echo/a%2Fb | /_live/echo/a/b | /_live/echo/a/b |" in text


@pytest.mark.parametrize("fails", ["database create", "deploy", "database delete"])
def test_everything_is_destroyed_whatever_fails(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fails: str,
) -> None:
    app = kit.copy(tmp_path / "sunup-live-1", "sunup-live-1")
    called: list[str] = []

    def sunup(*arguments: object) -> None:
        called.append(" ".join(map(str, arguments)).replace(f"{app} ", ""))
        if called[-1].startswith(fails):
            raise subprocess.CalledProcessError(1, "sunup")

    def terraform(command: list[str], *, check: bool) -> None:
        assert check
        called.append(f"terraform {command[2]}")

    monkeypatch.setattr(subprocess, "run", terraform)
    with pytest.raises((subprocess.CalledProcessError, Exception)):
        kit.live(app, "sunup-live-1", sunup)
    assert called[-3:] == [
        "terraform destroy",
        "database create --cluster sunup-live-1 --no-deletion-protection",
        "database delete --cluster sunup-live-1 --confirm sunup-live-1 --skip-final-snapshot",
    ]
    assert ("NOT DESTROYED" in capsys.readouterr().err) == fails.startswith("database")


def test_nothing_begins_unless_it_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUNUP_LIVE", raising=False)
    with pytest.raises(SystemExit, match="SUNUP_LIVE=1"):
        kit.main()
    assert run(["database", "delete", "--help"]) == 0
