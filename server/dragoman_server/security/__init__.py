"""Who may call, over what: TLS, tokens, scopes, quotas, and where plaintext is refused."""
