"""Objects in images: a single-shot detector with anchor boxes, as YOLO v2 and v3."""
