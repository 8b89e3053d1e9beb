"""Random sequences of requests, faults and freezes, in virtual time, against a scripted PostgreSQL.

The Handler, the Database, its pool and asyncpg's protocol are the real ones. The clock, the network
and the server are not: a sequence of hours runs in milliseconds, and the same seed gives the same
run. `python -m tests.simulator --help`.
"""
