"""Requests that are carried out at the same time, against real processes and step by step."""
