"""Is a revoked access token refused at the next request, in every process of the server?

The command reads the JSON lines of ``oauth_issue_tokens`` from standard input. It has a persistent connection to each
process. For each token, the API must respond with 200 in every process; then the token is revoked; then the API must
respond with 401 in every process. Responses must have the process ID in the header ``X-Process``. The command fails if
a revoked token was accepted.

    python manage.py oauth_issue_tokens --application CLIENT_ID --user USERNAME --count 10000 |
        python benchmarks/revoked_everywhere.py --port 8000 --processes 4
"""

import argparse
import json
import sys
from collections import Counter
from http.client import HTTPConnection, HTTPResponse
from time import perf_counter
from urllib.parse import urlencode

_MAX_CONNECTIONS = 200


def main() -> int:
    options = read_options()
    started, responses = perf_counter(), Counter[str]()
    connections = connect_to_each_process(options)
    revoker = HTTPConnection("127.0.0.1", options.port)
    for line in sys.stdin:
        issued = json.loads(line)
        token = issued["access_token"]
        for connection in connections:
            responses[f"{call(connection, options.api, token)} before"] += 1
        responses[f"{revoke(revoker, options.revoke, token, client_id=issued['client_id'])} revoke"] += 1
        for connection in connections:
            responses[f"{call(connection, options.api, token)} after"] += 1
    revocations = responses["200 revoke"]
    checks = revocations * len(connections)
    accepted = sum(n for response, n in responses.items() if response.endswith("after") and response != "401 after")
    print(
        f"{revocations} revocations, each checked in {len(connections)} processes: {responses['200 before']} responses"
        f" were 200 before, {responses['401 after']} were 401 after, {accepted} were another status after"
        f" ({perf_counter() - started:.0f} s)"
    )
    is_complete = revocations > 0 and responses["200 before"] == responses["401 after"] == checks
    return 0 if is_complete and accepted == 0 else 1


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--processes", type=int, default=4, help="how many processes the server has")
    parser.add_argument("--api", default="/api/notes/", help="path of a view that needs an access token")
    parser.add_argument("--revoke", default="/oauth/revoke")
    return parser.parse_args()


def connect_to_each_process(options: argparse.Namespace) -> list[HTTPConnection]:
    """Open connections until each process of the server has one."""
    found: dict[str, HTTPConnection] = {}
    for _number in range(_MAX_CONNECTIONS):
        connection = HTTPConnection("127.0.0.1", options.port)
        connection.request("GET", options.api)
        found.setdefault(_response(connection).headers["X-Process"], connection)
        if len(found) == options.processes:
            return list(found.values())
    raise SystemExit(f"Only {len(found)} of {options.processes} processes responded.")


def call(connection: HTTPConnection, path: str, token: str) -> int:
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    return _response(connection).status


def revoke(connection: HTTPConnection, path: str, token: str, *, client_id: str) -> int:
    form = urlencode({"client_id": client_id, "token": token})
    connection.request("POST", path, body=form, headers={"Content-Type": "application/x-www-form-urlencoded"})
    return _response(connection).status


def _response(connection: HTTPConnection) -> HTTPResponse:
    response = connection.getresponse()
    response.read()  # else the connection cannot be used again
    return response


if __name__ == "__main__":
    sys.exit(main())
