"""A profile's tree, prices of imports, and how an app uses what it imports."""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from sunup.local.measuring import imports, profile
from sunup.local.measuring.advice import Adviser, to_move
from sunup.local.measuring.flame import flame
from sunup.local.measuring.usage import Source, use_of

MAIN, LOOP = 1, 2


def noted(*entries: list[object], edges: list[tuple[str, str]] | None = None) -> dict[str, object]:
    """As hook.py writes it: INIT ends at 1.0."""
    return {
        "began": [0.1, 0.05],
        "marks": {"init": [1.0, 0.8, 0.9], "first": [1.2, 0.9, 1.0]},
        "main": MAIN,
        "entries": entries,
        "edges": edges or [],
        "known": ["sys", "builtins"],
        "files": {},
    }


def of(*entries: list[object], edges: list[tuple[str, str]] | None = None) -> profile.Profile:
    return profile.read(0.0, noted(*entries, edges=edges), ["app", "lambda_function"])


# lambda_function > app > web > json, and app > json a second time, which costs nothing more.
ENTRIES: list[list[object]] = [
    ["awslambdaric.__main__", "import", MAIN, -1, 0.1, 0.2, 0.1],
    ["lambda_function", "import", MAIN, -1, 0.2, 0.9, 0.6],
    ["app", "import", MAIN, 1, 0.3, 0.9, 0.5],
    ["web", "import", MAIN, 2, 0.3, 0.7, 0.3],
    ["json", "import", MAIN, 3, 0.4, 0.6, 0.2],
    ["connecting", "span", LOOP, -2, 0.2, 0.8, 0.1],
    ["ssl", "import", LOOP, -1, 0.25, 0.35, 0.05],
    ["late", "import", MAIN, -1, 1.05, 1.15, 0.1],
]
EDGES = [
    ("lambda_function", "app"),
    ("app", "web"),
    ("app", "json"),
    ("web", "json"),
    ("lambda_function", "ssl"),
]


def test_the_tree_is_who_caused_what() -> None:
    found = of(*ENTRIES)
    assert [each.name for each in found.main.children] == [
        "Python's own start",
        "awslambdaric.__main__",
        "lambda_function",
    ]
    app = found.main.children[2].children[0]
    assert (app.name, app.kind, round(app.length, 3), round(app.own, 3)) == ("app", "app", 0.6, 0.2)
    assert [each.kind for each in app.walk()] == ["app", "dependency", "standard"]
    assert (found.init, found.init_processor) == (1.0, 0.9)


def test_what_runs_beside_is_a_lane_of_its_own_with_its_imports() -> None:
    (lane,) = of(*ENTRIES).beside
    assert [each.name for each in lane] == ["connecting"]
    assert [each.name for each in lane[0].children] == ["ssl"]


def test_what_the_first_request_imports_belongs_into_init() -> None:
    ((name, seconds),) = to_move(of(*ENTRIES))
    assert (name, round(seconds, 3)) == ("late", 0.1)


def test_an_import_costs_what_only_it_leads_to() -> None:
    found = of(*ENTRIES)
    prices = {each.module: each for each in imports.dearest(found, of(*ENTRIES, edges=EDGES))}
    # json would be imported by app anyhow, though the statement of web took its time.
    assert prices["web"].saved == pytest.approx(0.2)
    assert prices["json"].saved == pytest.approx(0.2)
    assert prices["web"].chain == ("app", "web")
    assert prices["ssl"].chain == ("lambda_function", "ssl")
    assert "app" not in prices
    without = [each for each in EDGES if each != ("app", "json")]
    prices = {each.module: each for each in imports.dearest(found, of(*ENTRIES, edges=without))}
    assert prices["web"].saved == pytest.approx(0.4)
    # The same again, a level deeper: one line is enough.
    assert "json" in prices
    assert prices["json"].chain == ("app", "web", "json")


def test_a_stall_in_the_midst_of_an_import_is_not_its_price() -> None:
    """The machine did something else meanwhile, in each start somewhere else."""
    stalled = [list(each) for each in ENTRIES]
    stalled[6][5] = 0.75  # ssl, 0.4 s late
    quiet = [list(each) for each in ENTRIES]
    quiet[4][4] = 0.35  # json began earlier: it is longer here
    graph = of(*ENTRIES, edges=EDGES)
    found = imports.dearest(of(*stalled), graph, others=[of(*quiet)])
    prices = {each.module: each for each in found}
    assert prices["ssl"].saved == pytest.approx(0.1)
    assert prices["ssl"].own == pytest.approx(0.1)
    assert prices["json"].saved == pytest.approx(0.2)
    assert imports.dearest(of(*stalled), graph)[0].module == "ssl"


def test_what_another_leads_to_anyway_is_told() -> None:
    found = of(*ENTRIES)
    prices = {each.module: each for each in imports.dearest(found, of(*ENTRIES, edges=EDGES))}
    # The app imports json itself; without that line web would.
    assert (prices["json"].importers, prices["json"].anyway) == (frozenset({"app"}), "web")
    assert (prices["web"].importers, prices["web"].anyway) == (frozenset({"app"}), None)


def test_what_the_runtime_imports_costs_nothing() -> None:
    runtime = [*EDGES, ("awslambdaric.__main__", "json")]
    prices = imports.dearest(of(*ENTRIES), of(*ENTRIES, edges=runtime))
    assert "json" not in {each.module for each in prices}


@pytest.mark.parametrize(
    ("text", "module", "use"),
    [
        ("import pandas\n", "pandas", ("unused", 1)),
        ("import pandas\ndef f():\n    return pandas.x\n", "pandas", ("later", 1)),
        ("import pandas\nX = pandas.x\n", "pandas", ("at import", 1)),
        ("from a.b import c\ndef f(x=c): ...\n", "a", ("at import", 1)),
        ("from a.b import c as d\nasync def f():\n    return lambda: d\n", "a.b", ("later", 1)),
        ("\nimport a.b\nclass C(a.b.D): ...\n", "a.b", ("at import", 2)),
        ("from a import b\n@b\ndef f(): ...\n", "a", ("at import", 1)),
        ("from a import b\ndef f() -> b: ...\n", "a", ("at import", 1)),
        ("from a import b\nf = lambda: b\n", "a.b", ("later", 1)),
        ("from a import b\n__all__ = ['b']\n", "a", None),
        ("from a import *\n", "a", None),
        ("def f():\n    import a\n", "a", None),
        ("import other\n", "a", None),
        # Used in ways that a name does not show.
        ("from a import b\ndef f(x: 'b'): ...\n", "a", ("at import", 1)),
        ("import a\ndef f():\n    return globals()['a']\n", "a", ("at import", 1)),
        ("from a import b\n__all__: list[str] = ['b']\n", "a", None),
        ("import a  # noqa: F401\n", "a", None),
        ('"""Says a word of a."""\nimport a\n', "a", ("unused", 2)),
        # In functions that are called at once.
        ("import a\ndef f():\n    return a.x\nX = f()\n", "a", ("at import", 1)),
        ("import a\ndef create_app():\n    return a.x\n", "a", ("at import", 1)),
        # In two statements.
        ("import a\nfrom a import b\nX = b\n", "a", ("at import", 1)),
        ("import a\nfrom a import b\ndef f():\n    return b\n", "a", ("later", 1)),
    ],
)
def test_the_use_of_an_import_is_found(tmp_path: Path, text: str, module: str, use: object) -> None:
    file = tmp_path / "app.py"
    file.write_text(text)
    source = Source.read(file)
    assert source is not None
    assert use_of(source, module, factories=("create_app",)) == use


def test_what_another_file_takes_from_there_is_used(tmp_path: Path) -> None:
    def source(name: str, text: str) -> Source:
        (tmp_path / name).write_text(text)
        found = Source.read(tmp_path / name)
        assert found is not None
        return found

    compat = source("compat.py", "import xml.dom.minidom as minidom\n")
    assert use_of(compat, "xml.dom.minidom") == ("unused", 1)
    for text in ("from compat import minidom\n", "import compat\nX = compat.minidom\n"):
        assert use_of(compat, "xml.dom.minidom", [compat, source("app.py", text)]) is None
    lazy = source("lazy.py", "import a\ndef setup():\n    return a.x\n")
    assert use_of(lazy, "a", [source("app.py", "import lazy\n")]) == ("later", 1)
    assert use_of(lazy, "a", [source("app.py", "import lazy\nlazy.setup()\n")]) == ("at import", 1)
    (tmp_path / "broken.py").write_text("this is no Python\n")
    assert Source.read(tmp_path / "broken.py") is None


def test_what_init_makes_at_its_end_is_named_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import pandas\n\ndef f():\n    return pandas.DataFrame()\n")
    found = of(*ENTRIES)
    found.files["app"] = str(tmp_path / "app.py")
    adviser = Adviser(found, frozenset({"app", "lambda_function"}), tmp_path)

    def said(module: str, *importers: str) -> str:
        chain = (*importers, module)
        each = imports.Import(module, 0.1, 0.1, 0.1, 1, chain, frozenset(importers[-1:]), None)
        return adviser.advice_for(each)

    assert said("pandas", "app") == (
        "only functions need it: if few requests do, import it in them (app.py:1)"
    )
    assert said("email.parser", "app", "http.client") == "app needs it"
    assert said("numpy", "app", "scipy.special", "collections") == "scipy needs it"
    assert said("cffi", "app", "scipy.special", "collections") == "scipy needs it"
    assert said("ssl", "lambda_function", "sunup.asyncpg") == "sunup.asyncpg needs it"


def test_the_flame_graph_has_a_box_for_each() -> None:
    root = ET.fromstring(flame(of(*ENTRIES), "a <title>"))
    told = [each.text or "" for each in root.iter() if each.tag.endswith("title")]
    assert told[0] == "a <title>"
    assert any(
        each.startswith("web: 400.0 ms, of the processor 300.0; by itself 200.0") for each in told
    )
    assert any(each.startswith("connecting: 600.0 ms") for each in told)
    assert not any(each.startswith("late") for each in told)
