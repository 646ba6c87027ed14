"""How to start the API that the playground calls on another port."""

from urllib.parse import urlsplit

from example_project.settings import FAR_API_URL

DEFAULT_PORT, DEFAULT_ISSUER = 8001, "http://127.0.0.1:8000"


def start_command(*, issuer: str) -> str:
    """Return the command line that serves the API at ``FAR_API_URL``, for the tokens of ``issuer``."""
    port = urlsplit(FAR_API_URL).port
    ports = [] if port in {None, DEFAULT_PORT} else ["--port", str(port)]
    issuers = [] if issuer == DEFAULT_ISSUER else ["--issuer", issuer]
    return " ".join(["python manage.py far_api", *ports, *issuers])
