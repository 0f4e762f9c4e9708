"""Stage tables that join the rooms, and worked examples."""
