"""Which class an image is of: residual networks from scratch, and heads on imported backbones."""
