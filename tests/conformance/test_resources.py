"""Resources: indicators in requests (RFC 8707), metadata and challenges (RFC 9728), and tokens at the wrong API."""

from http import HTTPStatus

import pytest
from django.http import JsonResponse
from django.test import Client
from django.urls import include, path, reverse
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from oauth_refresh.models import AccessToken, Grant
from oauth_refresh.resource_server.authentication import BearerAuthentication
from oauth_refresh.resource_server.decorators import bearer_required
from oauth_refresh.resource_server.permissions import HasScope
from oauth_refresh.resources import metadata_url
from oauth_refresh.services import issue_tokens, refresh
from tests.consent import read_answer
from tests.factories import SECRET, ApplicationFactory
from tests.oauth import OAuthClient, post_form
from tests.refusals import read_refusal

RESOURCE_SERVER_SECRET = "the-secret-of-a-resource-server"
ISSUER = "https://auth.example"
NOTES, FILES = "https://api.example/notes", "https://files.example"
RESOURCES = {NOTES: {"name": "Notes", "scopes": ["notes:read", "notes:write"]}, FILES: {"scopes": ["SANDBOX"]}}
ALL_SCOPES = "notes:read notes:write SANDBOX"
INVALID_TARGET = (
    HTTPStatus.BAD_REQUEST,
    {
        "error": "invalid_target",
        "error_description": "The requested resource is malformed, unknown, or was not granted.",
    },
)
NOTES_METADATA = "https://api.example/.well-known/oauth-protected-resource/notes"


class AtNotes(APIView):
    authentication_classes = [BearerAuthentication]
    permission_classes = [HasScope]
    required_scopes = ["notes:read"]
    required_resource = NOTES

    def get(self, request):
        return Response({"resources": request.auth.resource_names})


class AtFiles(AtNotes):
    required_scopes = ["SANDBOX"]
    required_resource = FILES


class AtNone(AtNotes):
    required_resource = None


class NotesAuthentication(BearerAuthentication):
    required_resource = NOTES


class ChosenByTheRequest(AtNone):
    """Its authentication class is named in the method only."""

    def get_authenticators(self):
        return [NotesAuthentication()]


@bearer_required("notes:read", resource=NOTES)
def plain(request):
    return JsonResponse({"resources": request.auth.resource_names})


urlpatterns = [
    path("", include("tests.urls")),
    path("at/notes", AtNotes.as_view()),
    path("at/files", AtFiles.as_view()),
    path("at/none", AtNone.as_view()),
    path("at/plain", plain),
    path("at/chosen", ChosenByTheRequest.as_view()),
]
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture(autouse=True)
def _resources(oauth_settings):
    oauth_settings(RESOURCES=RESOURCES)


@pytest.fixture
def application(db):
    return ApplicationFactory(raw_secret=SECRET, grant_types="authorization_code client_credentials refresh_token")


def started(application, user, *resources, scope=ALL_SCOPES):
    return OAuthClient(application, SECRET).start(user=user, scope=scope, resources=resources)


def finished(flow, *, resource, redeemed_for=None):
    """Go through the authorization code flow, and return the client with its tokens."""
    code = flow.code(resource=resource, scope=ALL_SCOPES)
    flow.client.hold(flow.redeem(code, resource=redeemed_for))
    return flow.client


def is_remembered(flow, **changes):
    return flow.ask(**changes).status_code == HTTPStatus.SEE_OTHER


def call(view, client):
    return Client().get(f"/at/{view}", headers={"Authorization": f"Bearer {client.access_token}"})


def introspected(client, *, caller=None):
    caller = caller or client
    response = post_form(
        "introspect", {**caller.credentials, "token": client.access_token}, authorization=caller.authorization
    )
    return response.json()


@pytest.fixture
def notes_client(application, user):
    return started(application, user, NOTES)


@pytest.fixture
def both_client(application, user):
    return started(application, user, NOTES, FILES)


@pytest.mark.parametrize("resource", [NOTES, FILES])
def test_ri_001_token_is_for_the_resource_that_was_requested(application, resource):
    client = OAuthClient(application, SECRET)

    client.hold(client.token(grant_type="client_credentials", scope=ALL_SCOPES, resource=resource))

    assert introspected(client)["aud"] == resource
    assert introspected(client)["scope"] == " ".join(RESOURCES[resource]["scopes"])


BAD_RESOURCES = {
    "unknown": "https://other.example",
    "relative": "/notes",
    "with a fragment": f"{NOTES}#top",
    "with another case": "https://API.example/notes",
    "with a slash more": f"{NOTES}/",
    "a prefix": "https://api.example",
    "blank": " ",
    "of another scheme": "urn:notes",
    "too long": "https://api.example/" + "a" * 10_000,
    "two in one": f"{NOTES} {FILES}",
}


@pytest.mark.parametrize("resource", BAD_RESOURCES.values(), ids=BAD_RESOURCES)
def test_ri_002_resource_that_does_not_exist_is_refused(refused, application, resource):
    client = OAuthClient(application, SECRET)

    assert refused(lambda: client.token(grant_type="client_credentials", resource=resource)) == INVALID_TARGET


@pytest.mark.parametrize("resource", BAD_RESOURCES.values(), ids=BAD_RESOURCES)
def test_rs_105_resource_that_does_not_exist_is_refused_by_redirect(flow, resource):
    answer = read_answer(flow.ask(resource=resource))

    assert answer["error"] == "invalid_target"
    assert not Grant.objects.exists()


def test_ri_002_empty_resource_counts_as_left_out(application):
    client = OAuthClient(application, SECRET)

    client.hold(client.token(grant_type="client_credentials", resource=""))

    assert introspected(client)["aud"] == ISSUER


def test_ri_003_several_resources_are_all_in_the_audience(both_client):
    answer = introspected(both_client)

    assert answer["aud"] == [NOTES, FILES]
    assert answer["scope"] == ALL_SCOPES


def test_ri_004_code_may_be_redeemed_for_a_part_of_the_resources(flow):
    client = finished(flow, resource=[NOTES, FILES], redeemed_for=FILES)

    assert AccessToken.objects.get().audience == FILES
    assert Grant.objects.get().resource_names == (NOTES, FILES)
    client.rotate()
    assert introspected(client)["aud"] == [NOTES, FILES]


def test_rs_108_refresh_for_one_of_several_resources_narrows_the_access_token(both_client):
    both_client.rotate(resource=FILES)

    assert introspected(both_client)["aud"] == FILES
    both_client.rotate()
    assert introspected(both_client)["aud"] == [NOTES, FILES]


def test_ri_005_scope_of_a_refresh_is_that_of_the_resource(both_client):
    assert both_client.rotate(resource=FILES)["scope"] == "SANDBOX"


@pytest.mark.parametrize("resource", [FILES, "https://other.example"])
def test_ri_006_refresh_for_a_resource_that_was_not_granted_is_refused(refused, notes_client, resource):
    assert refused(lambda: notes_client.refresh(resource=resource)) == INVALID_TARGET
    assert notes_client.rotate()


def test_rt_038_refresh_token_is_bound_to_its_resource(refused, notes_client):
    assert refused(lambda: notes_client.refresh(resource=FILES)) == INVALID_TARGET


def test_ri_007_token_without_a_resource_is_for_the_server_as_a_whole(application, user):
    assert introspected(started(application, user))["aud"] == ISSUER


def test_ri_007_only_resource_is_the_audience_of_tokens_that_name_none(application, user, oauth_settings):
    oauth_settings(RESOURCES={NOTES: {}})
    client = started(application, user)

    assert introspected(client)["aud"] == NOTES
    assert call("notes", client).status_code == HTTPStatus.OK
    assert call("none", client).status_code == HTTPStatus.OK


def test_ri_007_token_from_before_the_only_resource_is_for_it(application, user, oauth_settings):
    oauth_settings(unset=["RESOURCES"])
    client = started(application, user)
    oauth_settings(RESOURCES={NOTES: {}})

    assert introspected(client)["aud"] == NOTES
    assert call("notes", client).status_code == HTTPStatus.OK
    client.rotate(resource=NOTES)
    assert AccessToken.objects.latest("pk").audience == NOTES


def test_ri_008_scope_is_cut_to_the_resource_and_the_answer_says_so(application):
    client = OAuthClient(application, SECRET)

    response = client.token(grant_type="client_credentials", scope=ALL_SCOPES, resource=NOTES)

    assert response.json()["scope"] == "notes:read notes:write"


def test_ri_008_scope_that_the_resource_lacks_altogether_is_refused(refused, application, caplog):
    client = OAuthClient(application, SECRET)

    status, body = refused(lambda: client.token(grant_type="client_credentials", scope="notes:read", resource=FILES))

    assert (status, body["error"]) == (HTTPStatus.BAD_REQUEST, "invalid_scope")
    assert body["error_description"].endswith(": notes:read")
    assert "The resource has none of the requested scopes." in caplog.text


def test_resource_is_ignored_where_the_project_has_none(application, oauth_settings):
    oauth_settings(unset=["RESOURCES"])
    client = OAuthClient(application, SECRET)

    client.hold(client.token(grant_type="client_credentials", resource="anything"))

    assert introspected(client)["aud"] == ISSUER


def test_grant_whose_resource_is_gone_is_refused_until_it_is_back(refused, notes_client, oauth_settings):
    oauth_settings(RESOURCES={FILES: {}})
    assert refused(notes_client.refresh) == INVALID_TARGET

    oauth_settings(RESOURCES=RESOURCES)
    assert notes_client.rotate()


def test_grant_keeps_working_once_the_project_has_no_resources(notes_client, oauth_settings):
    oauth_settings(unset=["RESOURCES"])

    notes_client.rotate()

    assert introspected(notes_client)["aud"] == ISSUER


def test_rs_101_challenge_names_the_metadata_of_the_resource_and_the_scope():
    response = Client().get("/at/notes")

    assert response.status_code == HTTPStatus.UNAUTHORIZED
    assert response["WWW-Authenticate"] == (
        f'Bearer realm="oauth", scope="notes:read", resource_metadata="{NOTES_METADATA}"'
    )


@pytest.mark.parametrize("view", ["notes", "plain"])
def test_rs_101_refusals_of_every_kind_name_the_metadata(view, notes_client):
    address = f"/at/{view}"
    missing = Client().get(address)
    wrong = Client().get(address, headers={"Authorization": "Bearer oat_x"})
    notes_client.rotate(scope="notes:write")
    poor = call(view, notes_client)

    assert [response.status_code for response in (missing, wrong, poor)] == [401, 401, 403]
    for response in (missing, wrong, poor):
        assert f'scope="notes:read", resource_metadata="{NOTES_METADATA}"' in response["WWW-Authenticate"]


def test_pr_004_challenge_of_a_gateway_names_the_metadata():
    response = Client().get(reverse("oauth_refresh:verify"), {"scope": "notes:read", "resource": NOTES})

    assert response["WWW-Authenticate"] == (
        f'Bearer realm="oauth", scope="notes:read", resource_metadata="{NOTES_METADATA}"'
    )


def test_challenge_stays_as_it_was_where_the_project_has_no_resources(oauth_settings):
    oauth_settings(unset=["RESOURCES"])

    assert Client().get("/at/none")["WWW-Authenticate"] == 'Bearer realm="oauth"'


def metadata(path=""):
    response = Client().get(f"/.well-known/oauth-protected-resource{path}")
    return response.status_code, response.json()


def test_pr_002_metadata_of_a_resource_has_these_members():
    described = {
        "resource": NOTES,
        "resource_name": "Notes",
        "authorization_servers": [ISSUER],
        "scopes_supported": ["notes:read", "notes:write"],
        "bearer_methods_supported": ["header"],
    }

    assert metadata("/notes") == (HTTPStatus.OK, described)


@pytest.mark.parametrize("path", ["/notes", "/notes/"])
def test_rs_102_metadata_is_at_the_path_of_the_resource_with_and_without_slash(path):
    assert metadata(path)[1]["resource"] == NOTES


def test_pr_001_metadata_names_exactly_the_resource_whose_address_it_is_made_of(oauth_settings):
    oauth_settings(RESOURCES={**RESOURCES, "https://api.example/notes/archive": {}})

    assert metadata("/notes/archive")[1]["resource"] == "https://api.example/notes/archive"
    assert metadata("/notes")[1]["resource"] == NOTES


def test_pr_003_members_without_a_value_are_left_out():
    status, members = metadata()

    assert status == HTTPStatus.OK
    assert members == {
        "resource": FILES,
        "authorization_servers": [ISSUER],
        "scopes_supported": ["SANDBOX"],
        "bearer_methods_supported": ["header"],
    }


def test_rs_102_only_resource_is_described_without_its_path(oauth_settings):
    oauth_settings(RESOURCES={NOTES: {}})

    assert metadata()[1]["resource"] == NOTES
    assert metadata()[1]["scopes_supported"] == ["notes:read", "notes:write", "PRODUCTION", "SANDBOX"]


@pytest.mark.parametrize("path", ["/other", "/notes/more", "/%00", "/notes%0A", "/a%0Ab"])
def test_rs_103_path_of_no_resource_is_404(path):
    status, body = metadata(path)

    assert (status, body["error"]) == (HTTPStatus.NOT_FOUND, "not_found")


@pytest.mark.parametrize("name", ["https://api.example/a%20b", "https://api.example/caf%C3%A9?v=%41"])
def test_rs_102_metadata_are_at_the_address_that_is_announced(oauth_settings, name):
    oauth_settings(RESOURCES={name: {}, NOTES: {}})
    path = metadata_url(name).partition("/.well-known/oauth-protected-resource")[2]

    assert metadata(path)[1]["resource"] == name


def test_rs_103_no_path_is_404_where_several_resources_have_one(oauth_settings):
    oauth_settings(RESOURCES={NOTES: {}, "https://api.example/files": {}})

    assert metadata()[0] == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize(
    ("resource", "path"),
    [("https://a.example/", ""), ("https://a.example/x/", "/x/"), ("https://a.example?v=1", "?v=1")],
)
def test_pr_006_slash_is_removed_and_the_query_kept(oauth_settings, resource, path):
    oauth_settings(RESOURCES={resource: {}, NOTES: {}})

    assert metadata(path)[1]["resource"] == resource


def test_pr_005_resources_of_one_path_are_told_apart_by_their_hosts(oauth_settings, settings):
    settings.ALLOWED_HOSTS = ["*"]
    oauth_settings(RESOURCES={"https://a.example/x": {}, "https://b.example/x": {}})

    def named(host, query=""):
        return Client().get(f"/.well-known/oauth-protected-resource/x{query}", HTTP_HOST=host).json().get("resource")

    assert named("b.example") == named("B.example") == named("b.example", "?other=1") == "https://b.example/x"
    assert named("c.example") is None


def test_metadata_of_a_resource_needs_an_issuer(oauth_settings):
    oauth_settings(unset=["ISSUER"])

    assert metadata("/notes")[0] == HTTPStatus.NOT_FOUND


def test_md_012_server_metadata_lists_the_resources():
    document = Client().get("/.well-known/oauth-authorization-server").json()

    assert document["protected_resources"] == [NOTES, FILES]


def test_rs_104_resource_of_the_authorization_request_is_the_audience(flow):
    client = finished(flow, resource=NOTES)

    assert introspected(client)["aud"] == NOTES


@pytest.mark.parametrize("resource", [FILES, [NOTES, FILES]])
def test_rs_106_code_is_not_redeemed_for_a_resource_that_was_not_asked_for(flow, resource):
    code = flow.code(resource=NOTES)

    refusal = read_refusal(flow.redeem(code, resource=resource))

    assert refusal == INVALID_TARGET
    assert flow.redeem(code).status_code == HTTPStatus.OK


def test_rs_107_refresh_without_resource_keeps_that_of_the_grant(notes_client):
    notes_client.rotate()

    assert introspected(notes_client)["aud"] == NOTES


@pytest.mark.parametrize(
    ("resources", "refused_at"),
    [
        ([NOTES], ["files", "none"]),
        ([FILES], ["notes", "plain", "none"]),
        ([], ["notes", "files", "plain"]),
        ([NOTES, FILES], ["none"]),
    ],
)
def test_rs_109_token_of_another_resource_is_refused(application, user, resources, refused_at):
    client = started(application, user, *resources)

    answers = {view: call(view, client) for view in ("notes", "files", "plain", "none")}

    assert [view for view, answer in answers.items() if answer.status_code != HTTPStatus.OK] == refused_at
    assert all('error="invalid_token"' in answers[view]["WWW-Authenticate"] for view in refused_at)


def test_rs_107_token_that_was_issued_while_the_project_had_no_resources_is_for_no_other(oauth_settings, notes_client):
    oauth_settings(RESOURCES={})
    notes_client.rotate()
    assert call("none", notes_client).status_code == HTTPStatus.OK
    oauth_settings(RESOURCES=RESOURCES)

    assert call("none", notes_client).status_code == HTTPStatus.UNAUTHORIZED
    assert call("notes", notes_client).json() == {"resources": [NOTES]}


def test_rs_109_resource_of_an_authentication_class_counts_where_a_method_chooses_it(application, user):
    answers = [call("chosen", started(application, user, *names)) for names in ((NOTES,), (FILES,), ())]

    assert [answer.status_code for answer in answers] == [HTTPStatus.OK, *[HTTPStatus.UNAUTHORIZED] * 2]
    assert [f'resource_metadata="{NOTES_METADATA}"' in answer["WWW-Authenticate"] for answer in answers[1:]] == [
        True
    ] * 2
    narrow = started(application, user, NOTES, scope="notes:write")
    assert f'resource_metadata="{NOTES_METADATA}"' in call("chosen", narrow)["WWW-Authenticate"]


def test_br_013_token_whose_audience_is_another_resource_has_its_challenge(notes_client):
    refusal = call("files", notes_client)

    assert refusal.status_code == HTTPStatus.UNAUTHORIZED
    assert refusal["WWW-Authenticate"] == (
        'Bearer realm="oauth", error="invalid_token", '
        'error_description="The access token is invalid, expired or revoked.", scope="SANDBOX", '
        'resource_metadata="https://files.example/.well-known/oauth-protected-resource"'
    )


@pytest.mark.parametrize(
    ("resources", "asked", "status"),
    [
        ([NOTES], [NOTES], 204),
        ([NOTES], [FILES], 401),
        ([NOTES], [], 401),
        ([NOTES], [NOTES, FILES], 401),
        ([NOTES, FILES], [NOTES, FILES], 204),
        ([], [], 204),
        ([], [ISSUER], 204),
        ([], [NOTES], 401),
    ],
)
def test_verify_compares_the_resource_of_a_token(application, user, resources, asked, status):
    client = started(application, user, *resources)

    response = Client().get(
        reverse("oauth_refresh:verify"),
        {"resource": asked},
        headers={"Authorization": f"Bearer {client.access_token}"},
    )

    assert response.status_code == status


def test_rs_110_repeated_resource_counts_each_once(application):
    client = OAuthClient(application, SECRET)

    client.hold(client.token(grant_type="client_credentials", resource=[NOTES, NOTES, FILES], scope=ALL_SCOPES))

    assert introspected(client)["aud"] == [NOTES, FILES]


@pytest.mark.parametrize(
    ("configured", "asked"), [("https://a.example", "https://a.example/"), ("https://a.example/", "https://a.example")]
)
def test_resource_without_a_path_may_be_asked_for_with_a_slash(flow, oauth_settings, configured, asked):
    oauth_settings(RESOURCES={configured: {}, NOTES: {}})

    client = finished(flow, resource=asked)

    assert introspected(client)["aud"] == configured


def test_in_016_resource_server_sees_only_tokens_for_itself(both_client):
    files = resource_server(resources=FILES)

    answer = introspected(both_client, caller=files)

    assert (answer["aud"], answer["scope"]) == (FILES, "SANDBOX")
    both_client.rotate(resource=NOTES)
    assert introspected(both_client, caller=files) == {"active": False}
    assert introspected(both_client, caller=resource_server())["aud"] == NOTES


def resource_server(**columns):
    application = ApplicationFactory(raw_secret=RESOURCE_SERVER_SECRET, is_resource_server=True, **columns)
    return OAuthClient(application, RESOURCE_SERVER_SECRET)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [({}, HTTPStatus.OK), ({"resource": FILES}, HTTPStatus.OK), ({"resource": NOTES}, HTTPStatus.BAD_REQUEST)],
)
def test_sh_006_repetition_gets_the_pair_of_the_same_resource_alone(both_client, oauth_settings, asked, answer):
    oauth_settings(RETRY_WINDOW=30)
    old = both_client.refresh_token
    issued = both_client.rotate(resource=FILES)

    response = both_client.refresh(old, **asked)

    assert response.status_code == answer
    if answer == HTTPStatus.OK:
        assert response.json()["access_token"] == issued["access_token"]
    assert Grant.objects.get().revoked_at is None


def test_consent_page_names_the_resources(flow):
    page = flow.ask(resource=[NOTES, FILES], scope=ALL_SCOPES).content.decode()

    assert "<strong>Notes</strong>, <strong>https://files.example</strong>" in page


def test_consent_is_remembered_for_its_resources_only(flow):
    finished(flow, resource=[NOTES, FILES])

    assert is_remembered(flow, resource=FILES, scope="SANDBOX")
    assert is_remembered(flow, resource=[FILES, NOTES])
    assert not is_remembered(flow, resource=[])


def test_consent_to_the_whole_server_is_no_consent_to_one_resource(flow):
    finished(flow, resource=[])

    assert is_remembered(flow, resource=[])
    assert not is_remembered(flow, resource=FILES, scope="SANDBOX")


def test_services_take_and_narrow_resources(application, user):
    issued = issue_tokens(application, user=user, grant_type="password", scope=ALL_SCOPES, resources=[NOTES, FILES])

    refreshed = refresh(application, raw_refresh_token=issued.refresh_token, resources=[NOTES])

    assert refreshed.scope == "notes:read notes:write"


def test_challenge_lists_scopes_of_nested_permissions(db):
    class Nested(AtNotes):
        permission_classes = [HasScope("notes:read") & (HasScope("SANDBOX") | HasScope("PRODUCTION")) & ~HasScope("x")]

    class Forgotten(AtNotes):
        required_scopes = None

    def challenge(view):
        return view.as_view()(APIRequestFactory().get("/")).headers["WWW-Authenticate"]

    assert 'scope="notes:read SANDBOX"' in challenge(Nested)
    assert "scope" not in challenge(Forgotten)
