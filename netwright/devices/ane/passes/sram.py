"""How much of the on-chip memory a function needs (Orion 2026, R18 and section 4)."""

from __future__ import annotations

from ..mil import BlobFile, Function


def weight_bytes(function: Function) -> int:
    """Bytes of the constants in weight files, each chunk once."""
    found = {v for s in function.statements for _, v in s.attributes if isinstance(v, BlobFile)}
    return sum(blob.type.bytes for blob in found)


def working_set(function: Function) -> int:
    """Bytes of all weights and of the most values that are alive at one statement."""
    last: dict[str, int] = {}
    for index, statement in enumerate(function.statements):
        last.update(dict.fromkeys(statement.references(), index))
    last.update(dict.fromkeys(function.outputs, len(function.statements)))
    live = {v.name: v.type.bytes for v in function.inputs}
    most = sum(live.values())
    for index, statement in enumerate(function.statements):
        if statement.op != "const":
            live.update((v.name, v.type.bytes) for v in statement.results)
            most = max(most, sum(live.values()))
        live = {name: size for name, size in live.items() if last.get(name, -1) > index}
    return weight_bytes(function) + most
