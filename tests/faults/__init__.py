"""Which grants are lost when servers, networks and disks fail: real processes are killed, and clients send again.

The servers are started here, each in a folder and on a port of its own; nothing that was running before is touched.
"""
