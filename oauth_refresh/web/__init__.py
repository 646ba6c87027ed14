"""Pages for people: plain Django views and templates, no JavaScript needed."""
