"""What `sunup emulate` says when everything runs."""

from rich.console import Console
from rich.text import Text

from sunup.engines import ENGINES
from sunup.local import servers
from sunup.local.emulator import Emulator
from sunup.local.emulator.limits import processor_share_available

# What express clusters run (docs/emulator.md).
EXPRESS = "17"


def introduce(
    console: Console, aws: Emulator, tries: tuple[str, ...], binaries: servers.Binaries
) -> None:
    """Where everything is, and what to try."""
    limit, memory = aws.options.database.connection_limit, aws.options.memory
    name = ENGINES[aws.options.engine].title.removesuffix(" PostgreSQL")
    login = "a password" if aws.options.engine.startswith("neon") else "IAM tokens"
    kind = "embedded" if binaries.embedded else str(binaries.folder)
    lines = [
        ("Gateway", f"{aws.url} ({aws.options.gateway.front})"),
        ("Console", aws.console_url),
        (name, f"localhost:{aws.database.port}, at most {limit} connections, {login}, TLS"),
        ("PostgreSQL", f"{binaries.version} ({kind})"),
        ("Root", str(aws.database.certificates.root)),
        ("Migrations", ", ".join(aws.applied) or "nothing to do"),
    ]
    if aws.applied_by_owner:
        lines.append(
            ("Note", "Aurora DSQL would refuse Django's migrations, so these were applied")
        )
        lines.append(("", "behind it (docs/django.md)"))
    aurora = aws.options.engine == "aurora"
    if aurora and binaries.embedded and any(each.version == EXPRESS for each in servers.others()):
        lines.append(
            ("Note", f"--postgres {EXPRESS} uses the PostgreSQL version of express clusters")
        )
    if not processor_share_available():
        lines.append(
            ("Note", f"cgroups are not writable: instances with {memory} MB get a full CPU")
        )
    for name, value in lines:
        console.print(Text.assemble((f"{name:<11} ", "bold"), value), soft_wrap=True)
    console.print()
    if aws.options.gateway.authorization == "JWT" and aws.options.gateway.jwt_issuer is None:
        console.print(
            "Each request needs a token. This command makes one that is valid for an hour:",
            soft_wrap=True,
        )
        console.print(f"TOKEN=$(curl -s '{aws.console_url}/token?sub=anna')", soft_wrap=True)
        tries = tuple(
            each.replace("curl ", 'curl -H "Authorization: Bearer $TOKEN" ', 1) for each in tries
        )
    place = " ".join(
        (
            f"host=localhost port={aws.database.port} dbname={aws.environ['DB_NAME']} user=app",
            f"sslmode=verify-full sslrootcert={aws.database.certificates.root}",
        )
    )
    password = f"PGPASSWORD=$(curl -s {aws.console_url}/password)"
    console.print(f'{password} psql "{place}"', soft_wrap=True, markup=False)
    for line in tries:
        console.print(line.format(url=aws.url), soft_wrap=True, markup=False)
    console.print("\nCtrl-C stops it.\n")
