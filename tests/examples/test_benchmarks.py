"""What the benchmarks make of the examples, without measuring anything."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_fastapi_peer_is_the_example_without_sunup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import peers  # type: ignore[import-not-found]  # no package

    example = ROOT / "examples" / "users_fastapi"
    texts = {path.name: path.read_text() for path in example.glob("*.py")}
    texts["app.py"] = peers.without_sunup(texts["app.py"])
    texts |= {path.name: path.read_text() for path in (peers.PEERS / "fastapi_mangum").glob("*.py")}
    for name, text in texts.items():
        modules = {
            module.partition(".")[0]
            for each in ast.walk(ast.parse(text))
            for module in (
                [each.module or ""]
                if isinstance(each, ast.ImportFrom)
                else [alias.name for alias in each.names]
                if isinstance(each, ast.Import)
                else []
            )
        }
        assert "sunup" not in modules, name
    sys.modules.pop("peers", None)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.stem
)
def test_each_benchmark_can_be_imported(path: Path) -> None:
    """What they measure moves on, and nobody runs them each day."""
    done = subprocess.run(
        [sys.executable, "-c", f"import {path.stem}"],
        cwd=path.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
