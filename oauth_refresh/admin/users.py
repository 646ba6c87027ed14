"""What the project's own admin of users gets: revoke all grants of a user, and go to the list of them."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy

from oauth_refresh.admin.related import grants_of_user
from oauth_refresh.admin.revocation import RevocationAdminMixin


class SignOutEverywhereMixin(RevocationAdminMixin):
    """Put it before ``UserAdmin``: ``class MemberAdmin(SignOutEverywhereMixin, UserAdmin)``.

    It adds an action to the list of users, and to the page of one a button and a link to the user's active grants. The
    action and the button revoke all grants of the users, also codes not redeemed yet. A user's session at the site
    itself is Django's, and stays.
    """

    grants_of_rows = ("user", "pk")
    revoke_label = revoke_button = gettext_lazy("Revoke all grants")
    change_form_template = "admin/oauth_refresh/change_form.html"

    def render_change_form(  # noqa: PLR0917  as Django's own
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        context["active_grants"] = None if obj is None else grants_of_user(request, self.admin_site, obj)
        return super().render_change_form(request, context, add, change, form_url, obj)
