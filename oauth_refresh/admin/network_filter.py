"""Filter a list by the address or network that its rows came from, and count what else that one touched."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Model, Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from oauth_refresh.admin.form_filter import FormFilter
from oauth_refresh.admin.links import list_url
from oauth_refresh.models import Grant, GrantEvent, RefreshToken
from oauth_refresh.services.networks import (
    MOST_ADDRESSES,
    Network,
    NetworkTooLarge,
    came_from,
    describe_network,
    parse_network,
    touched_by,
)

_MOST_COUNTED = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """How many rows of one kind came from a network: ``count`` as it is shown, and where they are listed, if at all."""

    label: Any
    count: str
    url: str | None


class NetworkFilter(FormFilter):
    """Of grants: those that were started, refreshed or misused from there. Other rows: those that came from there."""

    title = gettext_lazy("address")
    template = "admin/oauth_refresh/network_filter.html"
    parameter_names = ("address",)

    def network(self) -> Network | None:
        return parse_network(self.typed("address"))

    def condition(self) -> Q:
        return network_condition(self.model, self.typed("address"))

    def touched(self) -> list[Touched]:
        """Return what the network touched, by three statements, each of which stops at a thousand rows."""
        if (network := self.network()) is None:
            return []
        kinds = ((Grant, gettext_lazy("Grants")), (RefreshToken, gettext_lazy("Refreshes")))
        try:
            return [
                self._touched(model, label, network) for model, label in (*kinds, (GrantEvent, gettext_lazy("Events")))
            ]
        except NetworkTooLarge:
            return []

    def revoke_url(self) -> str | None:
        """Return the page that revokes every grant the network touched; None if this person may not."""
        network = self.network()
        if network is None or not self.request.user.has_perm("oauth_refresh.revoke_grant"):
            return None
        return self._url(Grant, network, page="revoke_list")

    def _touched(self, model: type[Model], label: Any, network: Network) -> Touched:
        rows = model._default_manager.filter(_condition(model, network)).order_by()
        count = rows[: _MOST_COUNTED + 1].count()
        shown = _("more than %(count)d") % {"count": _MOST_COUNTED} if count > _MOST_COUNTED else str(count)
        return Touched(label=label, count=shown, url=self._url(model, network))

    def _url(self, model: type[Model], network: Network, **page: str) -> str | None:
        return list_url(self.request, self.admin_site, model, address=describe_network(network), **page)


def network_condition(model: type[Model], text: str) -> Q:
    """Return the condition for rows that came from the address or network. Raises ValueError with a text to show."""
    if (network := parse_network(text)) is None:
        example = _("Nothing is listed: write an address or a network, such as %(examples)s.")
        raise ValueError(example % {"examples": "192.0.2.1, 10.0.0.0/8, 2001:db8::/32"})
    try:
        return _condition(model, network)
    except NetworkTooLarge as error:
        text = _("Nothing is listed: more than %(count)d addresses of this network are stored. Choose a smaller one.")
        raise ValueError(text % {"count": MOST_ADDRESSES}) from error


def _condition(model: type[Model], network: Network) -> Q:
    if issubclass(model, Grant):
        return touched_by(network) & Q(generation__gt=0)
    return came_from(model, network)
