"""``/api/notes/``: the scope ``notes:read`` lists notes, ``notes:write`` adds one."""

from django.conf import settings
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import ListCreateAPIView
from rest_framework.permissions import IsAuthenticated
from rest_framework.serializers import BaseSerializer, ModelSerializer

from example_project.notes.models import Note
from oauth_refresh.resource_server.authentication import BearerAuthentication
from oauth_refresh.resource_server.permissions import HasScope

MAX_NOTES = 20


class NoteSerializer(ModelSerializer[Note]):
    class Meta:
        model = Note
        fields = ["text", "created_at"]


@extend_schema_view(post=extend_schema(description="Add a note for the token's user."))
class NotesView(ListCreateAPIView[Note]):
    """The notes of the token's user, newest first."""

    authentication_classes = [BearerAuthentication]
    permission_classes = [IsAuthenticated, HasScope]  # a token of client_credentials has no user
    required_scopes = {"GET": ["notes:read"], "POST": ["notes:write"]}
    required_resource = settings.OAUTH_REFRESH["ISSUER"]
    serializer_class = NoteSerializer

    def get_queryset(self) -> QuerySet[Note]:
        return Note.objects.filter(user=self.request.user)[:MAX_NOTES]

    def perform_create(self, serializer: BaseSerializer[Note]) -> None:
        serializer.save(user=self.request.user)
