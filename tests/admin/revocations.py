"""Grants that shall die and grants that shall not, and every way in which an operator may end the former."""

from dataclasses import dataclass
from typing import Any

from oauth_refresh.models import AccessToken, Grant, RefreshToken
from tests.admin.pages import address, browser, form_with, staff
from tests.conftest import SECRET
from tests.factories import ApplicationFactory, AuthorizationCodeFactory, GrantFactory
from tests.members.models import Member, StaffUser
from tests.oauth import OAuthClient

REASON = "leaked on a forum"
NOTHING = "Nothing was revoked: everything selected was revoked or had expired before."
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
    """A session of a user of an application, and grants that share either, neither, or are over."""

    session: OAuthClient
    of_application: Grant
    of_user: Grant
    unstarted: Grant
    of_others: Grant

    def row(self, model: str) -> Any:
        """Return the row of ``model`` that stands for the session."""
        return {
            "grant": lambda: self.session.grant,
            "refreshtoken": lambda: RefreshToken.objects.get(grant=self.session.grant),
            "accesstoken": lambda: AccessToken.objects.get(grant=self.session.grant),
            "application": lambda: self.session.application,
            "auth_user": lambda: self.session.grant.user,
            "members_staffuser": lambda: StaffUser.objects.get(username="alice"),
            "members_member": lambda: Member.objects.get(username="alice"),
        }[model]()

    def doomed(self, model: str) -> set[Grant]:
        """Return the grants that end with that row: of a user and an application also those with a code still out."""
        if model == "application":
            return {self.session.grant, self.of_application, self.unstarted}
        if model.startswith(("auth_", "members_")):
            return {self.session.grant, self.of_user, self.unstarted}
        return {self.session.grant}


def set_scene() -> Scene:
    member = Member(username="alice")
    member.set_unusable_password()
    member.save()
    user = member.user_ptr
    application = ApplicationFactory(raw_secret=SECRET, name="Notes", client_id="notes")
    GrantFactory(revoked=True, user=user, application=application, revoked_reason="long ago")
    GrantFactory(expired=True, user=user, application=application)
    return Scene(
        session=OAuthClient(application, SECRET).start(user=user),
        of_application=GrantFactory(application=application, user__username="bob"),
        of_user=GrantFactory(user=user, application__name="Mail", application__client_id="mail"),
        unstarted=AuthorizationCodeFactory(grant__application=application, grant__user=user).grant,
        of_others=GrantFactory(user__username="carol"),
    )


def revoker(model: str, **options: Any) -> Any:
    """Return the browser of somebody who may look at rows of ``model`` and revoke, and nothing else."""
    return browser(staff(f"view_{model.rpartition('_')[2]}", "revoke_grant", username="boss"), **options)


def by_page(client: Any, model: str, row: Any) -> tuple[str, Any]:
    url = address(f"{model}_revoke", row.pk)
    return url, client.get(url)


def by_action(client: Any, model: str, row: Any) -> tuple[str, Any]:
    url = address(f"{model}_changelist")
    return url, client.post(url, {"action": "revoke_grants", "index": "0", "_selected_action": [row.pk]})


def by_list(client: Any, model: str, row: Any) -> tuple[str, Any]:
    url = address(f"{model}_revoke_list", pk__in=row.pk)
    return url, client.get(url)


def by_select_across(client: Any, model: str, row: Any) -> tuple[str, Any]:
    url = address(f"{model}_changelist", pk__in=row.pk)
    action = {"action": "revoke_grants", "index": "0", "select_across": "1", "_selected_action": [row.pk]}
    return url, client.post(url, action)


WAYS = [by_page, by_action, by_list, by_select_across]
"""Each opens the page that asks, and returns its address and the page."""


def confirm(client: Any, question: tuple[str, Any], *, reason: str = REASON, **options: Any) -> Any:
    """Send the form of the page that asks, with a reason."""
    url, page = question
    return client.post(url, {**form_with(page, "confirm"), "reason": reason}, **options)
