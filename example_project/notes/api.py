"""``/api/notes/``: a token with ``notes:read`` lists, one with ``notes:write`` adds."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.generics import ListCreateAPIView
from rest_framework.permissions import IsAuthenticated
from rest_framework.serializers import BaseSerializer, ModelSerializer

from example_project.notes.models import Note
from oauth_refresh.api.authentication import BearerAuthentication
from oauth_refresh.api.permissions import HasScope

NEWEST = 20


class NoteSerializer(ModelSerializer[Note]):
    class Meta:
        model = Note
        fields = ["text", "created_at"]


@extend_schema_view(post=extend_schema(description="Add a note for the token's user."))
class NotesView(ListCreateAPIView[Note]):
    """The notes of the token's user, newest first."""

    authentication_classes = [BearerAuthentication]
    permission_classes = [IsAuthenticated, HasScope]  # a token of an application for itself has no user, so no notes
    required_scopes = {"GET": ["notes:read"], "POST": ["notes:write"]}
    serializer_class = NoteSerializer

    def get_queryset(self) -> QuerySet[Note]:
        return Note.objects.filter(user=self.request.user)[:NEWEST]

    def perform_create(self, serializer: BaseSerializer[Note]) -> None:
        serializer.save(user=self.request.user)
