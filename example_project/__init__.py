"""A site that shows oauth_refresh at work, and the project its documentation speaks of."""
