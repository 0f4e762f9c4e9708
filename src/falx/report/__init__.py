"""Reports: one self-contained HTML file each, pictures inside, no request leaves it."""
