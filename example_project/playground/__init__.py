"""The playground: see a refresh token live and die.

``client`` is an OAuth client as anybody would write it, with Authlib; it knows nothing of this server but its address.
``actions`` has a function for each button. ``family`` draws what the server made of it, and ``captions`` tell it.
"""
