from pathlib import Path

import pytest

from tests.local.cloud.conftest import Ci, defaults, everything, named, workflow


@pytest.mark.parametrize(
    "name", ["api #1", "a: b", "x:", "*x", "&amp", "%x", "@x", "2024", "true", "~", "[x]", 'a"b']
)
def test_any_folder_s_name_is_a_text_in_the_workflow_and_in_terraform(
    app: Path, tmp_path: Path, made: Ci, name: str
) -> None:
    folder = app.rename(app.with_name(name))
    assert made(folder)[0] == 0
    jobs = workflow(tmp_path / ".github/workflows/deploy.yml")["jobs"]
    for job in jobs.values():
        assert job["defaults"]["run"]["working-directory"] == f"services/{name}"
    assert defaults(folder / "terraform/ci/main.tf")["name"] == "users"


def test_a_folder_that_a_workflow_would_evaluate_is_refused(app: Path, made: Ci) -> None:
    status, _, err = made(app.rename(app.with_name("${{ x }}")))
    assert status == 1
    assert "cannot be used in a workflow" in err


def test_an_environment_s_name_is_quoted_in_both_languages(
    app: Path, tmp_path: Path, made: Ci
) -> None:
    status, out, _ = made(app, "--environment", "prod: eu #1")
    assert status == 0
    assert "--env 'prod: eu #1'" in out
    deploy = workflow(tmp_path / ".github/workflows/deploy.yml")["jobs"]["deploy"]
    assert deploy["environment"] == "prod: eu #1"
    main = app / "terraform/ci/main.tf"
    assert defaults(main)["environment"] == "prod: eu #1"
    assert 'replace(var.environment, ":", "%3A")' in main.read_text()


def test_what_terraform_would_evaluate_is_a_text(
    app: Path, made: Ci, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_MIGRATION_USER", 'a"b${x}%{y}')
    monkeypatch.setenv("DB_CLUSTER_RESOURCE_ID", "cluster-A")
    assert made(app)[0] == 0
    text = (app / "terraform/ci/main.tf").read_text()
    assert '["cluster-A/a\\"b$${x}%%{y}"]' in text


@pytest.mark.parametrize(
    "option",
    [
        *[("--branch", each) for each in ("*", "!x", "x]", 'a"b', "a b", "-x", "a..b", "x/", "")],
        *[("--environment", each) for each in ('a"b${x}', "a\nb", "")],
        *[("--bucket", each) for each in ("UPPER", "a b", 'a"b', "ab", "x" * 64)],
        ("--repository-id", "\u0661\u0662"),
        *[("--repository", each) for each in ("\u00f6/r", "-o/r", "../r", "./.", "o/..", "o/r/s")],
    ],
)
def test_a_value_that_cannot_be_is_refused_and_nothing_is_written(
    app: Path, tmp_path: Path, made: Ci, option: tuple[str, str]
) -> None:
    before = everything(tmp_path)
    status, _, err = made(app, *option)
    assert status == 1
    assert option[1] in err or repr(option[1]) in err
    assert everything(tmp_path) == before


@pytest.mark.parametrize("branch", ["a,b", "1.0", "release/1.x", "w\u00e4re"])
def test_a_branch_is_one_text(app: Path, tmp_path: Path, made: Ci, branch: str) -> None:
    assert made(app, "--branch", branch)[0] == 0
    on = workflow(tmp_path / ".github/workflows/deploy.yml")[True]  # YAML 1.1 reads on as true
    assert on["push"]["branches"] == [branch]


def test_a_region_that_is_none_is_refused(
    app: Path, made: Ci, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu #1")
    assert "AWS_REGION cannot be 'eu #1'" in made(app)[2]


@pytest.mark.parametrize("name", ["a", "my_app", "my shop", "shop.api", "x" * 41])
def test_a_name_by_which_no_rights_can_be_given_is_refused(
    app: Path, tmp_path: Path, made: Ci, name: str
) -> None:
    named(app, name)
    before = everything(tmp_path)
    status, _, err = made(app)
    assert status == 1
    assert f"the function's name cannot be '{name}'" in err
    assert everything(tmp_path) == before
