"""How the page is served: who waits, what is refused, the API."""
