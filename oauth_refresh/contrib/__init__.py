"""Optional apps: each has its own entry in ``INSTALLED_APPS``, and nothing of the package imports them."""
