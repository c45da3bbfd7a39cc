"""What holds for all tests: one torch thread, Dragoman's defaults, repeatable examples."""

from __future__ import annotations

import os

from hypothesis import settings

# Before torch is imported anywhere: two threads on two busy cores are many times slower than one.
os.environ["OMP_NUM_THREADS"] = "1"

# A developer's own settings must not change what the tests see.
for name in [name for name in os.environ if name.startswith("DRAGOMAN_")]:
    del os.environ[name]

# The same examples each time, and no time limit for one of them: a busy machine is not a defect.
settings.register_profile("repeatable", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("repeatable")
