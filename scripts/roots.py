"""Writes src/sunup/connecting/roots/: what each region's RDS host names are verified against.

    python scripts/roots.py global-bundle.pem ...

takes AWS's bundles (Aurora User Guide, "Using SSL/TLS to encrypt a connection to a DB cluster") or
any text that holds their certificates. Intermediate certificates, those that have expired and the
roots of beta and preview are left out. A region that is in none of the bundles keeps its file.
"""

import re
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

SUNUP = Path(__file__).parent.parent / "src" / "sunup" / "connecting"
NAME = re.compile(r"Amazon RDS ([a-z]{2}(?:-[a-z]+)+-\d+) Root CA [A-Z]+\d+ G\d+")


def roots(text: str) -> dict[str, dict[str, bytes]]:
    """By region and name, the PEM of the roots in a bundle.

    Raises `ValueError` or `cryptography.exceptions.InvalidSignature` for one that is not sound.
    """
    found: dict[str, dict[str, bytes]] = defaultdict(dict)
    blocks = re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL)
    for block in blocks:
        root = x509.load_pem_x509_certificate(block.encode())
        name = str(root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
        region = NAME.fullmatch(name)
        if region is None or root.not_valid_after_utc < datetime.now(UTC):
            continue
        root.verify_directly_issued_by(root)
        if not root.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            raise ValueError(f"{name} is not a certificate authority")
        pem = root.public_bytes(Encoding.PEM)
        if found[region[1]].setdefault(name, pem) != pem:
            raise ValueError(f"there are two of {name}")
    return found


def main(bundles: list[str]) -> None:
    """Write the files."""
    text = "\n".join(Path(bundle).read_text() for bundle in bundles)
    trust_services = (SUNUP / "roots.pem").read_bytes()
    folder = SUNUP / "roots"
    folder.mkdir(exist_ok=True)
    for region, named in sorted(roots(text).items()):
        own = b"".join(f"# {name}\n".encode() + pem for name, pem in sorted(named.items()))
        (folder / f"{region}.pem").write_bytes(own + b"\n" + trust_services)
        print(region, len(named))


if __name__ == "__main__":
    main(sys.argv[1:])
