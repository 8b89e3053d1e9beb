"""A contract for import-linter: only these packages outside of the standard library."""

import sys
from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class OnlyContract(Contract):
    """`rooms` import the standard library, each other and what is `allowed`, nothing else.

    An allowance is `importer -> package`, for the importer and all below it. `but` are packages
    inside of the rooms that the contract says nothing of.
    """

    type_name = "only"

    # Each is a list of texts, once the contract is read.
    rooms: Any = fields.ListField(subfield=fields.StringField())
    but: Any = fields.ListField(subfield=fields.StringField(), required=False)
    allowed: Any = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:  # noqa: FBT001
        """Find what is imported and not allowed, and what is allowed and not imported."""
        del verbose
        pairs = [tuple(each.split(" -> ")) for each in self.allowed]
        unused = set(pairs)
        wrong = []
        for module in sorted(graph.modules):
            if not self._concerns(module):
                continue
            for imported in sorted(graph.find_modules_directly_imported_by(module)):
                if imported.partition(".")[0] in {*sys.stdlib_module_names, "sunup"}:
                    continue
                granted = {
                    pair for pair in pairs if _within(module, pair[0]) and imported == pair[1]
                }
                unused -= granted
                if not granted:
                    wrong.append(f"{module} imports {imported}")
        wrong += [f"{importer} may import {name}, and does not" for importer, name in unused]
        return ContractCheck(kept=not wrong, metadata={"wrong": wrong})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print what was found."""
        for line in check.metadata["wrong"]:
            output.print_error(f"- {line}")

    def _concerns(self, module: str) -> bool:
        return any(_within(module, each) for each in self.rooms) and not any(
            _within(module, each) for each in self.but or ()
        )


def _within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")
