"""A protected API, as small as one can be: notes of the user whose token is sent."""
