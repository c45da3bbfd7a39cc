"""Everything in Dragoman that learns or predicts; it knows neither gRPC nor the wire format."""
