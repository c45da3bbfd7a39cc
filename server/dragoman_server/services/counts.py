"""The check that every list of a request must pass."""

from dragoman_models.errors import FieldViolation


def count_violations(field: str, count: int, most: int) -> list[FieldViolation]:
    """What is wrong with a list of `count` items, of which there may be 1 to `most`."""
    if count == 0:
        text = f"is empty; give 1 to {most:,} items"
    elif count > most:
        text = f"has {count:,} items; this server takes at most {most:,} a call: divide them"
    else:
        return []
    return [FieldViolation(field=field, description=text)]
