"""A filter of a list in which something is typed: a form, so that it works without JavaScript."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ERROR_FLAG, PAGE_VAR
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

_NOTHING = Q(pk__in=[])  # for what is not understood: the whole list might be revoked by mistake


class FormFilter(admin.ListFilter):
    """Takes the parameters ``parameter_names`` of the query string. What was typed is kept, also if it is wrong."""

    title: Any = ""
    parameter_names: tuple[str, ...]

    @property
    def parameter_name(self) -> str:
        """Themes of the admin ask every filter for it."""
        return self.parameter_names[0]

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.model, self.admin_site = model, model_admin.admin_site
        self.texts: dict[str, str] = {
            name: params.pop(name)[-1].strip() for name in self.parameter_names if name in params
        }
        self.used_parameters |= self.texts

    def expected_parameters(self) -> list[str | None]:
        return list(self.parameter_names)

    def has_output(self) -> bool:
        return True

    def typed(self, name: str) -> str:
        return self.texts.get(name, "")

    def other_parameters(self) -> list[tuple[str, str]]:
        """Return what the form must send along, so that the other filters of the list stay."""
        own = {*self.parameter_names, PAGE_VAR, ERROR_FLAG}
        return [(name, value) for name, values in self.request.GET.lists() if name not in own for value in values]

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        """Yield what is offered as a link: at least to filter no longer."""
        query_string = changelist.get_query_string(remove=self.parameter_names)
        yield {"selected": not any(self.texts.values()), "query_string": query_string, "display": _("All")}

    @abstractmethod
    def condition(self) -> Q:
        """Return the condition of the list for what was typed. Raises ValueError with a text to show if it is wrong."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not any(self.texts.values()):
            return queryset
        try:
            return queryset.filter(self.condition())
        except ValueError as error:
            messages.warning(request, str(error), fail_silently=True)
            return queryset.filter(_NOTHING)
