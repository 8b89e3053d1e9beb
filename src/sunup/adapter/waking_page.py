"""What a person sees while the database wakes: a page that loads again by itself.

Scripts get the JSON: a browser is who asks for `text/html` by name (RFC 9110, section 12.5.1).
"""

import re
from collections.abc import Iterable

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta http-equiv="refresh" content="{seconds}">
<title>Waking up</title>
<style>
:root {{ color-scheme: light dark;
  --ink: #1d2433; --faint: #5b6475; --paper: #fbfaf7; --sun: #d9480f }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #eceff4; --faint: #a5adbd; --paper: #14181f; --sun: #ffa94d }}
}}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem;
  box-sizing: border-box; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; text-align: center }}
svg {{ width: 7rem; overflow: hidden }}
circle {{ fill: var(--sun) }}
line {{ stroke: var(--faint); stroke-width: 2 }}
h1 {{ font-size: 1.5rem; margin: 1rem 0 .25rem }}
p {{ color: var(--faint); margin: .25rem 0 }}
a {{ color: inherit }}
@media (prefers-reduced-motion: no-preference) {{
  circle {{ animation: rise {seconds}s ease-out both }}
  @keyframes rise {{ from {{ transform: translateY(1.9rem) }} }}
}}
</style>
</head>
<body>
<main role="status">
<svg viewBox="0 0 112 60" aria-hidden="true"><circle cx="56" cy="46" r="18"/>
<rect y="50" width="112" height="30" fill="var(--paper)"/>
<line x1="0" y1="50" x2="112" y2="50"/></svg>
<h1>Waking up</h1>
<p>The database sleeps while nobody uses it, so that it costs nothing.</p>
<p>This page reloads in {seconds} seconds. <a href="">Try now</a></p>
</main>
</body>
</html>
"""

_RANGE = re.compile(r"\s*([\w*+.-]+/[\w*+.-]+)\s*(?:;(.*))?", re.ASCII)
_QUALITY = re.compile(r"\bq\s*=\s*([01](?:\.\d{0,3})?)", re.IGNORECASE)


def is_for(accepts: Iterable[str]) -> bool:
    """Whether these values of `Accept` ask for HTML by name, and not for JSON rather."""
    weights: dict[str, float] = {}
    for part in ",".join(accepts).split(","):
        found = _RANGE.fullmatch(part)
        if found is None:
            continue
        quality = _QUALITY.search(found[2] or "")
        weights[found[1].lower()] = float(quality[1]) if quality else 1.0
    html = weights.get("text/html", 0.0)
    return html > 0 and html >= weights.get("application/json", 0.0)


def body(seconds: int) -> bytes:
    """The page, which loads again after `seconds`."""
    return _PAGE.format(seconds=seconds).encode()
