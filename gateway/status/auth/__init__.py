"""Access to the status page: the token, signing in, and the middleware that checks every request."""
