"""The methods of the asynchronous client, made from those in ``methods``."""
