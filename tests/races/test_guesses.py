"""Wrong guesses at the same moment: no more are judged than the limit allows, whichever cache counts them."""

import shutil
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from importlib.util import find_spec
from threading import Barrier, Lock

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.cache import cache, caches
from django.core.management import call_command
from django.db import connection, connections

from tests.factories import PASSWORD
from tests.faults.servers import Redis
from tests.oauth import basic, post_form
from tests.waiting import LONGEST_SECONDS

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time"),
]

GUESSES = 1_000
THREADS = 40
LIMIT = 20
WRONG = "a-wrong-secret-of-more-than-22-characters"


class CountingHasher(MD5PasswordHasher):
    """A password hasher that counts how many passwords it compared, and takes its time, as a real one does."""

    lock = Lock()
    compared = 0

    def verify(self, password, encoded):
        with self.lock:
            CountingHasher.compared += 1
        time.sleep(0.02)
        return super().verify(password, encoded)


@contextmanager
def local_memory(folder):
    yield {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "guesses"}


@contextmanager
def redis(folder):
    if find_spec("redis") is None or shutil.which("redis-server") is None:
        pytest.skip("redis is not installed")
    server = Redis(folder)
    server.start()
    try:
        yield {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": server.url}
    finally:
        server.kill()


@contextmanager
def database(folder):
    yield {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "guesses",
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    }
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE guesses")


@pytest.fixture(params=[local_memory, redis, database], ids=lambda backend: backend.__name__)
def counting(request, settings, oauth_settings, tmp_path):
    """One cache after the other, that is empty and counts."""
    with request.param(tmp_path) as configured:
        settings.CACHES = {"default": configured}
        call_command("createcachetable", verbosity=0)
        cache.clear()
        oauth_settings(FAILURE_RATE=f"{LIMIT}/day")
        yield
        cache.clear()
        cache.close()


def send_all(send):
    """Send the guess 1,000 times, from threads that begin together; return how often which status was answered."""
    barrier = Barrier(THREADS, timeout=LONGEST_SECONDS)

    def guess(_number):
        barrier.wait()
        try:
            return [send().status_code for _guess in range(GUESSES // THREADS)]
        finally:
            connections.close_all()
            cache.close()

    with ThreadPoolExecutor(THREADS) as pool:
        return Counter(status for statuses in pool.map(guess, range(THREADS)) for status in statuses)


def report(record_property, what, answers):
    counted = " ".join(f"{count} x {status}" for status, count in sorted(answers.items()))
    record_property("race", f"{connection.vendor}, {type(caches['default']).__name__}: {what}: {counted}")


def test_of_a_thousand_wrong_passwords_no_more_than_the_limit_are_compared(
    counting, settings, client_app, user, record_property
):
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    user.set_password(PASSWORD)
    user.save()
    CountingHasher.compared = 0
    form = {"grant_type": "password", "username": user.username, "password": "wrong"}

    answers = send_all(lambda: post_form("token", form, authorization=client_app.authorization))

    report(record_property, f"{CountingHasher.compared} passwords compared", answers)
    assert answers == {HTTPStatus.BAD_REQUEST: LIMIT, HTTPStatus.TOO_MANY_REQUESTS: GUESSES - LIMIT}
    assert CountingHasher.compared == LIMIT


def test_of_a_thousand_wrong_secrets_no_more_than_the_limit_are_answered(counting, client_app, record_property):
    form = {"grant_type": "refresh_token", "refresh_token": client_app.refresh_token}
    wrong = basic(client_app.application.client_id, WRONG)

    answers = send_all(lambda: post_form("token", form, authorization=wrong))

    report(record_property, "secrets", answers)
    assert answers == {HTTPStatus.UNAUTHORIZED: LIMIT, HTTPStatus.TOO_MANY_REQUESTS: GUESSES - LIMIT}
    client_app.rotate()  # the owner, at the same address, is not locked out
