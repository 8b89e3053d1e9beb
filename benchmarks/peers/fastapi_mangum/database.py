"""Nothing: boto3 and SQLAlchemy see to the connection."""

db = None
