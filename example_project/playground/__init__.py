"""The playground: see how a refresh token is issued, used, stolen and revoked.

``client`` is an ordinary OAuth client, made with Authlib, which knows only the address of the server. ``actions`` has a
function for each button, ``grant_diagram`` shows the resulting rows of the server, and ``captions`` explains them.
"""
