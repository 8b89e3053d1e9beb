"""`emulate` starts an AWS on this machine: gateway, Lambda, Aurora."""

pytest_plugins = ["sunup.testing"]
