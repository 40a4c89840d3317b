"""Access to the status page: tokens, signing in, and the middleware that checks every request."""
