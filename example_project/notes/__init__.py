"""A minimal protected API: the notes of the user for whom the access token was issued."""
