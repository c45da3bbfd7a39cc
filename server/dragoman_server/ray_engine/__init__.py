"""Models in the replicas of Ray Serve, behind the same front end; needs the extra `ray`."""
