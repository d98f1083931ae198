"""Types and the two contracts, of backends and of providers; errors."""
