"""Is a revoked access token refused at the next request, in every process of the server?

Reads the JSON lines of ``oauth_issue_tokens`` from standard input. For each token, on one kept-alive connection to each
process: the API must answer 200, then the token is revoked, and from then on the API must answer 401. The API's answers
must carry the process ID in the header ``X-Process``. Prints the figures, and fails if a revoked token was honoured.

    python manage.py oauth_issue_tokens --application CLIENT_ID --user USERNAME --count 10000 |
        python benchmarks/revoked_everywhere.py --port 8000 --processes 4
"""

import argparse
import json
import sys
from collections import Counter
from http.client import HTTPConnection
from time import perf_counter
from urllib.parse import urlencode

_MOST_CONNECTIONS = 200


def main() -> int:
    options = read_options()
    started, answers = perf_counter(), Counter[str]()
    connections = connect_to_each_process(options)
    revoker = HTTPConnection("127.0.0.1", options.port)
    for line in sys.stdin:
        issued = json.loads(line)
        token = issued["access_token"]
        for connection in connections:
            answers[f"{call(connection, options.api, token)} before"] += 1
        answers[f"{revoke(revoker, options.revoke, token, client_id=issued['client_id'])} revoke"] += 1
        for connection in connections:
            answers[f"{call(connection, options.api, token)} after"] += 1
    honoured = sum(count for answer, count in answers.items() if answer.endswith("after") and answer != "401 after")
    revocations = answers["200 revoke"]
    print(
        f"{revocations} revocations, each checked in {len(connections)} processes: {answers['200 before']} requests"
        f" answered 200 before, {answers['401 after']} answered 401 after, {honoured} honoured after"
        f" ({perf_counter() - started:.0f} s)"
    )
    is_proof = revocations > 0 and answers["200 before"] == answers["401 after"] == revocations * len(connections)
    return 0 if is_proof and honoured == 0 else 1


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--processes", type=int, default=4, help="how many the server has")
    parser.add_argument("--api", default="/api/notes/", help="a view that needs an access token")
    parser.add_argument("--revoke", default="/oauth/revoke")
    return parser.parse_args()


def connect_to_each_process(options: argparse.Namespace) -> list[HTTPConnection]:
    """Open connections until there is one to each process of the server."""
    found: dict[str, HTTPConnection] = {}
    for _number in range(_MOST_CONNECTIONS):
        connection = HTTPConnection("127.0.0.1", options.port)
        connection.request("GET", options.api)
        answer = connection.getresponse()
        answer.read()
        found.setdefault(answer.headers["X-Process"], connection)
        if len(found) == options.processes:
            return list(found.values())
    raise SystemExit(f"Only {len(found)} of {options.processes} processes answered.")


def call(connection: HTTPConnection, path: str, token: str) -> int:
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def revoke(connection: HTTPConnection, path: str, token: str, *, client_id: str) -> int:
    form = urlencode({"client_id": client_id, "token": token})
    connection.request("POST", path, body=form, headers={"Content-Type": "application/x-www-form-urlencoded"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


if __name__ == "__main__":
    sys.exit(main())
