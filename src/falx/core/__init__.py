"""What every room stands on: errors, grids, threads, settings, stages, tables, files."""
