"""What the package uses of Django and others without documentation: it is on its page, and it still does what we need.

``docs/explanation/what-we-rely-on.md`` has a row for each, which names the test below that fails when it changes.
"""

import ast
import http.client
import logging
import re
import socket
import traceback
from pathlib import Path

import pytest
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import ERROR_FLAG, ChangeList
from django.contrib.auth.hashers import get_hasher, identify_hasher, make_password
from django.contrib.messages.storage.fallback import FallbackStorage
from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.memcached import PyLibMCCache, PyMemcacheCache
from django.core.cache.backends.redis import RedisCache
from django.core.exceptions import DisallowedRedirect
from django.db import connection, connections, router, transaction
from django.db.models import TextField, signals
from django.db.models.deletion import Collector
from django.dispatch import Signal
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, URLResolver, get_resolver, get_urlconf, set_urlconf
from django.urls.converters import UUIDConverter
from django.utils.crypto import get_random_string
from django.utils.log import log_response
from django.utils.text import Truncator, capfirst
from joserfc import jwk, jws
from joserfc.errors import JoseError
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import APIException
from rest_framework.permissions import AND, OR, BasePermission, OperationHolderMixin
from rest_framework.request import Request
from rest_framework.schemas.generators import EndpointEnumerator
from rest_framework.views import APIView, exception_handler, set_rollback
from rest_framework.viewsets import ViewSet

from oauth_refresh.models import Grant
from tests.factories import GrantFactory, UserFactory
from tests.openapi import described

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "oauth_refresh"
PAGE = (ROOT / "docs" / "explanation" / "what-we-rely-on.md").read_text()
SOURCES = {
    path: path.read_text() for path in sorted(PACKAGE.rglob("*.py")) if "migrations" not in path.relative_to(ROOT).parts
}
ROWS = [
    re.split(r"(?<!\\)\|", line)[1:-1]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| what |")
]
_PRIVATE = re.compile(r"_[a-z][a-z0-9_]*|__[a-z][a-z0-9_]*(?<!__)")


def identifiers(text):
    """Return every identifier that stands in backticks."""
    return {name for code in re.findall(r"`([^`]+)`", text) for name in re.findall(r"[A-Za-z_]\w*", code)}


def own_names(tree):
    """Yield what a module or its classes define: functions, classes, variables, and attributes of ``self``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            yield node.attr


def foreign_names(tree, *, ours):
    """Yield the private names of others: attributes, imports, and names in the arguments of a call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            is_own = node.attr in ours and not isinstance(node.value, ast.Call)  # super()._x is somebody else's
            found = [] if is_own else [node.attr]
        elif isinstance(node, ast.ImportFrom):
            found = [*(node.module or "").split("."), *(name.name for name in node.names)]
            found = [] if (node.module or "").startswith("oauth_refresh") else found
        elif isinstance(node, ast.Call):
            found = [one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        else:
            continue
        yield from (name for name in found if _PRIVATE.fullmatch(name))


def private_names(sources):
    trees = [ast.parse(source) for source in sources]
    ours = {name for tree in trees for name in own_names(tree)}
    return {name for tree in trees for name in foreign_names(tree, ours=ours)}


def test_every_private_name_of_others_is_on_the_page():
    assert private_names(SOURCES.values()) - identifiers(PAGE) == set()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("row._meta.pk", {"_meta"}),
        ("request._request", {"_request"}),
        ("super()._post_clean()", {"_post_clean"}),
        ("class A:\n    def _x(self): self._x()", set()),
        ("class A:\n    def _x(self): super()._x()", {"_x"}),
        ("class A:\n    def x(self): self._x, y = 1, self._x", set()),
        ("request._x = 1", {"_x"}),
        ("vars(user).get('_password')", {"_password"}),
        ("getattr(user, '_password', None)", {"_password"}),
        ("from django.db._base import Model", {"_base"}),
        ("from django.db import _base", {"_base"}),
        ("from oauth_refresh.jwks import _read", set()),
        ("f'{name}_revoke'; x.__class__.__name__; '_'.join(names)", set()),
    ],
)
def test_private_names_are_found_in(source, found):
    assert private_names([source]) == found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip())
def test_row_of_the_page_is_used_and_guarded(row):
    what, _purpose, _reason, guards = row
    used = "\n".join(SOURCES.values())
    here = Path(__file__).read_text()

    assert [name for name in identifiers(what) if not re.search(rf"\b{name}\b", used)] == []
    assert identifiers(guards)
    assert [name for name in identifiers(guards) if f"\ndef {name}(" not in here] == []


@pytest.mark.django_db(transaction=True)
def test_connection_says_whether_a_transaction_is_open():
    assert not connection.in_atomic_block
    with transaction.atomic():
        assert connection.in_atomic_block


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="other databases roll back the statement alone")
def test_connection_of_the_driver_says_that_the_transaction_is_broken():
    with transaction.atomic():
        with pytest.raises(Exception, match="nowhere"), connection.connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM nowhere")
        assert connection.connection.info.transaction_status == 3
        assert not transaction.get_rollback()
        transaction.set_rollback(True)


@pytest.mark.django_db
def test_databases_say_what_they_can_lock():
    users = UserFactory._meta.model.objects
    no_key, skip = (
        connection.features.has_select_for_no_key_update,
        connection.features.has_select_for_update_skip_locked,
    )

    assert no_key == (connection.vendor == "postgresql")
    assert skip == (connection.vendor != "sqlite")
    with transaction.atomic():
        assert list(users.select_for_update(no_key=no_key)) == list(users.select_for_update(skip_locked=skip)) == []


@pytest.mark.django_db
def test_connection_quotes_the_names_of_tables_and_columns():
    quoted = connection.ops.quote_name
    grant = GrantFactory()
    table, column = quoted(Grant._meta.db_table), quoted(Grant._meta.pk.column)

    assert list(Grant._base_manager.raw(f"SELECT * FROM {table} WHERE {column} = %s", [grant.pk])) == [grant]


@pytest.mark.django_db
def test_connection_has_its_settings_and_names_its_tables():
    assert isinstance(connection.settings_dict["OPTIONS"], dict)
    assert Grant._meta.db_table in connection.introspection.table_names()


def test_connection_quotes_names():
    assert connection.ops.quote_name("order by")[1:-1] == "order by"
    assert [field.column for field in Grant._meta.concrete_fields][:3] == ["id", "public_id", "application_id"]


def test_fields_are_read_as_the_orm_reads_them():
    class Reversed(TextField):
        def from_db_value(self, value, expression, connection):
            return (expression.target, value)

    field = Reversed()
    field.set_attributes_from_name("text")
    field.model = Grant
    sql, params = field.select_format(None, "a.b", ())

    assert (sql, params) == ("a.b", ())
    assert [read("x", field.cached_col, connection) for read in field.get_db_converters(connection)] == [(field, "x")]


def test_connections_yield_every_alias(settings):
    assert set(connections) == set(settings.DATABASES)


def test_router_chooses_the_database_of_a_model():
    assert router.db_for_write(Grant) == router.db_for_read(Grant) == Grant.objects.all().db == "default"
    assert Grant.objects.using("archive").db == "archive"


@pytest.mark.django_db
def test_grants_are_collected_before_their_user():
    grant = GrantFactory()
    collector = Collector(using="default", origin=grant.user)

    collector.collect([grant.user])
    collector.sort()

    models = list(collector.data)
    assert models.index(Grant) < models.index(type(grant.user))
    assert not any(field.name == "user" for field, _value in collector.field_updates)


@pytest.mark.django_db
def test_rehash_at_login_saves_the_password_alone_and_leaves_its_trace(settings):
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]
    user = UserFactory(password=make_password("secret", hasher="md5"))
    saves = []

    def note(instance, update_fields, **kwargs):
        saves.append((vars(instance).get("_password", "none"), update_fields))

    signals.pre_save.connect(note, sender=type(user))
    try:
        assert user.check_password("secret")
        user.set_password("another")
        user.save()
    finally:
        signals.pre_save.disconnect(note, sender=type(user))

    assert saves == [(None, frozenset({"password"})), ("another", None)]


def test_hashers_say_whether_a_password_is_outdated(settings):
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]
    old, new = make_password("secret", hasher="md5"), make_password("secret")
    weak = get_hasher().encode("secret", "salt" * 6, iterations=1)

    assert [identify_hasher(encoded).algorithm == get_hasher().algorithm for encoded in (old, new)] == [False, True]
    assert [get_hasher().must_update(encoded) for encoded in (new, weak)] == [False, True]
    with pytest.raises(ValueError, match=r"Unknown|Unable"):
        identify_hasher("!unusable")


def test_signal_lists_its_receivers_by_dispatch_uid():
    signal = Signal()

    signal.connect(str, dispatch_uid="by name", weak=False)

    assert [lookup_key[0] for lookup_key, *_ in signal.receivers] == ["by name"]


def test_caches_that_count_atomically_have_an_incr_of_their_own():
    for atomic in (LocMemCache, PyLibMCCache, PyMemcacheCache, RedisCache):
        assert atomic.incr is not BaseCache.incr
    for other in (DatabaseCache, DummyCache, FileBasedCache):
        assert other.incr is BaseCache.incr
    assert isinstance(caches[DEFAULT_CACHE_ALIAS], BaseCache)


def test_response_is_logged_once(rf, caplog):
    response, error = HttpResponse(status=503), ValueError("broken")

    for _turn in range(2):
        log_response("Server error at %s", "/token", response=response, request=rf.post("/token"), exception=error)

    [record] = caplog.records
    assert (record.name, record.levelno, record.getMessage()) == (
        "django.request",
        logging.ERROR,
        "Server error at /token",
    )
    assert (record.status_code, record.exc_info[1]) == (503, error)


def test_cleared_frames_hold_no_variables():
    def fail():
        secret = "secret"
        raise ValueError(len(secret))

    try:
        fail()
    except ValueError as error:
        trace = error.__traceback__.tb_next

    assert "secret" in trace.tb_frame.f_locals
    traceback.clear_frames(trace)
    assert trace.tb_frame.f_locals == {}


def test_redirect_follows_the_schemes_it_is_given():
    class ToApp(HttpResponseRedirect):
        allowed_schemes = ["com.example.app"]

    assert ToApp("com.example.app:/callback")["Location"] == "com.example.app:/callback"
    with pytest.raises(DisallowedRedirect):
        HttpResponseRedirect("com.example.app:/callback")


def test_helpers_of_django_are_where_they_were():
    assert len(get_random_string(22)) == 22
    assert Truncator("abcdef").chars(3) == "ab…"
    assert capfirst("grant") == "Grant"
    assert re.fullmatch(UUIDConverter.regex, "01234567-89ab-cdef-0123-456789abcdef")


@pytest.fixture
def listing(rf, admin_user):
    """Return a function that gives the admin's list of grants for a query string."""

    def changelist(query):
        request = rf.get(f"/?{query}")
        request.user, request.session = admin_user, {}
        request._messages = FallbackStorage(request)
        return admin.site.get_model_admin(Grant).get_changelist_instance(request), request

    return changelist


@pytest.mark.django_db
def test_change_list_selects_what_the_address_says(listing):
    grant, _other = GrantFactory.create_batch(2)

    found, request = listing(f"q={grant.user}")
    assert isinstance(found, ChangeList)
    assert list(found.queryset) == list(found.get_queryset(request)) == [grant]
    assert ERROR_FLAG == "e"
    with pytest.raises(IncorrectLookupParameters):
        listing("created_at__gte=tomorrow")


def test_helpers_of_the_admin_are_where_they_were():
    assert (quote("a/b"), unquote(quote("a/b"))) == ("a_2Fb", "a/b")
    assert ACTION_CHECKBOX_NAME == "_selected_action"


def test_resolver_leads_to_every_view():
    included = next(one for one in get_resolver().url_patterns if isinstance(one, URLResolver))

    assert all(isinstance(pattern, URLPattern) and callable(pattern.callback) for pattern in included.url_patterns)


def test_resolver_names_what_it_includes():
    included = [one for one in get_resolver().url_patterns if isinstance(one, URLResolver)]

    assert ("oauth_refresh", "oauth_refresh") in [(one.app_name, one.namespace) for one in included]
    assert (None, None) in [(one.app_name, one.namespace) for one in included]
    assert get_resolver() is get_resolver()


def test_request_may_have_a_urlconf_of_its_own():
    set_urlconf("oauth_refresh.urls.well_known")
    named = get_urlconf()
    set_urlconf(None)

    assert named == "oauth_refresh.urls.well_known"


def test_view_function_leads_to_its_class_and_permissions():
    class View(ViewSet):
        permission_classes = [BasePermission & ~BasePermission]

        def list(self, request):
            raise NotImplementedError

    function = View.as_view({"get": "list"}, suffix="List")
    (combined,) = function.cls.permission_classes

    assert (function.cls, function.initkwargs, function.actions) == (View, {"suffix": "List"}, {"get": "list"})
    assert combined.op1_class is BasePermission
    assert combined.op2_class.op1_class is BasePermission
    assert not hasattr(combined.op2_class, "op2_class")
    assert View.get_permissions.__module__ == View.get_authenticators.__module__ == "rest_framework.views"


def test_request_of_drf_wraps_that_of_django(rf):
    plain, authenticator = rf.get("/"), BaseAuthentication()

    request = Request(plain, authenticators=[authenticator])

    assert request._request is plain
    assert list(request.authenticators) == [authenticator]


def test_request_of_drf_leads_to_its_view_which_finishes_the_answer(rf):
    seen = []

    class Authentication(BaseAuthentication):
        def authenticate(self, request):
            view = request.parser_context["view"]
            vars(view)["finalize_response"] = lambda *args, **kwargs: seen.append(args) or HttpResponse(status=418)
            seen.append(view)

    class View(APIView):
        authentication_classes = [Authentication]
        permission_classes = []

        def get(self, request):
            raise APIException

    answers = [View.as_view()(rf.get("/")) for _turn in range(2)]

    first, _answer, second, _other = seen
    assert (type(first), type(second), first is second) == (View, View, False)
    assert [answer.status_code for answer in answers] == [418, 418]
    assert Request(rf.get("/")).parser_context.get("view") is None


def test_permissions_that_are_instances_combine(rf):
    class Allows(OperationHolderMixin, BasePermission):
        def __init__(self, answer):
            self.answer = answer

        def __call__(self):
            return self

        def has_permission(self, request, view):
            return self.answer

    yes, no = Allows(True), Allows(False)

    both, either = (yes & no)(), (yes | no)()
    assert (type(both), list(vars(both).values())) == (AND, [yes, no])
    assert (type(either), list(vars(either).values())) == (OR, [yes, no])
    assert [one.has_permission(rf.get("/"), APIView()) for one in (both, either, (~yes)())] == [False, True, False]


@pytest.mark.django_db
def test_exception_handler_sends_the_challenge_and_when_to_come_again():
    error = APIException()
    error.auth_header, error.wait = "Bearer", 5

    response = exception_handler(error, {})

    assert (response["WWW-Authenticate"], response["Retry-After"]) == ("Bearer", "5")


@pytest.mark.django_db
def test_rollback_is_set_for_a_request_in_a_transaction(monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)

    with transaction.atomic():
        set_rollback()
        assert transaction.get_rollback()


def test_address_in_a_schema_has_no_optional_slash():
    assert EndpointEnumerator(patterns=[]).get_path_from_regex("^oauth/^token(?:/)?$") == "/oauth/token"


def test_schema_has_the_endpoints_and_their_components():
    schema = described()

    assert "post" in schema["paths"]["/oauth/token"]
    assert "/oauth/token/" not in schema["paths"]
    assert set(schema["components"]) >= {"schemas", "securitySchemes"}


def test_https_connection_uses_the_socket_it_is_given():
    ours, theirs = socket.socketpair()

    class Connection(http.client.HTTPSConnection):
        def connect(self):
            self.sock = ours

    with theirs:
        theirs.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        asked = Connection("auth.example.com")
        asked.request("GET", "/keys")
        assert asked.getresponse().read() == b"ok"
        assert theirs.recv(100).startswith(b"GET /keys HTTP/1.1\r\nHost: auth.example.com\r\n")
        asked.close()


def test_header_of_a_jws_may_be_long():
    key = jwk.OctKey.generate_key(256)
    text = jws.serialize_compact({"alg": "HS256", "x": "x" * 2_000}, b"{}", key, registry=_registry(10_000))

    assert jws.deserialize_compact(text, key, registry=_registry(10_000)).payload == b"{}"
    with pytest.raises(JoseError):
        jws.deserialize_compact(text, key, registry=_registry(100))


def _registry(length):
    registry = jws.JWSRegistry(algorithms=["HS256"], strict_check_header=False)
    registry.max_header_length = length
    return registry
