"""What a C++ program gets: the installed library, its headers and its programs."""
