"""Version 1 of the API. The .proto files beside this one are its documentation."""
