"""The methods of the client that send one request and read one answer, by service.

Those of the asynchronous client, in ``aio_methods``, are made from these by
``scripts/generate_async_client.py``.
"""
