"""The demonstration: its accounts, and the requests that ``manage.py demo`` sends."""
