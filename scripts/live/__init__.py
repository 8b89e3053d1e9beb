"""The live kit: the users API on a real AWS account, asked what only AWS can answer."""
