"""What networks of images are made of, written out in numpy: to read, and to check against."""
