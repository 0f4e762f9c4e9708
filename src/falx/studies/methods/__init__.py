"""What ran, as a paper's methods section says it: sentences, settings, versions, references."""
