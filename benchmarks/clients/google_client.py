"""Calls an API by google-auth: threads that share credentials, or processes with a file or with copies in memory.

It runs in an environment of its own, without this project.
"""

import json
import multiprocessing
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from google.auth.exceptions import RefreshError
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2.credentials import Credentials

config = json.loads(sys.argv[1])
LONG_AGO = datetime(2026, 1, 1)  # noqa: DTZ001  google-auth has times in UTC, without a time zone
token_file = Path(config["folder"]) / "token.json"


def credentials(tokens, *, expiry=None):
    return Credentials(
        tokens["access_token"],
        expiry=expiry,
        refresh_token=tokens["refresh_token"],
        token_uri=f"{config['origin']}/oauth/token",
        client_id=config["client_id"],
        client_secret=config["client_secret"],
    )


def from_file():
    """Do as the quickstarts of Google's documentation: read the file, refresh if expired, write the file.

    ``Credentials.from_authorized_user_file`` always has Google's own token endpoint, so it is not used.
    """
    stored = json.loads(token_file.read_text())
    expiry = datetime.strptime(stored["expiry"], "%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ007  google-auth compares it with UTC
    held = credentials({**stored, "access_token": stored["token"]}, expiry=expiry)
    if held.expired:
        held.refresh(Request())
        written = token_file.with_suffix(f".{os.getpid()}")
        written.write_text(stored_text(held, expiry=held.expiry))
        written.replace(token_file)
    return held


def stored_text(held, *, expiry):
    return json.dumps(json.loads(held.to_json()) | {"expiry": expiry.strftime("%Y-%m-%dT%H:%M:%SZ")})


def call(held):
    """Call the API; return what failed."""
    try:
        response = AuthorizedSession(held() if callable(held) else held).get(f"{config['origin']}/protected/")
    except RefreshError as error:
        return str(error.args[0])
    return "" if response.ok else f"the API answered {response.status_code}"


def work(pipe):
    """Be a process of its own: take tokens, or the order to call."""
    held = from_file
    while True:
        tokens, pause = pipe.recv()
        if tokens is not None:
            held = from_file if config["mode"] == "file" else credentials(tokens)
            pipe.send("")
            continue
        time.sleep(pause)
        pipe.send(call(held))


class Threads:
    """Threads of one process, with the same credentials."""

    def start(self, tokens):
        self.held = credentials(tokens)

    def call_all(self, late):
        together = threading.Barrier(config["callers"])

        def once(number):
            together.wait()
            time.sleep(late if number == 0 else 0)
            return call(self.held)

        with ThreadPoolExecutor(config["callers"]) as pool:
            return list(pool.map(once, range(config["callers"])))


class Processes:
    """Processes that read one file, or each with a copy in memory."""

    def __init__(self):
        self.pipes = []
        for _number in range(config["callers"]):
            ours, theirs = multiprocessing.Pipe()
            multiprocessing.Process(target=work, args=(theirs,), daemon=True).start()
            self.pipes.append(ours)

    def start(self, tokens):
        token_file.write_text(stored_text(credentials(tokens), expiry=LONG_AGO))
        self._all(tokens, late=0)

    def call_all(self, late):
        if config["mode"] == "file":
            held = credentials(json.loads(token_file.read_text()) | {"access_token": "expired"})
            token_file.write_text(stored_text(held, expiry=LONG_AGO))
        return self._all(None, late=late)

    def _all(self, tokens, *, late):
        for number, pipe in enumerate(self.pipes):
            pipe.send((tokens, late if number == 0 else 0))
        return [pipe.recv() for pipe in self.pipes]


def main():
    callers = Threads() if config["mode"] == "calls" else Processes()
    for line in sys.stdin:
        order = json.loads(line)
        if "tokens" in order:
            callers.start(order["tokens"])
            answer = {}
        else:
            errors = [error for error in callers.call_all(order["late"]) if error]
            lost = sum("invalid_grant" in error for error in errors)
            answer = {"failed": len(errors), "lost": lost, "error": errors[0] if errors else ""}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
