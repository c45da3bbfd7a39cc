"""A wall clock that a test moves, for one process and its children, by a shim before libc.

It moves what gRPC's core reads as well as what Python does; monotonic clocks go on as they are.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

_SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static const volatile long long *offset_file(void) {
  static const volatile long long *mapped = 0;
  static const long long none = 0;
  if (!mapped) {
    const char *path = getenv("CHAOS_CLOCK");
    int file = path ? open(path, O_RDONLY) : -1;
    void *found = file < 0 ? MAP_FAILED : mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
    mapped = found == MAP_FAILED ? &none : found;
  }
  return mapped;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  static int (*real)(clockid_t, struct timespec *) = 0;
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int failed = real(clock, now);
  if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    now->tv_sec += *offset_file();
  return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec time;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &time)) return -1;
  now->tv_sec = time.tv_sec;
  now->tv_usec = time.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *where) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
  if (where) *where = now.tv_sec;
  return now.tv_sec;
}
"""


class MovedClock:
    """The clock of whatever is started with its `environment`."""

    def __init__(self, folder: Path) -> None:
        """Raises RuntimeError where there is no C compiler to make the shim."""
        compiler = shutil.which("cc")
        if compiler is None:
            raise RuntimeError("there is no C compiler")
        source, shim = folder / "clock.c", folder / "clock.so"
        source.write_text(_SHIM, encoding="utf-8")
        command = [compiler, "-shared", "-fPIC", "-O2", "-o", str(shim), str(source), "-ldl"]
        subprocess.run(command, check=True, capture_output=True)
        self._file = folder / "clock"
        self._file.write_bytes(bytes(8))
        self.environment = {"LD_PRELOAD": str(shim), "CHAOS_CLOCK": str(self._file)}

    def move(self, seconds: int) -> None:
        """So far from the true time, at once."""
        with self._file.open("r+b") as clock:
            clock.write(struct.pack("=q", seconds))
