"""A site that shows oauth_refresh in use. The documentation refers to this project."""
