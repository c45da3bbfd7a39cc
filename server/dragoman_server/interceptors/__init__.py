"""What happens around every call, whatever it does: one interceptor, and a part for each role."""
