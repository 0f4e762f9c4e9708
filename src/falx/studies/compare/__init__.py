"""Maps of any kind and people of any groups: compared, listed and shown."""
