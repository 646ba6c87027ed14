"""Grants that are revoked and grants that are not, and every way in which staff may revoke the former."""

from dataclasses import dataclass
from typing import Any

from oauth_refresh.models import AccessToken, Grant, RefreshToken
from tests.admin.pages import admin_url, browser, form_with, staff
from tests.factories import SECRET, ApplicationFactory, AuthorizationCodeFactory, GrantFactory
from tests.members.models import Member, StaffUser
from tests.oauth import OAuthClient

REASON = "leaked on a forum"
NOTHING = "Nothing was revoked: everything selected was already revoked or expired."
MODELS = {
    "grant": "grants",
    "refreshtoken": "refresh tokens",
    "accesstoken": "access tokens",
    "application": "applications",
    "auth_user": "users",
    "members_staffuser": "staff users",
    "members_member": "users",
}
"""Every model whose rows stand for grants, and what its rows are called."""


@dataclass
class Scene:
    """A client with a grant, and grants that share its user, its application, neither, or have ended."""

    client: OAuthClient
    of_application: Grant
    of_user: Grant
    unstarted: Grant
    of_others: Grant

    def row(self, model: str) -> Any:
        """Return the row of ``model`` that stands for the client's grant."""
        return {
            "grant": lambda: self.client.grant,
            "refreshtoken": lambda: RefreshToken.objects.get(grant=self.client.grant),
            "accesstoken": lambda: AccessToken.objects.get(grant=self.client.grant),
            "application": lambda: self.client.application,
            "auth_user": lambda: self.client.grant.user,
            "members_staffuser": lambda: StaffUser.objects.get(username="alice"),
            "members_member": lambda: Member.objects.get(username="alice"),
        }[model]()

    def affected(self, model: str) -> set[Grant]:
        """Return the grants that are revoked with that row; a user's and an application's also before they start."""
        if model == "application":
            return {self.client.grant, self.of_application, self.unstarted}
        if model.startswith(("auth_", "members_")):
            return {self.client.grant, self.of_user, self.unstarted}
        return {self.client.grant}


def make_scene() -> Scene:
    member = Member(username="alice")
    member.set_unusable_password()
    member.save()
    user = member.user_ptr
    application = ApplicationFactory(raw_secret=SECRET, name="Notes", client_id="notes")
    GrantFactory(revoked=True, user=user, application=application, revoked_reason="long ago")
    GrantFactory(expired=True, user=user, application=application)
    return Scene(
        client=OAuthClient(application, SECRET).start(user=user),
        of_application=GrantFactory(application=application, user__username="bob"),
        of_user=GrantFactory(user=user, application__name="Mail", application__client_id="mail"),
        unstarted=AuthorizationCodeFactory(grant__application=application, grant__user=user).grant,
        of_others=GrantFactory(user__username="carol"),
    )


def revoking_browser(model: str, **options: Any) -> Any:
    """Return the browser of staff who may view rows of ``model`` and revoke, and nothing else."""
    return browser(staff(f"view_{model.rpartition('_')[2]}", "revoke_grant", username="boss"), **options)


def by_page(client: Any, model: str, row: Any) -> tuple[str, Any]:
    url = admin_url(f"{model}_revoke", row.pk)
    return url, client.get(url)


def by_action(client: Any, model: str, row: Any) -> tuple[str, Any]:
    url = admin_url(f"{model}_changelist")
    return url, client.post(url, {"action": "revoke_grants", "index": "0", "_selected_action": [row.pk]})


def by_list(client: Any, model: str, row: Any) -> tuple[str, Any]:
    url = admin_url(f"{model}_revoke_list", pk__in=row.pk)
    return url, client.get(url)


def by_select_across(client: Any, model: str, row: Any) -> tuple[str, Any]:
    url = admin_url(f"{model}_changelist", pk__in=row.pk)
    action = {"action": "revoke_grants", "index": "0", "select_across": "1", "_selected_action": [row.pk]}
    return url, client.post(url, action)


WAYS = [by_page, by_action, by_list, by_select_across]
"""Each opens the page that asks for a reason, and returns its address and the page."""


def confirm(client: Any, question: tuple[str, Any], *, reason: str = REASON, **options: Any) -> Any:
    """Send the form of that page, with a reason."""
    url, page = question
    return client.post(url, {**form_with(page, "confirm"), "reason": reason}, **options)
