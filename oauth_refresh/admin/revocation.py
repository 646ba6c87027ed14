"""Revoke from the admin: a page that shows what ends, then one update, one log entry and the true count."""

from typing import Any, ClassVar, cast
from urllib.parse import unquote_plus

from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite, action, helpers
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG, ChangeList
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.db import router, transaction
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.text import Truncator, smart_split
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, override

from oauth_refresh.admin.base import ExtraPagesAdmin, may_view_users
from oauth_refresh.models.grant import REASON_LENGTH
from oauth_refresh.services import Revocation, revoke_grants
from oauth_refresh.services.db import db_alias, retry_serialization_failure
from oauth_refresh.services.leaked_tokens import may_mention_token, mentions_token
from oauth_refresh.services.revocation import grants_to_revoke, preview_revocation

_NAMED_ROWS = 20


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=REASON_LENGTH,
        widget=forms.TextInput({"list": "oauth-reasons", "size": 60, "autocomplete": "off", "autofocus": True}),
        help_text=gettext_lazy("Stored with every grant and in the admin's log."),
    )

    def clean_reason(self) -> str:
        reason: str = self.cleaned_data["reason"]
        if may_mention_token(reason):  # the reason is stored, shown and logged, and a raw token never is
            raise forms.ValidationError(_("Leave the token out of the reason: it is stored."))
        return reason


class RevocationAdminMixin(ExtraPagesAdmin):
    """For an admin whose rows stand for grants: the ``revoke_grants`` action, and a page for one row or a whole list.

    ``grants_of_rows`` says how: which lookup on a grant finds it by which column of the rows. Everything needs the
    permission ``oauth_refresh.revoke_grant``; to change or delete rows is neither enough nor needed.
    """

    grants_of_rows: ClassVar[tuple[str, str]]
    revoke_label: Any = gettext_lazy("Revoke the grants of selected %(verbose_name_plural)s")
    revoke_button: Any = gettext_lazy("Revoke…")

    def __init__(self, model: type[Model], admin_site: AdminSite) -> None:
        """Add the action beside those of the project, unless it has switched actions off."""
        super().__init__(model, admin_site)

        @action(permissions=["revoke"], description=self.revoke_label)
        def revoke_grants(admin: RevocationAdminMixin, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponseBase:
            return admin.revoke_selected(request, rows)

        if self.actions is not None:
            self.actions = [*self.actions, revoke_grants]

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return self.has_view_or_change_permission(request) and request.user.has_perm("oauth_refresh.revoke_grant")

    def get_urls(self) -> list[URLPattern]:
        name, wrap = f"{self.opts.app_label}_{self.opts.model_name}", self.admin_site.admin_view
        return [
            path("revoke/", wrap(self.revoke_list_view), name=f"{name}_revoke_list"),
            path("<path:object_id>/revoke/", wrap(self.revoke_view), name=f"{name}_revoke"),
            *super().get_urls(),
        ]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        # A quote without text between would match, and let us revoke, everything.
        if any(not word.strip("\"'") for word in smart_split(search_term)):
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        # Django ignores a search with a NUL, and would then list, and let us revoke, everything.
        if "\0" in unquote_plus(request.META["QUERY_STRING"]):
            raise IncorrectLookupParameters
        changelist: Any = super().get_changelist_instance(request)
        # The button for the whole list stands only where something narrows the list: not everything there is.
        texts = (text for name, texts in changelist.get_filters_params().items() if name != "time" for text in texts)
        changelist.is_narrowed = bool(changelist.query.strip()) or any(text.strip() for text in texts)
        return cast("ChangeList", changelist)

    def has_something_to_revoke(self, row: Any) -> bool:
        """Whether the row stands for a grant that is not revoked yet. One statement."""
        return grants_to_revoke(self._selector_of(row)).exists()

    def render_change_form(  # noqa: PLR0917  as Django's own
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        is_offered = obj is not None and self.has_revoke_permission(request) and self.has_something_to_revoke(obj)
        context["offers_revocation"] = is_offered
        return super().render_change_form(request, context, add, change, form_url, obj)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        if "revoke_grants" in request.POST.getlist("action") and not self.has_revoke_permission(request):
            raise PermissionDenied  # Django would only say that no action was selected
        return self.redirect_from_token(request) or super().changelist_view(request, extra_context)

    def redirect_from_token(self, request: HttpRequest) -> HttpResponse | None:
        """Redirect if the URL holds a token: it is not searched for, and not logged with the list's filters."""
        if not mentions_token(unquote_plus(request.META["QUERY_STRING"])):
            return None
        text = _(
            "The URL held a token, which is now in your browser's history and in the server's log. Find and revoke "
            "it: paste it into “Leaked token” in the list of grants."
        )
        self.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(self.page_url("changelist"))

    def revoke_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """``<row>/revoke/``: revoke the grants of one row."""
        row = self.visible_row(request, object_id)
        rows = self.get_queryset(request).filter(pk=row.pk)
        back = self.page_url("change", row.pk)
        return self.confirm_and_revoke(request, rows, back=back, selector=self._selector_of(row), row=row)

    def revoke_list_view(self, request: HttpRequest) -> HttpResponseBase:
        """``revoke/?<the list's filters>``: revoke the grants of every row listed, on all pages, without JavaScript."""
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        if (redirect := self.redirect_from_token(request)) is not None:
            return redirect
        url, query = self.page_url("changelist"), request.META["QUERY_STRING"]
        try:
            rows = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return HttpResponseRedirect(f"{url}?{ERROR_FLAG}=1")
        return self.confirm_and_revoke(request, rows, back=f"{url}?{query}" if query else url, is_whole_list=True)

    def revoke_selected(self, request: HttpRequest, rows: QuerySet[Any]) -> HttpResponseBase:
        """Do what the action says: revoke the grants of the rows that were ticked, or of the whole list."""
        is_whole_list = request.POST.get("select_across") == "1"
        ticked = ["all"] if is_whole_list else request.POST.getlist(helpers.ACTION_CHECKBOX_NAME)
        context: dict[str, Any] = {"is_action": True, "ticked": ticked}
        back = request.get_full_path()
        return self.confirm_and_revoke(request, rows, back=back, is_whole_list=is_whole_list, **context)

    def _selector_of(self, row: Any) -> Q:
        """Return which grants one row stands for; of a user or application, so that it is reported as such."""
        lookup, column = self.grants_of_rows
        return Q(**{lookup: row.pk if column == "pk" else getattr(row, row._meta.get_field(column).attname)})

    def confirm_and_revoke(
        self,
        request: HttpRequest,
        rows: QuerySet[Any],
        *,
        back: str,
        is_whole_list: bool = False,
        selector: Q | None = None,
        selected: str = "",
        **context: Any,
    ) -> HttpResponseBase:
        """Ask for a reason; once it is confirmed, revoke and go ``back``.

        ``selected`` says for the log which grants they are, ``selector`` finds them; without these the rows do.
        """
        if not self.has_revoke_permission(request):
            raise PermissionDenied
        if rows.db not in (db_alias(), router.db_for_read(rows.model)):  # as in an admin for several databases
            self.message_user(request, _("Nothing was revoked: these rows are in another database."), messages.WARNING)
            return HttpResponseRedirect(back)
        if selector is None:
            lookup, column = self.grants_of_rows  # made a subquery: one update, however many rows were selected
            selector = Q(**{f"{lookup}__in": rows.order_by().values(column)})
        form = ReasonForm(request.POST if "confirm" in request.POST else None)
        if not form.is_valid():
            preview = preview_revocation(selector)
            title = _("Revoke grants") if preview.grants else _("Nothing to revoke")
            context |= {"title": title, "preview": preview, "form": form, "back": back, "is_whole_list": is_whole_list}
            context["names_users"] = may_view_users(request)
            return self.render_page(request, "revoke", **context)
        # Described before the update: a filter of the list may match nothing after it.
        selected = selected or self._describe(request, None if is_whole_list else rows)
        reason = form.cleaned_data["reason"]
        count = self._revoke(request, selector, reason=reason, row=context.get("row"), selected=selected).count
        text = ngettext("%(count)d grant was revoked.", "%(count)d grants were revoked.", count) % {"count": count}
        if not count:
            text = _("Nothing was revoked: everything selected was already revoked or expired.")
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)
        return HttpResponseRedirect(back)

    @retry_serialization_failure
    def _revoke(self, request: HttpRequest, selector: Q, *, reason: str, row: Any, selected: str) -> Revocation:
        """Revoke and leave one log entry, or neither."""
        with transaction.atomic(using=db_alias()):
            revocation = revoke_grants(selector, reason=reason, by=request.user)
            if revocation.count:
                LogEntry.objects.create(
                    user_id=cast("int", request.user.pk),
                    content_type=ContentType.objects.get_for_model(self.model, for_concrete_model=False),
                    object_id=None if row is None else str(row.pk),
                    object_repr=Truncator(str(row or self.opts.verbose_name_plural)).chars(200),
                    action_flag=CHANGE,
                    change_message=(
                        f"Revoked grants: {revocation.count}. Reason: {reason}. "
                        f"Revocation: {revocation.revocation_id}. Selected: {selected}."
                    ),
                )
        return revocation

    def _describe(self, request: HttpRequest, rows: QuerySet[Any] | None) -> str:
        """Return which rows were selected, None for the whole list, in English: the log has one language for all."""
        with override(None):
            kind = str(self.opts.verbose_name_plural)
            if rows is None:
                query = request.META["QUERY_STRING"]
                return f"all {kind} of the list" + (f" filtered by {query}" if query else "")
            names = [str(row) for row in rows[: _NAMED_ROWS + 1]]
        more = " and more" if len(names) > _NAMED_ROWS else ""
        return f"{kind} {', '.join(names[:_NAMED_ROWS])}{more}"
