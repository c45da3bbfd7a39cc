"""Models in processes of their own, which share their weights and may be killed."""
