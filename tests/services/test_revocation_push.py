"""Posts of revocations to receivers: what is posted and when, what is repeated, and what is kept between processes."""

import hmac
import json
import os
import signal
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256
from threading import Event

import pytest
from django.db import connection, connections
from django.db.models import F
from django.utils import timezone

from oauth_refresh.conf import app_settings
from oauth_refresh.models import RevocationNotice, RevocationReceiver
from oauth_refresh.models.revocation_notices import DatabaseNow
from oauth_refresh.services import prune, revoke_grant
from oauth_refresh.services.revocation_push import BATCH_SIZE, Delivery, Step, push_revocations
from tests.conftest import NOW
from tests.factories import GrantFactory, RevocationNoticeFactory, RevocationReceiverFactory
from tests.key_server import write_certificates
from tests.push_receiver import drip_headers, receiving, say_nothing, speak_another_protocol, wait_and_accept
from tests.server import ROOT
from tests.waiting import LONGEST_SECONDS, wait_until

SECRET = "the-secret-of-a-gateway"
needs_connections = pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite in memory has one connection")

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """No test of something else depends on the machine's speed."""
    monkeypatch.setattr("oauth_refresh.services.revocation_push._TIMEOUT_SECONDS", 60.0)


@pytest.fixture
def server():
    with receiving() as server:
        yield server


def post_to(oauth_settings, *urls):
    oauth_settings(REVOCATION_RECEIVERS=[{"url": url, "secret": SECRET} for url in urls])


@pytest.fixture
def delivery(server, oauth_settings):
    """The posts of one process to ``server``, which has no notices to post yet."""
    post_to(oauth_settings, server.url)
    return started()


def started(*, step=Step.IDLE):
    """Start to post as a process does, and look for notices once."""
    delivery = Delivery(app_settings.revocation_receivers[0])
    assert delivery.step() is step
    return delivery


def write_notices(count, **columns):
    columns = {"created_at": DatabaseNow(), "client_id": "notes", **columns}
    RevocationNotice.objects.bulk_create(RevocationNotice(**columns) for _number in range(count))


def let_time_pass(seconds):
    RevocationNotice.objects.update(created_at=F("created_at") - timedelta(seconds=seconds))


def end_pause():
    RevocationReceiver.objects.update(next_attempt_at=timezone.now())


def test_notice_is_posted_at_once_and_again_when_it_is_settled(delivery, server):
    grant = GrantFactory()
    entry = {"grant_id": str(grant.public_id)}

    revoke_grant(grant, reason="lost device")

    assert [delivery.step() for _turn in range(2)] == [Step.POSTED, Step.IDLE]
    assert server.entries() == [entry]
    assert RevocationReceiver.objects.get().position == 0
    let_time_pass(11)
    assert [delivery.step() for _turn in range(2)] == [Step.POSTED, Step.IDLE]
    assert server.entries() == [entry]
    assert RevocationReceiver.objects.get().position == RevocationNotice.objects.get().pk


def test_post_is_signed_and_says_nothing_else(delivery, server):
    write_notices(2)

    delivery.step()

    [post] = server.posts
    timestamp = post.headers["OAuth-Refresh-Timestamp"]
    signed = hmac.new(SECRET.encode(), timestamp.encode() + b"." + post.body, sha256).hexdigest()
    assert post.path == "/hidden-path?a=b"
    assert post.headers["OAuth-Refresh-Signature"] == f"sha256={signed}"
    assert abs(int(timestamp) - timezone.now().timestamp()) < LONGEST_SECONDS
    assert post.headers["Content-Type"] == "application/json"
    assert json.loads(post.body) == {"revocations": [{"client_id": "notes"}] * 2}


def test_notices_are_posted_in_batches_new_ones_first(delivery, server):
    write_notices(BATCH_SIZE)
    let_time_pass(11)
    write_notices(BATCH_SIZE + 20, client_id="new")

    assert [delivery.step() for _turn in range(4)] == [*[Step.POSTED] * 3, Step.IDLE]

    old, new = {"client_id": "notes"}, {"client_id": "new"}
    assert [post.entries for post in server.posts] == [[new] * 100, [new] * 20 + [old] * 80, [old] * 20]


def test_new_receiver_gets_no_earlier_notices(server, oauth_settings):
    write_notices(3)
    let_time_pass(11)
    post_to(oauth_settings, server.url)

    delivery = started()
    write_notices(1, client_id="new")

    assert delivery.step() is Step.POSTED
    assert server.entries() == [{"client_id": "new"}]


def test_notice_that_is_committed_after_later_ones_is_posted(delivery, server):
    late = RevocationNoticeFactory(client_id="late", grant_id=None)
    RevocationNotice.objects.filter(pk=late.pk).delete()
    write_notices(1)
    assert delivery.step() is Step.POSTED

    late.save(force_insert=True)

    assert delivery.step() is Step.POSTED
    assert server.entries() == [{"client_id": "notes"}, {"client_id": "late"}]


def test_process_that_is_started_again_goes_on_where_the_last_one_was(delivery, server):
    write_notices(1, client_id="settled")
    let_time_pass(11)
    write_notices(1, client_id="recent")
    assert delivery.step() is Step.POSTED
    server.posts.clear()

    started(step=Step.POSTED)

    assert server.entries() == [{"client_id": "recent"}]


FAILURES = {
    "fault": (500, "HTTP 500"),
    "redirect": (302, "HTTP 302"),
    "not found": (404, "HTTP 404"),
    "another protocol": (speak_another_protocol, "BadStatusLine"),
}


def assert_failed(caplog, delivery, server, *, error):
    """Assert that a post fails with ``error``, is not repeated during the pause, and is accepted after it."""
    write_notices(1)
    assert [delivery.step() for _turn in range(2)] == [Step.WAITING] * 2
    row = RevocationReceiver.objects.get()
    assert (row.attempts, row.last_error, row.delivered_at) == (1, error, None)
    assert row.failed_at is not None
    assert row.next_attempt_at > row.failed_at
    message = f"Revocations could not be posted to 127.0.0.1: {error}. Attempt 1; the next one in 1 s."
    assert [record.getMessage() for record in caplog.records] == [message]
    server.posts.clear()
    server.answer = 200
    end_pause()
    assert [delivery.step() for _turn in range(2)] == [Step.POSTED, Step.IDLE]
    assert server.entries() == [{"client_id": "notes"}]
    row = RevocationReceiver.objects.get()
    assert (row.attempts, row.last_error, row.delivered_at is None) == (0, "", False)
    assert caplog.records[-1].getMessage() == "Revocations are accepted by 127.0.0.1 again, after 1 attempts."


@pytest.mark.parametrize(("answer", "error"), FAILURES.values(), ids=FAILURES)
def test_post_that_is_not_accepted_is_repeated_after_a_pause(caplog, delivery, server, answer, error):
    caplog.set_level("INFO", "oauth_refresh")
    server.answer = answer

    assert_failed(caplog, delivery, server, error=error)


@pytest.mark.parametrize("answer", [say_nothing, drip_headers])
def test_post_has_a_limit_of_time(monkeypatch, caplog, delivery, server, answer):
    caplog.set_level("INFO", "oauth_refresh")
    monkeypatch.setattr("oauth_refresh.services.revocation_push._TIMEOUT_SECONDS", 0.5)
    server.answer = answer
    write_notices(1)

    assert delivery.step() is Step.WAITING
    assert RevocationReceiver.objects.get().last_error == "TimeoutError"


@pytest.mark.parametrize(
    ("url", "error"),
    [("http://127.0.0.1:1/hidden", "ConnectionRefusedError"), (f"http://{'a' * 64}.example", "Unicode")],
)
def test_receiver_that_cannot_be_reached_is_tried_again(oauth_settings, url, error):
    post_to(oauth_settings, url)
    delivery = started()
    write_notices(1)

    assert delivery.step() is Step.WAITING
    assert RevocationReceiver.objects.get().last_error.startswith(error)  # UnicodeEncodeError since Python 3.13


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 1), (1, 2), (5, 32), (6, 60), (10_000, 60)])
def test_pause_doubles_up_to_a_minute(stopped_clock, delivery, server, attempts, seconds):
    server.answer = 500
    RevocationReceiver.objects.update(attempts=attempts)
    write_notices(1)

    delivery.step()

    row = RevocationReceiver.objects.get()
    assert (row.attempts, row.failed_at) == (attempts + 1, NOW)
    assert row.next_attempt_at == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(("is_trusted", "error"), [(True, ""), (False, "SSLCertVerificationError")])
def test_certificate_of_the_receiver_is_verified(monkeypatch, tmp_path, oauth_settings, is_trusted, error):
    authority, certificate = write_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))

    def wrap(plain):
        return context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)

    with receiving(wrap) as server:
        post_to(oauth_settings, server.url)
        delivery = started()
        write_notices(1)
        assert delivery.step() is (Step.POSTED if is_trusted else Step.WAITING)

    assert RevocationReceiver.objects.get().last_error == error
    assert len(server.posts) == is_trusted


def pruned(ages, *, position):
    """Write a notice of each age, prune when the receiver has come to ``position``, and return the ages that are left.

    Positions count from 1.
    """
    written = [RevocationNoticeFactory(created_at=timezone.now() - timedelta(days=age)) for age in ages]
    RevocationReceiver.objects.update(position=written[position - 1].pk)
    prune()
    left = set(RevocationNotice.objects.values_list("pk", flat=True))
    return [age for age, notice in zip(ages, written, strict=True) if notice.pk in left]


def test_prune_keeps_what_a_receiver_has_not_got_for_a_week(delivery):
    assert pruned([9, 8, 6, 5, 2, 0], position=1) == [6, 5, 2, 0]


def test_prune_deletes_what_every_receiver_has(delivery):
    RevocationReceiverFactory(position=0)  # no longer in the settings

    assert pruned([6, 5, 3, 2, 0], position=3) == [3, 2, 0]


def test_prune_waits_for_no_receiver_that_was_never_posted_to(oauth_settings):
    post_to(oauth_settings, "https://gateway.internal")

    assert pruned([5, 2, 0], position=1) == [0]


def test_receiver_that_was_away_for_too_long_must_drop_everything(delivery, server):
    RevocationReceiver.objects.update(created_at=timezone.now() - timedelta(days=10))
    assert pruned([9, 8, 6, 0.5], position=1) == [6, 0.5]

    assert [delivery.step() for _turn in range(2)] == [Step.POSTED, Step.IDLE]

    assert server.entries() == [{"all": True}]
    assert RevocationReceiver.objects.get().position == RevocationNotice.objects.latest("pk").pk


def test_receiver_that_missed_nothing_in_days_gets_the_next_notice(delivery, server):
    RevocationReceiver.objects.update(delivered_at=timezone.now() - timedelta(days=10))
    assert pruned([9, 8], position=2) == [8]
    write_notices(1)

    assert delivery.step() is Step.POSTED
    assert server.entries() == [{"client_id": "notes"}]


def test_settled_notices_that_were_not_delivered_are_waiting(delivery):
    write_notices(2)
    let_time_pass(11)
    write_notices(3)

    assert RevocationReceiver.objects.get().waiting == 2


def test_nothing_is_done_without_receivers():
    assert push_revocations() == ()


@needs_connections
@pytest.mark.django_db(transaction=True)
def test_receiver_that_does_not_answer_delays_no_other(server, oauth_settings):
    stop = Event()
    with receiving() as stuck, ThreadPoolExecutor(1) as pool:
        stuck.answer = say_nothing
        post_to(oauth_settings, stuck.url, server.url)
        running = pool.submit(push_revocations, interval=0.01, stop=stop)
        try:
            wait_until(lambda: RevocationReceiver.objects.count() == 2)
            for name in ("first", "second"):
                write_notices(1, client_id=name)
                wait_until(lambda name=name: {"client_id": name} in [e for post in server.posts for e in post.entries])
                wait_until(lambda: len(stuck.posts) == 1)
        finally:
            stop.set()
            stuck.may_end.set()
        running.result(LONGEST_SECONDS)

    assert RevocationReceiver.objects.get(attempts=1).last_error == "RemoteDisconnected"


def step_elsewhere(delivery):
    try:
        return delivery.step()
    finally:
        connections.close_all()


@needs_connections
@pytest.mark.django_db(transaction=True)
def test_two_processes_post_one_after_the_other_and_never_go_back(delivery, server):
    write_notices(1)
    let_time_pass(11)
    server.answer = wait_and_accept
    other = Delivery(app_settings.revocation_receivers[0])

    with ThreadPoolExecutor(1) as pool:
        posting = pool.submit(step_elsewhere, delivery)
        try:
            wait_until(lambda: len(server.posts) == 1)
            assert other.step() is Step.WAITING
            assert len(server.posts) == 1
            end_pause()  # as if the first process had been killed
            server.answer = 204
            write_notices(1)
            let_time_pass(11)
            assert other.step() is Step.POSTED
        finally:
            server.may_end.set()
        assert posting.result(LONGEST_SECONDS) is Step.POSTED

    assert RevocationReceiver.objects.get().position == RevocationNotice.objects.latest("pk").pk
    assert [len(post.entries) for post in server.posts] == [1, 2]


PROGRAM = """
import sys, django
from django.conf import settings
settings.DATABASES["default"]["NAME"] = sys.argv[1]
settings.OAUTH_REFRESH = {"REVOCATION_RECEIVERS": [{"url": sys.argv[2], "secret": sys.argv[3]}]}
django.setup()
from django.core.management import call_command
call_command("oauth_push_revocations", "--interval", "0.05")
"""


@needs_connections
@pytest.mark.django_db(transaction=True)
def test_process_that_is_killed_between_post_and_commit_posts_again(delivery, server):
    """The receiver gets the post, and the process is killed before it gets the answer."""
    arguments = [sys.executable, "-c", PROGRAM, connection.settings_dict["NAME"], server.url, SECRET]
    write_notices(1)
    let_time_pass(11)
    server.answer = wait_and_accept

    with subprocess.Popen(arguments, cwd=ROOT, env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}) as first:
        wait_until(lambda: len(server.posts) == 1)
        first.kill()
    server.may_end.set()
    assert RevocationReceiver.objects.get().position == 0
    end_pause()

    with subprocess.Popen(arguments, cwd=ROOT, env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}) as second:
        wait_until(lambda: RevocationReceiver.objects.get().position == RevocationNotice.objects.get().pk)
        second.terminate()  # as a supervisor does

    assert second.returncode == -signal.SIGTERM
    assert server.entries() == [{"client_id": "notes"}] * 2
