"""What happens around every call, whatever it does."""
