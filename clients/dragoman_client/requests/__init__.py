"""Builds the API's request messages from plain values, a module for each kind of service.

Nothing is checked here that the server checks: only what cannot be written into a message at all
is refused, with an InvalidRequestError that names the field as the server would.
"""
