"""An MCP client made with the official Python SDK. It knows the address of a server and its own metadata document.

``python mcp_client.py ADDRESS CLIENT_ID PORT``. Each line of standard input is a JSON object: ``calls``, pairs of a
tool and its arguments, are made at once, after the client's clock was set forward by ``later`` seconds. The answer is a
line ``{"results": [...]}``; before it there may be ``{"open": URL}``, which a user must visit. The browser is sent back
to this program at PORT.
"""

import asyncio
import json
import sys
import time
from urllib.parse import parse_qs, urlsplit

import httpx2
import time_machine
from mcp.client import Client
from mcp.client.auth import OAuthClientProvider, OAuthFlowError
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata
from mcp.shared.exceptions import MCPError

ADDRESS, CLIENT_ID, PORT = sys.argv[1:]
REDIRECT_URI = f"http://127.0.0.1:{PORT}/callback"


class Storage:
    """Where the SDK keeps what it got: here in memory."""

    tokens = client_info = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client_info

    async def set_client_info(self, client_info):
        self.client_info = client_info


async def main():
    visits = asyncio.Queue()

    async def answer_browser(reader, writer):
        target = (await reader.readline()).split()[1].decode()
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nYou can close this page."
        )
        await writer.drain()
        writer.close()
        if urlsplit(target).path == "/callback":
            visits.put_nowait(parse_qs(urlsplit(target).query))

    async def wait_for_browser():
        query = await visits.get()
        return AuthorizationCodeResult(
            code=query.get("code", [""])[0], state=query["state"][0], iss=query.get("iss", [None])[0]
        )

    async def open_browser(url):
        say(open=url)

    provider = OAuthClientProvider(
        server_url=ADDRESS,
        client_metadata=OAuthClientMetadata(client_name="Notebook", redirect_uris=[REDIRECT_URI]),
        client_metadata_url=CLIENT_ID,
        storage=Storage(),
        redirect_handler=open_browser,
        callback_handler=wait_for_browser,
    )
    await asyncio.start_server(answer_browser, "127.0.0.1", int(PORT))
    http_client = httpx2.AsyncClient(auth=provider, timeout=60)
    transport = streamable_http_client(ADDRESS, http_client=http_client)
    try:
        await answer_orders(http_client, transport)
    except* OAuthFlowError as errors:  # it ends the connection
        say(results=[{"error": f"{type(error).__name__}: {error}"} for error in errors.exceptions])


async def answer_orders(http_client, transport):
    async with http_client, Client(transport) as client:
        say(protocol=client.protocol_version)
        while line := await asyncio.to_thread(sys.stdin.readline):
            order = json.loads(line)
            with time_machine.travel(time.time() + order.get("later", 0)):
                say(results=await asyncio.gather(*(call(client, *pair) for pair in order["calls"])))


async def call(client, tool, arguments):
    try:
        result = await client.call_tool(tool, arguments)
    except MCPError as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"text": result.content[0].text, "is_error": result.is_error}


def say(**line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


asyncio.run(main())
