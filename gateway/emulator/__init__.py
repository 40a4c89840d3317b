"""An honest small Xyte, for tests, demos and integrators without an account."""
