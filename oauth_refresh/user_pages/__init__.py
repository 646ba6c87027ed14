"""Where users see their connected applications and disconnect them: HTML pages, and JSON for a front end."""
