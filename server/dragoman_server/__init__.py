"""The Dragoman server: proto in, model call, proto out; it computes nothing itself."""
