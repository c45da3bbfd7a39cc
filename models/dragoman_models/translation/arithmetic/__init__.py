"""The translator's decoding step as compiled loops, in float32, bfloat16 or 8-bit integers."""
