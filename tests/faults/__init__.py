"""What becomes of sessions when things break: real servers, killed for real, and clients that behave well.

The servers are started here, each in a folder and on a port of its own; nothing that was running before is touched.
"""
