"""What a start did, as a tree: imports, and what sunup does besides."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["app", "sunup", "dependency", "standard", "runtime", "work"]

_RUNTIME = frozenset({"awslambdaric", "simplejson", "snapshot_restore_py", "runtime_client"})


@dataclass
class Node:
    """An import (with those that it caused), or a piece of work. Times in seconds since the start.

    `processor` is of its own thread, and includes the children's.
    """

    name: str
    kind: Kind
    begin: float
    end: float
    processor: float
    children: list["Node"] = field(default_factory=list)

    @property
    def length(self) -> float:
        """On the clock."""
        return self.end - self.begin

    @property
    def own(self) -> float:
        """On the clock, without the children."""
        return max(0.0, self.length - sum(each.length for each in self.children))

    @property
    def own_processor(self) -> float:
        """Of the processor, without the children."""
        return max(0.0, self.processor - sum(each.processor for each in self.children))

    def walk(self) -> Iterator["Node"]:
        """This one and all below."""
        yield self
        for each in self.children:
            yield from each.walk()


@dataclass(frozen=True)
class Profile:
    """`main` is what the main thread did, `beside` what other threads did meanwhile, by thread.

    `init` is the length of INIT, `later` what the first request did only once. In seconds.
    """

    init: float
    init_processor: float
    main: Node
    beside: list[list[Node]]
    later: list[Node]
    files: dict[str, str]
    edges: frozenset[tuple[str, str]]
    known: frozenset[str]

    def walk(self) -> Iterator[Node]:
        """All that INIT did, in whichever thread."""
        yield from self.main.walk()
        for thread in self.beside:
            for root in thread:
                yield from root.walk()

    def imports(self) -> dict[str, Node]:
        """Each module that INIT imported."""
        return {node.name: node for node in self.walk() if node.kind != "work"}


def read(began: float, content: dict[str, Any], own: Iterable[str]) -> Profile:
    """A profile from what hook.py wrote. `own` are the app's top-level modules."""
    apps = frozenset(own)
    ready, used, all_used = content["marks"]["init"]
    nodes: list[Node] = []
    main = Node("INIT", "work", 0.0, ready - began, used)
    hook_began, hook_used = content["began"]
    main.children.append(Node("Python's own start", "runtime", 0.0, hook_began - began, hook_used))
    threads: dict[int, list[Node]] = {}
    later: list[Node] = []
    for name, kind, thread, parent, start, end, processor in content["entries"]:
        after = start > ready
        node = Node(
            name,
            "work" if kind == "span" else kind_of(name, apps),
            start - began,
            (end if after else min(end, ready)) - began,
            processor,
        )
        nodes.append(node)
        if parent >= 0:
            nodes[parent].children.append(node)
        elif after:
            later.append(node)
        elif thread == content["main"] and parent == -1:
            main.children.append(node)
        else:
            _beside(threads.setdefault(thread, []), node)
    return Profile(
        init=ready - began,
        init_processor=all_used,
        main=main,
        beside=list(threads.values()),
        later=later,
        files=content["files"],
        edges=frozenset((who, whom) for who, whom in content["edges"]),
        known=frozenset(content["known"]),
    )


def _beside(nodes: list[Node], node: Node) -> None:
    """An import within a piece of work of the same thread belongs to it."""
    for each in nodes:
        if each.kind == "work" and each.begin <= node.begin < each.end and node.kind != "work":
            each.children.append(node)
            return
    nodes.append(node)


def kind_of(module: str, own: frozenset[str]) -> Kind:
    """Whose a module is."""
    top = module.partition(".")[0]
    if top in own:
        return "app"
    if top == "sunup":
        return "sunup"
    if top in _RUNTIME:
        return "runtime"
    return "standard" if top in sys.stdlib_module_names else "dependency"
