"""A real PostgreSQL that is killed, cut off and promoted, aimed at the COMMIT of real requests.

Clients repeat their POSTs until they are answered, through several processes of the app, while a
proxy between these and the server loses answers, delays COMMITs and kills. At the end each POST
must have been executed exactly once, and each client must have got one answer. Three naive ways to
do the same are here too, and must be seen to fail. `python -m tests.receipts.killing --help`.
"""
