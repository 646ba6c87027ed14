"""An HTTPS server of key sets and metadata documents that also misbehaves; its authority is one of the tests."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

DRIP_SECONDS = 0.2
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class KeyServer(ThreadingHTTPServer):
    """Serves a key set at ``/keys``, and documents; other paths misbehave as in ``MISBEHAVIOUR``.

    Keeps the requested paths.
    """

    daemon_threads = True

    def __init__(self, certificate: Path) -> None:
        super().__init__(("127.0.0.1", 0), KeyHandler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # The handshake is left to the thread of the connection, so that no client holds up the others.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.origin = f"https://127.0.0.1:{self.server_address[1]}"
        self.paths: list[str] = []
        self.body = b'{"keys": []}'
        self.documents: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.stopped = threading.Event()

    def serve(self, jwks: Any) -> None:
        self.body = json.dumps(jwks).encode()

    def describe(self, path: str = "/client.json", *, headers: dict[str, str] | None = None, **members: Any) -> str:
        """Serve a metadata document with these members at ``path``; return its URL, the client ID. None: no member."""
        url = self.origin + path
        document = {"client_id": url, "client_name": "Notebook", "redirect_uris": ["https://app.example/callback"]}
        present = {name: value for name, value in (document | members).items() if value is not None}
        return self.publish(path, json.dumps(present).encode(), **(headers or {}))

    def publish(self, path: str, body: bytes, **headers: str) -> str:
        """Serve any body as if it were a document; return its URL."""
        self.documents[path] = (body, {"Content-Type": "application/json", **headers})
        return self.origin + path

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients leave in the middle, which is what they are tested for."""


class KeyHandler(BaseHTTPRequestHandler):
    server: KeyServer

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        if self.path in self.server.documents:
            body, headers = self.server.documents[self.path]
            self.answer(body, **headers)
            return
        MISBEHAVIOUR.get(self.path, answer_keys)(self)

    def answer(self, body: bytes, status: HTTPStatus = HTTPStatus.OK, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self, drop: bytes) -> None:
        """Send ``drop`` again and again, until the server is stopped or the client is gone."""
        while not self.server.stopped.wait(DRIP_SECONDS):
            self.wfile.write(drop)

    def log_message(self, *arguments: Any) -> None:
        """Keep quiet."""


def answer_keys(handler: KeyHandler) -> None:
    handler.answer(handler.server.body)


def answer_text(text: str) -> Callable[[KeyHandler], None]:
    return lambda handler: handler.answer(text.encode())


def answer_status(status: HTTPStatus, **headers: str) -> Callable[[KeyHandler], None]:
    return lambda handler: handler.answer(handler.server.body, status, **headers)


def drip_headers(handler: KeyHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    handler.drip(b"X-Drop: 1\r\n")


def drip_body(handler: KeyHandler) -> None:
    handler.answer(b"{")
    handler.drip(b" ")


def flood(beginning: bytes, drop: bytes) -> Callable[[KeyHandler], None]:
    """Return what sends ``drop`` as fast as it can, until the client is gone."""

    def answer(handler: KeyHandler) -> None:
        handler.wfile.write(beginning)
        while not handler.server.stopped.is_set():
            handler.wfile.write(drop * 1_000)

    return answer


def say_nothing(handler: KeyHandler) -> None:
    handler.server.stopped.wait()


def break_off(handler: KeyHandler) -> None:
    handler.answer(b'{"keys"', HTTPStatus.OK, **{"Content-Length": "1000"})


def speak_another_protocol(handler: KeyHandler) -> None:
    handler.wfile.write(b"220 mail.example ESMTP\r\n")


MISBEHAVIOUR: dict[str, Callable[[KeyHandler], None]] = {
    "/redirect": answer_status(HTTPStatus.FOUND, Location="/keys"),
    "/permanent-redirect": answer_status(HTTPStatus.PERMANENT_REDIRECT, Location="/keys"),
    "/not-found": answer_status(HTTPStatus.NOT_FOUND),
    "/created": answer_status(HTTPStatus.CREATED),
    "/fault": answer_status(HTTPStatus.INTERNAL_SERVER_ERROR),
    "/silent": say_nothing,
    "/slow-headers": drip_headers,
    "/slow-body": drip_body,
    "/broken-off": break_off,
    "/another-protocol": speak_another_protocol,
    "/interim-answers": flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "/tiny-chunks": flood(CHUNKED, b"1\r\nx\r\n"),
    "/long-chunk-extensions": flood(CHUNKED, b"1;extension=long\r\nx\r\n"),
    "/trailers": flood(CHUNKED + b"0\r\n", b"X-Drop: 1\r\n"),
    "/huge": answer_text(json.dumps({"keys": [], "padding": "x" * 100_000})),
    "/no-json": answer_text("<html>"),
    "/half-json": answer_text('{"keys": ['),
    "/no-utf-8": lambda handler: handler.answer(b'{"keys": ["\xff"]}'),
    "/empty": answer_text(""),
    "/list": answer_text("[]"),
    "/null": answer_text("null"),
    "/no-keys": answer_text("{}"),
    "/keys-of-another-kind": answer_text('{"keys": {"kty": "EC"}}'),
    "/named-twice": answer_text('{"keys": [], "keys": []}'),
    "/nested-deep": answer_text("[" * 30_000 + "]" * 30_000),
    "/many-digits": answer_text('{"keys": [], "n": ' + "9" * 9000 + "}"),
    "/too-many-keys": answer_text(json.dumps({"keys": [{}] * 101})),
}


@contextmanager
def serving_keys(certificate: Path) -> Iterator[KeyServer]:
    """Serve keys for the length of the block."""
    server = KeyServer(certificate)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()


def write_certificates(folder: Path) -> tuple[Path, Path]:
    """Write the authority's certificate and the server's own, with its key; return both files."""
    authority, server = folder / "authority.pem", folder / "server.pem"
    authority.write_bytes(_authority()[0].public_bytes(Encoding.PEM))
    certificate, key = _server_certificate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    server.write_bytes(certificate.public_bytes(Encoding.PEM) + private)
    return authority, server


# What Python 3.13 asks of an authority, as RFC 5280 does.
_CERTIFIES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


@cache
def _authority() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Authority of the tests")
    builder = _certificate(name, key.public_key(), issuer=name)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    builder = builder.add_extension(_CERTIFIES, critical=True)
    return builder.sign(key, SHA256()), key


@cache
def _server_certificate() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    authority, authority_key = _authority()
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _certificate(_name("127.0.0.1"), key.public_key(), issuer=authority.subject)
    names = [x509.IPAddress(ip_address("127.0.0.1"))]
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    builder = builder.add_extension(identifier, critical=False)
    return builder.sign(authority_key, SHA256()), key


def _certificate(subject: x509.Name, key: ec.EllipticCurvePublicKey, *, issuer: x509.Name) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        issuer_name=issuer,
        subject_name=subject,
        public_key=key,
        serial_number=x509.random_serial_number(),
        not_valid_before=datetime(2020, 1, 1),
        not_valid_after=datetime(2120, 1, 1),
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
