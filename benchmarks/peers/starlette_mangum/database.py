"""The usual way: boto3 signs a token, psycopg connects at the first request and is kept."""

import os
from collections.abc import Sequence
from typing import Any

import boto3
import psycopg
from psycopg.rows import dict_row

HOST, PORT, USER = os.environ["DB_HOST"], int(os.environ["DB_PORT"]), os.environ["DB_USER"]
rds = boto3.client("rds", region_name=os.environ["AWS_REGION"])
connection: "psycopg.Connection[dict[str, Any]] | None" = None


def connected() -> "psycopg.Connection[dict[str, Any]]":
    global connection
    if connection is None or connection.closed:
        connection = psycopg.connect(
            host=HOST,
            port=PORT,
            user=USER,
            password=rds.generate_db_auth_token(HOST, PORT, USER),
            dbname=os.environ["DB_NAME"],
            sslmode="verify-full",
            sslrootcert=os.environ["DB_SSLROOTCERT"],
            autocommit=True,
            row_factory=dict_row,
        )
    return connection


def rows(statement: str, values: Sequence[object] = ()) -> list[dict[str, Any]]:
    found = connected().execute(statement.encode(), values).fetchall()
    return [{**row, "created_at": row["created_at"].isoformat()} for row in found]
