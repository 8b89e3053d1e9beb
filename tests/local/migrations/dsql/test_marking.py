import ast
from pathlib import Path

from sunup.local.migrations.dsql.marking import mark


def test_a_new_file_says_what_a_migration_is_there(tmp_path: Path) -> None:
    file = tmp_path / "0001_x.py"
    file.write_text('"""x\n\nRevision ID: 0001\n"""\n\nimport os\n')
    mark(file)
    text = file.read_text()
    assert "each statement is committed by itself" in text
    assert ast.get_docstring(ast.parse(text), clean=True) == "x\n\nRevision ID: 0001"
    assert text.endswith("\n\nimport os\n")
    file.write_text("import os\n")
    mark(file)
    assert file.read_text().startswith("# For Aurora DSQL")
