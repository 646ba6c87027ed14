"""A page of the admin that is no table: what happened lately."""

from django.utils.translation import gettext_lazy as _

from oauth_refresh.models.grant import Grant


class Overview(Grant):
    """Gives the page a permission of its own, ``view_overview``, and a place in the list of the admin."""

    class Meta:
        proxy = True
        default_permissions = ("view",)
        verbose_name = _("overview")
        verbose_name_plural = _(" Overview")  # the admin sorts the models of an app by this, and a space comes first
