"""A URLconf with one view, whose authentication is the project's default."""

from django.urls import re_path
from oauth2_provider.contrib.rest_framework import OAuth2Authentication
from rest_framework.views import APIView


class Base(APIView):
    """As DRF makes ``APIView`` where ``DEFAULT_AUTHENTICATION_CLASSES`` names the class."""

    authentication_classes = (OAuth2Authentication,)


class Plain(Base):
    pass


urlpatterns = [re_path(r"^$", Plain.as_view())]
