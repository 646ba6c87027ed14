"""Every view, with a fault at every stage: what must not get out does not get out."""
