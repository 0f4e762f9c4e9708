"""The engine: runs the stages of a study on a dataset, one machine or a cluster."""
