"""The statements that PostgreSQL does not have: ASYNC, which answers with a job, and AWS IAM."""

import secrets

from .keys import literal
from .messages import Message, complete, fields, query, row, text_column
from .statements import Statement
from .work import Work

KINDS = ("index", "validate", "iam")

# The one column of what ASYNC answers (EMU, index).
DESCRIBED = Message(b"T", text_column("job_id"))

# unique_violation
_NOT_UNIQUE = "23505"

_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


async def do(work: Work, statement: Statement, data: bytes) -> list[Message]:
    """Do it; the answers, without the description of their row. `data` is the message for it."""
    if statement.kind == "index":
        return await _index(work, statement, data)
    if statement.kind == "validate":
        return await _validate(work, statement)
    return await _iam(work, statement)


async def _index(work: Work, statement: Statement, data: bytes) -> list[Message]:
    """The server's own judge notes the job (`preparing`), except for an index that is there."""
    await work.command("select set_config('sunup.job', '', false)")
    answers = await work.perform((data,))
    reason = _reason(answers)
    if reason:
        # As DSQL, which builds later: it is there, and its job fails.
        await work.restart()
        unique = statement.words[1]
        text = statement.text[: unique.start] + statement.text[unique.end + 1 :]
        answers = await work.perform((query(text).encode(),))
    if not _succeeded(answers):
        return answers
    found, _ = await work.command("select current_setting('sunup.job', true)")
    job = _value(found) or "".join(secrets.choice(_ALPHABET) for _ in range(26))
    if reason:
        await work.command(f"select sys.fails({literal(job)}, {literal(reason)})")
    return [row(job), complete("CREATE INDEX")]


def _reason(answers: list[Message]) -> str:
    """Why the rows that are there cannot have the index; nothing otherwise."""
    said = next((fields(each) for each in answers if each.kind == b"E"), {})
    return said.get("M", "") if said.get("C") == _NOT_UNIQUE else ""


async def _validate(work: Work, statement: Statement) -> list[Message]:
    words = statement.words
    table = literal(statement.text[words[3].start : words[-3].start].strip())
    name = literal(words[-1].name)
    submitted = f"select sys.submitted('VALIDATE_CONSTRAINT', {table}::regclass, {name})"
    answers = await work.perform((query(submitted).encode(),))
    if not _succeeded(answers):
        return answers
    return [row(_value(answers)), complete("ALTER TABLE")]


async def _iam(work: Work, statement: Statement) -> list[Message]:
    """`AWS IAM GRANT role TO 'arn'`, `AWS IAM REVOKE role FROM 'arn'`."""
    words = statement.words
    verb = words[2].text if len(words) == 6 else ""
    if verb not in ("GRANT", "REVOKE") or words[4].text != {"GRANT": "TO"}.get(verb, "FROM"):
        return await work.perform((query(statement.text).encode(),))  # the server says where
    role, arn = literal(words[3].name), literal(words[5].name)
    text = f"select sys.iam_{verb.lower()}({role}, {arn})"
    answers = await work.perform((query(text).encode(),))
    return [complete(f"AWS IAM {verb}")] if _succeeded(answers) else answers


def _succeeded(answers: list[Message]) -> bool:
    return bool(answers) and answers[-1].kind == b"C"


def _value(answers: list[Message]) -> str:
    """Of the first row's only column."""
    found = next((each for each in answers if each.kind == b"D"), None)
    return "" if found is None else found.body[6:].decode()
