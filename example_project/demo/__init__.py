"""The demonstration: who exists in it, and the story it plays."""
