"""What an import costs: what would not be imported without it.

The time within an `import` statement is that of whoever came first: what two libraries need is
charged to one of them, and removing that one saves nothing. Here a module's price is the sum of
all that only it leads to, in the graph of who imports whom.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from .profile import Node, Profile

# Seconds: less is not worth a line.
_LEAST = 0.001
_CANDIDATES = 80
# Two modules that lead to nearly the same are one line.
_ALIKE = 0.9


@dataclass(frozen=True)
class Import:
    """A module. Times in seconds: `saved` on the clock if nobody imported it, `own` its own part.

    `chain` are the modules that lead to it from the app's, itself at the end; `importers` those of
    the app's that import it, or what is in it. `anyway` is who would, if they did not.
    """

    module: str
    saved: float
    saved_processor: float
    own: float
    modules: int
    chain: tuple[str, ...]
    importers: frozenset[str]
    anyway: str | None


def dearest(
    profile: Profile, graph: Profile, *, others: Sequence[Profile] = (), most: int = 10
) -> list[Import]:
    """The imports that cost the most, without those that cannot be avoided.

    `graph` is another start of the same app, with its edges; `others` are more starts: a module's
    time is its shortest, since the machine may have done something else in the midst of it.
    """
    nodes = profile.imports()
    starts = [nodes, *(each.imports() for each in others)]
    seen = {name: [each[name] for each in starts if name in each] for name in nodes}
    own = {name: min(node.own for node in found) for name, found in seen.items()}
    processor = {name: min(node.own_processor for node in found) for name, found in seen.items()}
    edges: dict[str, set[str]] = {}
    for who, whom in graph.edges:
        edges.setdefault(who, set()).add(whom)
    handler = {each.name for each in graph.main.children if each.kind == "app"}
    # Python's own and the runtime's are there whatever the app imports, with all that they import.
    runtime = {name for name, node in nodes.items() if node.kind == "runtime"} | graph.known
    given = _reach({who: them for who, them in edges.items() if who not in handler}, runtime, None)
    roots = given | handler
    reachable = _reach(edges, roots, without=None)
    avoidable = [
        node
        for node in nodes.values()
        if node.kind in ("dependency", "standard") and node.name in reachable - given
    ]
    longest = sorted(avoidable, key=lambda node: node.length, reverse=True)[:_CANDIDATES]
    # A package as a whole costs little by itself: its modules do.
    tops = {node.name.partition(".")[0] for node in avoidable if node.kind == "dependency"}
    candidates = {node.name: node for node in longest}
    candidates |= {name: nodes[name] for name in tops if name in nodes}
    apps = {name for name, node in nodes.items() if node.kind == "app"}
    found = []
    for node in candidates.values():
        lost = reachable - _reach(edges, roots, without=node.name)
        gone = [nodes[name] for name in lost | {node.name} if name in nodes]
        saved = sum(own[each.name] for each in gone)
        if saved >= _LEAST:
            found.append(
                Import(
                    node.name,
                    saved,
                    sum(processor[each.name] for each in gone),
                    own[node.name],
                    len(gone),
                    _chain(edges, roots, node.name, nodes),
                    *_importers(edges, roots, node.name, apps, nodes),
                )
            )
    found.sort(key=lambda each: (-each.saved, each.module.count(".")))
    return _distinct(found)[:most]


def _reach(edges: dict[str, set[str]], roots: set[str], without: str | None) -> set[str]:
    seen = set(roots)
    todo = deque(roots)
    while todo:
        for each in edges.get(todo.popleft(), ()):
            # A package's modules go with it.
            gone = without is not None and (each == without or each.startswith(f"{without}."))
            if each not in seen and not gone:
                seen.add(each)
                todo.append(each)
    return seen


def _importers(
    edges: dict[str, set[str]],
    roots: set[str],
    module: str,
    apps: set[str],
    nodes: dict[str, Node],
) -> tuple[frozenset[str], str | None]:
    """The app's modules that import it, and who else would lead to it."""
    within = f"{module}."
    importers = {
        who
        for who in apps
        if any(each == module or each.startswith(within) for each in edges.get(who, ()))
    }
    others = {
        who: {each for each in them if who not in importers or not f"{each}.".startswith(within)}
        for who, them in edges.items()
    }
    reached = _reach(others, roots, None)
    if module not in reached:
        return frozenset(importers), None
    chain = _chain(others, roots, module, nodes)
    return frozenset(importers), chain[-2] if len(chain) > 1 else None


def _chain(
    edges: dict[str, set[str]], roots: set[str], module: str, nodes: dict[str, Node]
) -> tuple[str, ...]:
    """The shortest way to it from a module of the app, or else from where all begins."""
    starts = [name for name, node in nodes.items() if node.kind == "app"]
    for first in (starts, sorted(roots)):
        before: dict[str, str | None] = dict.fromkeys(first)
        todo = deque(first)
        while todo and module not in before:
            who = todo.popleft()
            for each in sorted(edges.get(who, ())):
                if each not in before:
                    before[each] = who
                    todo.append(each)
        if module in before:
            way = [module]
            while (last := before[way[-1]]) is not None:
                way.append(last)
            return tuple(reversed(way))
    return (module,)


def _distinct(found: list[Import]) -> list[Import]:
    """Without those that are nearly all of another one's price."""
    kept: list[Import] = []
    for each in found:
        alike = any(
            each.saved > _ALIKE * other.saved
            and (
                each.module.startswith(f"{other.module}.")
                or each.chain[:-1][-1:] == (other.module,)
            )
            for other in kept
        )
        inside = any(each.module.startswith(f"{other.module}.") for other in kept)
        if not alike and not inside:
            kept.append(each)
    return kept
