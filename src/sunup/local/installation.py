"""How this sunup was installed, as a requirement with which another machine can install it, too.

sunup is on no index yet: until then it is a repository, a folder or a wheel (PEP 610).
"""

import importlib.metadata
import json
import os
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import sunup


def requirement(extra: str, folder: Path) -> str:
    """`sunup[extra]` from where this one came from; paths are seen from `folder`."""
    origin = _origin()
    name = f"sunup[{extra}]"
    vcs = origin.get("vcs_info")
    if isinstance(vcs, dict):
        return f"{name} @ {vcs['vcs']}+{origin['url']}@{vcs['commit_id']}"
    if not origin:
        return f"{name}=={sunup.__version__}"
    path = Path(url2pathname(urlsplit(str(origin["url"])).path))
    if path.suffix == ".whl":
        return f"{os.path.relpath(path, folder)}[{extra}]"
    # A folder is on this machine only: the wheel that `make wheel` builds of it goes along.
    return f"./vendor/{wheel_name()}[{extra}]"


def uv_source(folder: Path) -> str:
    """For `[tool.uv.sources]` of a project in `folder`; empty where sunup came from an index."""
    origin = _origin()
    vcs = origin.get("vcs_info")
    if isinstance(vcs, dict):
        return f'{{ git = "{origin["url"]}", rev = "{vcs["commit_id"]}" }}'
    if not origin:
        return ""
    path = Path(url2pathname(urlsplit(str(origin["url"])).path))
    return f'{{ path = "{Path(os.path.relpath(path, folder.resolve())).as_posix()}" }}'


def wheel_name() -> str:
    """Of this version's wheel."""
    return f"sunup-{sunup.__version__}-py3-none-any.whl"


def _origin() -> dict[str, object]:
    text = importlib.metadata.distribution("sunup").read_text("direct_url.json")
    return dict(json.loads(text)) if text else {}
