"""Every view, made to fail at every step: no raw value is reported, logged, stored or sent."""
