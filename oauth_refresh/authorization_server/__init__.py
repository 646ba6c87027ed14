"""The authorization server (RFC 6749 §1.1): its endpoints read a request, call one service, and write the answer."""
