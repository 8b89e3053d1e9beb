"""The usual way: boto3 signs the token, SQLAlchemy's pool keeps the connection."""

import os
import ssl
from typing import Any

import asyncpg
import boto3
from sqlalchemy.ext import asyncio

rds = boto3.client("rds", region_name=os.environ["AWS_REGION"])
context = ssl.create_default_context(cafile=os.environ.get("DB_SSLROOTCERT"))
HOST, PORT, USER = os.environ["DB_HOST"], int(os.environ["DB_PORT"]), os.environ["DB_USER"]


async def connect() -> Any:
    return await asyncpg.connect(
        host=HOST,
        port=PORT,
        user=USER,
        password=rds.generate_db_auth_token(HOST, PORT, USER),
        database=os.environ["DB_NAME"],
        ssl=context,
    )


def create_async_engine(_: Any) -> asyncio.AsyncEngine:
    return asyncio.create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=1,
        max_overflow=0,
        pool_pre_ping=True,
    )
