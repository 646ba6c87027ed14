"""Export a list, or the timeline of a grant, as CSV (RFC 4180) or JSON (RFC 8259): for the ticket of an incident."""

from collections.abc import Callable, Iterator
from typing import Any, cast
from urllib.parse import unquote_plus

from django.contrib import messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import override
from django.views.decorators.http import require_GET

from oauth_refresh.admin.base import ExtraPagesAdmin
from oauth_refresh.admin.export_columns import Columns, timeline_columns
from oauth_refresh.admin.export_formats import FORMATS
from oauth_refresh.admin.timeline import timeline
from oauth_refresh.models import Grant
from oauth_refresh.services.leaked_tokens import mentions_token

MOST_ROWS = 100_000
"""How many rows of a list one file holds, in the order of the list. If there are more, its name and its text say so."""

_ROWS_AT_ONCE = 1_000


class ExportMixin(ExtraPagesAdmin):
    """Pages that export the list as it is filtered, for staff with ``export_grant`` who may view the rows.

    ``export_columns``: what a row of the file holds. Each column is named, so that a new column of a model, which may
    be a secret, is not exported by itself.
    """

    export_columns: Columns

    def has_export_permission(self, request: HttpRequest) -> bool:
        return self.has_view_or_change_permission(request) and request.user.has_perm("oauth_refresh.export_grant")

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        pages = [
            path(f"export.{form}", self._page(self.export_list_view, form), name=f"{name}_export_{form}")
            for form in FORMATS
        ]
        return [*pages, *super().get_urls()]

    def export_list_view(self, request: HttpRequest, *, form: str) -> HttpResponseBase:
        """``export.csv?<the list's filters>``: the rows of the list, on all its pages."""
        if not self.has_export_permission(request):
            raise PermissionDenied
        query = request.META["QUERY_STRING"]
        if mentions_token(unquote_plus(query)):  # the admin's log holds the filters, and never a raw token
            self.message_user(request, _("Nothing was exported: the URL held a token."), messages.WARNING)
            return HttpResponseRedirect(self.page_url("changelist"))
        try:
            changelist = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(f"{self.page_url('changelist')}?{ERROR_FLAG}=1")
        with override(None):  # the log and the file have one language for all
            kind = str(self.opts.verbose_name_plural)
        count = min(changelist.result_count, MOST_ROWS)
        is_complete = changelist.result_count <= MOST_ROWS
        rows = changelist.queryset[:MOST_ROWS].iterator(chunk_size=_ROWS_AT_ONCE)
        self._log_export(request, f"{count} {kind} as {form}" + (f", filtered by {query}" if query else ""))
        name = kind if is_complete else f"first {MOST_ROWS} {kind}"
        about = {"list": kind, "filters": query, "complete": is_complete}
        return _download(form, name, rows, self.export_columns, about=about)

    def _page(self, view: Callable[..., HttpResponseBase], form: str) -> Callable[..., HttpResponseBase]:
        def page(request: HttpRequest, **arguments: str) -> HttpResponseBase:
            return view(request, form=form, **arguments)

        return self.admin_site.admin_view(require_GET(page))

    def _log_export(self, request: HttpRequest, what: str, *, row: Any = None) -> None:
        """Write the entry before the file is sent: a file that broke off was seen as well."""
        LogEntry.objects.create(
            user_id=cast("int", request.user.pk),
            content_type=ContentType.objects.get_for_model(self.model, for_concrete_model=False),
            object_id=None if row is None else str(row.pk),
            object_repr=Truncator(str(row or self.opts.verbose_name_plural)).chars(200),
            action_flag=CHANGE,  # Django has no flag for what was read
            change_message=f"Exported {what}.",
        )


class TimelineExportMixin(ExportMixin):
    """For the admin of grants: exports the timeline of one as well."""

    def get_urls(self) -> list[URLPattern]:
        pages = [
            path(
                f"<path:object_id>/timeline.{form}",
                self._page(self.export_timeline_view, form),
                name=f"oauth_refresh_grant_timeline_{form}",
            )
            for form in FORMATS
        ]
        return [*pages, *super().get_urls()]

    def export_timeline_view(self, request: HttpRequest, *, object_id: str, form: str) -> HttpResponseBase:
        """``<grant>/timeline.json``: the entries that its page shows, newest first, with those that it folds."""
        if not self.has_export_permission(request):
            raise PermissionDenied
        grant: Grant = self.visible_row(request, object_id)
        entries = [one for entry in timeline(grant) for one in entry.folded or (entry,)]
        self._log_export(request, f"the timeline as {form}", row=grant)
        about = {"grant": str(grant.public_id)}
        return _download(form, f"timeline of {grant.public_id}", iter(entries), timeline_columns, about=about)


def _download(
    form: str, name: str, rows: Iterator[Any], columns: Columns, *, about: dict[str, Any]
) -> StreamingHttpResponse:
    file_format, now = FORMATS[form], timezone.now()
    values = ({title: value(row) for title, value in columns.items()} for row in rows)
    content = file_format.write(list(columns), values, {"exported_at": now.isoformat(timespec="seconds"), **about})
    response = StreamingHttpResponse(content, content_type=file_format.content_type)
    file_name = f"{name} {now:%Y-%m-%d %H%M}.{form}".replace(" ", "-")
    response["Content-Disposition"] = f'attachment; filename="{file_name}"'
    return response
