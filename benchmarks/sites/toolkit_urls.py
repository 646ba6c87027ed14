from django.urls import path
from oauth2_provider.views import RevokeTokenView, TokenView

urlpatterns = [path("oauth/token", TokenView.as_view()), path("oauth/revoke", RevokeTokenView.as_view())]
