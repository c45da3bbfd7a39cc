"""Generated gRPC and protobuf code of the Dragoman API, one package for each major version."""
