"""The floor: no framework, no adapter, no checks. asyncpg, connected and asked once during INIT."""

import asyncio
import hashlib
import hmac
import json
import os
import ssl
import time
from typing import Any
from urllib.parse import quote

import asyncpg

HOST, PORT, USER = os.environ["DB_HOST"], int(os.environ["DB_PORT"]), os.environ["DB_USER"]
QUERY = "select id, name, email, created_at from users where id = $1"


def token() -> str:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    region = os.environ["AWS_REGION"]
    scope = f"{stamp[:8]}/{region}/rds-db/aws4_request"
    fields = {
        "Action": "connect",
        "DBUser": USER,
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{os.environ['AWS_ACCESS_KEY_ID']}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": "900",
        "X-Amz-Security-Token": os.environ["AWS_SESSION_TOKEN"],
        "X-Amz-SignedHeaders": "host",
    }
    query = "&".join(f"{name}={quote(text, safe='')}" for name, text in fields.items())
    empty = hashlib.sha256(b"").hexdigest()
    canonical = f"GET\n/\n{query}\nhost:{HOST}:{PORT}\n\nhost\n{empty}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = f"AWS4{os.environ['AWS_SECRET_ACCESS_KEY']}".encode()
    for part in (stamp[:8], region, "rds-db", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return f"{HOST}:{PORT}/?{query}&X-Amz-Signature={signature}"


async def connect() -> Any:
    connection = await asyncpg.connect(
        host=HOST,
        port=PORT,
        user=USER,
        password=token(),
        database=os.environ["DB_NAME"],
        ssl=ssl.create_default_context(cafile=os.environ["DB_SSLROOTCERT"]),
    )
    await connection.fetchrow(QUERY, 0)
    return connection


loop = asyncio.new_event_loop()
connection = loop.run_until_complete(connect())


def handler(event: dict[str, Any], _: Any) -> dict[str, Any]:
    number = int(event["rawPath"].rpartition("/")[2])
    row = loop.run_until_complete(connection.fetchrow(QUERY, number))
    if row is None:
        return {"statusCode": 404}
    user = {**row, "created_at": row["created_at"].isoformat()}
    return {
        "statusCode": 200,
        "headers": {"content-type": "application/json"},
        "body": json.dumps(user),
    }
