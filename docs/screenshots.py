"""Take the pictures of the README and of these pages again: ``python docs/screenshots.py``.

It plays with the example in Chromium, on a database of its own; ``pip install --editable '.[example,screenshots]'``.
"""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "_static"
LARGEST = 150_000
DESK, LONG_DESK = {"width": 1180, "height": 960}, {"width": 1180, "height": 1010}


def main() -> None:
    with demonstration() as origin, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_context(base_url=origin, viewport=DESK, reduced_motion="reduce").new_page()
        connect(page)
        press(page, "write", "refresh", "narrow", "refresh")
        shoot(page, "playground")
        press(page, "steal", "thief-refresh", "refresh")
        page.set_viewport_size(LONG_DESK)
        shoot(page, "playground-alarm")
        look(page, "admin")
        page.set_viewport_size({"width": 1180, "height": 860})
        shoot(page, "admin-timeline")
        shoot_users_page(browser, origin)
        browser.close()


@contextmanager
def demonstration() -> Iterator[str]:
    """Serve the example on a database of its own, and yield its origin."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with TemporaryDirectory() as folder:
        environment = os.environ | {"DATABASE_URL": f"sqlite:///{folder}/db.sqlite3"}
        command = [sys.executable, "-u", "manage.py", "demo", "--port", str(port)]
        demo = subprocess.Popen(  # noqa: S603
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        try:
            assert demo.stdout is not None  # noqa: S101
            next(line for line in demo.stdout if line.startswith("Open http"))
            yield f"http://127.0.0.1:{port}"
        finally:
            demo.terminate()
            demo.wait(timeout=10)


def connect(page: Page) -> None:
    page.goto("/")
    for label in ("Connect the client", "Sign in as demo", "Allow"):
        page.get_by_role("button", name=label, exact=True).click()


def press(page: Page, *actions: str) -> None:
    for action in actions:
        page.locator(f".choice[value={action}]").click()
        page.wait_for_load_state()


def look(page: Page, person: str) -> None:
    page.locator(f"button[name=as][value={person}]").click()
    page.wait_for_load_state()


def shoot_users_page(browser: Browser, origin: str) -> None:
    page = browser.new_context(base_url=origin, viewport={"width": 820, "height": 720}).new_page()
    connect(page)
    look(page, "user")
    shoot(page, "user-page")


def shoot(page: Page, name: str) -> None:
    """Keep a picture with a palette of its own: of pages as calm as these the difference cannot be seen."""
    path = FOLDER / f"{name}.png"
    Image.open(BytesIO(page.screenshot())).convert("RGB").quantize(256).save(path, optimize=True)
    size = path.stat().st_size
    sys.stdout.write(f"{path.relative_to(ROOT)}: {size} bytes\n")
    if size > LARGEST:
        raise SystemExit(f"{path.name} is larger than {LARGEST} bytes.")


if __name__ == "__main__":
    main()
