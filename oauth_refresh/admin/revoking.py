"""Revoke from the admin: a page that shows what will die, then one update, one log entry and the true count."""

from dataclasses import dataclass
from typing import Any, ClassVar, cast
from urllib.parse import unquote_plus

from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite, action, helpers
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote
from django.contrib.admin.views.main import ERROR_FLAG, SEARCH_VAR, ChangeList
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, override

from oauth_refresh.admin.discreet import ModelAdmin, Stylesheet, visible_row
from oauth_refresh.models.grant import REASON_LENGTH
from oauth_refresh.services import Revocation, revoke_grants
from oauth_refresh.services.lookup import mentions_token
from oauth_refresh.services.revocation_preview import preview_revocation
from oauth_refresh.services.transactions import retry_serialization_failure, write_alias

ACTION = "revoke_grants"
_NAMED_ROWS = 20


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=REASON_LENGTH,
        widget=forms.TextInput({"list": "oauth-reasons", "size": 60, "autocomplete": "off", "autofocus": True}),
        help_text=gettext_lazy("Stored with every grant and in the log, for whoever asks later."),
    )

    def clean_reason(self) -> str:
        reason: str = self.cleaned_data["reason"]
        if mentions_token(reason):
            raise forms.ValidationError(_("The reason is stored, so write it without the token."))
        return reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The rows whose grants an operator wants to end, and the page to go back to.

    ``row`` is the one row of a page of its own; ``posted`` are the fields that make the list select the same again.
    """

    rows: QuerySet[Any]
    back: str
    row: Model | None = None
    posted: tuple[tuple[str, str], ...] = ()
    is_whole_list: bool = False


class RevokingAdmin(ModelAdmin):
    """For an admin whose rows stand for grants: the ``revoke_grants`` action, and a page for one row or a whole list.

    ``grants_of_rows`` says how: which lookup on a grant finds it by which column of the rows. Everything needs the
    permission ``oauth_refresh.revoke_grant``; to change or delete rows is neither enough nor needed.
    """

    grants_of_rows: ClassVar[tuple[str, str]]
    revoke_label: Any = gettext_lazy("Revoke grants")
    revoke_button: Any = gettext_lazy("Revoke…")

    Media = Stylesheet

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.has_view_or_change_permission(request) and request.user.has_perm("oauth_refresh.revoke_grant")

    def __init__(self, model: type[Model], admin_site: AdminSite) -> None:
        """Add the action beside those of the project, unless it has switched actions off."""
        super().__init__(model, admin_site)

        @action(permissions=["revoke"], description=self.revoke_label)
        def revoke_grants(admin: RevokingAdmin, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponseBase:
            return admin.revoke_selected(request, rows)

        if self.actions is not None:
            self.actions = [*self.actions, revoke_grants]

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        pages = [
            path("revoke/", self.admin_site.admin_view(self.revoke_list_view), name=f"{name}_revoke_list"),
            path("<path:object_id>/revoke/", self.admin_site.admin_view(self.revoke_view), name=f"{name}_revoke"),
        ]
        return [*pages, *super().get_urls()]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return CarefulList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        may_revoke = self.has_revoke_permission(request)
        if ACTION in request.POST.getlist("action") and not may_revoke:
            raise PermissionDenied  # Django would overlook an action that this user does not have
        if (away := self._away_from_token(request)) is not None:
            return away
        return super().changelist_view(request, {"may_revoke": may_revoke, **(extra_context or {})})

    def render_change_form(  # type: ignore[override]  # Django passes the options by name
        self, request: HttpRequest, context: dict[str, Any], **options: Any
    ) -> HttpResponse:
        row = options.get("obj")
        more = {} if row is None else self.page_context(request, row)
        return super().render_change_form(request, context | more, **options)

    def page_context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Return what the template of a row's page needs beyond Django's."""
        url = self._url("revoke", row.pk) if self.has_revoke_permission(request) else None
        return {"revoke_url": url, "revoke_button": self.revoke_button}

    def revoke_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """``<row>/revoke/``: end the grants of one row."""
        row = visible_row(self, request, object_id)
        rows = self.get_queryset(request).filter(pk=row.pk)
        return self._revocation_page(request, Selection(rows=rows, row=row, back=self._url("change", row.pk)))

    def revoke_list_view(self, request: HttpRequest) -> HttpResponseBase:
        """``revoke/?<the list's filters>``: end the grants of every row listed, on all pages, without JavaScript."""
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        if (away := self._away_from_token(request)) is not None:
            return away
        query = request.META["QUERY_STRING"]
        try:
            rows = self.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(f"{self._url('changelist')}?{ERROR_FLAG}=1")
        back = f"{self._url('changelist')}?{query}" if query else self._url("changelist")
        return self._revocation_page(request, Selection(rows=rows, back=back, is_whole_list=True))

    def revoke_selected(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponseBase:
        """Do what the action says: end the grants of the rows that were ticked, or of the whole list."""
        is_whole_list = request.POST.get("select_across") == "1"
        ids = ["all"] if is_whole_list else request.POST.getlist(helpers.ACTION_CHECKBOX_NAME)
        posted = [("action", ACTION), ("select_across", str(int(is_whole_list)))]
        posted += [(helpers.ACTION_CHECKBOX_NAME, pk) for pk in ids]
        back = request.get_full_path()
        return self._revocation_page(
            request, Selection(rows=rows, back=back, posted=tuple(posted), is_whole_list=is_whole_list)
        )

    def _revocation_page(self, request: HttpRequest, selection: Selection) -> HttpResponseBase:
        """Ask for a reason; once it is confirmed, revoke."""
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        lookup, column = self.grants_of_rows
        selector = Q(**{f"{lookup}__in": selection.rows.order_by().values(column)})
        form = ReasonForm(request.POST if "confirm" in request.POST else None)
        if not form.is_valid():
            return self._question(request, selection, selector, form)
        revocation = self._revoke(request, selection, selector, reason=form.cleaned_data["reason"])
        level, text = _told(revocation)
        self.message_user(request, text, level)
        return HttpResponseRedirect(selection.back)

    def _question(self, request: HttpRequest, selection: Selection, selector: Q, form: ReasonForm) -> TemplateResponse:
        preview = preview_revocation(selector)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Revoke grants") if preview.grants else _("Nothing to revoke"),
            "opts": self.opts,
            "preview": preview,
            "selection": selection,
            "form": form,
            "media": self.media,
        }
        return TemplateResponse(request, "admin/oauth_refresh/revoke.html", context)

    @retry_serialization_failure
    def _revoke(self, request: HttpRequest, selection: Selection, selector: Q, *, reason: str) -> Revocation:
        """Revoke and leave one log entry, or neither."""
        with transaction.atomic(using=write_alias()):
            selected = self._described(request, selection)  # before the update: a filter may no longer match after it
            revocation = revoke_grants(selector, reason=reason, by=request.user)
            if revocation.count:
                what = f"Revoked grants: {revocation.count}. Reason: {reason}. Revocation: {revocation.revocation_id}."
                self._log(request, selection, f"{what} Selected: {selected}.")
        return revocation

    def _log(self, request: HttpRequest, selection: Selection, message: str) -> None:
        row = selection.row
        LogEntry.objects.create(
            user_id=cast("int", request.user.pk),
            content_type=ContentType.objects.get_for_model(self.model, for_concrete_model=False),
            object_id=None if row is None else str(row.pk),
            object_repr=Truncator(str(row or self.opts.verbose_name_plural)).chars(200),
            action_flag=CHANGE,
            change_message=message,
        )

    def _described(self, request: HttpRequest, selection: Selection) -> str:
        """Return in words for the log which rows were selected."""
        with override(None):  # the log is in one language, whoever writes it
            kind = str(self.opts.verbose_name_plural)
            rows = [] if selection.is_whole_list else [str(row) for row in selection.rows[: _NAMED_ROWS + 1]]
        if selection.is_whole_list:
            query = request.META["QUERY_STRING"]
            return f"all {kind} of the list" + (f" filtered by {query}" if query else "")
        more = " and more" if len(rows) > _NAMED_ROWS else ""
        return f"{kind} {', '.join(rows[:_NAMED_ROWS])}{more}"

    def _away_from_token(self, request: HttpRequest) -> HttpResponse | None:
        """Neither search for a token in the address nor write it down; say what it means that it is there."""
        if not mentions_token(unquote_plus(request.META["QUERY_STRING"])):
            return None
        text = _(
            "A token does not belong into an address: it is now in your browser's history and in the server's log, so "
            "revoke it. Paste tokens at “Leaked token” in the list of grants; from there they are posted."
        )
        self.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(self._url("changelist"))

    def _url(self, page: str, *args: Any) -> str:
        name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_{page}"
        return reverse(name, args=[quote(arg) for arg in args], current_app=self.admin_site.name)


class CarefulList(ChangeList):
    """A search that Django gives up, for a NUL say, finds nothing: everything is what somebody might then revoke."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        queryset: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        given_up = request.GET.get(SEARCH_VAR, "").strip() and not self.query
        return queryset.none() if given_up else queryset


def _told(revocation: Revocation) -> tuple[int, str]:
    if not revocation.count:
        return messages.WARNING, _("Nothing was revoked: everything selected was revoked or had expired before.")
    text = ngettext("%(count)d grant was revoked.", "%(count)d grants were revoked.", revocation.count)
    return messages.SUCCESS, text % {"count": revocation.count}
