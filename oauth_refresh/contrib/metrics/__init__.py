"""Optional: metrics of the authorization server, by OpenTelemetry's API. It counts outcomes, and names no one."""
