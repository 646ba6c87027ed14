"""The sites that are measured, all with the middleware, the database settings and the server of the example."""
