"""For the project's own user admin: sign people out of every application."""

from django.utils.translation import gettext_lazy as _

from oauth_refresh.admin.revoking import RevokingAdmin


class SignOutEverywhereMixin(RevokingAdmin):
    """Put it before ``UserAdmin``: ``class MemberAdmin(SignOutEverywhereMixin, UserAdmin)``.

    It adds an action to the list of users and a button to the page of one. Both end all grants of the users, also codes
    not redeemed yet; a browser's session at the site itself is Django's, and stays.
    """

    grants_of_rows = ("user", "pk")
    revoke_label = _("Sign out everywhere (revoke all grants)")
    revoke_button = _("Sign out everywhere…")
    change_form_template = "admin/oauth_refresh/change_form.html"
