"""Two nodes of the example behind nginx, with one database and one cache, of which one node is killed."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from tests.faults.clients import Tally
from tests.faults.deployment import Deployment
from tests.faults.processes import Process
from tests.faults.scenarios import DOWN_SECONDS, Outcome, Plan, measure
from tests.faults.servers import Redis
from tests.server import free_port

CONFIGURATION = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-errors.log;
{user}
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/nginx-bodies;
    proxy_temp_path {folder}/nginx-answers;
    fastcgi_temp_path {folder}/nginx-unused-1;
    uwsgi_temp_path {folder}/nginx-unused-2;
    scgi_temp_path {folder}/nginx-unused-3;
    upstream nodes {{
        {nodes}
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://nodes;
            proxy_set_header Host $host;
            # A POST that has reached a node is not sent to another one: that is nginx's default, and must stay so.
            proxy_next_upstream error timeout;
            proxy_connect_timeout 2s;
        }}
    }}
}}
"""


class Nginx(Process):
    """A balancer that uses each node in turn, and one that does not answer not for a second."""

    def __init__(self, folder: Path, *, nodes: list[int]) -> None:
        port, configuration = free_port(), folder / "nginx.conf"
        configuration.write_text(
            CONFIGURATION.format(
                folder=folder,
                user="user root;" if os.geteuid() == 0 else "",
                nodes="\n        ".join(f"server 127.0.0.1:{node} max_fails=1 fail_timeout=1s;" for node in nodes),
                port=port,
            )
        )
        command = ["nginx", "-e", f"{folder}/nginx-errors.log", "-p", str(folder), "-c", str(configuration)]
        super().__init__(command, port=port, log=folder / "nginx.log", environment=os.environ)


@dataclass(kw_only=True)
class NodesOutcome:
    """What the clients saw, and how many retries the server granted in all."""

    seen: Outcome
    retries_granted: int

    @property
    def repeated(self) -> int:
        """How often a client repeated a request, because of its answer or because none came."""
        return sum(number for what, number in self.seen.answers.items() if what != "200")


def node_killed(deployment: Deployment, plan: Plan) -> NodesOutcome:
    """``kill -9`` one node, start it again, and then the other one, as often as planned."""
    cache = Redis(deployment.folder)
    cache.start()
    nodes = [deployment.serve(CACHE_URL=cache.url, workers=1, threads=8) for _number in range(2)]
    balancer = Nginx(deployment.folder, nodes=[node.port for node in nodes])

    def disturb(tally: Tally) -> int:
        for number in range(plan.times):
            time.sleep(plan.gap_seconds)
            node = nodes[number % 2]
            node.kill()
            time.sleep(DOWN_SECONDS)
            node.start()
        return plan.times

    try:
        balancer.start()
        seen = measure(deployment, plan, site=nodes[0], port=balancer.port, disturb=disturb, proxied=True)
    finally:
        balancer.kill()
        cache.kill()
    granted = deployment.database.query("SELECT COUNT(*) FROM oauth_refresh_grantevent WHERE kind = 'retried'")
    return NodesOutcome(seen=seen, retries_granted=int(granted))
