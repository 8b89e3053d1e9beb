"""One process of the app, as an instance of a function: `python -m ...instance IMPLEMENTATION`.

An event a line on stdin, its response a line on stdout, one at a time; the end of stdin ends it.
"""

import json
import sys

from sunup import Handler
from sunup.settings import Settings

from . import naive
from .drivers import DRIVERS


def main(name: str) -> None:
    settings = Settings.from_environment()
    app, db = DRIVERS[name](settings) if name in DRIVERS else naive.app_of(name, settings)
    # The log goes to stdout (Lambda's way), which is for responses here.
    responses, sys.stdout = sys.stdout, sys.stderr
    handler = Handler(app, database=db, settings=settings)
    for line in sys.stdin:
        response = handler(json.loads(line), None)
        print(json.dumps(response), file=responses, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
