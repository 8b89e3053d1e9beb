"""A column of a primary key cannot be dropped (EMU, alters): only the server knows which one is."""

from .messages import Failure
from .statements import Statement
from .work import Work

_IN_KEY = """
select a.attname from pg_index i
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
where i.indisprimary and i.indrelid = to_regclass({table}) and a.attname = {column}
"""


async def refused(work: Work, statement: Statement) -> Failure | None:
    """Why an ALTER TABLE that drops a column is refused."""
    words = statement.words
    said = [each.text for each in words]
    if said[:2] != ["ALTER", "TABLE"] or "DROP" not in said:
        return None
    place = said.index("DROP")
    after = place + 1 + (said[place + 1 : place + 2] == ["COLUMN"])
    after += 2 * (said[after : after + 2] == ["IF", "EXISTS"])
    begin = 2 + 2 * (said[2:4] == ["IF", "EXISTS"])
    begin += said[begin : begin + 1] == ["ONLY"]
    if after >= len(words) or begin >= place:
        return None
    table = statement.text[words[begin].start : words[place].start].strip()
    column = words[after].name
    query = _IN_KEY.format(table=literal(table), column=literal(column))
    answers, _ = await work.command(query)
    if any(each.kind == b"D" for each in answers):
        return Failure("0A000", f"cannot drop primary key column {column}")
    return None


def literal(text: str) -> str:
    """A text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"
