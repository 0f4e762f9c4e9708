"""Allen Human Brain Atlas: from the download to a region × gene matrix."""
