"""Draw a verdict as figures, as SVG and PNG. Others import only `write`, which loads matplotlib when it draws."""
