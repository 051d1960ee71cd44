"""From overrides to cells: typed configuration, cross product, signatures, stages, validation, predictions."""
