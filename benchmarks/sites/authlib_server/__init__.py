"""The least that Authlib's documentation asks for: two models, and a server with the refresh token grant."""
