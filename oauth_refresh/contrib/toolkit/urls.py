"""``path("o/", include("oauth_refresh.contrib.toolkit.urls"))``: the addresses that django-oauth-toolkit has.

They are those of ``oauth_refresh.urls``, which this replaces, with another spelling of four of them. The server
metadata names these four, unless ``oauth_refresh.urls`` is included as well, and this one as
``include("oauth_refresh.contrib.toolkit.urls", namespace="toolkit")``.
"""

from django.urls import path

from oauth_refresh import urls
from oauth_refresh.authorization_server.authorize import AuthorizeView
from oauth_refresh.authorization_server.views import IntrospectView, RevokeView, TokenView

app_name = "oauth_refresh"
urlpatterns = [
    *urls.urlpatterns,
    # Behind the others: of several patterns with one name, reverse() takes the last.
    path("authorize/", AuthorizeView.as_view(), name="authorize"),
    path("introspect/", IntrospectView.as_view(), name="introspect"),
    path("revoke_token/", RevokeView.as_view(), name="revoke"),
    path("token/", TokenView.as_view(), name="token"),
]
